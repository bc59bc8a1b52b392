//! One number per member, the lowest wins: the shape of most policies that judge by what traffic teaches.

use super::Member;
use crate::processor::{Candidates, ProcessorId};

/// Something of each member, by its place in the pool. It is on the stack: a pick allocates nothing.
#[derive(Clone, Copy)]
pub(super) struct PerMember<T = f64>([T; ProcessorId::COUNT_MAX]);

impl<T: Copy + Default> PerMember<T> {
    /// That of those in the running; the others have none that means anything.
    pub(super) fn of(members: &[Member], running: Candidates, mut of: impl FnMut(&Member) -> T) -> Self {
        let mut all = [T::default(); ProcessorId::COUNT_MAX];
        for (slot, member) in all.iter_mut().zip(members).filter(|(_, m)| running.contains(m.id)) {
            *slot = of(member);
        }
        Self(all)
    }

    /// Members in the running with theirs.
    pub(super) fn each<'a>(
        &'a self,
        members: &'a [Member],
        running: Candidates,
    ) -> impl Iterator<Item = (&'a Member, T)> {
        members.iter().zip(self.all()).filter(move |(m, _)| running.contains(m.id))
    }

    /// That of each place; of those not in the running it means nothing.
    pub(super) fn all(&self) -> impl Iterator<Item = T> {
        self.0.iter().copied()
    }

    /// Something else of each member in the running.
    pub(super) fn map<U: Copy + Default>(
        &self,
        members: &[Member],
        running: Candidates,
        mut of: impl FnMut(&Member, T) -> U,
    ) -> PerMember<U> {
        let mut all = [U::default(); ProcessorId::COUNT_MAX];
        for ((slot, had), member) in all.iter_mut().zip(self.all()).zip(members) {
            if running.contains(member.id) {
                *slot = of(member, had);
            }
        }
        PerMember(all)
    }

    /// That of one member.
    pub(super) fn get(&self, members: &[Member], id: ProcessorId) -> Option<T> {
        members.iter().zip(self.all()).find(|(m, _)| m.id == id).map(|(_, of)| of)
    }
}

impl PerMember {
    /// Those with the lowest number: more than one where they are equal.
    pub(super) fn lowest(&self, members: &[Member], running: Candidates) -> Candidates {
        let mut lowest = f64::INFINITY;
        let mut who = Candidates::default();
        for (member, number) in self.each(members, running) {
            if number < lowest {
                lowest = number;
                who = Candidates::default();
            }
            if number <= lowest {
                who.insert(member.id);
            }
        }
        who
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members, some};
    use super::*;

    #[test]
    fn equals_are_all_lowest_and_only_who_is_in_the_running_counts() {
        let pool = members(&[1; 4]);
        for (costs, running, want) in [
            ([3.0, 1.0, 2.0, 1.0], all(4), some(&[1, 3])),
            ([3.0, 1.0, 2.0, 1.0], some(&[0, 2]), some(&[2])),
            ([f64::INFINITY; 4], all(4), all(4)),
            ([0.0; 4], Candidates::default(), Candidates::default()),
        ] {
            let numbers = PerMember::of(&pool, running, |m| costs[m.id.index()]);
            assert_eq!(numbers.lowest(&pool, running), want, "{costs:?}");
        }
    }
}
