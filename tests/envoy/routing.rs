//! Who takes a charge: by weight, by key, by rule; never by the client's word.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::client::Request;
use e2e::processor::Mode;
use e2e::stack::{Acquirer, Edit};
use hyper::Method;
use serde_json::{Value, json};

use super::*;

/// Shares of 6,000 by the shipped weights 3:2:1.
const CHARGES: u64 = 6_000;
const DUE: [usize; 3] = [3_000, 2_000, 1_000];

/// The rules of the shipped configuration, to be replaced.
const SHIPPED_RULE: &str =
    r#"{"name": "sample-range-to-c", "when": {"bin_prefix": ["555555"]}, "use": {"processors": ["acquirer-c"]}}"#;

#[track_caller]
fn assert_near(seen: [usize; 3], due: [usize; 3], slack: usize) {
    let near = seen.iter().zip(due).all(|(seen, due)| seen.abs_diff(due) <= slack);
    assert!(near, "{seen:?} is not within {slack} of {due:?}");
}

#[tokio::test]
async fn charges_without_a_key_follow_the_weights_exactly() {
    let stack = start(plan()).await;
    let report = load(&stack, CHARGES, 32, |_| charge()).await;
    assert_eq!(report.with_status(201), CHARGES, "{:?}", report.statuses);
    // Each of two workers starts somewhere in its cycle of six and ends somewhere in it: at most three off each.
    assert_near(spread(report.labels.keys()), DUE, 6);
    let ledgers = assert_ledgers(&stack, report.labels.keys()).await;
    assert_eq!(ledgers.each_ref().map(Vec::len), spread(report.labels.keys()));
    eprintln!("{CHARGES} without a key: {:?} in {:?}", spread(report.labels.keys()), report.took);
}

#[tokio::test]
async fn charges_with_a_key_follow_the_weights_and_are_each_pinned() {
    let stack = start(plan()).await;
    let report = load(&stack, CHARGES, 32, |n| keyed(format!("key-{n}"))).await;
    assert_eq!(report.with_status(201), CHARGES, "{:?}", report.statuses);
    let seen = spread(report.labels.keys());
    // A hash decides, so the shares are those of a draw, the same in every run: two points are three deviations.
    assert_near(seen, DUE, 120);
    let ledgers = assert_ledgers(&stack, report.labels.keys()).await;
    assert_eq!(ledgers.each_ref().map(Vec::len), seen);
    let keys: BTreeSet<_> = ledgers.iter().flatten().map(|row| row.key.clone().unwrap()).collect();
    assert_eq!(keys.len(), 6_000);
    let writes = stack.stats("switchyard_writes_total").await.unwrap();
    assert_eq!(stat(&stack, r"switchyard_writes_total\.result=stored$").await, CHARGES, "{writes:?}");
    eprintln!("{CHARGES} with a key: {seen:?} in {:?}", report.took);
}

#[tokio::test]
async fn a_key_stays_with_one_processor_and_one_payment() {
    let stack = start(plan()).await;
    let (mut payments, mut successes) = (BTreeSet::new(), Vec::new());
    for _ in 0..10 {
        let answer = send(&stack, keyed("order-7")).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.header("x-switchyard-attempts"), Some("1"));
        payments.insert((by(&answer).unwrap(), id(&answer)));
        successes.extend(success(&answer));
    }
    assert_eq!(payments.len(), 1, "{payments:?}");
    let ledgers = assert_ledgers(&stack, &successes).await;
    assert_eq!(ledgers.iter().filter(|rows| !rows.is_empty()).count(), 1);
    let rows: Vec<_> = ledgers.into_iter().flatten().collect();
    assert_eq!((rows.len(), rows.iter().filter(|row| row.executed).count()), (10, 1));

    // Another caller's key is another key, spelled the same: over 20 keys two callers cannot always meet one processor.
    let mut apart = 0;
    for n in 0..20 {
        let key = format!("shared-{n}");
        let mine = send(&stack, keyed(&key)).await;
        let mut theirs = charge().header("idempotency-key", &key);
        theirs.headers.retain(|(name, _)| name != b"authorization");
        let theirs = send(&stack, theirs.header("authorization", "Bearer another")).await;
        assert_eq!((mine.status, theirs.status), (201, 201), "{} {}", mine.text(), theirs.text());
        apart += u32::from(by(&mine) != by(&theirs));
    }
    assert!(apart > 0, "two callers share the claims of their keys");
}

