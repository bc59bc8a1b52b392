//! A point to the numbers of all intervals that hold it: a segment tree, filled once.
//!
//! An interval stands at the few nodes that together span it, so that many nested intervals take no more room than as
//! many apart; a point asks the nodes above it, of which only those that hold something cost anything.

use std::collections::BTreeMap;

use crate::rules::spans::Spans;

/// Intervals over an order.
#[derive(Clone)]
pub(super) struct Tree<K> {
    /// Where an interval begins or ends; a leaf is what lies from one of these to the next.
    bounds: Vec<K>,
    /// Node 1 is the root, the children of node n are 2n and 2n + 1, the leaves are the upper half. A number counted
    /// from 1, or 0.
    nodes: Vec<u32>,
}

impl<K: Ord + Clone> Tree<K> {
    /// Of sets of intervals, each with a number; `number` makes one of all the numbers (in order) that stand at a node.
    pub(super) fn new(sets: &[(u32, &Spans<K>)], mut number: impl FnMut(&[u32]) -> u32) -> Self {
        let ends =
            |spans: &'_ Spans<K>| spans.iter().flat_map(|(from, to)| [from.clone(), to.clone()]).collect::<Vec<_>>();
        let mut bounds: Vec<K> = sets.iter().flat_map(|(_, spans)| ends(spans)).collect();
        bounds.sort();
        bounds.dedup();
        let leaves = bounds.len();
        let mut at: Vec<(usize, u32)> = Vec::new();
        for (id, spans) in sets {
            for (from, to) in spans.iter() {
                let leaf = |key: &K| bounds.binary_search(key).unwrap_or(0).saturating_add(leaves);
                let (mut low, mut high) = (leaf(from), leaf(to));
                while low < high {
                    if low % 2 == 1 {
                        at.push((low, *id));
                        low = low.saturating_add(1);
                    }
                    if high % 2 == 1 {
                        high = high.saturating_sub(1);
                        at.push((high, *id));
                    }
                    (low, high) = (low / 2, high / 2);
                }
            }
        }
        at.sort_unstable();
        at.dedup();
        let mut nodes = vec![0; leaves.saturating_mul(2)];
        let mut known: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
        for here in at.chunk_by(|(a, _), (b, _)| a == b) {
            let ids: Vec<u32> = here.iter().map(|(_, id)| *id).collect();
            let made = known.get(&ids).copied().unwrap_or_else(|| number(&ids));
            known.insert(ids, made);
            if let Some(node) = here.first().and_then(|(node, _)| nodes.get_mut(*node)) {
                *node = made.saturating_add(1);
            }
        }
        Self { bounds, nodes }
    }

    /// The numbers at the nodes above a point.
    pub(super) fn find(&self, compare: impl Fn(&K) -> std::cmp::Ordering, mut each: impl FnMut(u32)) {
        let after = self.bounds.partition_point(|bound| compare(bound).is_le());
        let Some(leaf) = after.checked_sub(1) else { return };
        let mut node = leaf.saturating_add(self.bounds.len());
        while node >= 1 {
            if let Some(number) = self.nodes.get(node).and_then(|number| number.checked_sub(1)) {
                each(number);
            }
            node /= 2;
        }
    }

    /// Bytes on the heap, but for those behind the bounds themselves.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.bounds.as_slice()) + size_of_val(self.nodes.as_slice())
    }
}
