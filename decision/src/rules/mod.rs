//! Rules name the pool a charge goes to: the first whose conditions hold, else the default.
//!
//! Ten thousand rules are not asked one after the other. When the configuration is read, each rule becomes a few rows of
//! plain demands ([`terms`]), and the rows an [`index`] by attribute, which a charge's values are looked up in. What does
//! not fit the bounds of that is asked as it was written, after its plain demands hold. [`check`] finds the rules that can
//! never hold, and those that never get their turn.

pub mod bins;
mod check;
mod condition;
mod index;
mod probe;
mod spans;
mod split;
mod terms;
pub mod window;

use std::collections::BTreeSet;
use std::fmt;

pub use check::Finding;
pub use condition::{Attribute, Condition, Money, Values, ValuesId};
pub use probe::Facts;
pub use spans::Spans;
pub use split::{Part, Source, Split};

use crate::operation::PoolId;
use crate::payment::Pointer;
use index::{Index, Rest, Row};
use terms::Term;

/// Rows of all rules, at most: a bit of each is held for every attribute. A rule that comes later is one row.
const ROWS_MAX: usize = 65_536;

/// One rule as it is decided by.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As the operator calls it; shown in explanations.
    pub name: String,
    /// Where the charge goes.
    pub target: Target,
}

/// Where a rule sends charges.
#[derive(Clone, Debug)]
pub enum Target {
    /// All to one pool.
    Pool(PoolId),
    /// Parts of them to several.
    Split(Split),
}

/// What rules read beside the payment itself; an [`Attribute`] is a place in one of these.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Header names, lower case.
    pub headers: Vec<String>,
    /// Parameters of the query.
    pub queries: Vec<String>,
    /// Places in the body.
    pub bodies: Vec<Pointer>,
}

/// All rules, compiled.
#[derive(Clone)]
pub struct Rules {
    /// The rules; the first match wins.
    pub list: Vec<Rule>,
    /// Where a charge goes that no rule names.
    pub default: PoolId,
    /// What has to be read of a request.
    pub needs: Needs,
    index: Index,
    rows: Vec<Row>,
    /// Those conditions that do not fit the index, by rule, and their values.
    conditions: Vec<(u32, Condition)>,
    values: Vec<Values>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where the charge goes.
    pub pool: PoolId,
    /// The rule that says so, by its place; none: the default.
    pub rule: Option<usize>,
    /// The part of its split, by its place.
    pub part: Option<usize>,
}

impl Rules {
    /// Compiles rules, each with its condition, and says what is odd about them. `values` are what [`ValuesId`]s are
    /// places of.
    pub fn new(
        rules: Vec<(Rule, Condition)>,
        default: PoolId,
        needs: Needs,
        mut values: Vec<Values>,
    ) -> (Self, Vec<Finding>) {
        let mut all: Vec<(Row, Term)> = Vec::new();
        let mut hopeless = Vec::new();
        for (rule, (_, condition)) in (0..).zip(&rules) {
            match terms::of(condition).filter(|terms| all.len().saturating_add(terms.len()) <= ROWS_MAX) {
                Some(terms) => {
                    if terms.is_empty() {
                        hopeless.push(rule);
                    }
                    all.extend(terms.into_iter().map(|term| (Row { rule, rest: Rest::Exact }, term)));
                }
                None => all.push((Row { rule, rest: Rest::Ask }, terms::certain(condition))),
            }
        }
        let places = index::order(&all);
        let in_order = || places.iter().filter_map(|at| all.get(*at));
        let terms: Vec<&Term> = in_order().map(|(_, term)| term).collect();
        let mut rows: Vec<Row> = in_order().map(|(row, _)| *row).collect();
        let index = Index::new(&terms, &values, &mut rows);
        let findings = check::all(&index, &rows, &terms, &all, &values, &hopeless);

        let asked: BTreeSet<u32> = rows.iter().filter(|row| row.rest == Rest::Ask).map(|row| row.rule).collect();
        let mut conditions: Vec<(u32, Condition)> = Vec::new();
        let mut list = Vec::with_capacity(rules.len());
        for (at, (rule, condition)) in (0..).zip(rules) {
            if asked.contains(&at) {
                conditions.push((at, condition));
            }
            list.push(rule);
        }
        // The index holds its own copy of values: only what is asked as written is kept twice.
        let mut asked = vec![false; values.len()];
        conditions.iter().for_each(|(_, condition)| mark(condition, &mut asked));
        for (values, asked) in values.iter_mut().zip(asked) {
            if !asked {
                *values = Values::Texts(Vec::new());
            }
        }
        (Self { list, default, needs, index, rows, conditions, values }, findings)
    }

    /// Where a charge goes, and why.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let mut rows = self.index.rows(facts, u32::MAX);
        while let Some(row) = rows.next() {
            let row = usize::try_from(row).ok().and_then(|row| self.rows.get(row));
            if let Some(row) = row.filter(|row| row.rule < rows.below && self.holds(**row, facts)) {
                rows.below = row.rule;
            }
        }
        let rule = usize::try_from(rows.below).ok().filter(|at| *at < self.list.len());
        match rule.and_then(|at| self.list.get(at)).map(|rule| &rule.target) {
            Some(Target::Pool(pool)) => Decision { pool: *pool, rule, part: None },
            Some(Target::Split(split)) => {
                let (at, part) = split.part(facts);
                Decision { pool: part.map_or(self.default, |part| part.pool), rule, part: Some(at) }
            }
            None => Decision { pool: self.default, rule: None, part: None },
        }
    }

    /// Does what the index could not look up hold, too?
    fn holds(&self, row: Row, facts: &Facts<'_>) -> bool {
        if row.rest == Rest::Exact {
            return true;
        }
        let at = self.conditions.binary_search_by_key(&row.rule, |(rule, _)| *rule);
        let condition = at.ok().and_then(|at| self.conditions.get(at));
        condition.is_some_and(|(_, condition)| condition.holds(&self.values, facts))
    }

    /// Bytes that the compiled rules take, about, apart from their names and pools.
    pub fn bytes(&self) -> usize {
        self.index.bytes().saturating_add(size_of_val(self.rows.as_slice()))
    }

    /// Every pool that a charge may go to: the default, then those of the rules.
    pub fn pools(&self) -> impl Iterator<Item = PoolId> {
        let of = |rule: &Rule| match &rule.target {
            Target::Pool(pool) => vec![*pool],
            Target::Split(split) => split.parts.iter().map(|part| part.pool).collect(),
        };
        std::iter::once(self.default).chain(self.list.iter().flat_map(of))
    }
}

fn mark(condition: &Condition, asked: &mut [bool]) {
    match condition {
        Condition::All(each) | Condition::Any(each) => each.iter().for_each(|one| mark(one, asked)),
        Condition::Not(one) => mark(one, asked),
        Condition::Is(_, id) => {
            if let Some(asked) = asked.get_mut(id.index()) {
                *asked = true;
            }
        }
    }
}

/// The index is large and says nothing to a reader.
impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, default, needs, rows, .. } = self;
        let rows = rows.len();
        f.debug_struct("Rules")
            .field("list", list)
            .field("default", default)
            .field("needs", needs)
            .field("rows", &rows)
            .finish_non_exhaustive()
    }
}
