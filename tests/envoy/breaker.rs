//! A failing processor is kept out, a declining one is not, and what is not known is not called a failure.
//!
//! Each worker has its own breaker, so a threshold of T is met once per worker: with two workers and F charges in flight,
//! at most 2 T + F reach a processor that fails before both breakers are open. F counts those that were on their way.

use std::time::{Duration, Instant};

use e2e::processor::{Control, Mode, Recorded};
use e2e::stack::{Acquirer, Stack, eventually};
use serde_json::Value;

use super::*;

/// `consecutive_failures` of the shipped configuration.
const T: u64 = 5;
/// Charges in flight at once. So many connections do not all meet the same worker, or once in 32,000 runs.
const F: usize = 16;
const WORKERS: u64 = 2;

async fn transitions(stack: &Stack, acquirer: Acquirer, to: &str) -> u64 {
    let name = acquirer.name();
    stat(stack, &format!(r"switchyard_breaker_transitions_total\.processor={name}\.to={to}$")).await
}

async fn arrived(stack: &Stack, acquirer: Acquirer) -> u64 {
    stack.processor(acquirer).status().await.unwrap().counts.charges
}

/// Charges until the breakers of both workers for `acquirer-a`, which fails, are open; how many charges it got.
async fn open_both(stack: &Stack) -> u64 {
    let report = load(stack, 400, F, |_| charge()).await;
    let (opened, probes) =
        (transitions(stack, Acquirer::A, "open").await, transitions(stack, Acquirer::A, "half_open").await);
    assert_eq!(opened - probes, WORKERS, "{opened} openings, {probes} probes in {:?}", report.took);
    let failed = arrived(stack, Acquirer::A).await;
    // Were the machine slow, probes would be due meanwhile: each is counted as it goes out.
    assert!(failed <= WORKERS * T + F as u64 + probes, "{failed} charges reached acquirer-a, {probes} were probes");
    assert!(failed >= WORKERS * T, "{failed} charges opened two breakers");
    eprintln!("{failed} of 400 charges failed, {probes} probes, in {:?}", report.took);
    failed
}

