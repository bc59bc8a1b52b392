//! Which rows a charge fulfils, without asking every row.
//!
//! A row is a conjunction of demands. For each attribute that some row asks about there is a [`Dimension`]: the rows
//! that a charge without the attribute fulfils there (they do not ask, or want none of some values), and for each value
//! the rows of which that turns into its opposite. The rows that all dimensions let pass, 64 at a time, are those that
//! hold; a summary of which words hold a bit at all skips most words unread. So the cost grows with rows / 64 at worst,
//! and mostly with the rows that the charge's own values name.
//!
//! A second demand of a row on one attribute (in this list, not in that one) stands in a dimension of its own.

mod dimension;
mod sets;
mod table;
mod tree;

use std::collections::BTreeMap;

use super::condition::{Attribute, Values};
use super::probe::Probe;
use super::terms::{Literal, Term};
use dimension::Dimension;
use sets::{Bits, Reader, Sets};

/// Demands of one row on one attribute that are looked up, at most.
const LAYERS: usize = 4;

/// What a row's demands leave to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Exact,
    /// The whole condition: the demands are only a part of it.
    Ask,
}

/// Rows, compiled.
#[derive(Clone, Default)]
pub(super) struct Index {
    /// Those that the fewest rows pass unasked come first.
    dimensions: Vec<Dimension>,
    sets: Sets,
    words: usize,
    /// Bits of the rows that exist, as the last word is not full.
    rows: u32,
}

impl Index {
    /// Of rows in order. A row with more demands on one attribute than are looked up is marked in `rest`.
    pub(super) fn new(terms: &[&Term], values: &[Values], rest: &mut [Rest]) -> Self {
        let words = terms.len().div_ceil(64);
        let mut asked: BTreeMap<(Attribute, usize), Vec<(u32, Literal)>> = BTreeMap::new();
        for ((row, term), rest) in (0..).zip(terms).zip(rest) {
            for same in term.chunk_by(|a, b| a.attribute == b.attribute) {
                for (layer, literal) in same.iter().enumerate() {
                    if layer < LAYERS {
                        asked.entry((literal.attribute, layer)).or_default().push((row, *literal));
                    } else {
                        *rest = Rest::Ask;
                    }
                }
            }
        }
        let mut sets = sets::Builder::new(words);
        let rows = u32::try_from(terms.len()).unwrap_or(u32::MAX);
        let each = asked.into_iter();
        let mut dimensions: Vec<Dimension> = each
            .map(|((attribute, _), literals)| Dimension::new(attribute, &literals, rows, words, values, &mut sets))
            .collect();
        dimensions.sort_by_key(Dimension::passed);
        Self { dimensions, sets: sets.finish(), words, rows }
    }

    /// The rows whose demands the charge fulfils, in order.
    pub(super) fn rows<P: Probe>(&self, probe: &P) -> Rows<'_> {
        let mut readers = Vec::with_capacity(self.dimensions.len());
        let mut lanes = Vec::with_capacity(self.dimensions.len());
        for dimension in &self.dimensions {
            let from = readers.len();
            dimension.find(probe, |set| readers.push(self.sets.read(set)));
            lanes.push((&dimension.base, from..readers.len()));
        }
        Rows { index: self, lanes, readers, block: 0, left: None, word: 0, bits: 0 }
    }

    /// Bytes on the heap, about.
    pub(super) fn bytes(&self) -> usize {
        self.dimensions.iter().map(Dimension::bytes).sum::<usize>().saturating_add(self.sets.bytes())
    }
}

/// Iterates over the rows that hold.
pub(super) struct Rows<'a> {
    index: &'a Index,
    /// For each dimension the rows that pass unasked, and which readers turn some of them.
    lanes: Vec<(&'a Bits, std::ops::Range<usize>)>,
    readers: Vec<Reader<'a>>,
    /// 64 words; and those of them that are yet to be looked at, once that is known.
    block: usize,
    left: Option<u64>,
    word: usize,
    bits: u64,
}

impl Rows<'_> {
    fn summary(&mut self) -> u64 {
        let mut all = u64::MAX;
        for (base, range) in &self.lanes {
            let mut one = base.summary.get(self.block).copied().unwrap_or(0);
            for reader in self.readers.get_mut(range.clone()).unwrap_or_default() {
                one |= reader.summary(self.block);
            }
            all &= one;
            if all == 0 {
                break;
            }
        }
        all
    }

    fn word(&mut self, word: usize) -> u64 {
        let mut all = u64::MAX;
        for (base, range) in &self.lanes {
            let mut turned = 0;
            for reader in self.readers.get_mut(range.clone()).unwrap_or_default() {
                turned |= reader.word(word);
            }
            all &= base.words.get(word).copied().unwrap_or(0) ^ turned;
            if all == 0 {
                break;
            }
        }
        all
    }
}

impl Iterator for Rows<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            if self.bits != 0 {
                let bit = self.bits.trailing_zeros();
                self.bits &= self.bits.wrapping_sub(1);
                let row = u32::try_from(self.word).unwrap_or(u32::MAX).saturating_mul(64).saturating_add(bit);
                // Without any dimension the bits of rows that do not exist are set, too.
                return (row < self.index.rows).then_some(row);
            }
            let first = self.block.saturating_mul(64);
            if first >= self.index.words {
                return None;
            }
            let left = match self.left {
                Some(left) => left,
                None => self.summary(),
            };
            if left == 0 {
                (self.block, self.left) = (self.block.saturating_add(1), None);
                continue;
            }
            self.left = Some(left & left.wrapping_sub(1));
            self.word = first.saturating_add(usize::try_from(left.trailing_zeros()).unwrap_or(0));
            if self.word >= self.index.words {
                return None;
            }
            self.bits = self.word(self.word);
        }
    }
}
