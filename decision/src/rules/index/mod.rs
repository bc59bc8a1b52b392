//! Which rows a charge fulfils, without asking every row.
//!
//! A row is a conjunction of demands. For each attribute that some row asks about there is a [`Dimension`]: the rows
//! that a charge without the attribute fulfils there (they do not ask, or want none of some values), and for each value
//! the rows of which that turns into its opposite. The rows that all dimensions let pass, 64 at a time, are those that
//! hold; a summary of which words hold a bit at all skips most words unread. So the cost grows with rows / 64 at worst,
//! and mostly with the rows that the charge's own values name.
//!
//! Rows stand in the order of what they ask, not of their rules: those that ask alike share words, and a value's rows lie
//! close together. The least rule of each word tells which words a match that was found makes needless.
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

/// Words under one word of a summary.
const BLOCK: usize = 64;
/// Where more words of a block than these may hold a row, all are read at once: 64 in a line take as long as some 8 that
/// are looked for one by one.
const FEW: u32 = 8;

/// A row: a part of a rule.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) rule: u32,
    pub(super) rest: Rest,
}

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
    /// The first rule of each word.
    least: Vec<u32>,
}

/// Where rows stand: by the attributes they ask about, then by the values. Gives their places in `terms`. Of rows that ask
/// the same only the first is left, as the others never get their turn.
pub(super) fn order(terms: &[(Row, Term)]) -> Vec<usize> {
    let key = |at: &usize| {
        let term = terms.get(*at).map(|(_, term)| term.as_slice()).unwrap_or_default();
        let attributes: Vec<_> = term.iter().map(|literal| (literal.attribute, literal.wanted)).collect();
        let values: Vec<_> = term.iter().map(|literal| literal.values).collect();
        (attributes, values)
    };
    let mut places: Vec<usize> = (0..terms.len()).collect();
    places.sort_by_cached_key(key);
    places.dedup_by(|later, first| match (terms.get(*first), terms.get(*later)) {
        (Some((first, asked)), Some((later, same))) => {
            asked == same && (first.rest, later.rest) == (Rest::Exact, Rest::Exact)
        }
        _ => false,
    });
    places
}

impl Index {
    /// Of rows in the order that [`order`] gives. A row with more demands on one attribute than are looked up is marked.
    pub(super) fn new(terms: &[&Term], values: &[Values], marks: &mut [Row]) -> Self {
        let words = terms.len().div_ceil(64);
        let mut asked: BTreeMap<(Attribute, usize), Vec<(u32, Literal)>> = BTreeMap::new();
        for ((row, term), mark) in (0..).zip(terms).zip(marks.iter_mut()) {
            for same in term.chunk_by(|a, b| a.attribute == b.attribute) {
                for (layer, literal) in same.iter().enumerate() {
                    if layer < LAYERS {
                        asked.entry((literal.attribute, layer)).or_default().push((row, *literal));
                    } else {
                        mark.rest = Rest::Ask;
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
        let least = marks.chunks(64).map(|word| word.iter().map(|row| row.rule).min().unwrap_or(u32::MAX)).collect();
        Self { dimensions, sets: sets.finish(), words, rows, least }
    }

    /// The rows whose demands the charge fulfils, in no order of their rules. Of rules from `below` on some are left out.
    pub(super) fn rows<P: Probe>(&self, probe: &P, below: u32) -> Rows<'_> {
        let mut readers = Vec::with_capacity(self.dimensions.len());
        let mut lanes = Vec::with_capacity(self.dimensions.len());
        for dimension in &self.dimensions {
            let from = readers.len();
            dimension.find(probe, |set| readers.push(self.sets.read(set)));
            lanes.push((&dimension.base, from..readers.len()));
        }
        Rows { index: self, lanes, readers, block: 0, left: None, whole: None, word: 0, bits: 0, below }
    }

    /// Bytes on the heap, about.
    pub(super) fn bytes(&self) -> usize {
        let dimensions = self.dimensions.iter().map(Dimension::bytes).sum::<usize>();
        dimensions.saturating_add(self.sets.bytes()).saturating_add(size_of_val(self.least.as_slice()))
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
    /// The 64 words, where most of them had to be looked at.
    whole: Option<[u64; BLOCK]>,
    word: usize,
    bits: u64,
    /// No later rule is asked for.
    pub(super) below: u32,
}

impl Rows<'_> {
    /// A bit for each word of the block that may hold a row.
    fn look(&mut self) -> u64 {
        let mut summary = self.summary();
        if self.below != u32::MAX {
            summary = self.early(summary);
        }
        self.whole = None;
        if summary.count_ones() <= FEW {
            return summary;
        }
        let words = self.whole();
        let bits = (0..).zip(&words).filter(|(_, word)| **word != 0).fold(0, |bits, (at, _)| bits | 1_u64 << at);
        self.whole = Some(words);
        bits
    }

    /// Those of the words that hold a rule that is early enough.
    fn early(&self, words: u64) -> u64 {
        let least = self.index.least.get(self.block.saturating_mul(BLOCK)..).unwrap_or_default();
        let early = (0..BLOCK).zip(least).filter(|(_, least)| **least < self.below);
        words & early.fold(0, |bits, (at, _)| bits | 1_u64 << at)
    }

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

    /// All words of the block.
    fn whole(&mut self) -> [u64; BLOCK] {
        let mut all = [u64::MAX; BLOCK];
        let from = self.block.saturating_mul(BLOCK);
        for (base, range) in &self.lanes {
            let base = base.words.get(from..).unwrap_or_default();
            let readers = self.readers.get_mut(range.clone()).unwrap_or_default();
            if readers.is_empty() {
                all.iter_mut().zip(base).for_each(|(all, base)| *all &= base);
            } else {
                let mut turned = [0; BLOCK];
                readers.iter_mut().for_each(|reader| reader.block(self.block, &mut turned));
                all.iter_mut().zip(base).zip(turned).for_each(|((all, base), turned)| *all &= base ^ turned);
            }
            if all.iter().fold(0, |any, word| any | word) == 0 {
                return all;
            }
        }
        // What lies behind the last word is no row.
        all.iter_mut().skip(self.index.words.saturating_sub(from)).for_each(|word| *word = 0);
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
            let first = self.block.saturating_mul(BLOCK);
            if first >= self.index.words {
                return None;
            }
            let left = match self.left {
                Some(left) => left,
                None => self.look(),
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
            if self.index.least.get(self.word).is_none_or(|least| *least >= self.below) {
                continue;
            }
            self.bits = match &self.whole {
                Some(words) => words.get(self.word % BLOCK).copied().unwrap_or(0),
                None => self.word(self.word),
            };
        }
    }
}
