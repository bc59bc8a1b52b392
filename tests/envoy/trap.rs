//! What a trap in the filter costs after its moment: nothing. What it costs the streams of that moment stands in
//! `tests/conformance/scenarios/trap`.
//!
//! The trap is real: a build of the filter for tests aborts where a header says so. The shipped build knows no such header.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::stack::{Plan, Stack, eventually, find_wasm};
use serde_json::Value;

use super::lookups::patient;
use super::upstream::{OWN_CARD, Upstream, whole};
use super::{by, charge_by, follow_up, id, keyed, ledgers, plan, send, start};

const TRAP: (&str, &str) = ("x-switchyard-test-trap", "request");
/// How soon the worker must work again.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// The test-only filter on one worker: every request meets the VM that trapped.
fn trapping() -> Plan {
    let mut plan = plan();
    plan.workers = 1;
    let told = std::env::var_os("FILTER_TRAP_WASM").map(PathBuf::from);
    plan.artefacts.filter_wasm = find_wasm(told, "filter-trap.wasm").unwrap();
    plan.edits.push(patient());
    plan
}

async fn reloads(stack: &Stack) -> u64 {
    let stats = stack.stats("vm_reload_success$").await.unwrap();
    assert!(!stats.is_empty(), "Envoy counts no reloads");
    stats.values().sum()
}

async fn rows(stack: &Stack) -> usize {
    ledgers(stack).await.iter().map(Vec::len).sum()
}

#[tokio::test]
async fn a_worker_whose_filter_trapped_works_again_within_a_second() {
    let stack = start(trapping()).await;
    let paid = send(&stack, keyed("before")).await;
    let (payment, taker) = (id(&paid), by(&paid));
    for n in 1..=3 {
        let sent = rows(&stack).await;
        let began = Instant::now();
        let trapped = send(&stack, keyed(format!("trapped-{n}")).header(TRAP.0, TRAP.1)).await;
        assert!(matches!(trapped.status, 503 | 504), "{} {}", trapped.status, trapped.text());
        assert!(began.elapsed() < BACK_WITHIN, "the trapped request took {:?}", began.elapsed());
        assert_eq!(rows(&stack).await, sent, "the trapped charge reached a processor");

        let began = Instant::now();
        let again = async || send(&stack, keyed(format!("trapped-{n}"))).await;
        let works = eventually("a charge on the trapped worker", BACK_WITHIN, async || {
            let answer = again().await;
            // Until then the worker refuses, and says so as it should.
            if answer.status == 201 {
                Some(answer)
            } else {
                assert!(matches!(answer.status, 503 | 504));
                None
            }
        });
        works.await.unwrap();
        assert!(began.elapsed() < BACK_WITHIN + Duration::from_millis(500));
        assert_eq!(rows(&stack).await, sent + 1, "once, whatever was refused before");
        assert_eq!(reloads(&stack).await, n);
    }
    // What had to outlive the VM was at the cache-service: the pin, and the claim of a key.
    let captured = send(&stack, follow_up(&payment, "capture")).await;
    assert_eq!((captured.status, by(&captured)), (200, taker), "{}", captured.text());
    let replayed = send(&stack, keyed("before")).await;
    assert_eq!((replayed.status, by(&replayed), id(&replayed)), (201, taker, payment));
}

#[tokio::test]
async fn the_shipped_filter_does_not_know_the_header() {
    let own = Upstream::start(|_| whole("201 Created", "", br#"{"id":"own-1","status":"succeeded"}"#)).await;
    let mut plan = plan();
    own.stand_in(&mut plan);
    let stack = start(plan).await;
    for value in ["request", "response"] {
        let answer = send(&stack, charge_by(OWN_CARD).header(TRAP.0, value)).await;
        let body: Value = answer.json().unwrap();
        assert_eq!((answer.status, &body["status"]), (201, &Value::from("succeeded")), "{body}");
    }
    let seen = own.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.header(TRAP.0).is_empty()), "the header was forwarded");
    assert_eq!(reloads(&stack).await, 0);
}
