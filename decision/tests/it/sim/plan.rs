//! What a seed draws: processors and their breakers, pools and their policies, faults, and the configurations that follow
//! one another.

use std::ops::Range;

use decision::config::Config;
use decision::payment::Scheme;
use decision::rng::Rng;
use serde_json::{Value, json};

/// Microseconds.
pub(super) const SECOND: u64 = 1_000_000;
/// How long charges come.
const HORIZON: u64 = 120 * SECOND;
/// In so much of its end all processors do their work.
const CALM: u64 = 20 * SECOND;
/// The route's own time-out.
pub(super) const TIMEOUT: u64 = 5 * SECOND;
/// The share of the seed's exploring policies, in percent.
const EXPLORE: [u64; 3] = [10, 25, 40];

/// Cards of different issuers and schemes.
pub(super) const CARDS: [(&str, Scheme); 8] = [
    ("4242424242424242", Scheme::Visa),
    ("4111111111111111", Scheme::Visa),
    ("5555555555554444", Scheme::Mastercard),
    ("2223003122003222", Scheme::Mastercard),
    ("378282246310005", Scheme::Amex),
    ("6011111111111117", Scheme::Discover),
    ("3530111333300000", Scheme::Jcb),
    ("30569309025904", Scheme::Diners),
];

/// What a processor does for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Good,
    /// Every payment is declined.
    Declines,
    /// 503, and nothing is executed.
    Down,
    /// It does not listen.
    Refuses,
    /// It takes the payment and never answers; some are executed.
    Hangs,
    /// It executes, and its answer is lost on the way.
    Lossy,
    /// It breaks off in the middle of its answer.
    Breaks,
    /// A technical code inside a 2xx.
    Technical,
    /// One issuer is down.
    Issuer,
    /// Many issuers are.
    Issuers,
    /// Every other payment fails.
    Partial,
    /// Back, slow, and not yet sure on its feet.
    Weak,
    /// 429.
    Limits,
    /// A whole answer that says nothing.
    Unclear,
}

const FAULTS: [Phase; 12] = [
    Phase::Declines,
    Phase::Down,
    Phase::Refuses,
    Phase::Hangs,
    Phase::Lossy,
    Phase::Breaks,
    Phase::Technical,
    Phase::Issuer,
    Phase::Issuers,
    Phase::Partial,
    Phase::Limits,
    Phase::Unclear,
];

/// How a processor's breaker is configured; also what the model of the breaker judges by.
pub(super) struct Breaks {
    json: Value,
    pub(super) acts: bool,
    pub(super) probes: usize,
    open: u64,
    pub(super) open_max: u64,
    pub(super) probe_timeout: u64,
    pub(super) by_scheme: bool,
    pub(super) beats: bool,
}

pub(super) struct Made {
    pub(super) name: String,
    pub(super) replays: bool,
    pub(super) weight: u64,
    pub(super) priority: u64,
    rate_bp: u64,
    /// Microseconds, and how many in flight double it.
    pub(super) latency: u64,
    pub(super) capacity: u64,
    pub(super) approves: u64,
    pub(super) breaks: Breaks,
    /// Since when what.
    pub(super) phases: Vec<(u64, Phase)>,
}

impl Made {
    pub(super) fn phase(&self, now: u64) -> Phase {
        self.phases.iter().rev().find(|(since, _)| *since <= now).map_or(Phase::Good, |(_, phase)| *phase)
    }
}

/// A pool, by the places of its processors in the plan.
pub(super) struct Pool {
    pub(super) policy: Value,
    pub(super) keyed_by_policy: bool,
    pub(super) members: Vec<usize>,
    slow_start_ms: u64,
    panic_percent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Active,
    Drained,
    Gone,
}

/// What a reload changes.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) listed: Vec<Listed>,
    pub(super) shares: Vec<u64>,
    /// Which part grew last, and how often one did.
    pub(super) grew: Option<usize>,
    pub(super) growths: usize,
    pub(super) config: Option<Config>,
}

