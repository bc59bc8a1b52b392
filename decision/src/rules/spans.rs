//! Sets of half-open intervals: amounts, account ranges, times, paths that begin alike.

/// Intervals from the first (included) to the second (excluded), in order, none empty, none touching another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spans<K>(Vec<(K, K)>);

impl<K: Ord + Clone> Spans<K> {
    /// Of intervals in any order; those that meet become one.
    pub fn new(mut spans: Vec<(K, K)>) -> Self {
        spans.retain(|(from, to)| from < to);
        spans.sort();
        let mut merged: Vec<(K, K)> = Vec::with_capacity(spans.len());
        for (from, to) in spans {
            match merged.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(end.clone()),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    /// The intervals.
    pub fn iter(&self) -> std::slice::Iter<'_, (K, K)> {
        self.0.iter()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does one of them hold the whole of `from` to `to`?
    pub fn cover(&self, from: &K, to: &K) -> bool {
        let at = self.0.partition_point(|(start, _)| start <= from);
        at.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| to <= end)
    }

    /// Does one of them hold the point?
    pub fn hold(&self, point: &K) -> bool {
        let at = self.0.partition_point(|(start, _)| start <= point);
        at.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| point < end)
    }

    /// Is every interval held by one of `other`?
    pub fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|(from, to)| other.cover(from, to))
    }

    /// What both hold.
    pub fn and(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some((from, to)), Some((start, end))) = (left.peek(), right.peek()) {
            let (low, high) = (from.max(start), to.min(end));
            if low < high {
                both.push((low.clone(), high.clone()));
            }
            if to <= end {
                left.next();
            } else {
                right.next();
            }
        }
        Self(both)
    }

    /// What `other` does not hold.
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for (from, to) in &self.0 {
            let mut from = from.clone();
            let first = other.0.partition_point(|(_, end)| *end <= from);
            for (start, end) in other.0.iter().skip(first).take_while(|(start, _)| start < to) {
                if from < *start {
                    left.push((from, start.clone()));
                }
                from = end.clone();
            }
            if from < *to {
                left.push((from, to.clone()));
            }
        }
        Self(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans() -> impl Strategy<Value = Spans<u8>> {
        prop::collection::vec((0_u8..24, 0_u8..24), 0..6).prop_map(Spans::new)
    }

    proptest! {
        #[test]
        fn they_are_sets_of_points(a in spans(), b in spans(), from in 0_u8..24, to in 0_u8..24) {
            for set in [&a, &b, &a.and(&b), &a.without(&b)] {
                prop_assert_eq!(&Spans::new(set.0.clone()), set, "in order, apart, none empty");
            }
            for p in 0..24 {
                prop_assert_eq!(a.and(&b).hold(&p), a.hold(&p) && b.hold(&p));
                prop_assert_eq!(a.without(&b).hold(&p), a.hold(&p) && !b.hold(&p));
            }
            prop_assert_eq!(a.within(&b), (0..24).all(|p| !a.hold(&p) || b.hold(&p)));
            prop_assert!(from >= to || a.cover(&from, &to) == (from..to).all(|p| a.hold(&p)));
        }
    }
}