#[tokio::test]
async fn a_card_range_decides_in_json_and_in_a_form() {
    let stack = start(plan()).await;
    let form = |card: &str| {
        let body = format!("amount=1200&currency=EUR&merchant=shop&reference=order-1&source%5Bnumber%5D={card}");
        shop(Request::post("/v1/payments")).body("application/x-www-form-urlencoded", body)
    };
    let mut successes = Vec::new();
    for make in [charge_by as fn(&str) -> Request, form] {
        let mut others = BTreeSet::new();
        for _ in 0..12 {
            let ruled = send(&stack, make("5555555555554444")).await;
            assert_eq!((ruled.status, by(&ruled)), (201, Some(Acquirer::C)), "{}", ruled.text());
            let other = send(&stack, make(ANY_CARD)).await;
            others.insert(by(&other).unwrap());
            assert_eq!(other.status, 201, "{}", other.text());
            successes.extend([ruled, other].iter().filter_map(success));
        }
        assert!(others.len() > 1, "another range went to {others:?} only");
    }
    assert_eq!(successes.len(), 48);
    assert_ledgers(&stack, &successes).await;
}

#[tokio::test]
async fn the_first_rule_whose_conditions_all_hold_decides() {
    let rules = r#"
        {"name": "till", "when": {"header": {"x-channel": ["till", "kiosk"]}}, "use": {"processors": ["acquirer-a"]}},
        {"name": "casino", "when": {"merchant": ["casino"]}, "use": {"processors": ["acquirer-b"]}},
        {"name": "yen", "when": {"currency": ["JPY", "KRW"]}, "use": {"processors": ["acquirer-c"]}},
        {"name": "high", "when": {"amount": {"currency": "EUR", "min": 100000, "max": 200000}}, "use": {"processors": ["acquirer-b"]}},
        {"name": "both", "when": {"merchant": ["big"], "bin_prefix": ["555555"]}, "use": {"processors": ["acquirer-a"]}},
        {"name": "range", "when": {"bin_prefix": ["555555"]}, "use": {"processors": ["acquirer-c"]}}"#;
    let mut plan = plan();
    plan.edits = vec![Edit::new(SHIPPED_RULE, rules.replace('\n', " "))];
    let stack = start(plan).await;
    let pay = |amount: u64, currency: &str, merchant: &str, card: &str| -> Request {
        let body: Value = json!({"amount": amount, "currency": currency, "merchant": merchant, "reference": "r", "source": {"number": card}});
        shop(Request::post("/v1/payments")).json(&body)
    };
    use Acquirer::{A, B, C};
    const RULED: &str = "5555555555554444";
    let cases = [
        ("a header", pay(5, "EUR", "shop", ANY_CARD).header("x-channel", "kiosk"), Some(A)),
        ("a header before all else", pay(5, "JPY", "casino", RULED).header("X-Channel", "till"), Some(A)),
        ("another value of it", pay(5, "EUR", "shop", ANY_CARD).header("x-channel", "web"), None),
        ("a merchant before a currency", pay(5, "JPY", "casino", RULED), Some(B)),
        ("a currency", pay(5, "KRW", "shop", ANY_CARD), Some(C)),
        ("an amount", pay(100_000, "EUR", "shop", ANY_CARD), Some(B)),
        ("an amount before a card range", pay(200_000, "EUR", "shop", RULED), Some(B)),
        ("an amount below the range", pay(99_999, "EUR", "shop", ANY_CARD), None),
        ("an amount above the range", pay(200_001, "EUR", "shop", ANY_CARD), None),
        ("an amount in another currency", pay(150_000, "USD", "shop", ANY_CARD), None),
        ("two conditions", pay(5, "EUR", "big", RULED), Some(A)),
        ("one of two conditions", pay(5, "EUR", "big", ANY_CARD), None),
        ("the last rule", pay(5, "EUR", "shop", RULED), Some(C)),
    ];
    let mut successes = Vec::new();
    for (case, request, expected) in cases {
        let mut seen = BTreeSet::new();
        // In six picks of one worker all three occur; in twelve of two workers at least two do.
        for _ in 0..12 {
            let answer = send(&stack, request.clone()).await;
            assert_eq!(answer.status, 201, "{case}: {}", answer.text());
            seen.extend(by(&answer));
            successes.extend(success(&answer));
        }
        match expected {
            Some(acquirer) => assert_eq!(seen, BTreeSet::from([acquirer]), "{case}"),
            None => assert!(seen.len() > 1, "{case}: only {seen:?}"),
        }
    }
    assert_eq!(successes.len(), 13 * 12);
    assert_ledgers(&stack, &successes).await;
}