pub(super) struct Plan {
    pub(super) proxies: usize,
    pub(super) workers: usize,
    pub(super) charges: u64,
    /// When the last charge comes.
    pub(super) horizon: u64,
    pub(super) made: Vec<Made>,
    /// The default, the one of a rule, and the parts of a split.
    pub(super) pools: Vec<Pool>,
    pub(super) versions: Vec<Version>,
    /// Splits by this; the judge takes the merchant.
    pub(super) split_by: &'static str,
    /// When the cache-service is away.
    pub(super) outage: Range<u64>,
    /// How many of a hundred charges have a key.
    pub(super) keyed: u64,
    pub(super) currencies: &'static [&'static str],
    /// Of each proxy.
    pub(super) traps: u64,
}

/// Every policy, the hashes with bounded loads, too.
const POLICIES: usize = 17;

fn policy(at: usize, by_policy: bool, rng: &mut Rng) -> Value {
    let explore = EXPLORE[index(rng, 3)];
    let of_key = if by_policy { json!("key") } else { json!({"header": "x-shopper"}) };
    let hash_by = [json!("merchant"), json!("source_ip"), json!("bin"), of_key][index(rng, 4)].clone();
    match at % POLICIES {
        0 => json!("round_robin"),
        1 => json!("smooth_weighted_round_robin"),
        2 => json!({"name": "smooth_weighted_round_robin", "weights": "reported_load"}),
        3 => json!("random"),
        4 => json!("weighted_random"),
        5 => json!("least_connections"),
        6 => json!("least_response_time"),
        7 => json!("ip_hash"),
        8 => json!({"name": "maglev", "hash_by": hash_by, "table_size": 1009}),
        9 => json!({"name": "ring_hash", "hash_by": hash_by}),
        10 => json!("load_based"),
        11 => json!("failure_based"),
        12 => json!({"name": "rendezvous", "hash_by": hash_by}),
        13 => json!({"name": "approval_rate", "explore_percent": explore}),
        14 => json!({"name": "least_cost", "explore_percent": explore, "min_volume": 10, "margin_bp": 2000}),
        15 => json!({"name": "envoy_ring_hash", "hash_by": hash_by}),
        _ => {
            let name = ["maglev", "ring_hash", "envoy_ring_hash"][index(rng, 3)];
            json!({"name": name, "hash_by": hash_by, "bounded_load_percent": 125})
        }
    }
}

pub(super) fn index(rng: &mut Rng, below: usize) -> usize {
    usize::try_from(rng.below(below as u64)).unwrap()
}

fn between(rng: &mut Rng, range: Range<u64>) -> u64 {
    range.start + rng.below(range.end - range.start)
}

fn breaks(rng: &mut Rng) -> Breaks {
    let (open, open_max) = (between(rng, 400..2_000), between(rng, 4_000..12_000));
    let probes = between(rng, 1..4);
    let probe_timeout = between(rng, 2_000..7_000);
    let mut json = json!({
        "open_ms": open, "open_ms_max": open_max, "probes": probes, "probe_timeout_ms": probe_timeout,
        "issuers": between(rng, 1..5), "window_ms": 8_000, "calls_min": 6,
    });
    let more = match rng.below(4) {
        0 => json!({"consecutive_failures": between(rng, 2..5)}),
        1 => json!({"consecutive_failures": 10_000, "failure_percent": between(rng, 30..60)}),
        2 => json!({"consecutive_failures": 6, "slow_call_ms": 1_500, "slow_percent": 50}),
        _ => {
            json!({"consecutive_failures": between(rng, 3..6), "window_ms": null, "window_calls": 20, "failure_percent": 40})
        }
    };
    more.as_object().unwrap().iter().for_each(|(name, value)| json[name] = value.clone());
    let by_scheme = rng.below(3) == 0;
    if by_scheme {
        json["per"] = json!(["scheme"]);
    }
    let acts = rng.below(12) != 0;
    if !acts {
        json["mode"] = json!("observe");
    }
    let beats = rng.below(3) == 0;
    let probes = usize::try_from(probes).unwrap();
    let (open, open_max, probe_timeout) = (open * 1_000, open_max * 1_000, probe_timeout * 1_000);
    Breaks { json, acts, probes, open, open_max, probe_timeout, by_scheme, beats }
}

