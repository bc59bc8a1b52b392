//! A condition as alternatives of plain demands: its disjunctive normal form, bounded.

use super::condition::{Attribute, Condition, ValuesId};

/// A demand on one attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Literal {
    /// Which.
    pub(super) attribute: Attribute,
    /// Of which values.
    pub(super) values: ValuesId,
    /// One of them, or none of them?
    pub(super) wanted: Wanted,
}

/// What a [`Literal`] wants of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    One,
    None,
}

/// Demands that must all be met; in order, each once.
pub(super) type Term = Vec<Literal>;

/// Alternatives of one condition, at most. Ten lists joined with ten others are a hundred, and more than a rule that
/// somebody reads has.
const TERMS_MAX: usize = 64;

/// The alternatives; none: there are more than [`TERMS_MAX`].
pub(super) fn of(condition: &Condition) -> Option<Vec<Term>> {
    expand(condition, Wanted::One)
}

/// Demands that the condition makes in any case, and it may make more.
pub(super) fn certain(condition: &Condition) -> Term {
    fn walk(condition: &Condition, term: &mut Term) {
        match condition {
            Condition::All(each) => each.iter().for_each(|one| walk(one, term)),
            Condition::Any(_) => {}
            Condition::Not(one) => {
                if let Condition::Is(attribute, values) = **one {
                    term.push(Literal { attribute, values, wanted: Wanted::None });
                }
            }
            Condition::Is(attribute, values) => {
                term.push(Literal { attribute: *attribute, values: *values, wanted: Wanted::One });
            }
        }
    }
    let mut term = Vec::new();
    walk(condition, &mut term);
    term.sort_unstable();
    term.dedup();
    term
}

fn expand(condition: &Condition, wanted: Wanted) -> Option<Vec<Term>> {
    match (condition, wanted) {
        (Condition::Is(attribute, values), wanted) => {
            Some(vec![vec![Literal { attribute: *attribute, values: *values, wanted }]])
        }
        (Condition::Not(one), Wanted::One) => expand(one, Wanted::None),
        (Condition::Not(one), Wanted::None) => expand(one, Wanted::One),
        (Condition::All(each), Wanted::One) | (Condition::Any(each), Wanted::None) => {
            let mut product: Vec<Term> = vec![Vec::new()];
            for one in each {
                let more = expand(one, wanted)?;
                if product.len().saturating_mul(more.len()) > TERMS_MAX {
                    return None;
                }
                let joined = product.iter().flat_map(|term| more.iter().filter_map(|other| join(term, other)));
                product = joined.collect();
            }
            Some(product)
        }
        (Condition::Any(each), Wanted::One) | (Condition::All(each), Wanted::None) => {
            let mut sum: Vec<Term> = Vec::new();
            for one in each {
                sum.extend(expand(one, wanted)?);
            }
            sum.sort();
            sum.dedup();
            (sum.len() <= TERMS_MAX).then_some(sum)
        }
    }
}

/// Both; none where they contradict each other.
fn join(term: &Term, other: &Term) -> Option<Term> {
    let mut both: Term = term.iter().chain(other).copied().collect();
    both.sort_unstable();
    both.dedup();
    let contradiction = both.windows(2).any(|pair| match pair {
        [a, b] => (a.attribute, a.values) == (b.attribute, b.values),
        _ => false,
    });
    (!contradiction).then_some(both)
}
