//! What the pools chose: where keys stay, how splits share, who explores, who starves.

use std::collections::BTreeMap;

use decision::balance::{HashBy, Keyed, Policy, Standing, Weights};
use decision::explain::Explanation;

use super::laws::{Law, Laws};
use super::plan::{CARDS, Plan, SECOND};
use super::world::Sale;

/// A charge that was routed, and what was known before.
pub(super) struct Choice<'a> {
    pub(super) plan: &'a Plan,
    pub(super) sale: &'a Sale,
    pub(super) explanation: &'a Explanation,
    /// The place in the plan of each of the configuration's processors.
    pub(super) places: &'a [usize],
    pub(super) pool: usize,
    pub(super) instance: usize,
    pub(super) version: usize,
    pub(super) now: u64,
    /// None: it was refused, or what was known before may no longer hold.
    pub(super) picked: Option<usize>,
    /// How often the policy was asked, at most: who is not fast enough for a probe asks again.
    pub(super) asked: u64,
    /// In flight by place in the plan.
    pub(super) busy: &'a BTreeMap<usize, u32>,
}

#[derive(Default)]
struct Wait {
    waited: u64,
    eligible: u64,
    since: u64,
    first: Option<u64>,
    told: bool,
}

/// What the judge is told wrongly, where a test wants to see it object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mistaken {
    #[default]
    Not,
    /// That policies that draw lots place by merchant.
    Places,
    /// That exploration has a hundredth of its share.
    Share,
    /// That there is exploration where there is none.
    Feeds,
}

#[derive(Default)]
pub(super) struct Choices {
    pub(super) mistaken: Mistaken,
    homes: BTreeMap<(usize, Option<usize>, String), (u64, usize)>,
    /// By merchant and how often a part had grown.
    parts: BTreeMap<String, BTreeMap<usize, usize>>,
    /// Picks, explored, and the share, by pool.
    pub(super) explored: BTreeMap<usize, (u64, u64, f64)>,
    waits: BTreeMap<(usize, usize, usize), Wait>,
    pub(super) picks: BTreeMap<&'static str, BTreeMap<usize, u64>>,
    pub(super) moved: u64,
    pub(super) stayed: u64,
}

impl Choices {
    pub(super) fn judge(&mut self, laws: &mut Laws, choice: &Choice<'_>) {
        let Choice { plan, explanation, places, .. } = choice;
        let priorities: Vec<u64> = explanation
            .members
            .iter()
            .filter(|m| m.weighed.standing != Standing::NotCandidate)
            .map(|m| plan.made[places[m.weighed.id.index()]].priority)
            .collect();
        let one_level = priorities.windows(2).all(|two| two[0] == two[1]);
        if explanation.members.iter().any(|m| !m.breaker.admits()) && choice.picked.is_some() {
            laws.saw(Law::Open, "picked past one that is out");
        }
        let placed = self.placed(choice);
        if placed.is_none() {
            self.count_explorer(choice, one_level);
        }
        let Some(picked) = choice.picked else { return };
        *self.picks.entry(explanation.policy()).or_default().entry(picked).or_default() += 1;
        let of = explanation.members.iter().find(|m| places[m.weighed.id.index()] == picked);
        let candidate = of.is_some_and(|m| m.weighed.standing != Standing::NotCandidate);
        laws.judge(Law::Exploration, "picked a candidate", candidate, || {
            format!("p{picked} was picked and is none of {:?}", explanation.members)
        });
        match placed {
            Some((version, input)) => self.judge_place(laws, choice, (version, input), picked),
            None if one_level => self.judge_waits(laws, choice, picked),
            None => {}
        }
    }

