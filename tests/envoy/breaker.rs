//! A failing processor is kept out by every worker, probed, and taken back.
//!
//! All workers share one breaker: with a threshold of T and F charges in flight at most T + F reach a processor that
//! fails before it is open, and then one probe for each opening, whoever sends it.

use std::time::{Duration, Instant};

use e2e::processor::Mode;
use e2e::stack::{Acquirer, Plan, Stack};

use super::*;

/// `consecutive_failures` of the shipped configuration.
const T: u64 = 5;
/// Charges in flight at once. So many connections do not all meet the same worker, or once in 32,000 runs.
const F: usize = 16;
const WORKERS: u16 = 4;

async fn transitions(stack: &Stack, acquirer: Acquirer, to: &str) -> u64 {
    let name = acquirer.name();
    stat(stack, &format!(r"switchyard_breaker_transitions_total\.processor={name}\.scope=processor\.to={to}$")).await
}

async fn arrived(stack: &Stack, acquirer: Acquirer) -> u64 {
    stack.processor(acquirer).status().await.unwrap().counts.charges
}

/// Charges until the breaker of `acquirer-a`, which fails, is open; how many charges it got.
async fn open(stack: &Stack) -> u64 {
    let report = load(stack, 400, F, |_| charge()).await;
    let (opened, probes) =
        (transitions(stack, Acquirer::A, "open").await, transitions(stack, Acquirer::A, "half_open").await);
    assert_eq!(opened - probes, 1, "{opened} openings, {probes} probes in {:?}", report.took);
    let failed = arrived(stack, Acquirer::A).await;
    // Were the machine slow, probes would be due meanwhile: each is counted as it goes out.
    assert!(failed <= T + F as u64 + probes, "{failed} charges reached acquirer-a, {probes} were probes");
    assert!(failed >= T, "{failed} charges opened it");
    eprintln!("{failed} of 400 charges failed, {probes} probes, in {:?}", report.took);
    failed
}

#[tokio::test]
async fn a_failing_processor_is_kept_out_probed_and_taken_back() {
    let stack = start(Plan { workers: WORKERS, ..plan() }).await;
    stack.processor(Acquirer::A).set(Mode::Http(503)).await.unwrap();
    let failed = open(&stack).await;

    // From here on only probes reach it. An opening lasts at least half of `open_ms`, 1 s, and one after a failed probe
    // at least 2 s: in 1.2 s nobody sends a second.
    let probes = transitions(&stack, Acquirer::A, "half_open").await;
    let began = Instant::now();
    let (mut sent, mut refused) = (0, 0);
    while began.elapsed() < Duration::from_millis(1_200) {
        let report = load(&stack, 64, F, |_| charge()).await;
        sent += 64;
        refused += report.with_status(503);
        assert_eq!(report.with_status(201) + report.with_status(503), 64, "{:?}", report.statuses);
    }
    let reached = arrived(&stack, Acquirer::A).await - failed;
    let probed = transitions(&stack, Acquirer::A, "half_open").await - probes;
    assert_eq!((reached, refused), (probed, probed), "of {sent} charges");
    // The last 64 may start just before the end and still be paid after it.
    assert!(probed <= 1 || began.elapsed() > Duration::from_millis(2_000), "{probed} probes in {:?}", began.elapsed());
    assert_eq!(transitions(&stack, Acquirer::A, "closed").await, 0);
    eprintln!("{reached} of {sent} charges reached it in {:?}", began.elapsed());

    stack.processor(Acquirer::A).set(Mode::Approve).await.unwrap();
    let mended = Instant::now();
    let mut successes = Vec::new();
    while transitions(&stack, Acquirer::A, "closed").await < 1 {
        assert!(mended.elapsed() < Duration::from_secs(20), "not taken back");
        let report = load(&stack, 32, F, |_| charge()).await;
        assert_eq!(report.with_status(201), 32, "{:?}", report.statuses);
        successes.extend(report.labels.into_keys());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("taken back by all workers in {:?}", mended.elapsed());
    let report = load(&stack, 600, F, |_| charge()).await;
    let seen = spread(report.labels.keys());
    assert!(seen.iter().zip([300, 200, 100]).all(|(seen, due)| seen.abs_diff(due) <= 12), "{seen:?}");
    successes.extend(report.labels.into_keys());
    assert_ledgers(&stack, &successes).await;
}

#[tokio::test]
async fn a_technical_code_inside_a_201_opens_it_too() {
    let stack = start(Plan { workers: WORKERS, ..plan() }).await;
    stack.processor(Acquirer::A).set(Mode::Technical("96".to_owned())).await.unwrap();
    let failed = open(&stack).await;
    let told = ledgers(&stack).await[0].len() as u64;
    assert_eq!(told, failed);
    assert_eq!(stat(&stack, r"processor=acquirer-a\.kind=charge\.outcome=failed$").await, failed);
}
