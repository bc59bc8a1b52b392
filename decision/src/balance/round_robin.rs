//! Each in turn.

use super::Member;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;

#[derive(Debug)]
pub(super) struct RoundRobin {
    /// The place of the member whose turn it is.
    next: usize,
}

impl RoundRobin {
    pub(super) fn new(members: usize, rng: &mut Rng) -> Self {
        let start = rng.below(u64::try_from(members).unwrap_or(u64::MAX));
        Self { next: usize::try_from(start).unwrap_or(0) }
    }

    pub(super) fn pick(&mut self, members: &[Member], running: Candidates) -> Option<ProcessorId> {
        let (before, after) = members.split_at_checked(self.next).unwrap_or((&[], members));
        for (steps, member) in (1..).zip(after.iter().chain(before)) {
            if running.contains(member.id) {
                self.next = self.next.wrapping_add(steps).checked_rem(members.len()).unwrap_or(0);
                return Some(member.id);
            }
        }
        None
    }

    /// How many come before a member.
    pub(super) fn before(&self, members: &[Member], id: ProcessorId) -> usize {
        let place = members.iter().position(|m| m.id == id).unwrap_or(0);
        let distance = place.saturating_add(members.len()).saturating_sub(self.next);
        distance.checked_rem(members.len()).unwrap_or(0)
    }

    /// Goes on where the old cursor stood: at the first of its order that is still a member; `was` is a member's place
    /// in the old pool of `len`.
    pub(super) fn inherit(&mut self, old: &Self, len: usize, was: impl Iterator<Item = Option<usize>>) {
        let turn = |place: usize| place.saturating_add(len).saturating_sub(old.next).checked_rem(len);
        let stayed = was.enumerate().filter_map(|(place, was)| Some((turn(was?)?, place)));
        if let Some((_, place)) = stayed.min() {
            self.next = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members, some};
    use super::*;

    #[test]
    fn takes_turns_and_skips_who_is_out() {
        let four = members(&[1, 1, 1, 1]);
        let mut cursor = RoundRobin { next: 0 };
        let picks: Vec<_> =
            (0..6).filter_map(|_| cursor.pick(&four, some(&[0, 2, 3]))).map(ProcessorId::index).collect();
        assert_eq!(picks, [0, 2, 3, 0, 2, 3]);
        let picks: Vec<_> = (0..4).filter_map(|_| cursor.pick(&four, all(4))).map(ProcessorId::index).collect();
        assert_eq!(picks, [0, 1, 2, 3]);
        cursor.next = 2;
        let before: Vec<_> = four.iter().map(|m| cursor.before(&four, m.id)).collect();
        assert_eq!(before, [2, 3, 0, 1]);
        // The third is gone, and a new one came first: it was to be the fourth's turn next.
        let mut new = RoundRobin { next: 0 };
        new.inherit(&cursor, 4, [None, Some(0), Some(1), Some(3)].into_iter());
        assert_eq!(new.next, 3);
    }
}
