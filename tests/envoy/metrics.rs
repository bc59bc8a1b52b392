//! What an operator sees: counters with labels; and what nobody may see: whose payment it was.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::client::{Client, Request};
use e2e::processor::Mode;
use e2e::stack::{Acquirer, Plan, Stack, eventually};

use super::lookups::patient;
use super::{ANY_CARD, charge, id, plan, send, start};

/// What a client sends that no log and no metric may show; the card number is one more.
const TENANT: &str = "Bearer canary-tenant-71c2";
const KEY: &str = "canary-key-08f5";
const NOTE: &str = "canary-note-5d3e";

async fn prometheus(stack: &Stack) -> String {
    let admin = stack.envoy().unwrap().admin();
    Client::new().send(admin, Request::get("/stats/prometheus")).await.unwrap().text()
}

/// The sum over the series of `name` that have all of `labels`.
fn sum(text: &str, name: &str, labels: &[&str]) -> u64 {
    let series = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
    let wanted = series.filter(|(given, _)| labels.iter().all(|label| given.contains(label)));
    wanted.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

async fn by_canary(stack: &Stack, request: Request) -> e2e::client::Answer {
    let request = request.header("authorization", TENANT).header("x-note", NOTE);
    send(stack, request).await
}

/// A charge by the canary, without the usual shop's authorization.
fn canary_charge() -> Request {
    let mut request = charge();
    request.headers.retain(|(name, _)| name != b"authorization");
    request
}

#[tokio::test]
async fn counters_have_labels_and_nothing_shows_a_client() {
    let stack = start(Plan { edits: vec![patient()], ..plan() }).await;
    // Approved, replayed, refused, looked up twice, captured.
    let paid = by_canary(&stack, canary_charge().header("idempotency-key", KEY)).await;
    assert_eq!(paid.status, 201, "{}", paid.text());
    assert_eq!(by_canary(&stack, canary_charge().header("idempotency-key", KEY)).await.status, 201);
    let payment = id(&paid);
    let taker = paid.header("x-switchyard-processor").unwrap().to_owned();
    let path = format!("/v1/payments/{payment}");
    assert_eq!(by_canary(&stack, Request::get(&path)).await.header("x-cache"), Some("miss"));
    assert_eq!(by_canary(&stack, Request::get(&path)).await.header("x-cache"), Some("hit"));
    assert_eq!(by_canary(&stack, Request::post(format!("{path}/capture"))).await.status, 200);
    assert_eq!(by_canary(&stack, Request::get(format!("/v1/bins/{ANY_CARD}"))).await.status, 400);
    let broken =
        Request::post("/v1/payments").body("application/json", format!(r#"{{"source":{{"number":"{ANY_CARD}""#));
    assert_eq!(by_canary(&stack, broken).await.status, 400);
    let malformed = canary_charge().header("idempotency-key", format!("{KEY},{KEY}"));
    assert_eq!(by_canary(&stack, malformed).await.status, 400);
    // The card where it does not belong: in a path of ours, in a path of nobody's, in a query.
    for path in
        [format!("/v1/payments/{ANY_CARD}"), format!("/{NOTE}/{ANY_CARD}"), format!("/v1/bins/424242?n={ANY_CARD}")]
    {
        by_canary(&stack, Request::get(path)).await;
    }
    // One processor fails until a breaker opens.
    stack.processor(Acquirer::A).set(Mode::Http(503)).await.unwrap();
    let opened = "switchyard_breaker_transitions_total";
    eventually("a breaker opens", Duration::from_secs(10), async || {
        for _ in 0..10 {
            by_canary(&stack, canary_charge()).await;
        }
        let labels = [r#"processor="acquirer-a""#, r#"to="open""#];
        (sum(&prometheus(&stack).await, opened, &labels) >= 1).then_some(())
    })
    .await
    .unwrap();

    let text = prometheus(&stack).await;
    let taken = format!(r#"processor="{taker}""#);
    for (name, labels, least) in [
        ("switchyard_requests_total", vec![&*taken, r#"kind="charge""#, r#"outcome="approved""#], 2),
        ("switchyard_requests_total", vec![&*taken, r#"kind="follow_up""#, r#"outcome="answered""#], 1),
        ("switchyard_requests_total", vec![&*taken, r#"kind="lookup""#, r#"outcome="answered""#], 1),
        ("switchyard_requests_total", vec![r#"processor="acquirer-a""#, r#"kind="charge""#, r#"outcome="failed""#], 5),
        ("switchyard_refusals_total", vec![r#"reason="body_malformed""#], 1),
        ("switchyard_refusals_total", vec![r#"reason="key_malformed""#], 1),
        ("switchyard_refusals_total", vec![r#"reason="pin_missing""#], 1),
        ("switchyard_lookups_total", vec![r#"result="miss""#], 1),
        ("switchyard_lookups_total", vec![r#"result="uncached""#], 1),
        ("switchyard_lookups_total", vec![r#"result="hit_"#], 1),
        ("switchyard_writes_total", vec![r#"result="stored""#], 3),
    ] {
        let seen = sum(&text, name, &labels);
        assert!(seen >= least, "{name}{labels:?} is {seen}, not {least} at least:\n{}", ours(&text));
    }
    // One name each, and every value of a label is one of a closed list.
    let names: BTreeSet<_> = ours(&text).lines().filter_map(|l| Some(l.split_once('{')?.0.to_owned())).collect();
    let expected = "breaker_transitions evidence heartbeats lookups panics refusals requests shadow shadow_refusals \
                    store_transitions unpinned writes";
    assert_eq!(names, expected.split(' ').map(|name| format!("switchyard_{name}_total")).collect());

    // Everything anybody could read.
    let mut places = vec![
        ("Envoy's metrics".to_owned(), text),
        ("the cache-service's metrics".to_owned(), stack.cache_service().unwrap().metrics().await.unwrap()),
    ];
    let admin = stack.envoy().unwrap().admin();
    for page in ["/stats?format=json", "/clusters", "/config_dump"] {
        places.push((page.to_owned(), Client::new().send(admin, Request::get(page)).await.unwrap().text()));
    }
    // The access log is written every so often.
    let log = stack.dir().join("envoy.log");
    eventually("the access log is written", Duration::from_secs(15), async || {
        let text = std::fs::read_to_string(&log).unwrap();
        (text.contains("cache_hit")
            && text.contains("pin_missing")
            && text.contains("processor acquirer-a: breaker open"))
        .then_some(())
    })
    .await
    .unwrap();
    for entry in std::fs::read_dir(stack.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "log" || e == "yaml") {
            places.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(places.len() >= 9, "Envoy, the cache-service and the processors have logs");
    // Half of a secret is a leak too.
    let canaries =
        ["canary-tenant", "canary-key", "canary-note", &ANY_CARD[..12], &ANY_CARD[6..], &payment, stack.cache_token()];
    for (place, text) in &places {
        for canary in canaries {
            let found = text.lines().find(|line| line.contains(canary));
            assert_eq!(found, None, "{place} shows {canary}");
        }
    }
}

fn ours(text: &str) -> String {
    text.lines().filter(|line| line.starts_with("switchyard_")).collect::<Vec<_>>().join("\n")
}
