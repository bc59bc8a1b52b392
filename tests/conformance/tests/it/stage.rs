//! The cache-service's twin beside the service: the same questions, one after the other, get the same answers.

use std::time::Duration;

use conformance::stage::cache::{CacheModel, Condition};
use e2e::client::{Answer, Client, Request};
use e2e::stack::{ArtefactArgs, CacheProcess, Workdir};
use hyper::Method;
use serde_json::Value;
use world::http::{Message, lines};
use world::upstream::{Door, Piece, Reply, Upstream};

const TOKEN: &str = "a-token-for-tests";
/// Headers that say when, that frame, or that the filter never needs; the twin has its own or none.
const APART: [&str; 4] = ["allow", "content-length", "date", "switchyard-age-ms"];

/// One question: method, path, headers, body. `{FENCE}` in a header is the fence of the last miss.
struct Question(&'static str, String, Vec<(&'static str, String)>, Vec<u8>);

/// What is compared of an answer.
#[derive(Debug, PartialEq)]
struct Said {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

fn key(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

fn ask(method: &'static str, path: String, headers: &[(&'static str, &str)], body: &str) -> Question {
    let mut all = vec![("authorization", format!("Bearer {TOKEN}"))];
    all.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Question(method, path, all, body.as_bytes().to_vec())
}

fn lookup(space: &str, n: u8) -> String {
    format!("/v1/lookup/{space}/{}", key(n))
}

