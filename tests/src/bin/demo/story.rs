//! The story, step by step. Every step asserts what it tells; the first that does not hold ends the story.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::client::Request;
use e2e::processor::Mode;
use e2e::stack::{Acquirer, Plan, Stack};

use super::Failure;
use super::report::{Shown, table};
use super::shop::{ANY_CARD, RULED_CARD, Shop, spread};

/// Weights of the processors in the shipped configuration.
const WEIGHTS: [(Acquirer, u32); 3] = [(Acquirer::A, 3), (Acquirer::B, 2), (Acquirer::C, 1)];
/// How far the share of a processor may be from its weight's: the workers count apart, and the first few are random.
const SHARE_SLACK: f64 = 0.1;
/// Charges in a row that must avoid a processor before we believe that its breaker is open.
const AVOIDED_IN_A_ROW: u32 = 30;
/// Charges that may reach a failing processor: five in a row, one at a time, and a probe in each two seconds after.
const FAILURES_MAX: u64 = 15;
/// How long a processor that works again may stay avoided.
const RECOVERY_MAX: Duration = Duration::from_secs(25);

/// Starts the stack, tells the story and stops the stack.
pub(super) async fn tell(plan: Plan) -> Result<(), Failure> {
    println!("Starting three sample processors, the cache-service and Envoy with the filter ...");
    let shop = Shop::new(Stack::start(plan).await?);
    println!("The proxy is at http://{}\n", shop.stack.proxy());
    let mut steps = Vec::new();
    if let Err(error) = tell_steps(&shop, &mut steps).await {
        eprintln!("{}\n", shop.stack.log_tails());
        return Err(format!("step {} does not hold: {error}", steps.len() + 1).into());
    }
    println!("\nWhat was shown:\n{}", table(&steps));
    Ok(())
}

/// Ends the step with a sentence unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($sentence:tt)+) => {
        let holds: bool = $holds;
        if !holds {
            return Err(format!($($sentence)+).into());
        }
    };
}

async fn tell_steps(shop: &Shop, steps: &mut Vec<Shown>) -> Result<(), Failure> {
    let mut began = Instant::now();
    let mut show = |claim, seen: String| {
        println!("{}. {claim}: {seen}", steps.len() + 1);
        steps.push(Shown { claim, seen, took: began.elapsed() });
        began = Instant::now();
    };
    show("payments are spread by weight", spread_by_weight(shop).await?);
    show("a BIN rule decides", bin_rule(shop).await?);
    show("a failing processor is left alone, then taken back", breaker(shop).await?);
    show("a decline is not a failure", declines(shop).await?);
    show("a capture finds its processor", captures(shop).await?);
    show("a look-up outlives its processor", look_up(shop).await?);
    Ok(())
}

async fn spread_by_weight(shop: &Shop) -> Result<String, Failure> {
    const CHARGES: u32 = 240;
    let by = shop.pay_often(ANY_CARD, CHARGES).await?;
    for (acquirer, weight) in WEIGHTS {
        let took = by.get(&acquirer).copied().unwrap_or(0);
        let (share, due) = (f64::from(took) / f64::from(CHARGES), f64::from(weight) / 6.0);
        ensure!(
            (share - due).abs() <= SHARE_SLACK,
            "{} took {took} of {CHARGES} charges, due are about {:.0}",
            acquirer.name(),
            due * f64::from(CHARGES)
        );
        let arrived = shop.arrived(acquirer).await?.charges;
        ensure!(
            arrived == u64::from(took),
            "the proxy says {} took {took} charges, it says itself {arrived}",
            acquirer.name()
        );
    }
    Ok(format!("of {CHARGES} charges {} (weights 3:2:1)", spread(&by)))
}

async fn bin_rule(shop: &Shop) -> Result<String, Failure> {
    const CHARGES: u32 = 20;
    let by = shop.pay_often(RULED_CARD, CHARGES).await?;
    ensure!(
        by == BTreeMap::from([(Acquirer::C, CHARGES)]),
        "cards of BIN 555555 are to go to acquirer-c, but went: {}",
        spread(&by)
    );
    Ok(format!("all {CHARGES} cards of BIN 555555 went to acquirer-c"))
}

