//! NGINX's `ip_hash` (`ngx_http_upstream_ip_hash_module.c`): the first three octets of an IPv4 address, all of an IPv6
//! one, hashed by `hash * 113 + octet` modulo 6271 from 89, fall into the weights laid end to end.
//!
//! Where NGINX hashes again when that server is down, we go by rendezvous among the others: so an ejection moves only
//! the ejected addresses, whatever else is out.

use core::net::IpAddr;

use super::Member;
use super::running::weight_of;
use crate::processor::{Candidates, ProcessorId};

/// What of an address is hashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Octets {
    bytes: [u8; 16],
    len: usize,
}

impl Octets {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self { bytes: [a, b, c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], len: 3 }
            }
            IpAddr::V6(v6) => Self { bytes: v6.octets(), len: 16 },
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The member an address belongs to, candidate or not.
pub(super) fn home(members: &[Member], level: Candidates, octets: &[u8]) -> Option<ProcessorId> {
    let hash = octets.iter().fold(89_u64, |hash, octet| (hash * 113 + u64::from(*octet)) % 6_271);
    let mut left = hash.checked_rem(weight_of(members, level))?;
    for member in members.iter().filter(|m| level.contains(m.id)) {
        let weight = u64::from(member.weight);
        if left < weight {
            return Some(member.id);
        }
        left = left.saturating_sub(weight);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, members};
    use super::*;

    #[test]
    fn places_are_those_of_nginx() {
        // From the formula, computed apart in Python.
        let pool = members(&[3, 2, 1]);
        let place = |text: &str| {
            home(&pool, all(3), Octets::of(text.parse().unwrap()).as_bytes()).map(ProcessorId::index).unwrap()
        };
        let four: Vec<_> = (0..16).map(|i| place(&format!("10.{i}.7.{i}"))).collect();
        assert_eq!(four, [1, 1, 0, 0, 0, 2, 1, 1, 0, 0, 0, 2, 1, 1, 0, 0]);
        let six: Vec<_> = (0..16).map(|i| place(&format!("2001:db8::{i:x}"))).collect();
        assert_eq!(six, [0, 0, 1, 1, 2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 1]);
        assert_eq!(place("10.3.7.1"), place("10.3.7.254"), "a /24 stays together");
    }
}
