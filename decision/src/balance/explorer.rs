//! Bounded exploration: now and then a payment goes to another than the best known, as nothing is learned of a processor
//! that is never asked. It may cost a sale, so it is rationed.

use super::Member;
use crate::processor::{Candidates, ProcessorId};

/// A pick fades by this much with each later one: about the last thousand count.
const FADE: f64 = 0.999;
/// Nobody is let fall to its least share exactly: then rounding and waiting would leave it below.
const FLOOR_SLACK: f64 = 1.25;

/// How many of a pool's last picks went where.
#[derive(Clone, Debug)]
pub(super) struct Explorer {
    /// The share of picks that may explore, 0 to 1.
    share: f64,
    picks: f64,
    explored: f64,
    /// Picks by the member's place in the pool.
    each: Vec<f64>,
}

impl Explorer {
    pub(super) fn new(members: &[Member], percent: u32) -> Self {
        Self { share: f64::from(percent) / 100.0, picks: 0.0, explored: 0.0, each: vec![0.0; members.len()] }
    }

    /// `best`, or instead of it, as long as that stays within the share: first somebody who got less than
    /// `share / (2 * members)` of the picks, else whom `wish` names. Whoever it is, is counted.
    pub(super) fn choose(
        &mut self,
        members: &[Member],
        running: Candidates,
        best: ProcessorId,
        wish: impl FnOnce() -> Option<ProcessorId>,
    ) -> ProcessorId {
        self.picks = self.picks * FADE + 1.0;
        self.explored *= FADE;
        for each in &mut self.each {
            *each *= FADE;
        }
        let mut chosen = best;
        if self.explored + 1.0 <= self.share * self.picks {
            chosen = self.starved(members, running).or_else(wish).unwrap_or(best);
        }
        if chosen != best {
            self.explored += 1.0;
        }
        if let Some((each, _)) = self.each.iter_mut().zip(members).find(|(_, m)| m.id == chosen) {
            *each += 1.0;
        }
        chosen
    }

    fn starved(&self, members: &[Member], running: Candidates) -> Option<ProcessorId> {
        let least = self.share / (2.0 * f64::from(u32::try_from(members.len()).unwrap_or(u32::MAX)));
        let below = self
            .each
            .iter()
            .zip(members)
            .filter(|(each, member)| running.contains(member.id) && **each < least * FLOOR_SLACK * self.picks);
        below.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, member)| member.id)
    }

    /// Takes over what was counted; `was` is a member's place in the old pool.
    pub(super) fn inherit(&mut self, old: &Self, was: impl Iterator<Item = Option<usize>>) {
        (self.picks, self.explored) = (old.picks, old.explored);
        for (each, was) in self.each.iter_mut().zip(was) {
            *each = was.and_then(|place| old.each.get(place)).copied().unwrap_or(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members, some};
    use super::*;

    #[test]
    fn exploration_stays_within_its_share_and_leaves_nobody_out() {
        let id = |n| ProcessorId::new(n).unwrap();
        for (count, percent) in [(2, 5), (3, 5), (8, 5), (3, 1), (8, 20), (64, 5), (3, 0)] {
            let pool = members(&vec![1; count]);
            let mut explorer = Explorer::new(&pool, percent);
            let mut seen = vec![0_u32; count];
            let picks = 40_000;
            for n in 0..picks {
                // Somebody always wishes to explore.
                let chosen = explorer.choose(&pool, all(count), id(0), || Some(id(1)));
                seen[chosen.index()] += 1;
                assert!(explorer.explored <= explorer.share * explorer.picks + 1e-9, "{count} {percent} at {n}");
            }
            let explored: u32 = seen[1..].iter().sum();
            assert!(explored * 100 <= picks * percent + 100 * 60, "{count} {percent}: {explored}");
            let least = f64::from(picks * percent) / (200.0 * f64::from(u32::try_from(count).unwrap()));
            for got in &seen {
                assert!(f64::from(*got) >= 0.9 * least, "{count} {percent}: {seen:?}");
            }
        }
        let pool = members(&[1, 1, 1]);
        let mut explorer = Explorer::new(&pool, 50);
        for _ in 0..1_000 {
            assert_ne!(explorer.choose(&pool, some(&[0, 2]), id(0), || None), id(1), "not in the running");
        }
        // A new configuration does not begin to explore anew.
        let mut new = Explorer::new(&pool, 50);
        new.inherit(&explorer, [Some(2), None, Some(0)].into_iter());
        assert_eq!((new.picks, new.explored), (explorer.picks, explorer.explored));
        assert_eq!(new.each, [explorer.each[2], 0.0, explorer.each[0]]);
    }
}
