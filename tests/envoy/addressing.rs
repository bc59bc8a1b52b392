//! How a processor is addressed, and what becomes of a charge whose processor is there in name only, or breaks off.

use e2e::client::Request;
use e2e::stack::Edit;

use super::upstream::{OWN_CARD, Upstream, whole};
use super::{assert_problem, charge_by, plan, send, shop, start, stat};

const APPROVED: &[u8] = br#"{"id":"own-1","status":"succeeded"}"#;

#[tokio::test]
async fn a_processor_is_sent_to_by_its_own_host_path_and_key() {
    let own = Upstream::start(|_| whole("201 Created", "", APPROVED)).await;
    let mut plan = plan();
    own.stand_in(&mut plan);
    let addressed = r#""cluster": "own", "authority": "own.test", "path_prefix": "/api/v2", "#;
    plan.edits.push(Edit::new(r#""cluster": "own", "#, addressed));
    let stack = start(plan).await;
    for key in ["k-1", "\"k-1\""] {
        let answer = send(&stack, charge_by(OWN_CARD).header("idempotency-key", key)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    for seen in own.seen() {
        assert_eq!(seen.line(), "POST /api/v2/v1/payments HTTP/1.1");
        assert_eq!(seen.header("host"), [b"own.test"]);
        assert_eq!(seen.header("idempotency-key"), [b"k-1"], "one key, one spelling");
        assert!(seen.header("x-switchyard-cluster").is_empty(), "how we route is not the processor's business");
    }
    assert_eq!(own.count(), 2);
}

#[tokio::test]
async fn a_processor_without_a_cluster_is_unreachable_and_blamed_for_nothing() {
    let mut plan = plan();
    plan.edits.push(Edit::new(r#""name": "acquirer-c", "#, r#""name": "acquirer-c", "cluster": "not-there", "#));
    let stack = start(plan).await;
    for _ in 0..20 {
        let answer = send(&stack, charge_by(OWN_CARD)).await;
        assert_problem(&answer, 503, "processor_unreachable");
    }
    assert_eq!(stat(&stack, "switchyard_breaker_transitions_total").await, 0);
    // What is no operation is told apart.
    let answer = send(&stack, shop(Request::post("/v1/other"))).await;
    assert_problem(&answer, 404, "no_operation");
}

#[tokio::test]
async fn answers_that_break_off_open_the_breaker() {
    let own = Upstream::start(|_| {
        let mut pieces = whole("201 Created", "", APPROVED);
        let short = pieces[0].len() - 5;
        pieces[0].truncate(short);
        pieces
    })
    .await;
    let mut plan = plan();
    own.stand_in(&mut plan);
    let stack = start(plan).await;
    let mut refused = 0;
    for _ in 0..40 {
        let answer = send(&stack, charge_by(OWN_CARD)).await;
        match answer.status {
            504 => assert_problem(&answer, 504, "unresolved"),
            _ => {
                assert_problem(&answer, 503, "no_processor");
                refused += 1;
            }
        }
    }
    // Two workers, five failures each.
    assert!(own.count() <= 12, "{} reached it", own.count());
    assert!(refused >= 28, "{refused}");
}
