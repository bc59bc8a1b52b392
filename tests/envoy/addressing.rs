//! How a processor is addressed, and what becomes of a charge whose processor breaks off.

use e2e::stack::Edit;

use super::upstream::{OWN_CARD, Upstream, whole};
use super::{assert_problem, charge_by, plan, send, start};

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