#[tokio::test]
async fn what_a_client_says_to_the_proxy_itself_does_nothing() {
    let mut plan = plan();
    plan.edits = vec![short_timeout("1s")];
    let stack = start(plan).await;
    let meddle = |request: Request| {
        request
            .header("x-switchyard-cluster", "acquirer-c")
            .header("x-envoy-max-retries", "3")
            .header("x-envoy-retry-on", "5xx,reset,connect-failure")
            .header("x-envoy-retry-grpc-on", "unavailable")
            .header("x-envoy-upstream-rq-timeout-alt-response", "1")
            .header("x-envoy-upstream-rq-timeout-ms", "100")
            .header("x-envoy-upstream-rq-per-try-timeout-ms", "100")
            .header("x-envoy-hedge-on-per-try-timeout", "true")
    };
    let report = load(&stack, 60, 1, move |_| meddle(charge())).await;
    assert_eq!(report.with_status(201), 60, "{:?}", report.statuses);
    assert_near(spread(report.labels.keys()), [30, 20, 10], 6);

    // Nor does it open a way past the operations.
    let nobodys = send(&stack, meddle(Request::new(Method::PUT, "/v1/payments"))).await;
    assert_problem(&nobodys, 404, "no_operation");

    // A 5xx is not tried again, neither there nor elsewhere.
    set_all(&stack, Mode::Http(503)).await;
    let before = ledgers(&stack).await.iter().flatten().count();
    for sent in 1..=4 {
        let answer = send(&stack, meddle(charge())).await;
        assert_eq!((answer.status, answer.header("x-switchyard-attempts")), (503, Some("1")), "{}", answer.text());
        let arrived = ledgers(&stack).await.iter().flatten().count() - before;
        assert_eq!(arrived, sent);
    }

    // A time-out is the route's, and stays one.
    set_all(&stack, Mode::Hang).await;
    let before = ledgers(&stack).await.iter().flatten().count();
    let answer = send(&stack, meddle(charge())).await;
    assert_problem(&answer, 504, "unresolved");
    assert!(answer.took >= Duration::from_millis(900), "{:?}", answer.took);
    assert_eq!(ledgers(&stack).await.iter().flatten().count(), before + 1);
    assert_ledgers(&stack, report.labels.keys()).await;
}

#[tokio::test]
async fn round_robin_leaves_the_weights_aside() {
    let mut plan = plan();
    plan.edits = vec![Edit::new(r#""policy": "smooth_weighted_round_robin""#, r#""policy": "round_robin""#)];
    let stack = start(plan).await;
    let report = load(&stack, 600, 16, |_| charge()).await;
    assert_eq!(report.with_status(201), 600);
    let [a, b, c] = ledgers(&stack).await.map(|rows| rows.len());
    assert_eq!(a + b + c, 600);
    // Each worker takes turns exactly, from a place of its own.
    assert!([a, b, c].into_iter().all(|n| n.abs_diff(200) <= 2), "{a} {b} {c}");
}
