//! What stays possible, and what is refused, while a part behind the filter is away; and that it heals by itself.

use std::time::{Duration, Instant};

use e2e::client::ClientError;
use e2e::client::raw;
use e2e::processor::{Control, Counts, Recorded};
use e2e::stack::{Acquirer, Redis, Stack, eventually};

use super::*;

/// How long a part that is back may go unnoticed: the filter's longest wait between tries so far, and the machine's.
const HEALED: Duration = Duration::from_secs(20);

/// What arrived at all processors.
async fn counts(stack: &Stack) -> Counts {
    let mut sum = Counts::default();
    for acquirer in Acquirer::ALL {
        let counts = stack.processor(acquirer).status().await.unwrap().counts;
        sum.charges += counts.charges;
        sum.captures += counts.captures;
        sum.refunds += counts.refunds;
        sum.bins += counts.bins;
    }
    sum
}

/// What must hold while pins and claims cannot be stored or read; `paid` was pinned before. The payments taken.
async fn assert_degraded(stack: &Stack, paid: &str) -> Vec<String> {
    let before = counts(stack).await;
    let mut taken = Vec::new();
    for n in 0..6 {
        let answer = send(stack, charge()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert!(answer.took < Duration::from_secs(2), "{:?}", answer.took);
        taken.extend(success(&answer));

        let refused = send(stack, keyed(format!("during-{n}"))).await;
        assert_problem(&refused, 503, "key_state_unknown");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let refused = send(stack, follow_up(paid, "capture")).await;
        assert_problem(&refused, 503, "pin_state_unknown");

        let bin = send(stack, shop(Request::get(format!("/v1/bins/40000{n}")))).await;
        assert_eq!((bin.status, bin.header("x-cache")), (200, Some("miss")), "{}", bin.text());
        assert!(by(&bin).is_some() && bin.took < Duration::from_secs(1), "{:?}", bin.took);
    }
    let after = counts(stack).await;
    assert_eq!((after.charges - before.charges, after.captures, after.bins - before.bins), (6, before.captures, 6));
    let rows = assert_ledgers(stack, &taken).await;
    assert!(rows.iter().flatten().all(|row| row.key.is_none()), "a refused key reached a processor");
    assert_eq!(stat(stack, r"switchyard_writes_total\.result=deferred$").await, 6);
    taken
}

/// Waits until a key can be claimed again, and until the pins that waited have arrived.
async fn assert_healed(stack: &Stack, taken: &mut Vec<String>) {
    let began = Instant::now();
    // A key that was refused was never sent: it may be used now.
    let claimed = eventually("a claim", HEALED, async || success(&send(stack, keyed("during-0")).await));
    let claimed = claimed.await.unwrap();
    eprintln!("keys work again after {:?}", began.elapsed());
    for payment in &*taken {
        let (who, id) = payment.split_once(' ').unwrap();
        let captured = eventually("the pin that waited", HEALED, async || {
            let answer = send(stack, follow_up(id, "capture")).await;
            (answer.status == 200).then_some(answer)
        });
        assert_eq!(captured.await.unwrap().header("x-switchyard-processor"), Some(who));
    }
    eprintln!("the last deferred pin arrived after {:?}", began.elapsed());
    taken.push(claimed);
    assert_eq!(stat(stack, r"switchyard_writes_total\.result=(lost|refused)$").await, 0);
    assert_ledgers(stack, &*taken).await;
}

#[tokio::test]
async fn without_redis_only_what_needs_a_record_waits() {
    let mut plan = plan();
    plan.redis = Redis::Own;
    let mut stack = start(plan).await;
    let paid = send(&stack, charge()).await;
    stack.stop_redis().unwrap();
    let mut taken = assert_degraded(&stack, &id(&paid)).await;
    // What Redis held is gone with it, so the pin of before is not looked for.
    stack.restart_redis().await.unwrap();
    assert_healed(&stack, &mut taken).await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_nothing_with_it() {
    const LEAVERS: u64 = 12;
    let stack = start(plan()).await;
    for acquirer in Acquirer::ALL {
        let slow = Control { latency_ms: 2_500, ..Control::default() };
        stack.processor(acquirer).set(slow).await.unwrap();
    }
    let hasty = Client::new().deadline(Duration::from_millis(1_200));
    let mut leaving = tokio::task::JoinSet::new();
    for n in 0..LEAVERS {
        let (hasty, to) = (hasty.clone(), stack.proxy());
        let request = if n % 2 == 0 { charge() } else { keyed(format!("left-{n}")) };
        leaving.spawn(async move { hasty.send(to, request).await });
    }
    for result in leaving.join_all().await {
        assert!(matches!(result, Err(ClientError::Deadline(_))), "{result:?}");
    }
    // One that leaves in the middle of its body, before anything could be decided.
    let half = b"POST /v1/payments HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"amount\":";
    raw::exchange(stack.proxy(), half, Duration::from_millis(100)).await.unwrap();

    let idle = eventually("an idle proxy", Duration::from_secs(10), async || {
        let abandoned = stat(&stack, r"outcome=abandoned$").await;
        let active = stat(&stack, r"^(http\.payments\.downstream|cluster\.acquirer-.\.upstream)_rq_active$").await;
        (abandoned == LEAVERS && active == 0).then_some(())
    });
    idle.await.unwrap();
    assert_eq!(stat(&stack, "switchyard_breaker_transitions_total").await, 0);

    set_all(&stack, Mode::Approve).await;
    let report = load(&stack, 60, 4, |_| charge()).await;
    assert_eq!(report.with_status(201), 60, "{:?}", report.statuses);
    assert!(report.latency_us.max() < 2_000_000, "{} us", report.latency_us.max());
    // The key of one that left finds what was done for it.
    let mut successes: Vec<String> = report.labels.into_keys().collect();
    for n in (1..LEAVERS).step_by(2) {
        let again = send(&stack, keyed(format!("left-{n}"))).await;
        assert_eq!(again.status, 201, "{}", again.text());
        successes.extend(success(&again));
    }
    let rows = assert_ledgers(&stack, &successes).await;
    let with_key = rows.iter().flatten().filter(|row| row.key.is_some());
    assert_eq!(with_key.filter(|row| row.executed).count() as u64, LEAVERS / 2);
}

#[tokio::test]
async fn in_a_storm_no_key_is_charged_twice() {
    const KEYS: u64 = 150;
    let mut plan = plan();
    plan.edits = vec![short_timeout("0.4s")];
    let stack = start(plan).await;
    let storm = |mode: Mode, rate: f64| Control { rate, recorded: Recorded::Random, seed: 7, ..mode.into() };
    let controls = [storm(Mode::Http(503), 0.8), storm(Mode::ResetAfter, 0.3), storm(Mode::Hang, 0.2)];
    for (acquirer, control) in Acquirer::ALL.into_iter().zip(controls) {
        stack.processor(acquirer).set(control).await.unwrap();
    }
    let mut successes = Vec::new();
    let mut statuses = BTreeMap::<u16, u64>::new();
    for round in 0..4 {
        // Every key again, those that were answered included; the last time in fair weather.
        if round == 3 {
            set_all(&stack, Mode::Approve).await;
        }
        let report = load(&stack, KEYS, 16, |n| keyed(format!("storm-{n}"))).await;
        for (status, times) in report.statuses {
            *statuses.entry(status).or_default() += times;
        }
        successes.extend(report.labels.into_keys());
    }
    eprintln!("statuses in the storm: {statuses:?}");
    assert!(statuses.keys().all(|status| [201, 409, 503, 504].contains(status)), "{statuses:?}");
    let unresolved = stat(&stack, r"switchyard_refusals_total\.reason=key_unresolved$").await;
    // None, where every breaker opened in the first round: then each round is told `no_processor`.
    assert_eq!(statuses.get(&409).copied().unwrap_or_default(), unresolved);
    let rows = assert_ledgers(&stack, &successes).await;
    // And every key has met one processor only, whatever its breaker said meanwhile.
    let mut met = BTreeMap::<String, BTreeSet<usize>>::new();
    for (processor, row) in rows.iter().enumerate().flat_map(|(i, rows)| rows.iter().map(move |row| (i, row))) {
        met.entry(row.key.clone().unwrap()).or_default().insert(processor);
    }
    assert!(met.values().all(|processors| processors.len() == 1), "{met:?}");
    assert!(rows.iter().flatten().any(|row| row.approved));
}
