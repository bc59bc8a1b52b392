//! The ketama ring of NGINX's `hash ... consistent` (`ngx_http_upstream_hash_module.c`): 160 points per weight, the
//! CRC-32 of host, zero byte, port and the point before, each four bytes little-endian. A key belongs to the first point
//! at or after its own CRC-32; when that one's member is out, to the next point whose member is not.

use super::Member;
use crate::processor::{Candidates, ProcessorId};

/// Points per unit of weight, as in NGINX.
pub(crate) const POINTS_PER_WEIGHT: u64 = 160;
/// The walk ends after so many points: by then only members of very small weight are left, and a hash finds one of them.
const WALK_MAX: usize = 512;

#[derive(Debug)]
pub(super) struct Ring(Vec<(u32, ProcessorId)>);

impl Ring {
    /// The ring of one level.
    pub(super) fn new(members: &[Member], level: Candidates) -> Self {
        let mut points = Vec::new();
        for member in members.iter().filter(|m| level.contains(m.id)) {
            let (host, port) = split_port(member.hash_key.as_bytes());
            let base = [host, b"\0", port].into_iter().fold(Crc32::START, Crc32::update);
            let mut before = 0_u32;
            for _ in 0..u64::from(member.weight).saturating_mul(POINTS_PER_WEIGHT) {
                before = base.update(&before.to_le_bytes()).finish();
                points.push((before, member.id));
            }
        }
        points.sort_by_key(|(hash, _)| *hash);
        points.dedup_by_key(|(hash, _)| *hash);
        Self(points)
    }

    /// The member a key belongs to among those that are left; none when the walk finds none of them.
    pub(super) fn home(&self, left: Candidates, key: &[u8]) -> Option<ProcessorId> {
        next(&self.0, Crc32::START.update(key).finish(), left)
    }
}

/// The first member at or after `hash` on a sorted ring that is left; none when the walk finds none of them.
pub(super) fn next<H: Ord>(ring: &[(H, ProcessorId)], hash: H, left: Candidates) -> Option<ProcessorId> {
    let start = ring.partition_point(|(point, _)| *point < hash);
    let (before, after) = ring.split_at_checked(start)?;
    let walk = after.iter().chain(before).take(WALK_MAX);
    walk.map(|(_, id)| *id).find(|id| left.contains(*id))
}

/// Host and port of `host:port`, as NGINX cuts them.
fn split_port(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|b| *b == b':') {
        Some(colon) => match name.split_at_checked(colon) {
            Some((host, [_, port @ ..])) if port.iter().all(u8::is_ascii_digit) => (host, port),
            _ => (name, b""),
        },
        None => (name, b""),
    }
}

/// CRC-32 of IEEE 802.3, four bits at a time.
#[derive(Clone, Copy)]
struct Crc32(u32);

impl Crc32 {
    const START: Self = Self(u32::MAX);
    /// The remainders of the reflected polynomial 0xedb88320 for four bits.
    const TABLE: [u32; 16] = [
        0x0000_0000,
        0x1db7_1064,
        0x3b6e_20c8,
        0x26d9_30ac,
        0x76dc_4190,
        0x6b6b_51f4,
        0x4db2_6158,
        0x5005_713c,
        0xedb8_8320,
        0xf00f_9344,
        0xd6d6_a3e8,
        0xcb61_b38c,
        0x9b64_c2b0,
        0x86d3_d2d4,
        0xa00a_e278,
        0xbdbd_f21c,
    ];

    fn update(self, bytes: &[u8]) -> Self {
        let step = |crc: u32, bits: u32| {
            let entry = usize::try_from((crc ^ bits) & 15).ok().and_then(|at| Self::TABLE.get(at));
            entry.copied().unwrap_or(0) ^ (crc >> 4)
        };
        Self(bytes.iter().fold(self.0, |crc, byte| {
            let byte = u32::from(*byte);
            step(step(crc, byte), byte >> 4)
        }))
    }

    fn finish(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members, some};
    use super::*;

    fn named(names: &[(&str, u32)]) -> Vec<Member> {
        let weights: Vec<u32> = names.iter().map(|(_, weight)| *weight).collect();
        let mut pool = members(&weights);
        for (member, (name, _)) in pool.iter_mut().zip(names) {
            member.hash_key = (*name).into();
        }
        pool
    }

    #[test]
    fn the_crc_is_the_usual_one() {
        // The check value of the CRC catalogue.
        assert_eq!(Crc32::START.update(b"123456789").finish(), 0xcbf4_3926);
    }

    #[test]
    fn points_and_places_are_those_of_nginx() {
        // From the formula, computed apart in Python with zlib's CRC-32.
        type Case<'a> = (&'a [(&'a str, u32)], [u32; 3], [usize; 24]);
        let table: [Case; 2] = [
            (
                &[("a", 3), ("b", 2), ("c", 1)],
                [1_919_581_532, 2_390_861_176, 734_686_601],
                [1, 1, 0, 2, 1, 2, 2, 0, 0, 0, 0, 2, 1, 2, 0, 0, 1, 1, 1, 2, 0, 1, 1, 0],
            ),
            (
                &[("127.0.0.1:8081", 1), ("127.0.0.1:8082", 1), ("127.0.0.1:8083", 2)],
                [1_353_366_775, 3_101_462_538, 708_007_374],
                [2, 0, 2, 0, 0, 2, 0, 2, 2, 2, 2, 1, 0, 2, 0, 1, 2, 1, 2, 2, 2, 0, 1, 1],
            ),
        ];
        for (names, points, want) in table {
            let pool = named(names);
            let ring = Ring::new(&pool, all(3));
            let first = ProcessorId::new(0).unwrap();
            for point in points {
                assert!(ring.0.contains(&(point, first)), "{names:?}: {point}");
            }
            let place = |i: usize| ring.home(all(3), format!("merchant-{i}").as_bytes()).unwrap().index();
            assert_eq!((0..24).map(place).collect::<Vec<_>>(), want, "{names:?}");
        }
    }

    #[test]
    fn who_has_hardly_a_point_is_not_searched_for() {
        let pool = named(&[("a", 1_000), ("b", 1)]);
        let ring = Ring::new(&pool, all(2));
        let found = (0..100_u32).filter(|i| ring.home(some(&[1]), &i.to_le_bytes()).is_some()).count();
        assert!((1..100).contains(&found), "{found}");
    }

    #[test]
    fn only_digits_are_a_port() {
        for (name, want) in [("a:80", ("a", "80")), ("a", ("a", "")), ("a:b", ("a:b", "")), ("::1", (":", "1"))] {
            assert_eq!(split_port(name.as_bytes()), (want.0.as_bytes(), want.1.as_bytes()));
        }
    }
}