    /// What the charge is placed by, and the version whose tables say where.
    fn placed(&self, choice: &Choice<'_>) -> Option<(Option<usize>, String)> {
        let Choice { sale, explanation, version, .. } = choice;
        if let (Some(key), Keyed::Rendezvous) = (sale.key, explanation.settings.keyed) {
            return Some((None, format!("key {key}")));
        }
        let policy = &explanation.settings.policy;
        let hashed = |by: &HashBy| match by {
            HashBy::Merchant => sale.merchant.clone(),
            HashBy::Bin => Some(CARDS[sale.card].0.get(..6)?.to_owned()),
            HashBy::SourceIp => Some(sale.source.to_string()),
            HashBy::Key => sale.key.map(|key| key.to_string()),
            HashBy::Header(_) => sale.shopper.clone(),
            HashBy::Tenant => None,
        };
        let octets = sale.source.octets();
        match policy {
            Policy::IpHash => Some((Some(*version), format!("{:?}", &octets[..3]))),
            // Their tables are of all members: with others they are others.
            Policy::Maglev { hash_by, .. } | Policy::EnvoyRingHash { hash_by, .. } => {
                Some((Some(*version), hashed(hash_by)?))
            }
            Policy::RingHash { hash_by, .. } | Policy::Rendezvous { hash_by } => Some((None, hashed(hash_by)?)),
            _ if self.mistaken == Mistaken::Places => Some((None, sale.merchant.clone()?)),
            _ => None,
        }
    }

    /// Whoever was chosen among some and is still there stays chosen among others, unless by one who was not there.
    fn judge_place(&mut self, laws: &mut Laws, choice: &Choice<'_>, place: (Option<usize>, String), picked: usize) {
        let running = running(choice).fold(0_u64, |set, at| set | 1 << at);
        let key = (choice.pool, place.0, place.1);
        let Some((before, home)) = self.homes.insert(key, (running, picked)) else { return };
        let both_could = running & 1 << home != 0 && before & 1 << picked != 0;
        let policy = choice.explanation.policy();
        if both_could {
            let what = if before == running { "same candidates" } else { "other candidates, same home" };
            laws.judge(Law::Ejection, format!("{policy}: {what}"), home == picked, || {
                format!("{policy} of {:?}: p{home} of {before:b}, then p{picked} of {running:b}", choice.sale)
            });
            self.stayed += u64::from(before != running);
        } else {
            laws.saw(Law::Ejection, format!("{policy}: moved with its processor"));
            self.moved += 1;
        }
    }

    fn count_explorer(&mut self, choice: &Choice<'_>, one_level: bool) {
        let members = &choice.explanation.members;
        let (percent, sign) = match choice.explanation.settings.policy {
            Policy::ApprovalRate { explore_percent } => (explore_percent, -1.0),
            Policy::LeastCost { explore_percent, .. } => (explore_percent, 1.0),
            _ => return,
        };
        let share = f64::from(percent) / if self.mistaken == Mistaken::Share { 10_000.0 } else { 100.0 };
        let (picks, explored, of) = self.explored.entry(choice.pool).or_default();
        (*picks, *of) = (*picks + choice.asked, share);
        // Who was in the running is not told where levels and slow starts are drawn.
        let drawn = !one_level || members.iter().any(|m| m.weighed.standing == Standing::SlowStart);
        let Some(picked) = choice.picked.filter(|_| !drawn) else { return };
        let running = || members.iter().filter(|m| m.weighed.standing == Standing::Running);
        let best = running().map(|m| sign * m.weighed.value).fold(f64::INFINITY, f64::min);
        let is_best =
            running().any(|m| choice.places[m.weighed.id.index()] == picked && sign * m.weighed.value <= best);
        *explored += u64::from(!is_best);
    }

    fn judge_waits(&mut self, laws: &mut Laws, choice: &Choice<'_>, picked: usize) {
        let (policy, plan) = (&choice.explanation.settings.policy, choice.plan);
        let by_traffic = matches!(policy, Policy::LeastConnections | Policy::LeastResponseTime | Policy::LoadBased);
        // Who may not be promoted may still be explored.
        let fed = |standing| matches!(standing, Standing::Running | Standing::Margin | Standing::Unproven);
        let members = choice.explanation.members.iter().filter(|m| fed(m.weighed.standing));
        let members: Vec<usize> = members.map(|m| choice.places[m.weighed.id.index()]).collect();
        let all: u64 =
            choice.explanation.members.iter().map(|m| plan.made[choice.places[m.weighed.id.index()]].weight).sum();
        for at in members {
            if by_traffic && choice.busy.get(&at).is_some_and(|n| *n > 0) && at != picked {
                continue;
            }
            let none = if self.mistaken == Mistaken::Feeds { 10 } else { 0 };
            let members = choice.explanation.members.len();
            let Some(bound) = bound(policy, all, plan.made[at].weight, (members, none)) else { return };
            let wait = self.waits.entry((choice.instance, choice.pool, at)).or_default();
            let first = *wait.first.get_or_insert(choice.now);
            wait.since = wait.since.max(first);
            wait.eligible += 1;
            if wait.eligible >= bound && choice.now - first >= patience(policy) && !wait.told {
                wait.told = true;
                laws.saw(Law::Starvation, format!("{}: could have starved", choice.explanation.policy()));
            }
            if at == picked {
                (wait.waited, wait.since) = (0, choice.now);
                continue;
            }
            wait.waited += 1;
            let fed = wait.waited < bound || choice.now - wait.since < patience(policy);
            laws.judge(Law::Starvation, "candidates wait", fed, || format!("p{at} got none of {bound} by {policy:?}"));
        }
    }

