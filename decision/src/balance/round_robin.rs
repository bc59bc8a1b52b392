//! Each in turn.

use super::Member;
use crate::processor::{Candidates, ProcessorId};
use crate::rng::Rng;

#[derive(Debug)]
pub(super) struct RoundRobin {
    next: usize,
}

impl RoundRobin {
    pub(super) fn new(members: usize, rng: &mut Rng) -> Self {
        let start = rng.below(u64::try_from(members).unwrap_or(u64::MAX));
        Self { next: usize::try_from(start).unwrap_or(0) }
    }

    pub(super) fn pick(&mut self, members: &[Member], candidates: Candidates) -> Option<ProcessorId> {
        let turn = members.iter().cycle().skip(self.next).take(members.len());
        for (steps, member) in (1..).zip(turn) {
            if candidates.contains(member.id) {
                self.next = self.next.wrapping_add(steps).checked_rem(members.len()).unwrap_or(0);
                return Some(member.id);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members};
    use super::*;

    #[test]
    fn takes_turns_and_skips_who_is_out() {
        let four = members(&[1, 1, 1, 1]);
        let mut cursor = RoundRobin { next: 0 };
        let without_one: Candidates = [0, 2, 3].into_iter().filter_map(ProcessorId::new).collect();
        let picks: Vec<_> = (0..6).filter_map(|_| cursor.pick(&four, without_one)).map(ProcessorId::index).collect();
        assert_eq!(picks, [0, 2, 3, 0, 2, 3]);
        let picks: Vec<_> = (0..4).filter_map(|_| cursor.pick(&four, all(4))).map(ProcessorId::index).collect();
        assert_eq!(picks, [0, 1, 2, 3]);
    }
}