impl Breaks {
    /// The longest an opening lasts after so many others; the least is half of it.
    pub(super) fn wait(&self, trips: u32) -> u64 {
        self.open.saturating_mul(1 << trips.min(20)).min(self.open_max)
    }

    /// By failures in a row alone, one probe.
    pub(super) fn plain(failures: u64, open_ms: u64, open_ms_max: u64) -> Self {
        let json = json!({
            "consecutive_failures": failures, "failure_percent": 0, "open_ms": open_ms, "open_ms_max": open_ms_max,
        });
        let (open, open_max) = (open_ms * 1_000, open_ms_max * 1_000);
        Self { json, acts: true, probes: 1, open, open_max, probe_timeout: 30 * SECOND, by_scheme: false, beats: false }
    }
}

fn phases(rng: &mut Rng) -> Vec<(u64, Phase)> {
    let (mut all, mut now) = (Vec::new(), between(rng, 2..15) * SECOND);
    while now < HORIZON - CALM {
        let fault = FAULTS[index(rng, FAULTS.len())];
        all.push((now, fault));
        now += between(rng, 4..18) * SECOND;
        if matches!(fault, Phase::Down | Phase::Refuses | Phase::Hangs) {
            all.push((now, Phase::Weak));
            now += between(rng, 3..9) * SECOND;
        }
        all.push((now, Phase::Good));
        now += between(rng, 5..30) * SECOND;
    }
    all.retain(|(since, _)| *since < HORIZON - CALM);
    all.push((HORIZON - CALM, Phase::Good));
    all
}

fn made(at: usize, rng: &mut Rng) -> Made {
    Made {
        name: format!("p{at}"),
        replays: rng.below(3) != 0,
        weight: between(rng, 1..4),
        priority: u64::from(at > 2 && rng.below(3) == 0),
        rate_bp: between(rng, 90..300),
        latency: between(rng, 40..300) * 1_000,
        capacity: between(rng, 4..20),
        approves: between(rng, 60..97),
        breaks: breaks(rng),
        phases: phases(rng),
    }
}

impl Plan {
    /// The policies follow from the seed by turns, so that few seeds have them all.
    pub(super) fn new(seed: u64, rng: &mut Rng) -> Self {
        let (proxies, workers) =
            [(1, 1), (2, 3), (1, 4), (3, 2)][usize::try_from(seed.wrapping_add(seed / 17) % 4).unwrap()];
        let made: Vec<Made> = (0..6).map(|at| made(at, rng)).collect();
        let members = [vec![0, 1, 2, 3], vec![1, 3, 4, 5], vec![0, 4], vec![1, 2], vec![3, 5]];
        let first = usize::try_from(seed % POLICIES as u64).unwrap();
        let pools = (0..).zip(members).map(|(at, members)| {
            let keyed_by_policy = rng.below(3) == 0;
            Pool {
                policy: policy(first + at * 3, keyed_by_policy, rng),
                keyed_by_policy,
                members,
                slow_start_ms: [0, 0, 6_000][index(rng, 3)],
                panic_percent: [0, 0, 0, 45][index(rng, 4)],
            }
        });
        let pools = pools.collect();
        let first = Version {
            listed: vec![Listed::Active; 6],
            shares: (0..3).map(|_| between(rng, 1..5)).collect(),
            grew: None,
            growths: 0,
            config: None,
        };
        let mut versions = vec![first];
        for turn in 0..4 {
            let mut next = versions[turn].clone();
            let at = index(rng, 6);
            next.listed[at] = match next.listed[at] {
                Listed::Active => [Listed::Drained, Listed::Gone][index(rng, 2)],
                Listed::Drained => [Listed::Active, Listed::Gone][index(rng, 2)],
                Listed::Gone => Listed::Active,
            };
            if rng.below(2) == 0 {
                let part = index(rng, 3);
                next.shares[part] += 3;
                (next.grew, next.growths) = (Some(part), next.growths + 1);
            }
            versions.push(next);
        }
        let start = between(rng, 10..90) * SECOND;
        Self {
            proxies,
            workers,
            charges: 700,
            horizon: HORIZON,
            made,
            pools,
            versions,
            split_by: "merchant",
            outage: start..start + between(rng, 2..8) * SECOND,
            keyed: 50,
            currencies: &["EUR", "EUR", "GBP", "USD"],
            traps: 3,
        }
    }

