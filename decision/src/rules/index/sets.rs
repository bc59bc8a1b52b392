//! Sets of rows, each kept once: few rows as a list, many as bits.

use std::collections::BTreeMap;

/// Rows per word of bits.
const BITS: u32 = u64::BITS;

/// A set of rows; its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetId(u32);

#[derive(Clone, Copy)]
enum Kept {
    /// A part of `rows`.
    List { at: u32, len: u32 },
    /// Words of `bits`, then their summary: a bit for each word that is not zero.
    Bits { at: u32 },
}

/// All sets.
#[derive(Clone, Default)]
pub(super) struct Sets {
    /// Words that hold a bit for each row.
    words: usize,
    rows: Vec<u32>,
    bits: Vec<u64>,
    kept: Vec<Kept>,
}

/// Bits for each row, and a bit for each word of them that is not zero.
#[derive(Clone)]
pub(super) struct Bits {
    pub(super) words: Vec<u64>,
    pub(super) summary: Vec<u64>,
}

/// The word and the bit of a row.
pub(super) fn place(row: u32) -> (usize, u64) {
    (usize::try_from(row / BITS).unwrap_or(usize::MAX), 1_u64 << (row % BITS))
}

impl Bits {
    /// Of rows within so many words.
    pub(super) fn of(rows: impl IntoIterator<Item = u32>, words: usize) -> Self {
        let mut all = vec![0_u64; words];
        for row in rows {
            let (word, bit) = place(row);
            if let Some(word) = all.get_mut(word) {
                *word |= bit;
            }
        }
        let summary = all.chunks(64).map(|chunk| {
            let set = chunk.iter().enumerate().filter(|(_, word)| **word != 0);
            set.fold(0, |bits, (i, _)| bits | 1_u64 << (i % 64))
        });
        Self { summary: summary.collect(), words: all }
    }
}

/// Builds [`Sets`]; equal sets get one place.
pub(super) struct Builder {
    sets: Sets,
    known: BTreeMap<Vec<u32>, SetId>,
}

impl Builder {
    pub(super) fn new(words: usize) -> Self {
        Self { sets: Sets { words, ..Sets::default() }, known: BTreeMap::new() }
    }

    /// Of rows in order, each once.
    pub(super) fn add(&mut self, rows: Vec<u32>) -> SetId {
        if let Some(id) = self.known.get(&rows) {
            return *id;
        }
        let sets = &mut self.sets;
        let id = SetId(u32::try_from(sets.kept.len()).unwrap_or(u32::MAX));
        let kept = if rows.len() > sets.words {
            let at = u32::try_from(sets.bits.len()).unwrap_or(u32::MAX);
            let Bits { words, summary } = Bits::of(rows.iter().copied(), sets.words);
            sets.bits.extend(words);
            sets.bits.extend(summary);
            Kept::Bits { at }
        } else {
            let at = u32::try_from(sets.rows.len()).unwrap_or(u32::MAX);
            sets.rows.extend(&rows);
            Kept::List { at, len: u32::try_from(rows.len()).unwrap_or(u32::MAX) }
        };
        sets.kept.push(kept);
        self.known.insert(rows, id);
        id
    }

    pub(super) fn finish(self) -> Sets {
        let mut sets = self.sets;
        sets.rows.shrink_to_fit();
        sets.bits.shrink_to_fit();
        sets.kept.shrink_to_fit();
        sets
    }
}

/// A set that is read forward, word by word.
pub(super) enum Reader<'a> {
    List(&'a [u32]),
    Bits { words: &'a [u64], summary: &'a [u64] },
}

impl Sets {
    pub(super) fn read(&self, SetId(id): SetId) -> Reader<'_> {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        match self.kept.get(place(id)) {
            Some(Kept::List { at, len }) => {
                let from = place(*at);
                Reader::List(self.rows.get(from..from.saturating_add(place(*len))).unwrap_or_default())
            }
            Some(Kept::Bits { at }) => {
                let rest = self.bits.get(place(*at)..).unwrap_or_default();
                let (words, rest) = rest.split_at_checked(self.words).unwrap_or_default();
                Reader::Bits { words, summary: rest.get(..self.words.div_ceil(64)).unwrap_or_default() }
            }
            None => Reader::List(&[]),
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.rows.as_slice()) + size_of_val(self.bits.as_slice()) + size_of_val(self.kept.as_slice())
    }
}

impl Reader<'_> {
    /// A bit for each word of 64 from `block * 64` on that may hold a row.
    pub(super) fn summary(&mut self, block: usize) -> u64 {
        match self {
            Self::Bits { summary, .. } => summary.get(block).copied().unwrap_or(0),
            Self::List(rows) => {
                let block = u32::try_from(block).unwrap_or(u32::MAX);
                let of = |row: u32| row / (64 * BITS);
                while rows.first().is_some_and(|row| of(*row) < block) {
                    *rows = rows.get(1..).unwrap_or_default();
                }
                let here = rows.iter().take_while(|row| of(**row) == block);
                here.fold(0, |bits, row| bits | 1_u64 << (row / BITS % 64))
            }
        }
    }

    /// Adds the rows of a block of 64 words. Blocks are asked for in rising order.
    pub(super) fn block(&mut self, block: usize, words: &mut [u64; 64]) {
        match self {
            Self::Bits { words: all, .. } => {
                let here = all.get(block.saturating_mul(64)..).unwrap_or_default();
                words.iter_mut().zip(here).for_each(|(word, more)| *word |= more);
            }
            Self::List(rows) => {
                let wanted = u32::try_from(block).unwrap_or(u32::MAX);
                while let Some(row) = rows.first().filter(|row| **row / (64 * BITS) <= wanted) {
                    let (word, bit) = place(row % (64 * BITS));
                    if row / (64 * BITS) == wanted
                        && let Some(word) = words.get_mut(word)
                    {
                        *word |= bit;
                    }
                    *rows = rows.get(1..).unwrap_or_default();
                }
            }
        }
    }

    /// The rows of a word. Words are asked for in rising order.
    pub(super) fn word(&mut self, word: usize) -> u64 {
        match self {
            Self::Bits { words, .. } => words.get(word).copied().unwrap_or(0),
            Self::List(rows) => {
                let wanted = u32::try_from(word).unwrap_or(u32::MAX);
                let mut bits = 0;
                while let Some(row) = rows.first().filter(|row| **row / BITS <= wanted) {
                    if *row / BITS == wanted {
                        bits |= 1_u64 << (row % BITS);
                    }
                    *rows = rows.get(1..).unwrap_or_default();
                }
                bits
            }
        }
    }
}
