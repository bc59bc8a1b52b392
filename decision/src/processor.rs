//! A processor as the operator describes it, and sets of them.

use std::fmt;

/// Which processor: its place in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessorId(u8);

impl ProcessorId {
    /// The most processors a configuration may name: a set of them is one machine word.
    pub const COUNT_MAX: usize = 64;

    /// The id of the processor at `index`; none from [`Self::COUNT_MAX`] on.
    pub fn new(index: usize) -> Option<Self> {
        u8::try_from(index).ok().filter(|_| index < Self::COUNT_MAX).map(Self)
    }

    /// Its place in the configuration.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Debug for ProcessorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The processors that may be picked now. It does not say why the others may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidates(u64);

impl Candidates {
    /// Adds a processor.
    pub fn insert(&mut self, id: ProcessorId) {
        self.0 |= 1 << id.0;
    }

    /// Takes a processor away.
    pub fn remove(&mut self, id: ProcessorId) {
        self.0 &= !(1 << id.0);
    }

    /// Has a processor in, or not.
    pub fn set(&mut self, id: ProcessorId, within: bool) {
        if within { self.insert(id) } else { self.remove(id) }
    }

    /// Is it among them?
    pub fn contains(self, id: ProcessorId) -> bool {
        self.0 & (1 << id.0) != 0
    }

    /// Are there none?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All but this one.
    #[must_use]
    pub fn without(self, id: ProcessorId) -> Self {
        Self(self.0 & !(1 << id.0))
    }
}

impl FromIterator<ProcessorId> for Candidates {
    fn from_iter<I: IntoIterator<Item = ProcessorId>>(ids: I) -> Self {
        let mut all = Self::default();
        for id in ids {
            all.insert(id);
        }
        all
    }
}
