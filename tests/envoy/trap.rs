//! What a trap in the filter costs: the requests of its worker at that moment, and nothing after.
//!
//! The trap is real: a build of the filter for tests aborts where a header says so. The shipped build knows no such header.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::client::{Answer, Request};
use e2e::processor::Control;
use e2e::stack::{Acquirer, Edit, Plan, Stack, eventually, find_wasm};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::lookups::patient;
use super::upstream::{OWN_CARD, Upstream, whole};
use super::{assert_problem, by, charge, charge_by, follow_up, id, keyed, ledgers, plan, send, shop, start};

const TRAP: (&str, &str) = ("x-switchyard-test-trap", "request");
/// `stream_idle_timeout` here, so that a stream that hangs until then is told apart from one that is answered.
const IDLE: Duration = Duration::from_secs(3);
/// How soon the worker must work again.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// The test-only filter on one worker: every request meets the VM that trapped.
fn trapping() -> Plan {
    let mut plan = plan();
    plan.workers = 1;
    let told = std::env::var_os("FILTER_TRAP_WASM").map(PathBuf::from);
    plan.artefacts.filter_wasm = find_wasm(told, "filter-trap.wasm").unwrap();
    plan.edits.extend([Edit::new("stream_idle_timeout: 20s", "stream_idle_timeout: 3s"), patient()]);
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

/// Card-range look-ups that reached a processor.
async fn bins(stack: &Stack) -> u64 {
    let mut sum = 0;
    for acquirer in Acquirer::ALL {
        sum += stack.processor(acquirer).status().await.unwrap().counts.bins;
    }
    sum
}

/// What was said of requests that one trap met.
struct Met {
    charge: Answer,
    look_up: Answer,
    trapped: Answer,
}

/// Has a charge and a look-up wait for their processors when another request traps the VM of all three.
async fn trap_in_flight(stack: &Stack) -> Met {
    for acquirer in Acquirer::ALL {
        let slow = Control { latency_ms: 1_500, ..Control::default() };
        stack.processor(acquirer).set(slow).await.unwrap();
    }
    let charge = async { send(stack, charge()).await };
    let look_up = async { send(stack, shop(Request::get("/v1/bins/424242"))).await };
    let trap = async {
        // Both, or the look-up would still be held for the cache-service, and a held stream waits for the idle time-out.
        let at_their_processors = async || (rows(stack).await == 1 && bins(stack).await == 1).then_some(());
        eventually("both are at their processors", Duration::from_secs(3), at_their_processors).await.unwrap();
        send(stack, super::charge().header(TRAP.0, TRAP.1)).await
    };
    let (charge, look_up, trapped) = tokio::join!(charge, look_up, trap);
    for acquirer in Acquirer::ALL {
        stack.processor(acquirer).set(Control::default()).await.unwrap();
    }
    Met { charge, look_up, trapped }
}

/// Envoy fails the streams in flight of a VM that trapped when their processors answer: not at once, and long before the
/// stream's idle time is over.
#[tokio::test]
async fn what_is_in_flight_when_its_worker_traps_is_answered_in_bounded_time() {
    let stack = start(trapping()).await;
    let Met { charge, look_up, trapped } = trap_in_flight(&stack).await;
    for (what, answer) in [("charge", charge), ("look-up", look_up), ("trapped charge", trapped)] {
        assert!(answer.took < IDLE, "the {what} hung for {:?}", answer.took);
        assert!(matches!(answer.status, 503 | 504), "the {what}: {} {}", answer.status, answer.text());
    }
    assert_eq!(rows(&stack).await, 1, "nothing was sent twice");
    let works = async || (send(&stack, super::charge()).await.status == 201).then_some(());
    eventually("a charge on the trapped worker", BACK_WITHIN, works).await.unwrap();
}

/// Of a charge that may have been executed nothing but "unresolved" is true: a bare 503 invites to pay again.
#[tokio::test]
async fn a_charge_in_flight_when_its_worker_traps_is_unresolved() {
    let stack = start(trapping()).await;
    let Met { charge, .. } = trap_in_flight(&stack).await;
    let executed = ledgers(&stack).await.iter().flatten().filter(|row| row.approved).count();
    assert_eq!(executed, 1, "the processor did take the money");
    assert_problem(&charge, 504, "unresolved");
}

/// The answer of a charge traps the filter: the money is taken, and the client learns that nothing is known.
#[tokio::test]
async fn a_charge_whose_answer_traps_its_worker_is_unresolved() {
    let answer =
        |_: &_| whole("201 Created", "x-switchyard-test-trap: response\r\n", br#"{"id":"own-1","status":"succeeded"}"#);
    let own = Upstream::start(answer).await;
    let mut plan = trapping();
    own.stand_in(&mut plan);
    let stack = start(plan).await;
    let answer = send(&stack, charge_by(OWN_CARD)).await;
    assert_eq!(own.count(), 1, "it was sent once");
    assert!(answer.took < BACK_WITHIN, "it hung for {:?}", answer.took);
    assert_problem(&answer, 504, "unresolved");
}

/// A stream that the filter holds when the VM traps hangs until `stream_idle_timeout`; nothing of it has left.
#[tokio::test]
async fn a_charge_held_for_its_body_when_its_worker_traps_is_answered() {
    let stack = start(trapping()).await;
    let mut held = TcpStream::connect(stack.proxy()).await.unwrap();
    let head = "POST /v1/payments HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer shop\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{\"amount\":";
    held.write_all(head.as_bytes()).await.unwrap();
    eventually("the charge is held", Duration::from_secs(2), async || {
        let active = stack.stats("^http.payments.downstream_rq_active$").await.unwrap();
        (active.values().sum::<u64>() == 1).then_some(())
    })
    .await
    .unwrap();
    let trapped = send(&stack, charge().header(TRAP.0, TRAP.1)).await;
    assert!(matches!(trapped.status, 503 | 504));
    let mut line = [0; 12];
    let read = tokio::time::timeout(IDLE + Duration::from_secs(2), held.read_exact(&mut line)).await;
    read.expect("an answer when the idle time is over").unwrap();
    let line = String::from_utf8_lossy(&line);
    assert!(["503", "504", "408"].iter().any(|status| line.ends_with(status)), "{line}");
    assert_eq!(rows(&stack).await, 0, "a charge without its body reached a processor");
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
