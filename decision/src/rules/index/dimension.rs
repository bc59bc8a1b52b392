//! One attribute's values, and the rows that each of them turns.

use std::collections::{BTreeMap, BTreeSet};

use super::sets::{Bits, Builder, SetId};
use super::table::Table;
use super::tree::Tree;
use crate::rules::bins;
use crate::rules::condition::{Attribute, Money, Values, ValuesId};
use crate::rules::probe::Probe;
use crate::rules::spans::Spans;
use crate::rules::terms::{Literal, Wanted};

/// Rows of a value set that becomes one with others where they meet, at most. A longer one is referred to: copied to every
/// place where lists of many ranges overlap it would take more room than the lists.
const MERGED_MAX: usize = 16;

/// One attribute.
#[derive(Clone)]
pub(super) struct Dimension {
    attribute: Attribute,
    /// The rows that a charge without any of the values fulfils here.
    pub(super) base: Bits,
    known: Known,
    /// What the values lead to: parts of `refs`.
    groups: Vec<(u32, u32)>,
    refs: Vec<SetId>,
}

#[derive(Clone)]
enum Known {
    Texts(Table),
    Paths(Tree<Box<[u8]>>),
    Amounts(Tree<Money>),
    Seconds(Tree<u64>),
    /// For BINs of 6 digits, 7, ...: the last is as fine as the values are.
    Bins(Vec<Tree<u64>>),
}

/// Makes one group of row sets out of the value sets that hold a value.
struct Groups<'a> {
    sets: &'a mut Builder,
    /// The rows of each value set.
    rows: &'a BTreeMap<ValuesId, BTreeSet<u32>>,
    known: BTreeMap<Vec<u32>, u32>,
    groups: Vec<(u32, u32)>,
    refs: Vec<SetId>,
}

impl Groups<'_> {
    fn of(&mut self, ids: &[u32]) -> u32 {
        if let Some(group) = self.known.get(ids) {
            return *group;
        }
        let from = self.refs.len();
        let mut short = BTreeSet::new();
        for rows in ids.iter().filter_map(|id| self.rows.get(&ValuesId(*id))) {
            if rows.len() > MERGED_MAX {
                self.refs.push(self.sets.add(rows.iter().copied().collect()));
            } else {
                short.extend(rows);
            }
        }
        if !short.is_empty() {
            self.refs.push(self.sets.add(short.into_iter().collect()));
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.groups.push((number(from), number(self.refs.len())));
        let group = number(self.groups.len().saturating_sub(1));
        self.known.insert(ids.to_vec(), group);
        group
    }
}