    /// Without reloads, traps, outages or faults, and with one pool that all charges go to, none of them with a key.
    pub(super) fn calm(seed: u64, rng: &mut Rng, policy: Value) -> Self {
        let mut plan = Self::new(seed, rng);
        plan.versions.truncate(1);
        plan.outage = 0..0;
        (plan.keyed, plan.currencies, plan.traps) = (0, &["EUR"], 0);
        for made in &mut plan.made {
            (made.priority, made.breaks) = (0, Breaks::plain(5, 1_000, 8_000));
            made.phases.clear();
        }
        let pool = &mut plan.pools[0];
        (pool.policy, pool.slow_start_ms, pool.panic_percent) = (policy, 0, 0);
        plan
    }

    /// The processors of a pool as a version lists them: never none.
    pub(super) fn members(&self, version: &Version, pool: usize) -> Vec<usize> {
        let listed = |at: &usize| version.listed[*at] != Listed::Gone;
        let left: Vec<usize> = self.pools[pool].members.iter().copied().filter(listed).collect();
        if left.is_empty() { (0..self.made.len()).filter(listed).collect() } else { left }
    }

    fn pool(&self, version: &Version, at: usize) -> Value {
        let pool = &self.pools[at];
        let names: Vec<&str> = self.members(version, at).into_iter().map(|at| self.made[at].name.as_str()).collect();
        json!({
            "processors": names, "policy": pool.policy, "keyed": if pool.keyed_by_policy { "policy" } else { "rendezvous" },
            "slow_start_ms": pool.slow_start_ms, "panic_percent": pool.panic_percent,
        })
    }

    /// The configuration of a version.
    pub(super) fn config(&mut self, at: usize) -> Config {
        if let Some(config) = &self.versions[at].config {
            return config.clone();
        }
        let version = &self.versions[at];
        let listed = self.made.iter().zip(&version.listed).filter(|(_, listed)| **listed != Listed::Gone);
        let processors = listed.map(|(made, listed)| {
            let mut json = json!({
                "name": made.name, "profile": if made.replays { "replays" } else { "forgets" }, "weight": made.weight,
                "priority": made.priority, "breaker": made.breaks.json,
                "cost": {"rate_bp": made.rate_bp, "fixed": {"EUR": 10, "USD": 12, "GBP": 9}},
                "state": if *listed == Listed::Drained { "drain" } else { "active" },
            });
            if made.breaks.beats {
                json["heartbeat"] = json!({"path": "/up", "interval_ms": 2_000, "timeout_ms": 500});
            }
            json
        });
        let part = |(at, share): (usize, &u64)| json!({"share": share, "use": self.pool(version, 2 + at)});
        let parts: Vec<Value> = version.shares.iter().enumerate().map(part).collect();
        let profile = |same_key| {
            json!({
                "payment_id": ["/id"], "status": ["/status"], "network_code": ["/response_code"], "iso8583": true,
                "approved": ["succeeded"], "declined": ["declined"], "pending": ["pending"], "same_key": same_key,
            })
        };
        let document = json!({
            "fields": {"amount": ["/amount"], "currency": ["/currency"], "merchant": ["/merchant"], "card_number": ["/number"]},
            "profiles": {"replays": profile("replays"), "forgets": profile("charges_again")},
            "processors": processors.collect::<Vec<_>>(),
            "operations": [{
                "name": "charge", "kind": "charge", "method": "POST", "path": "/v1/payments",
                "key": {"header": "idempotency-key"},
            }],
            "rules": [
                {"name": "pounds", "when": {"currency": ["GBP"]}, "use": self.pool(version, 1)},
                {"name": "split", "when": {"currency": ["USD"]}, "use": {"split": {"by": self.split_by, "parts": parts}}},
            ],
            "default": self.pool(version, 0),
        });
        let config = Config::parse(document.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}: {document}"));
        self.versions[at].config = Some(config.clone());
        config
    }
}