#[tokio::test]
async fn a_failing_processor_is_kept_out_probed_and_taken_back() {
    let stack = start(plan()).await;
    stack.processor(Acquirer::A).set(Mode::Http(503)).await.unwrap();
    let failed = open_both(&stack).await;

    // From here on only probes reach it. An opening lasts at least half of `open_ms`, 1 s, and one after a failed probe
    // at least 2 s: in 1.2 s no worker sends two.
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
    assert!(
        probed <= WORKERS || began.elapsed() > Duration::from_millis(2_000),
        "{probed} probes in {:?}",
        began.elapsed()
    );
    assert_eq!(transitions(&stack, Acquirer::A, "closed").await, 0);
    eprintln!("{reached} of {sent} charges reached it in {:?}", began.elapsed());

    stack.processor(Acquirer::A).set(Mode::Approve).await.unwrap();
    let mended = Instant::now();
    let mut successes = Vec::new();
    while transitions(&stack, Acquirer::A, "closed").await < WORKERS {
        assert!(mended.elapsed() < Duration::from_secs(20), "not taken back");
        let report = load(&stack, 32, F, |_| charge()).await;
        assert_eq!(report.with_status(201), 32, "{:?}", report.statuses);
        successes.extend(report.labels.into_keys());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("taken back by both workers in {:?}", mended.elapsed());
    let report = load(&stack, 600, F, |_| charge()).await;
    let seen = spread(report.labels.keys());
    assert!(seen.iter().zip([300, 200, 100]).all(|(seen, due)| seen.abs_diff(due) <= 12), "{seen:?}");
    successes.extend(report.labels.into_keys());
    assert_ledgers(&stack, &successes).await;
}

#[tokio::test]
async fn a_technical_code_inside_a_201_opens_it_too() {
    let stack = start(plan()).await;
    stack.processor(Acquirer::A).set(Mode::Technical("96".to_owned())).await.unwrap();
    let failed = open_both(&stack).await;
    let told = ledgers(&stack).await[0].len() as u64;
    assert_eq!(told, failed);
    assert_eq!(stat(&stack, r"processor=acquirer-a\.kind=charge\.outcome=failed$").await, failed);
}

#[tokio::test]
async fn a_decline_opens_nothing() {
    let stack = start(plan()).await;
    set_all(&stack, Mode::Decline("51".to_owned())).await;
    let report = load(&stack, 600, F, |_| charge()).await;
    assert_eq!(report.with_status(201), 600, "{:?}", report.statuses);
    assert!(report.labels.is_empty(), "declined, and told as {:?}", report.labels);
    let all = stack.stats("switchyard_breaker_transitions_total").await.unwrap();
    // Every counter is there from the start: three processors, three states.
    assert_eq!((all.len(), all.values().sum::<u64>()), (9, 0), "{all:?}");
    let seen = assert_ledgers(&stack, []).await.map(|rows| rows.len());
    assert!(seen.iter().zip([300, 200, 100]).all(|(seen, due)| seen.abs_diff(due) <= 6), "{seen:?}");
    let answer = send(&stack, charge()).await;
    let body: Value = answer.json().unwrap();
    assert_eq!((&body["status"], &body["response_code"]), (&"declined".into(), &"51".into()));
    assert_eq!(stat(&stack, "outcome=declined$").await, 601);
}

#[tokio::test]
async fn an_answer_that_never_came_is_unresolved_and_its_key_stays() {
    let mut plan = plan();
    plan.edits = vec![short_timeout("0.5s")];
    let stack = start(plan).await;
    for acquirer in Acquirer::ALL {
        let control = Control { recorded: Recorded::Yes, ..Mode::Hang.into() };
        stack.processor(acquirer).set(control).await.unwrap();
    }
    let (lost, also_lost) = tokio::join!(send(&stack, keyed("hung")), send(&stack, charge()));
    assert_problem(&lost, 504, "unresolved");
    assert_problem(&also_lost, 504, "unresolved");
    // One processor had each, nobody had it twice.
    let ledgers = assert_ledgers(&stack, []).await;
    let approved =
        |key: Option<&str>| ledgers.iter().flatten().filter(|row| row.approved && row.key.as_deref() == key).count();
    assert_eq!((approved(Some("hung")), approved(None), ledgers.iter().flatten().count()), (1, 1, 2));

    // The key goes where it went before, which replays what it did.
    set_all(&stack, Mode::Approve).await;
    let again = send(&stack, keyed("hung")).await;
    assert_eq!((again.status, by(&again)), (201, by(&lost)), "{}", again.text());
    let rows = assert_ledgers(&stack, &success(&again)).await;
    let arrivals = rows.iter().flatten().filter(|row| row.key.is_some());
    assert_eq!(arrivals.map(|row| row.executed).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn a_line_that_breaks_is_unresolved_and_one_that_never_was_is_unreachable() {
    let stack = start(plan()).await;
    // Refused first, while Envoy keeps no connection that could break instead.
    let cases = [
        (Mode::Refuse, 503, "processor_unreachable", 0),
        (Mode::ResetBefore, 504, "unresolved", 0),
        (Mode::ResetAfter, 504, "unresolved", 1),
    ];
    let mut successes = Vec::new();
    for (mode, status, code, executed) in cases {
        set_all(&stack, mode.clone()).await;
        let key = mode.to_string();
        let answers = [send(&stack, charge()).await, send(&stack, keyed(&key)).await];
        for answer in &answers {
            assert_problem(answer, status, code);
        }
        set_all(&stack, Mode::Approve).await;
        let at_key = |rows: [Vec<e2e::processor::Row>; 3]| {
            rows.into_iter().flatten().filter(|row| row.key.as_deref() == Some(&key) && row.approved).count()
        };
        assert_eq!(at_key(assert_ledgers(&stack, []).await), executed, "{mode}");
        // Whatever became of it, the same key settles it, and once. Envoy may need a moment to see the port open.
        let again = eventually("the key's payment", Duration::from_secs(5), async || {
            let again = send(&stack, keyed(&key)).await;
            (again.status == 201).then_some(again)
        });
        let again = again.await.unwrap();
        successes.extend(success(&again));
        assert_eq!(at_key(assert_ledgers(&stack, &successes).await), 1, "{mode}");
    }
    assert_eq!(successes.len(), 3);
}
