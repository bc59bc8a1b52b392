//! Pins and claims outlive what is restarted: a capture or refund goes to the processor that took the payment.

use e2e::stack::{Acquirer, Redis, Stack};
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
