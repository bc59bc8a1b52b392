//! Envoy's Maglev table (`maglev_lb.cc`, after Eisenbud et al., "Maglev", 2016): every member fills places of a table of
//! prime size in an order of its own, in turns as its weight allows; a key is a place.
//!
//! With the same sizes, weights and hash keys it is the table of Envoy. Envoy builds it anew when a host is out, which
//! moves keys of others too; here a key whose member is out goes on by rendezvous, and no other key moves.

use xxhash_rust::xxh64::xxh64;

use super::Member;
use crate::processor::{Candidates, ProcessorId};

#[derive(Debug)]
pub(super) struct Maglev(Vec<ProcessorId>);

struct Filling {
    id: ProcessorId,
    offset: u64,
    skip: u64,
    weight: f64,
    target: f64,
    next: u64,
}

impl Maglev {
    /// The table of one level.
    pub(super) fn new(members: &[Member], level: Candidates, size: u32) -> Self {
        let size = u64::from(size.max(2));
        let mut sorted: Vec<&Member> = members.iter().filter(|m| level.contains(m.id)).collect();
        sorted.sort_by(|a, b| a.hash_key.cmp(&b.hash_key));
        let sum: f64 = sorted.iter().map(|m| f64::from(m.weight)).sum();
        let filling = |m: &&Member| Filling {
            id: m.id,
            offset: xxh64(m.hash_key.as_bytes(), 0) % size,
            skip: xxh64(m.hash_key.as_bytes(), 1) % (size - 1) + 1,
            // As Envoy normalises, so that equal doubles decide equal turns.
            weight: f64::from(m.weight) / sum,
            target: 0.0,
            next: 0,
        };
        let mut all: Vec<Filling> = sorted.iter().map(filling).collect();
        let heaviest = all.iter().fold(0.0, |most: f64, one| most.max(one.weight));
        let mut table: Vec<Option<ProcessorId>> = vec![None; usize::try_from(size).unwrap_or(0)];
        let mut free = table.len();
        let mut turn = 0.0;
        // The heaviest takes a place in every turn, so this ends after `size` turns.
        while free > 0 && !all.is_empty() {
            turn += 1.0;
            for one in &mut all {
                if free == 0 || turn * one.weight < one.target {
                    continue;
                }
                one.target += heaviest;
                // A prime size and a skip below it: the order visits every place, so a free one is met.
                for _ in 0..size {
                    let place = (one.offset + one.skip * one.next) % size;
                    one.next += 1;
                    if let Some(place) = usize::try_from(place).ok().and_then(|at| table.get_mut(at))
                        && place.is_none()
                    {
                        *place = Some(one.id);
                        free -= 1;
                        break;
                    }
                }
            }
        }
        Self(table.into_iter().flatten().collect())
    }

    /// The member a key belongs to, candidate or not.
    pub(super) fn home(&self, key: &[u8]) -> Option<ProcessorId> {
        self.at(xxh64(key, 0))
    }

    fn at(&self, hash: u64) -> Option<ProcessorId> {
        let place = hash.checked_rem(u64::try_from(self.0.len()).ok()?)?;
        self.0.get(usize::try_from(place).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members};
    use super::*;

    #[test]
    fn tables_are_those_of_envoy() {
        // The assignments that Envoy's own tests pin: maglev_lb_test.cc, Basic, BasicWithHostName and Weighted.
        let address = |port: usize| format!("127.0.0.1:{port}");
        for (keys, weights, size, want) in [
            ((90..96).map(address).collect::<Vec<_>>(), &[1; 6][..], 7, &[2, 4, 0, 1, 5, 0, 3][..]),
            ((90..96).map(|port| port.to_string()).collect(), &[1; 6], 7, &[2, 5, 0, 3, 4, 1, 0]),
            ((90..92).map(address).collect(), &[1, 2], 17, &[1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1]),
        ] {
            let mut pool = members(weights);
            for (member, key) in pool.iter_mut().zip(&keys) {
                member.hash_key = key.as_str().into();
            }
            let table = Maglev::new(&pool, all(weights.len()), size);
            let got: Vec<_> = (0..u64::from(size)).filter_map(|i| table.at(i)).map(ProcessorId::index).collect();
            assert_eq!(got, want, "{keys:?}");
            // However the members are listed.
            pool.reverse();
            assert_eq!(Maglev::new(&pool, all(weights.len()), size).0, table.0);
        }
    }

    #[test]
    fn places_follow_the_weights() {
        let pool = members(&[3, 2, 1]);
        let table = Maglev::new(&pool, all(3), 65_537);
        for (id, want) in (0..3).filter_map(ProcessorId::new).zip([32_768_i64, 21_845, 10_922]) {
            let got = i64::try_from(table.0.iter().filter(|at| **at == id).count()).unwrap();
            assert!((got - want).abs() <= 2, "{id:?}: {got}, not {want}");
        }
    }
}