    /// The part a charge of a merchant fell into, of a version whose parts have grown so often.
    pub(super) fn judge_part(&mut self, plan: &Plan, laws: &mut Laws, sale: &Sale, version: usize, part: usize) {
        let Some(merchant) = &sale.merchant else {
            let first = || format!("{sale:?} has no merchant and fell into part {part}");
            return laws.judge(Law::Split, "without an id the first part", part == 0, first);
        };
        let now = plan.versions[version].growths;
        let known = self.parts.entry(merchant.clone()).or_default();
        for (then, was) in known.iter() {
            let (low, high) = (now.min(*then), now.max(*then));
            let (old, new) = if now < *then { (part, *was) } else { (*was, part) };
            let grew = |v: &&super::plan::Version| (low + 1..=high).contains(&v.growths);
            let into = plan.versions.iter().filter(grew).any(|v| v.grew == Some(new));
            let what = if low == high { "the same part" } else { "moved only into what grew" };
            laws.judge(Law::Split, what, old == new || into, || format!("{merchant}: part {old}, then {new}"));
        }
        known.insert(now, part);
    }

    /// Merchants by part, for each state of the shares.
    pub(super) fn shares(&self) -> BTreeMap<usize, [u64; 3]> {
        let mut all: BTreeMap<usize, [u64; 3]> = BTreeMap::new();
        for (growths, part) in self.parts.values().flatten() {
            all.entry(*growths).or_default()[*part] += 1;
        }
        all
    }
}

fn running<'a>(choice: &'a Choice<'_>) -> impl Iterator<Item = usize> + 'a {
    let members = choice.explanation.members.iter().filter(|m| m.weighed.standing == Standing::Running);
    members.map(|m| choice.places[m.weighed.id.index()])
}

/// Microseconds for which a processor may be passed over for what was last seen of it.
fn patience(policy: &Policy) -> u64 {
    match policy {
        Policy::LeastResponseTime => 60 * SECOND,
        // A report holds three minutes.
        Policy::LoadBased | Policy::SmoothWeightedRoundRobin(Weights::ReportedLoad) => 181 * SECOND,
        _ => 0,
    }
}

/// A candidate of this weight of `all` gets something within so many picks; none: exploration is not asked for.
fn bound(policy: &Policy, all: u64, weight: u64, (members, none): (usize, u32)) -> Option<u64> {
    let count = members as u64;
    let turns = all.div_ceil(weight);
    Some(match policy {
        Policy::RoundRobin => 6 * count,
        Policy::SmoothWeightedRoundRobin(_) => 6 * turns,
        // Somebody of a share of 1 / n gets nothing of 25 n picks once in e^25 times.
        Policy::Random => 25 * count,
        // Without what a hash needs, it is by turns.
        Policy::WeightedRandom => 25 * turns,
        // A twentieth of the weight is the least.
        Policy::FailureBased => 40 * turns,
        Policy::LeastConnections | Policy::LeastResponseTime | Policy::LoadBased => 25 * turns,
        // Each has half of the share divided by the members; four times that long.
        Policy::ApprovalRate { explore_percent } | Policy::LeastCost { explore_percent, .. } => {
            let percent = if *explore_percent == 0 { none } else { *explore_percent };
            (800 * count).checked_div(u64::from(percent))?
        }
        Policy::IpHash
        | Policy::Maglev { .. }
        | Policy::RingHash { .. }
        | Policy::EnvoyRingHash { .. }
        | Policy::Rendezvous { .. } => 6 * turns,
    })
}