/// All that the filter asks, in the orders that matter, and what it never would.
fn questions() -> Vec<Question> {
    let (entity, other) = (key(0xe1), key(0xe2));
    let (of, of_other) = (("switchyard-entity", &*entity), ("switchyard-entity", &*other));
    let (fence, ttl) = (("switchyard-fence", "{FENCE}"), ("switchyard-ttl-ms", "60000"));
    let value = r#"{"id":"pay_1","status":"succeeded"}"#;
    let status = |n| lookup("payment_status", n);
    let bin = |n| lookup("bin", n);
    let pin = |n| format!("/v1/pins/{}", key(n));
    let claim = |n| format!("/v1/claims/{}", key(n));
    let (a, b) = (r#"{"processor":"acquirer-a"}"#, r#"{"processor":"acquirer-b"}"#);
    let card = "4242424242424242";
    let escaped = r#"{"n":"\u00342424242424242\u00342"}"#;
    let json = ("content-type", "application/json");
    let long = "x".repeat(65);
    vec![
        // A value of an entity: missed, kept, found, found for nobody else, outdated, missed again.
        ask("GET", status(1), &[of], ""),
        ask(
            "PUT",
            status(1),
            &[of, fence, ttl, json, ("switchyard-status", "203"), ("switchyard-processor", "acquirer-a")],
            value,
        ),
        ask("GET", status(1), &[of], ""),
        ask("GET", status(1), &[of_other], ""),
        ask("GET", status(1), &[], ""),
        ask("DELETE", status(0xe1), &[], ""),
        ask("GET", status(1), &[of], ""),
        ask("PUT", status(1), &[of, fence, ttl], value),
        ask("GET", status(1), &[of], ""),
        ask("DELETE", status(1), &[], ""),
        ask("GET", status(1), &[of], ""),
        // A load that an invalidation overtook.
        ask("GET", status(2), &[of], ""),
        ask("DELETE", status(0xe1), &[], ""),
        ask("PUT", status(2), &[of, fence, ttl], value),
        ask("GET", status(2), &[of_other], ""),
        ask("PUT", status(2), &[of_other, fence, ttl], value),
        ask("GET", status(2), &[of_other], ""),
        // Fences that prove nothing, or are none.
        ask("PUT", status(3), &[of, ttl], value),
        ask("PUT", status(3), &[of, ttl, ("switchyard-fence", "m0.0")], value),
        ask("PUT", status(3), &[of, ttl, ("switchyard-fence", "x")], value),
        ask("PUT", status(3), &[of, ttl, ("switchyard-fence", &long)], value),
        // A plain value.
        ask("GET", bin(1), &[], ""),
        ask("PUT", bin(1), &[ttl, fence], "{}"),
        ask("GET", bin(1), &[], ""),
        ask("PUT", bin(1), &[("switchyard-ttl-ms", "99999999999")], "[]"),
        ask("GET", bin(1), &[], ""),
        ask("DELETE", bin(1), &[], ""),
        ask("GET", bin(1), &[], ""),
        // What is no question of ours.
        ask("PUT", bin(2), &[], "{}"),
        ask("PUT", bin(2), &[("switchyard-ttl-ms", "0")], "{}"),
        ask("PUT", bin(2), &[("switchyard-ttl-ms", "x")], "{}"),
        ask("PUT", bin(2), &[ttl, ttl], "{}"),
        ask("PUT", bin(2), &[ttl, ("switchyard-status", "199")], "{}"),
        ask("PUT", bin(2), &[ttl, ("switchyard-processor", &long)], "{}"),
        ask("PUT", bin(2), &[ttl, ("switchyard-entity", "x")], "{}"),
        ask("PUT", bin(2), &[ttl, json], card),
        ask("PUT", bin(2), &[ttl, json], escaped),
        ask("PUT", bin(2), &[ttl], &"x".repeat(64 * 1024 + 1)),
        ask("PUT", bin(2), &[ttl], &"x".repeat(64 * 1024)),
        ask("GET", lookup("unheard_of", 1), &[], ""),
        ask("GET", "/v1/lookup/bin/short".to_owned(), &[], ""),
        ask("POST", bin(1), &[], ""),
        ask("GET", "/v1/other".to_owned(), &[], ""),
        ask("GET", "/".to_owned(), &[], ""),
        Question("GET", bin(1), Vec::new(), Vec::new()),
        Question("GET", bin(1), vec![("authorization", "Bearer wrong".to_owned())], Vec::new()),
        Question("GET", bin(1), vec![("authorization", format!("bearer {TOKEN}"))], Vec::new()),
        // Pins: written, again, by another.
        ask("GET", pin(1), &[], ""),
        ask("PUT", pin(1), &[json], a),
        ask("PUT", pin(1), &[json], a),
        ask("GET", pin(1), &[], ""),
        ask("PUT", pin(1), &[json], b),
        ask("GET", pin(1), &[], ""),
        ask("PUT", pin(1), &[json], a),
        // Claims: the first writer wins, whatever pins say.
        ask("PUT", claim(1), &[json], b),
        ask("PUT", claim(1), &[json], a),
        ask("PUT", claim(1), &[json], b),
        ask("GET", claim(1), &[], ""),
        ask("PUT", "/v1/claims/short".to_owned(), &[json], a),
        ask("PUT", claim(2), &[json], r#"{"processor":""}"#),
        ask("PUT", claim(2), &[json], r#"{"processor":"a","more":1}"#),
        ask("PUT", claim(2), &[json], &format!(r#"{{"processor":"{card}"}}"#)),
        ask("PUT", claim(2), &[json], &"x".repeat(1_025)),
        ask("PUT", pin(2), &[json], "acquirer-a"),
    ]
}

/// The type of a problem is all a caller may rely on; of a TTL that it has not grown or shrunk by much.
fn comparable(status: u16, headers: impl Iterator<Item = (String, String)>, body: Vec<u8>) -> Said {
    let mut headers: Vec<_> = headers
        .filter(|(name, _)| !APART.contains(&&**name))
        .map(|(name, value)| match &*name {
            "switchyard-fence" => (name, "a fence".to_owned()),
            "switchyard-ttl-ms" => {
                let seconds = value.parse::<u64>().unwrap().div_ceil(1_000);
                (name, seconds.to_string())
            }
            _ => (name, value),
        })
        .collect();
    headers.sort();
    let problem = serde_json::from_slice::<Value>(&body).ok().filter(|json| json["title"].is_string());
    let whole = || String::from_utf8_lossy(&body).into_owned();
    let body = problem.map_or_else(whole, |json| format!("{} {}", json["type"], json["status"]));
    Said { status, headers, body }
}

fn from_service(answer: &Answer) -> Said {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    comparable(answer.status, headers, answer.body.to_vec())
}

fn from_twin(reply: Reply) -> (Said, Option<String>) {
    let (mut lines, mut body) = (Vec::new(), Vec::new());
    for (_, piece) in reply.0 {
        match piece {
            Piece::Head { headers, .. } => lines = headers,
            Piece::Body { bytes, .. } => body = bytes,
            other => panic!("{other:?}"),
        }
    }
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut lines: Vec<_> = lines.iter().map(|(name, value)| (text(name), text(value))).collect();
    let status = lines.remove(0).1.parse().unwrap();
    let fence = lines.iter().find(|(name, _)| name == "switchyard-fence").map(|(_, value)| value.clone());
    (comparable(status, lines.into_iter(), body), fence)
}

#[tokio::test]
async fn the_twin_of_the_cache_service_answers_as_the_service_does() {
    let dir = Workdir::new().unwrap();
    let service = CacheProcess::alone(
        conformance::artefacts::find(ArtefactArgs::from_env()).unwrap().artefacts.cache_service,
        TOKEN,
        dir.path(),
    )
    .await
    .unwrap();
    let mut twin = CacheModel::new(TOKEN, 7);
    let client = Client::new();
    let (mut fence, mut twins_fence) = (String::new(), String::new());
    let (mut asked, mut statuses) = (0_u32, std::collections::BTreeSet::new());
    for Question(method, path, headers, body) in questions() {
        let what = format!("{asked}: {method} {path} {headers:?}");
        let with = |fence: &str| headers.iter().map(|(n, v)| (*n, v.replace("{FENCE}", fence))).collect::<Vec<_>>();
        let mut request = Request::new(Method::from_bytes(method.as_bytes()).unwrap(), path.clone());
        for (name, value) in with(&fence) {
            request = request.header(name, value);
        }
        request.payload = e2e::client::Payload::Whole(body.clone().into());
        let answer = client.send(service.listen(), request).await.unwrap();
        if let Some(given) = answer.header("switchyard-fence") {
            given.clone_into(&mut fence);
        }

        let mut headers = lines([(":method", method), (":path", &*path)]);
        headers.extend(with(&twins_fence).iter().flat_map(|(name, value)| lines([(*name, value.as_str())])));
        let message = Message { headers, body, trailers: Vec::new() };
        let (said, given) = from_twin(twin.request(Duration::from_millis(asked.into()), &message));
        twins_fence = given.unwrap_or(twins_fence);
        let expected = from_service(&answer);
        assert_eq!(said, expected, "{what}");
        statuses.insert(expected.status);
        asked += 1;
    }
    // Each kind of answer was among them.
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 201, 204, 400, 401, 404, 405, 409, 412, 413, 422]);
}

#[test]
fn a_twin_forgets_by_time_and_by_being_started_anew() {
    let mut twin = CacheModel::new(TOKEN, 1);
    let message = |Question(method, path, headers, body): Question| {
        let mut all = lines([(":method", method), (":path", &*path)]);
        all.extend(headers.iter().flat_map(|(name, value)| lines([(*name, value.as_str())])));
        Message { headers: all, body, trailers: Vec::new() }
    };
    let bin = || lookup("bin", 1);
    let put = || message(ask("PUT", bin(), &[("switchyard-ttl-ms", "1000")], "{}"));
    let get = || message(ask("GET", bin(), &[], ""));
    let at = Duration::from_millis;
    let status = |reply| from_twin(reply).0.status;
    assert_eq!(status(twin.request(at(0), &put())), 204);
    assert_eq!((status(twin.request(at(999), &get())), status(twin.request(at(1_000), &get()))), (200, 404));
    assert_eq!(status(twin.request(at(2_000), &put())), 204);
    let claim = |name: &str| {
        message(ask("PUT", format!("/v1/claims/{}", key(1)), &[], &format!(r#"{{"processor":"{name}"}}"#)))
    };
    assert_eq!(status(twin.request(at(2_000), &claim("acquirer-a"))), 201);
    twin.set(Condition::Frozen);
    assert_eq!((twin.door(at(2_000)), twin.request(at(2_000), &get())), (Door::Open, Reply::hang()));
    twin.set(Condition::Stopped);
    assert_eq!(twin.door(at(2_000)), Door::Refused);
    twin.set(Condition::Up);
    assert_eq!(status(twin.request(at(2_100), &get())), 404, "look-up values do not outlive it");
    assert_eq!(status(twin.request(at(2_100), &claim("acquirer-b"))), 200, "records do");
}