async fn breaker(shop: &Shop) -> Result<String, Failure> {
    let failing = shop.stack.processor(Acquirer::A);
    failing.set(Mode::Http(503)).await?;
    let before = shop.arrived(Acquirer::A).await?.charges;
    let (mut reached, mut avoided) = (before, 0);
    while avoided < AVOIDED_IN_A_ROW {
        let paid = shop.pay(ANY_CARD).await?;
        let now = shop.arrived(Acquirer::A).await?.charges;
        ensure!(now > reached || paid.status == 201, "a charge that avoided acquirer-a got {}", paid.line());
        avoided = if now == reached { avoided + 1 } else { 0 };
        reached = now;
        ensure!(
            reached - before <= FAILURES_MAX,
            "acquirer-a answers 503, and still {} charges reached it",
            reached - before
        );
    }
    let failures = reached - before;
    ensure!(failures > 0, "no charge reached acquirer-a at all: nothing was shown");
    failing.set(Mode::Approve).await?;
    let recovered = Instant::now();
    while shop.arrived(Acquirer::A).await?.charges < reached + 3 {
        ensure!(recovered.elapsed() < RECOVERY_MAX, "acquirer-a works again and took no payments for {RECOVERY_MAX:?}");
        shop.pay(ANY_CARD).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(format!(
        "acquirer-a answered {failures} charges with 503, the next {AVOIDED_IN_A_ROW} avoided it; it was back {:.1} s after it was mended",
        recovered.elapsed().as_secs_f64()
    ))
}

async fn declines(shop: &Shop) -> Result<String, Failure> {
    const CHARGES: u32 = 60;
    shop.set_all(Mode::Decline("51".to_owned())).await?;
    let first = shop.pay_often(ANY_CARD, CHARGES).await?;
    let last = shop.pay_often(ANY_CARD, CHARGES).await?;
    let declined = shop.pay(ANY_CARD).await?;
    ensure!(
        declined.body["status"] == "declined" && declined.body["response_code"] == "51",
        "the shop should see the decline, but got {}",
        declined.line()
    );
    shop.set_all(Mode::Approve).await?;
    ensure!(
        Acquirer::ALL.iter().all(|acquirer| last.contains_key(acquirer)),
        "after {CHARGES} declines ({}) a processor is avoided: {}",
        spread(&first),
        spread(&last)
    );
    Ok(format!("after {CHARGES} declines (code 51) in a row the next {CHARGES} went to {}", spread(&last)))
}

async fn captures(shop: &Shop) -> Result<String, Failure> {
    const PAYMENTS: u32 = 12;
    let mut by = BTreeMap::new();
    for _ in 0..PAYMENTS {
        let paid = shop.pay(ANY_CARD).await?;
        let captured = shop.send(Request::post(format!("/v1/payments/{}/capture", paid.id()?))).await?;
        let taker = paid.by.ok_or("no processor took the payment")?;
        ensure!(
            captured.status == 200 && captured.body["captured"] == true && captured.by == Some(taker),
            "{} took the payment, but its capture got {}",
            taker.name(),
            captured.line()
        );
        *by.entry(taker).or_insert(0) += 1;
    }
    Ok(format!("{PAYMENTS} captures of {PAYMENTS} reached the taker of the payment: {}", spread(&by)))
}

async fn look_up(shop: &Shop) -> Result<String, Failure> {
    let paid = shop.pay(ANY_CARD).await?;
    let taker = paid.by.ok_or("no processor took the payment")?;
    let path = format!("/v1/payments/{}", paid.id()?);
    let first = shop.send(Request::get(&path)).await?;
    ensure!(first.status == 200, "the first look-up got {}", first.line());
    shop.stack.processor(taker).set(Mode::Refuse).await?;
    let second = shop.send(Request::get(&path)).await?;
    shop.stack.processor(taker).set(Mode::Approve).await?;
    ensure!(
        second.status == 200 && second.cache.as_deref() == Some("hit") && second.body == first.body,
        "with {} switched off the look-up got {}",
        taker.name(),
        second.line()
    );
    let first_cache = first.cache.unwrap_or_else(|| "no word".to_owned());
    Ok(format!(
        "{} was switched off and its payment's status came from cache (x-cache: {first_cache}, then hit)",
        taker.name()
    ))
}
