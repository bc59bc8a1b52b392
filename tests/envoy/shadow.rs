//! An operation in `shadow`: decided and counted, and nothing is changed of what either side sees.

use std::time::Duration;

use e2e::client::Request;
use e2e::stack::{Edit, Plan, Stack, eventually};
use serde_json::json;

use super::upstream::{Seen, Upstream, whole};
use super::{ANY_CARD, follow_up, keyed, plan, send, shop, start, stat};

/// A route of the proxy's own, before the filter's, sends every charge to the processor that stands in for
/// `acquirer-c`.
fn route_to_own(plan: &mut Plan) {
    let own = "routes:\n              - {match: {prefix: /v1/payments, headers: [{name: x-switchyard-cluster, present_match: true, invert_match: true}]}, route: {cluster: own, timeout: 2s}}\n";
    plan.edits.push(Edit::new("routes:\n", own));
}

fn in_shadow(plan: &mut Plan) {
    for (name, kind) in [("charge", "charge"), ("refund", "follow_up"), ("payment-status", "lookup")] {
        let operation = format!(r#"{{"name": "{name}", "kind": "{kind}", "#);
        plan.edits.push(Edit::new(operation.clone(), format!(r#"{operation}"mode": "shadow", "#)));
    }
}

fn without_the_filter(plan: &mut Plan) {
    plan.edits.push(Edit::new(
        "          - name: switchyard\n",
        "          - name: switchyard\n            disabled: true\n",
    ));
}

fn script(seen: &Seen) -> Vec<Vec<u8>> {
    // By the amount, which no reader of this test needs to be told twice.
    let says = |amount: &str| seen.body().windows(amount.len()).any(|w| w == amount.as_bytes());
    match () {
        () if says("5030") => whole("503 Service Unavailable", "x-own: a\r\nx-own: b\r\n", b"down"),
        () if says("2960") => whole("201 Created", "", br#"{"id":"own-96","status":"declined","response_code":"96"}"#),
        () => whole("201 Created", "x-own: a\r\n", br#"{ "id": "own-1",  "status": "succeeded" }"#),
    }
}

/// What a merchant may send, well-formed and not.
fn requests() -> Vec<Request> {
    let charge = |amount: u64| {
        shop(Request::post("/v1/payments"))
            .json(&json!({"amount": amount, "currency": "EUR", "source": {"number": ANY_CARD}}))
    };
    let post = || shop(Request::post("/v1/payments"));
    vec![
        charge(100),
        keyed("\"k-1\"").header("x-envoy-retry-on", "5xx").header("accept-encoding", "gzip"),
        charge(5_030),
        charge(2_960),
        post().body("application/json", "{ not json"),
        post().body("text/plain", "amount=1"),
        post().body("application/json", format!("\"{}\"", "x".repeat(300_000))),
        post(),
        charge(100).header("x-switchyard-anything", "1"),
        follow_up("nobodys", "refund"),
        follow_up(&"x".repeat(129), "refund"),
        shop(Request::get("/v1/payments/nobodys")),
    ]
}

/// What one side saw of the other: the bytes a processor got, and the answer, but for what differs at every time.
async fn talk(stack: &Stack, own: &Upstream) -> Vec<String> {
    const DIFFERS: [&str; 3] = ["x-request-id", "date", "x-envoy-upstream-service-time"];
    let mut told = Vec::new();
    for request in requests() {
        let before = own.seen().len();
        let answer = send(stack, request).await;
        for seen in &own.seen()[before..] {
            let text = String::from_utf8_lossy(&seen.0).into_owned();
            let lines = text.split("\r\n").filter(|line| !DIFFERS.iter().any(|name| line.starts_with(name)));
            told.push(lines.collect::<Vec<_>>().join("\n"));
        }
        let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| !DIFFERS.contains(&name.as_str())).collect();
        headers.sort_by_key(|(name, _)| name.as_str().to_owned());
        told.push(format!("{} {headers:?} {}", answer.status, answer.text()));
    }
    told
}

#[tokio::test]
async fn a_shadowed_charge_passes_as_if_there_were_no_filter() {
    let mut told = Vec::new();
    for change in [without_the_filter, in_shadow] {
        let own = Upstream::start(script).await;
        let mut plan = plan();
        own.stand_in(&mut plan);
        route_to_own(&mut plan);
        change(&mut plan);
        let stack = start(plan).await;
        let text = talk(&stack, &own).await;
        // The stand-in's port is in no header: the client's own authority passes.
        told.push(text.into_iter().map(|t| t.replace(&stack.proxy().to_string(), "PROXY")).collect::<Vec<_>>());
        if told.len() == 2 {
            counted(&stack).await;
        }
    }
    assert_eq!(told[0].len(), 2 * requests().len());
    for (plain, shadowed) in told[0].iter().zip(&told[1]) {
        assert_eq!(plain, shadowed);
    }
}

/// Five charges read well and four do not, which a processor takes all the same; the one that a processor of ours had is pinned for the day it is enforced.
async fn counted(stack: &Stack) {
    assert_eq!(stat(stack, r"switchyard_shadow_total\.processor=.*\.went=").await, 5);
    assert_eq!(stat(stack, r"switchyard_shadow_total\.processor=acquirer-c\.went=elsewhere").await, 0);
    assert_eq!(stat(stack, r"switchyard_shadow_refusals_total\.").await, 4);
    assert_eq!(stat(stack, r"switchyard_refusals_total\.").await, 0);
    let of_c = |outcome: &str| {
        stat_of(stack, format!(r"requests_total\.processor=acquirer-c\.kind=charge\.outcome={outcome}$"))
    };
    assert_eq!((of_c("approved").await, of_c("failed").await), (7, 2), "learnt of the processor that really had it");
    eventually("the pin is stored", Duration::from_secs(5), async || {
        let answer = send(stack, follow_up("own-1", "capture")).await;
        (answer.header("x-switchyard-processor") == Some("acquirer-c")).then_some(())
    })
    .await
    .unwrap();
}

async fn stat_of(stack: &Stack, name: String) -> u64 {
    stat(stack, &name).await
}
