//! Who takes a charge: the balancer alone, and the router around it, with breakers that are closed.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use decision::balance::{Balancer, Pick};
use decision::breaker::Verdict;
use decision::breakers::Traits;
use decision::lookup::Key;
use decision::payment::{Outcome, Scheme};
use decision::processor::Candidates;
use decision::rng::Rng;
use decision::router::{Charge, Router, Told};
use decision::stats::{Approval, Observation, Stats};
use decision::time::Mono;

use crate::charges::{Charged, Charges, Clock};
use crate::configurations::{DEFAULT, Named, Parts, pool};
use crate::{Case, Failure};

/// Answers that are known of each processor before the first pick.
const ANSWERS: u64 = 100;

/// `Balancer::pick`: no breaker, no rule.
pub(crate) fn pick(policy: &Named, processors: usize) -> Result<Case, Failure> {
    let config = pool(policy, processors, Parts::None)?;
    let of = config.pool(config.rules.default).ok_or("no default pool")?.clone();
    let everyone: Candidates = of.members.iter().map(|member| member.id).collect();
    let (mut rng, mut charges, mut clock) = (Rng::new(1), Charges::new()?, Clock::new());
    let stats: Vec<Stats> = (0..).take(processors).map(known).collect();
    let mut balancer = Balancer::new(of.balance, of.members, &mut rng);
    Ok(Case::new("Balancer::pick", policy.name, sized(processors), move || {
        let (now, charged) = (clock.next(), charges.next());
        let pick = Pick {
            source: Some(source(charged)),
            input: Some(charged.merchant.as_bytes()),
            amount: Some(&charged.payment.amount),
            scheme: charged.payment.scheme,
            ..Pick::of(everyone, now.mono)
        };
        let picked = balancer.pick(black_box(&pick), &stats, &mut rng);
        assert!(black_box(picked).is_some(), "nobody was picked");
    }))
}

/// `Router::route`, and `Router::settle` some milliseconds later, for a charge without a key.
pub(crate) fn route(policy: &Named, processors: usize, parts: Parts) -> Result<Case, Failure> {
    let what = match parts {
        Parts::None => policy.name.to_owned(),
        Parts::Schemes => format!("{}, breakers per scheme", policy.name),
    };
    routed(what, policy, processors, parts, |_| None)
}

/// The same for a charge with a key: whatever the policy is, the key finds the processor.
pub(crate) fn route_by_key(processors: usize) -> Result<Case, Failure> {
    routed("any, by idempotency key".to_owned(), &DEFAULT, processors, Parts::None, |charged| Some(&charged.key))
}

fn routed(
    what: String,
    policy: &Named,
    processors: usize,
    parts: Parts,
    key: fn(&Charged) -> Option<&Key>,
) -> Result<Case, Failure> {
    let config = pool(policy, processors, parts)?;
    let default = config.rules.default;
    let mut router = Router::new(config, 1);
    let (mut charges, mut clock) = (Charges::new()?, Clock::new());
    Ok(Case::new("Router::route + settle", what, sized(processors), move || {
        let charged = charges.next();
        let charge = Charge {
            key: key(charged),
            traits: Traits::of(&charged.payment),
            amount: Some(&charged.payment.amount),
            source: Some(source(charged)),
            input: Some(charged.merchant.as_bytes()),
            ..Charge::of(default)
        };
        let now = clock.next();
        match router.route(black_box(&charge), now) {
            Ok(ticket) => {
                let told = Told { load: Some(0.5), ..Told::from(Outcome::Approved) };
                router.settle(ticket.sent(now), told, clock.later(40));
            }
            Err(wait) => panic!("nobody took the charge: {wait:?}"),
        }
        while let Some(fact) = router.poll_fact() {
            black_box(fact);
        }
    }))
}

fn sized(processors: usize) -> String {
    format!("{processors} processors")
}

fn source(charged: &Charged) -> IpAddr {
    let [a, b, c, d, ..] = *charged.key.as_bytes();
    Ipv4Addr::new(a, b, c, d).into()
}

/// A processor that has answered, the higher its number the slower.
fn known(n: u64) -> Stats {
    let mut stats = Stats::default();
    for answer in 0..ANSWERS {
        let now = Mono(answer * 1_000);
        let approval = if (answer * n).is_multiple_of(9) { Approval::Declined } else { Approval::Approved };
        stats.sent();
        let seen = Observation {
            latency: Some(Duration::from_millis(20 + n)),
            verdict: if answer.is_multiple_of(10) { Verdict::Bad } else { Verdict::Good },
            approval: Some(approval),
            scheme: [None, Some(Scheme::Visa)][usize::from(answer.is_multiple_of(2))],
            retry_after: None,
            load: Some(0.5),
        };
        stats.observe(&seen, now);
    }
    stats
}
