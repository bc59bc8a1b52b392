//! A capture or refund goes to the processor that took the payment, whatever was restarted since, and to nobody else.

use std::collections::BTreeSet;

use e2e::processor::Mode;
use e2e::stack::{Acquirer, Edit, Redis, Stack};
use serde_json::Value;

use super::*;

/// Follows each of `payments` (`acquirer-a pay_1`, as [`success`] has it) up, and asserts that its own processor did it.
async fn assert_followed(stack: &Stack, payments: &[String], what: &str) {
    let done = if what == "capture" { "captured" } else { "refunded" };
    for payment in payments {
        let (who, id) = payment.split_once(' ').unwrap();
        let answer = send(stack, follow_up(id, what)).await;
        assert_eq!(answer.status, 200, "{what} of {payment}: {}", answer.text());
        assert_eq!(answer.header("x-switchyard-processor"), Some(who));
        assert_eq!(answer.header("x-switchyard-attempts"), Some("1"));
        let body: Value = answer.json().unwrap();
        assert_eq!((&body["processor"], &body[done]), (&who.into(), &true.into()), "{body}");
    }
}

/// Captures and refunds that arrived at each processor, taken together.
async fn arrived(stack: &Stack) -> [u64; 3] {
    let mut arrived = [0; 3];
    for acquirer in Acquirer::ALL {
        let counts = stack.processor(acquirer).status().await.unwrap().counts;
        arrived[acquirer as usize] = counts.captures + counts.refunds;
    }
    arrived
}

/// Thirty payments, followed up before and after each part that remembers is started anew.
async fn follow_through_restarts(redis: Redis) {
    let mut plan = plan();
    plan.redis = redis;
    let mut stack = start(plan).await;
    let mut payments = Vec::new();
    for n in 0..30 {
        let request = if n % 2 == 0 { charge() } else { keyed(format!("order-{n}")) };
        payments.extend(success(&send(&stack, request).await));
    }
    let took = spread(&payments);
    assert!(took.iter().sum::<usize>() == 30 && !took.contains(&0), "{took:?}");
    let (early, late) = payments.split_at(10);
    assert_followed(&stack, early, "capture").await;
    stack.restart_envoy().await.unwrap();
    assert_followed(&stack, &late[..10], "capture").await;
    stack.restart_cache_service().await.unwrap();
    assert_followed(&stack, &late[10..], "capture").await;
    stack.restart_envoy().await.unwrap();
    assert_followed(&stack, &payments, "refund").await;
    // Each was captured once and refunded once, and none was tried anywhere else first.
    assert_eq!(arrived(&stack).await, took.map(|payments| 2 * payments as u64));

    // The claims outlived it all as well.
    let again = send(&stack, keyed("order-1")).await;
    assert_eq!(success(&again).as_ref(), Some(&payments[1]), "{}", again.text());
    assert_ledgers(&stack, &payments).await;
}

#[tokio::test]
async fn pins_outlive_envoy_and_the_cache_service_in_its_own_store() {
    follow_through_restarts(Redis::None).await;
}

#[tokio::test]
async fn pins_outlive_envoy_and_the_cache_service_in_redis() {
    follow_through_restarts(Redis::Own).await;
}

#[tokio::test]
async fn another_callers_payment_and_an_unknown_one_go_nowhere() {
    let stack = start(plan()).await;
    let paid = send(&stack, charge()).await;
    let path = format!("/v1/payments/{}/capture", id(&paid));
    let another = Request::post(&path).header("authorization", "Bearer another");
    for request in
        [another, Request::post(&path), follow_up("pay_unknown", "capture"), follow_up("pay_unknown", "refund")]
    {
        let answer = send(&stack, request).await;
        assert_problem(&answer, 409, "pin_missing");
        assert_eq!(answer.header("x-switchyard-attempts"), Some("0"));
    }
    assert_eq!(arrived(&stack).await, [0; 3]);
    let captured = send(&stack, follow_up(&id(&paid), "capture")).await;
    assert_eq!((captured.status, by(&captured)), (200, by(&paid)));
    assert_ledgers(&stack, &success(&paid)).await;
}

#[tokio::test]
async fn an_id_that_two_processors_gave_goes_to_neither() {
    // Two names for one processor, which by its key answers the same payment under both; the filter sees no key.
    let mut plan = plan();
    let b = |more: &str| format!(r#"{{"name": "acquirer-b", "profile": "sample", "weight": 2{more}}}"#);
    plan.edits = vec![
        Edit::new(r#""key": {"header": "idempotency-key"}"#, r#""key": {"header": "x-unused-key"}"#),
        Edit::new(b(""), b(r#", "cluster": "acquirer-a""#)),
        Edit::new(
            r#""processors": ["acquirer-a", "acquirer-b", "acquirer-c"]"#,
            r#""processors": ["acquirer-a", "acquirer-b"]"#,
        ),
    ];
    let stack = start(plan).await;
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..10 {
        let answer = send(&stack, keyed("twice")).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        ids.insert(id(&answer));
        names.extend(by(&answer));
    }
    assert_eq!((ids.len(), names), (1, BTreeSet::from([Acquirer::A, Acquirer::B])));
    let answer = send(&stack, follow_up(ids.first().unwrap(), "capture")).await;
    assert_problem(&answer, 409, "pin_ambiguous");
    assert_eq!(arrived(&stack).await, [0; 3]);
    assert_ledgers(&stack, []).await;
}

#[tokio::test]
async fn a_processor_that_is_kept_out_still_captures_its_own() {
    let stack = start(plan()).await;
    let report = load(&stack, 12, 4, |_| charge()).await;
    let payments: Vec<String> = report.labels.into_keys().collect();
    let own: Vec<String> = payments.iter().filter(|payment| payment.starts_with("acquirer-a ")).cloned().collect();
    assert!(own.len() >= 4, "{payments:?}");
    // Charges fail; its other routes work.
    stack.processor(Acquirer::A).set(Mode::Technical("96".to_owned())).await.unwrap();
    load(&stack, 300, 16, |_| charge()).await;
    let opened = r"transitions_total\.processor=acquirer-a\.to=open$";
    assert!(stat(&stack, opened).await >= 2);
    assert_followed(&stack, &own, "capture").await;
    // What they say is not heard by the breaker: it is not closed by them.
    assert_eq!(stat(&stack, r"transitions_total\.processor=acquirer-a\.to=closed$").await, 0);
    assert_eq!(arrived(&stack).await, [own.len() as u64, 0, 0]);
    assert_ledgers(&stack, &payments).await;
}
