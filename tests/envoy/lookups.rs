//! Look-ups: what is answered from a cache, to whom, for how long, and what never is.

use std::time::{Duration, Instant};

use e2e::client::{Answer, Client, Request};
use e2e::stack::{Acquirer, Edit, Plan, Stack};
use serde_json::{Value, json};

use super::upstream::{OWN_CARD, Pieces, Seen, Upstream, chunked, long, no_content, until_closed, whole};
use super::{by, charge, follow_up, id, plan, send, shop, start};

/// How long a worker may show a payment as it was before a follow-up was answered.
const STALE_MAX: Duration = Duration::from_secs(1);
/// Fresh connections in a row that reach both workers.
const BOTH_WORKERS: u32 = 24;
/// How long any answer may take.
const BOUNDED: Duration = Duration::from_secs(3);

/// Has the filter wait for the cache-service however busy this machine is: a look-up that gave up would be a miss.
pub(super) fn patient() -> Edit {
    let token = r#""token_env": "SWITCHYARD_CACHE_TOKEN""#;
    Edit::new(token, format!(r#"{token}, "lookup_timeout_ms": 5000, "record_timeout_ms": 5000"#))
}

fn patient_plan() -> Plan {
    Plan { edits: vec![patient()], ..plan() }
}

fn cache(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-cache"))
}

async fn look_up(stack: &Stack, payment: &str) -> Answer {
    send(stack, shop(Request::get(format!("/v1/payments/{payment}")))).await
}

fn captured(answer: &Answer) -> bool {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body: Value = answer.json().unwrap();
    body["captured"].as_bool().unwrap_or_else(|| panic!("{body}"))
}

#[tokio::test]
async fn a_capture_is_seen_through_both_workers_within_a_second() {
    let stack = start(patient_plan()).await;
    for _ in 0..3 {
        let payment = id(&send(&stack, charge()).await);
        for _ in 0..BOTH_WORKERS {
            assert!(!captured(&look_up(&stack, &payment).await));
        }
        assert!(captured(&send(&stack, follow_up(&payment, "capture")).await));
        let since = Instant::now();
        let mut shown = Vec::new();
        while since.elapsed() < STALE_MAX + Duration::from_millis(300) {
            let asked = since.elapsed();
            shown.push((captured(&look_up(&stack, &payment).await), asked));
        }
        let last_old = shown.iter().filter(|(captured, _)| !captured).map(|(_, at)| *at).max();
        assert!(last_old.is_none_or(|at| at <= STALE_MAX), "the old status was shown {last_old:?} after the capture");
        for _ in 0..BOTH_WORKERS {
            assert!(captured(&look_up(&stack, &payment).await));
        }
        assert_eq!(look_up(&stack, &payment).await.header("x-cache"), Some("hit"), "the new status is kept again");
    }
}

/// Answers as the name in the payment's id says; the id is made of the charge's reference.
fn script(seen: &Seen) -> Pieces {
    let line = seen.line();
    let target = line.split(' ').nth(1).unwrap_or_default();
    if target == "/v1/payments" {
        let body: Value = serde_json::from_slice(seen.body()).unwrap_or_default();
        let reference = body["reference"].as_str().unwrap_or_default();
        let short = json!({"id": format!("own-{reference}"), "status": "succeeded"}).to_string().into_bytes();
        return match reference {
            "post-long" => whole("201 Created", "", &long(300_000)),
            "post-long-chunked" => chunked("201 Created", "", &long(300_000), 20_000),
            "post-chunked" => chunked("201 Created", "", &short, 7),
            "post-until-closed" => until_closed("201 Created", "", &short),
            "post-encoded" => whole("201 Created", "content-encoding: gzip\r\n", GZIP),
            "post-empty" => whole("201 Created", "", b""),
            "post-no-content" => no_content(),
            _ => whole("201 Created", "", &short),
        };
    }
    let status = |status: &str| whole("200 OK", "", json!({"id": "x", "status": status}).to_string().as_bytes());
    match target.split('/').nth(3).unwrap_or_default() {
        "own-pending" => status("pending"),
        "own-unheard-of" => status("under_the_moon"),
        "own-no-status" => whole("200 OK", "", br#"{"id":"x"}"#),
        "own-no-json" => whole("200 OK", "", b"succeeded"),
        "own-encoded" => whole("200 OK", "content-encoding: gzip\r\n", GZIP),
        "own-long" => whole("200 OK", "", &long(300_000)),
        "own-long-chunked" => chunked("200 OK", "", &long(300_000), 20_000),
        "own-longest" => whole("200 OK", "", &long(3_000_000)),
        "own-empty" => whole("200 OK", "", b""),
        "own-no-content" => no_content(),
        "own-chunked" => chunked("200 OK", "", br#"{"id":"x","status":"succeeded"}"#, 7),
        "own-until-closed" => until_closed("200 OK", "", br#"{"id":"x","status":"succeeded"}"#),
        _ => status("succeeded"),
    }
}

/// Not gzip at all: whoever tried to read it would fail.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00 not to be touched \xff\xfe";

fn own_charge(reference: &str) -> Request {
    let source = json!({"number": OWN_CARD});
    shop(Request::post("/v1/payments"))
        .json(&json!({"amount": 1200, "currency": "EUR", "reference": reference, "source": source}))
}

async fn bounded(stack: &Stack, request: Request) -> Answer {
    let what = request.path.clone();
    Client::new().deadline(BOUNDED).send(stack.proxy(), request).await.unwrap_or_else(|e| panic!("{what}: {e}"))
}

#[tokio::test]
async fn what_cannot_be_kept_passes_whole_and_nothing_hangs() {
    let own = Upstream::start(script).await;
    let mut plan = patient_plan();
    own.stand_in(&mut plan);
    let stack = start(plan).await;

    let short =
        |reference: &str| json!({"id": format!("own-{reference}"), "status": "succeeded"}).to_string().into_bytes();
    for (reference, status, body) in [
        ("post-long", 201, long(300_000)),
        ("post-long-chunked", 201, long(300_000)),
        ("post-chunked", 201, short("post-chunked")),
        ("post-until-closed", 201, short("post-until-closed")),
        ("post-encoded", 201, GZIP.to_vec()),
        ("post-empty", 201, Vec::new()),
        ("post-no-content", 204, Vec::new()),
    ] {
        let answer = bounded(&stack, own_charge(reference)).await;
        assert_eq!((answer.status, by(&answer)), (status, Some(Acquirer::C)), "{reference}");
        assert!(answer.body == body, "{reference}: {} bytes came, not {}", answer.body.len(), body.len());
    }

    // Kept or not, twice the same bytes.
    let succeeded = || br#"{"id":"x","status":"succeeded"}"#.to_vec();
    for (reference, status, body, second) in [
        ("pending", 200, br#"{"id":"x","status":"pending"}"#.to_vec(), "miss"),
        ("unheard-of", 200, br#"{"id":"x","status":"under_the_moon"}"#.to_vec(), "miss"),
        ("no-status", 200, br#"{"id":"x"}"#.to_vec(), "miss"),
        ("no-json", 200, b"succeeded".to_vec(), "miss"),
        ("encoded", 200, GZIP.to_vec(), "miss"),
        ("long", 200, long(300_000), "miss"),
        ("long-chunked", 200, long(300_000), "miss"),
        ("longest", 200, long(3_000_000), "miss"),
        ("empty", 200, Vec::new(), "miss"),
        ("no-content", 204, Vec::new(), "miss"),
        ("chunked", 200, succeeded(), "hit"),
        ("until-closed", 200, succeeded(), "hit"),
        ("plain", 200, succeeded(), "hit"),
    ] {
        assert_eq!(bounded(&stack, own_charge(reference)).await.status, 201, "{reference}");
        for expected in ["miss", second] {
            let answer = bounded(&stack, shop(Request::get(format!("/v1/payments/own-{reference}")))).await;
            assert_eq!(cache(&answer), (status, Some(expected)), "{reference}");
            assert!(answer.body == body, "{reference}: {} bytes came, not {}", answer.body.len(), body.len());
        }
        // The answer of a follow-up waits for the invalidation, however long it is.
        let answer = bounded(&stack, follow_up(&format!("own-{reference}"), "capture")).await;
        assert_eq!((answer.status, answer.body == body), (status, true), "{reference}");
    }
    let head = Request::new(hyper::Method::HEAD, "/v1/payments/own-plain");
    assert_eq!(bounded(&stack, shop(head)).await.status, 404);
}
