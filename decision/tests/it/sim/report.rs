//! The end of a run: what must hold then, and what is told of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::laws::Law;
use super::plan::SECOND;
use super::world::World;

/// Standard deviations that a share may be off: once in three million splits by chance.
const DEVIATIONS: f64 = 5.0;

impl World {
    pub(super) fn judge_the_end(&mut self) {
        assert!(self.live.iter().all(|live| live.over), "seed {}: an exchange never ended", self.seed);
        for instance in 0..self.instances.len() {
            if self.instances[instance].alive {
                let left: u32 = self.instances[instance].counted.values().sum();
                self.laws.judge(Law::InFlight, "nothing at the end", left == 0, || format!("{left} in flight"));
                self.judge_in_flight(instance);
            }
        }
        let late: u64 = self.proxies.iter().flat_map(|proxy| &proxy.memories).map(|memory| memory.late.get()).sum();
        if late > 0 {
            self.laws.saw(Law::Probes, "a write came too late");
        }
        self.judge_money();
        self.judge_shares();
        for (picks, explored, share) in self.choices.explored.values().copied() {
            // What fades away was within the share, too: no slack.
            let bound = share * f64::from(u32::try_from(picks).unwrap()) + 1e-6;
            let within = f64::from(u32::try_from(explored).unwrap()) <= bound;
            self.laws.judge(Law::Exploration, "within its share", within, || format!("{explored} of {picks}, {share}"));
            if explored > 0 {
                self.laws.saw(Law::Exploration, "somebody was explored");
            }
        }
    }

    fn judge_money(&mut self) {
        let mut keys: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut ids: BTreeMap<String, u32> = BTreeMap::new();
        for (at, bank) in self.banks.iter().enumerate() {
            for (x, key) in &bank.ledger {
                *ids.entry(format!("p{at}-{x}")).or_default() += 1;
                key.iter().for_each(|key| keys.entry(*key).or_default().push(at));
                let sent = self.live[*x].sent;
                self.laws
                    .judge(Law::Money, "executed where it was sent", sent == Some(at), || format!("{x}: {sent:?}"));
            }
            for _ in 0..bank.replayed {
                self.laws.saw(Law::Money, "a repeated key was replayed");
            }
            for _ in 0..bank.unheard {
                self.laws.saw(Law::Money, "executed, and the answer lost");
            }
        }
        for (key, at) in keys {
            self.laws.judge(Law::Money, "a key was executed once", at.len() == 1, || {
                format!("key {key} was executed at {at:?}")
            });
        }
        for id in std::mem::take(&mut self.succeeded) {
            let once = ids.get(&id) == Some(&1);
            self.laws
                .judge(Law::Money, "what succeeded is in one ledger", once, || format!("{id}: {:?}", ids.get(&id)));
        }
    }

    fn judge_shares(&mut self) {
        for (growths, parts) in self.choices.shares() {
            let version = self.plan.versions.iter().find(|v| v.growths == growths).unwrap();
            let number = |n: u64| f64::from(u32::try_from(n).unwrap());
            let (shares, ids) = (number(version.shares.iter().sum()), number(parts.iter().sum()));
            for (share, got) in version.shares.iter().zip(parts) {
                let p = number(*share) / shares;
                let off = (number(got) - ids * p).abs();
                let within = off <= DEVIATIONS * libm::sqrt(ids * p * (1.0 - p)) + 1.0;
                self.laws
                    .judge(Law::Split, "shares are kept", within, || format!("{parts:?} for {:?}", version.shares));
            }
        }
    }

    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "seed {}: {} proxies of {} workers, {} charges in {} virtual seconds (the last after {}), {} tries",
            self.seed,
            self.plan.proxies,
            self.plan.workers,
            self.plan.charges,
            self.plan.horizon / SECOND,
            self.now / SECOND,
            self.live.len(),
        );
        let _ = writeln!(text, "  clients were told: {:?}", self.counts);
        for (at, (made, bank)) in self.plan.made.iter().zip(&self.banks).enumerate() {
            let sum = |of: fn(&super::breakers::Model) -> &BTreeMap<usize, u64>| -> u64 {
                self.proxies.iter().filter_map(|proxy| of(&proxy.model).get(&at)).sum()
            };
            let outcomes: Vec<String> = self
                .outcomes
                .iter()
                .filter(|((of, _), _)| *of == at)
                .map(|((_, outcome), n)| format!("{outcome} {n}"))
                .collect();
            let _ = writeln!(
                text,
                "  {}: {} arrived, at most {} at once, {} executed, {} replayed; opened {}, {} probes; {}",
                made.name,
                bank.arrived,
                bank.busiest,
                bank.ledger.len(),
                bank.replayed,
                sum(|model| &model.opened),
                sum(|model| &model.probes),
                outcomes.join(", "),
            );
        }
        for (policy, picks) in &self.choices.picks {
            let _ = writeln!(text, "  picks of {policy}: {picks:?}");
        }
        let _ =
            writeln!(text, "  keys: {} moved with their processor, {} stayed", self.choices.moved, self.choices.stayed);
        for (pool, (picks, explored, share)) in &self.choices.explored {
            let _ = writeln!(text, "  exploration of pool {pool}: {explored} of {picks} picks, at most {share}");
        }
        let _ = writeln!(text, "  laws, by what exercised them:\n{}  digest {:016x}", self.laws.table(), self.digest);
        text
    }
}
