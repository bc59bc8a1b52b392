//! A pool for each part of the charges, by a stable id: the same id always falls into the same part.
//!
//! Weighted rendezvous: every part draws `share / -ln(u)` with `u` uniform in (0, 1) from a hash of rule, part and id, and
//! the highest draw wins (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005). A part's share of the ids
//! is its share of the sum, and when one share grows, the ids that move all move into it: the other draws stay as they
//! were. Ranges on a circle would move ids between the parts behind it, too.

use xxhash_rust::xxh64::xxh64;

use super::condition::Attribute;
use super::probe::{Facts, Probe};
use crate::operation::PoolId;

/// What stays the same for all tries of a payment, or all payments of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The idempotency key.
    Key,
    /// Who calls.
    Tenant,
    /// The range of cards.
    Bin,
    /// An attribute that is a text: merchant, header, value of the body.
    Text(Attribute),
}

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    /// How many of the sum of shares; 0 takes nothing.
    pub share: u32,
    /// Its pool.
    pub pool: PoolId,
    /// From the names of rule and part.
    seed: u64,
}

impl Part {
    /// A part of a rule, both by name: another name draws other ids.
    pub fn new(rule: &str, name: &str, share: u32, pool: PoolId) -> Self {
        Self { share, pool, seed: xxh64(name.as_bytes(), xxh64(rule.as_bytes(), 0)) }
    }

    fn draw(&self, id: &[u8]) -> f64 {
        // The half keeps u off both ends, where the logarithm is infinite or 0.
        let bits = u32::try_from(xxh64(id, self.seed) >> 32).unwrap_or(0);
        let uniform = (f64::from(bits) + 0.5) / 4_294_967_296.0;
        f64::from(self.share) / -libm::log(uniform)
    }
}

/// The parts of one rule.
#[derive(Clone, Debug)]
pub struct Split {
    /// By what.
    pub by: Source,
    /// In the order of the configuration.
    pub parts: Vec<Part>,
}

impl Split {
    /// The part of a charge. One without the id falls into the first: always the same, however often it is tried.
    pub fn part(&self, facts: &Facts<'_>) -> (usize, Option<&Part>) {
        let bin = facts.payment.bin;
        let id = match self.by {
            Source::Key => facts.key,
            Source::Tenant => facts.tenant,
            Source::Bin => bin.as_ref().map(crate::payment::Bin::digits),
            Source::Text(attribute) => facts.text(attribute),
        };
        let mut best: Option<(f64, usize)> = None;
        for (at, part) in self.parts.iter().enumerate().filter(|(_, part)| part.share > 0) {
            let Some(id) = id else { break };
            let draw = part.draw(id);
            if best.is_none_or(|(highest, _)| draw > highest) {
                best = Some((draw, at));
            }
        }
        let at = best.map_or(0, |(_, at)| at);
        (at, self.parts.get(at))
    }
}