fn pick<'a, K>(
    all: &[(u32, &'a Values)],
    spans: impl Fn(&'a Values) -> Option<&'a Spans<K>>,
) -> Vec<(u32, &'a Spans<K>)> {
    all.iter().filter_map(|(id, values)| Some((*id, spans(values)?))).collect()
}

impl Dimension {
    /// Of the demands that rows make on the attribute, at most one each.
    pub(super) fn new(
        attribute: Attribute,
        literals: &[(u32, Literal)],
        count: u32,
        words: usize,
        values: &[Values],
        sets: &mut Builder,
    ) -> Self {
        let mut rows: BTreeMap<ValuesId, BTreeSet<u32>> = BTreeMap::new();
        let mut wanting = BTreeSet::new();
        for (row, literal) in literals {
            rows.entry(literal.values).or_default().insert(*row);
            if literal.wanted == Wanted::One {
                wanting.insert(*row);
            }
        }
        let base = Bits::of((0..count).filter(|row| !wanting.contains(row)), words);
        let all: Vec<(u32, &Values)> = rows.keys().filter_map(|id| Some((id.0, values.get(id.index())?))).collect();
        let mut groups = Groups { sets, rows: &rows, known: BTreeMap::new(), groups: Vec::new(), refs: Vec::new() };
        let known = match attribute {
            Attribute::Path => {
                let all = pick(&all, Values::as_paths);
                Known::Paths(Tree::new(&all, |ids| groups.of(ids)))
            }
            Attribute::Amount => {
                let all = pick(&all, Values::as_amounts);
                Known::Amounts(Tree::new(&all, |ids| groups.of(ids)))
            }
            Attribute::Week | Attribute::Date => {
                Known::Seconds(Tree::new(&pick(&all, Values::as_numbers), |ids| groups.of(ids)))
            }
            Attribute::Bin => {
                let all = pick(&all, Values::as_numbers);
                let lengths = bins::lengths(all.iter().map(|(_, spans)| *spans));
                let each = lengths.into_iter().map(|digits| {
                    let whole: Vec<(u32, Spans<u64>)> =
                        all.iter().map(|(id, spans)| (*id, Spans::new(bins::whole(spans, digits)))).collect();
                    let whole: Vec<(u32, &Spans<u64>)> = whole.iter().map(|(id, spans)| (*id, spans)).collect();
                    Tree::new(&whole, |ids| groups.of(ids))
                });
                Known::Bins(each.collect())
            }
            _ => {
                let texts = all.iter().filter_map(|(id, values)| Some((*id, values.as_texts()?)));
                let each = texts.flat_map(|(id, texts)| texts.iter().map(move |text| (text.as_ref(), id)));
                let mut pairs: Vec<(&[u8], u32)> = each.collect();
                pairs.sort_unstable();
                let mut keys = Vec::new();
                for same in pairs.chunk_by(|(a, _), (b, _)| a == b) {
                    let ids: Vec<u32> = same.iter().map(|(_, id)| *id).collect();
                    if let Some((text, _)) = same.first() {
                        keys.push((*text, groups.of(&ids)));
                    }
                }
                Known::Texts(Table::new(keys.into_iter()))
            }
        };
        let Groups { groups, refs, .. } = groups;
        Self { attribute, base, known, groups, refs }
    }

    /// How many rows pass here unasked.
    pub(super) fn passed(&self) -> u64 {
        self.base.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The sets of rows that the charge's value turns; no two of them share a row.
    pub(super) fn find(&self, probe: &impl Probe, mut each: impl FnMut(SetId)) {
        let group = |group: u32| {
            let range = usize::try_from(group).ok().and_then(|group| self.groups.get(group));
            let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
            let refs = range.and_then(|(from, to)| self.refs.get(place(*from)..place(*to)));
            refs.unwrap_or_default().iter().copied().for_each(&mut each);
        };
        match &self.known {
            Known::Texts(table) => {
                probe.text(self.attribute).and_then(|text| table.find(text)).into_iter().for_each(group);
            }
            Known::Paths(tree) => {
                if let Some(path) = probe.text(self.attribute) {
                    tree.find(|bound| bound.as_ref().cmp(path), group);
                }
            }
            Known::Amounts(tree) => {
                let amount = probe.amount();
                tree.find(|bound| bound.cmp(&amount), group);
            }
            Known::Seconds(tree) => {
                let seconds = probe.seconds(self.attribute);
                tree.find(|bound| bound.cmp(&seconds), group);
            }
            Known::Bins(trees) => {
                let Some(bin) = probe.bin() else { return };
                let finer = bin.digits().len().saturating_sub(crate::payment::Bin::LEN_MIN);
                let Some(at) = trees.len().checked_sub(1).map(|last| last.min(finer)) else { return };
                let cut = bins::cut(&bin, at.saturating_add(crate::payment::Bin::LEN_MIN));
                if let Some(tree) = trees.get(at) {
                    tree.find(|bound| bound.cmp(&cut), group);
                }
            }
        }
    }

    /// Bytes on the heap, about.
    pub(super) fn bytes(&self) -> usize {
        let known = match &self.known {
            Known::Texts(table) => table.bytes(),
            Known::Paths(tree) => tree.bytes(),
            Known::Amounts(tree) => tree.bytes(),
            Known::Seconds(tree) => tree.bytes(),
            Known::Bins(trees) => trees.iter().map(Tree::bytes).sum(),
        };
        known
            .saturating_add(size_of_val(self.groups.as_slice()))
            .saturating_add(size_of_val(self.refs.as_slice()))
            .saturating_add(size_of_val(self.base.words.as_slice()))
    }
}
