//! The mark a miss hands out and the PUT that follows hands back: it says when the load began.
//!
//! Its first letter tells the tier that gave it. A fence of another tier, of another process or of an unknown form proves
//! nothing, so it counts as outdated: a load is repeated, and nothing stale is stored.

use std::fmt;

use crate::generation::Generation;

/// When a load began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// As this node counts; without Redis.
    Memory(Local),
    /// As Redis counts.
    Redis(Shared),
}

/// A generation and the process it was counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The process: a random number drawn at start, since every process counts from 0.
    pub boot: u32,
    /// Its generation when the load began.
    pub begun: Generation,
}

/// What Redis knew when a load began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What the node that answered the miss knew.
    pub local: Local,
    /// The generations in Redis.
    pub marks: Marks,
    /// The node's wall clock, in milliseconds: Redis remembers an invalidation long, not forever.
    pub at_ms: u64,
}

/// The generations in Redis of the two keys that can invalidate a value; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Marks {
    /// Of the entity the value describes.
    #[serde(rename = "e")]
    pub entity: u64,
    /// Of the value's own key.
    #[serde(rename = "k")]
    pub key: u64,
}

impl Marks {
    /// Whether what was loaded at these generations is good at `current`.
    pub fn reach(self, current: Marks) -> bool {
        self.entity >= current.entity && self.key >= current.key
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fence::Memory(Local { boot, begun }) => write!(f, "m{boot:x}.{:x}", begun.number()),
            Fence::Redis(Shared { local, marks, at_ms }) => {
                let (boot, begun) = (local.boot, local.begun.number());
                write!(f, "r{boot:x}.{begun:x}.{:x}.{:x}.{at_ms:x}", marks.entity, marks.key)
            }
        }
    }
}

impl Fence {
    /// Reads a fence; `None` for anything this version did not write.
    pub fn parse(text: &str) -> Option<Self> {
        let (tier, rest) = text.split_at_checked(1)?;
        let mut numbers = rest.split('.').map(|n| u64::from_str_radix(n, 16).ok());
        let mut number = || numbers.next().flatten();
        let boot = u32::try_from(number()?).ok()?;
        let local = Local { boot, begun: Generation::from_number(number()?) };
        let fence = match tier {
            "m" => Fence::Memory(local),
            "r" => {
                let marks = Marks { entity: number()?, key: number()? };
                Fence::Redis(Shared { local, marks, at_ms: number()? })
            }
            _ => return None,
        };
        numbers.next().is_none().then_some(fence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::lookup::wire::FENCE_LEN_MAX;

    #[test]
    fn a_fence_survives_the_wire_and_fits() {
        let local = Local { boot: u32::MAX, begun: Generation::from_number((1 << 48) - 1) };
        // Redis counts in microseconds since 1970; these numbers last until the year 2242.
        let marks = Marks { entity: (1 << 53) - 1, key: (1 << 53) - 1 };
        for fence in [Fence::Memory(local), Fence::Redis(Shared { local, marks, at_ms: 1 << 43 })] {
            let text = fence.to_string();
            assert!(text.len() <= FENCE_LEN_MAX, "{text}");
            assert_eq!(Fence::parse(&text), Some(fence));
        }
    }

    #[test]
    fn anything_else_is_no_fence() {
        for text in ["", "m", "m1", "m1.2.3", "r1.2", "r1.2.3.4.5.6", "x1.2", "m1.g", "m100000000.1", "é1.2"] {
            assert_eq!(Fence::parse(text), None, "{text}");
        }
    }
}
