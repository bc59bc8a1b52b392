//! Rules that can never hold, and rules that never get their turn.
//!
//! For each row one charge is made up that fulfils it. Where none can be, the row never holds. The rows before it that
//! take this charge are the only ones that can take all of its charges; each of these is compared demand by demand. So
//! the cost is a decision for each row and not a comparison of each with each. What several earlier rules hide only
//! together is not found.

use std::collections::BTreeMap;

use super::bins;
use super::condition::{Attribute, Money, Values, ValuesId};
use super::index::{Index, Rest, Row};
use super::probe::{Probe, WEEK};
use super::spans::Spans;
use super::terms::{Literal, Term, Wanted};
use crate::payment::{Amount, Bin};

/// Earlier rows that are compared with one row, at most.
const COMPARED_MAX: usize = 64;
/// Rows that are looked at for these, at most.
const LOOKED_AT_MAX: usize = 512;
/// Values that are looked at in all, at most: then nothing more is found. About a second in wasm.
const WORK_MAX: usize = 50_000_000;

/// What is odd about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The rule, by its place.
    pub rule: usize,
    /// The earlier rule that takes all of its charges; none: it contradicts itself.
    pub hidden_by: Option<usize>,
}

/// A charge that was made up.
struct Witness {
    texts: BTreeMap<Attribute, Vec<u8>>,
    money: Money,
    bin: Option<Bin>,
    week: u64,
    date: u64,
}

impl Probe for Witness {
    fn text(&self, attribute: Attribute) -> Option<&[u8]> {
        self.texts.get(&attribute).map(Vec::as_slice)
    }

    fn amount(&self) -> Money {
        self.money
    }

    fn bin(&self) -> Option<Bin> {
        self.bin
    }

    fn seconds(&self, attribute: Attribute) -> u64 {
        if attribute == Attribute::Week { self.week } else { self.date }
    }
}

/// A charge that fulfils demands.
enum Made {
    Witness(Witness),
    /// There can be none.
    Never,
    /// None was found.
    Unknown,
}

/// The values that demands on one attribute leave.
enum Left<T> {
    /// One of these.
    Some(T),
    /// Any, also none at all.
    Any,
}

struct Checker<'a> {
    values: &'a [Values],
    work: usize,
    /// Which values are within which, and which share one.
    within: BTreeMap<(ValuesId, ValuesId), bool>,
    apart: BTreeMap<(ValuesId, ValuesId), bool>,
}

/// Every rule that is odd, in order. `rows` and `terms` are in the order of the index, `own` in that of the rules, and
/// `hopeless` are those without a row.
pub(super) fn all(
    index: &Index,
    rows: &[Row],
    terms: &[&Term],
    own: &[(Row, Term)],
    values: &[Values],
    hopeless: &[u32],
) -> Vec<Finding> {
    let place = |rule: u32| usize::try_from(rule).unwrap_or(usize::MAX);
    let mut checker = Checker { values, work: WORK_MAX, within: BTreeMap::new(), apart: BTreeMap::new() };
    let never = |rule: u32| Finding { rule: place(rule), hidden_by: None };
    let mut findings: Vec<Finding> = hopeless.iter().map(|rule| never(*rule)).collect();
    for own in own.chunk_by(|(a, _), (b, _)| a.rule == b.rule) {
        let Some(rule) = own.first().map(|(row, _)| row.rule) else { continue };
        let mut hidden: Option<u32> = None;
        let mut reached = false;
        for (_, term) in own {
            match checker.witness(term) {
                Made::Never => {}
                Made::Unknown => reached = true,
                Made::Witness(witness) => match checker.hidden(index, rows, terms, rule, term, &witness) {
                    Some(by) => hidden = hidden.max(Some(by)),
                    None => reached = true,
                },
            }
            if reached {
                break;
            }
        }
        match (reached, hidden) {
            (true, _) => {}
            (false, Some(by)) => findings.push(Finding { rule: place(rule), hidden_by: Some(place(by)) }),
            (false, None) => findings.push(never(rule)),
        }
    }
    findings.sort_unstable();
    findings
}

impl<'a> Checker<'a> {
    fn values(&self, id: ValuesId) -> Option<&'a Values> {
        self.values.get(id.index())
    }

    /// The earlier rule of which one row takes everything that these demands let pass.
    fn hidden(
        &mut self,
        index: &Index,
        rows: &[Row],
        terms: &[&Term],
        rule: u32,
        term: &Term,
        witness: &Witness,
    ) -> Option<u32> {
        let found = index.rows(witness, rule).take(LOOKED_AT_MAX).filter_map(|row| {
            let row = usize::try_from(row).ok()?;
            Some((rows.get(row)?, terms.get(row)?))
        });
        for (earlier, wider) in found.filter(|(row, _)| row.rule < rule).take(COMPARED_MAX) {
            if earlier.rest == Rest::Exact && wider.iter().all(|literal| self.implied(term, *literal)) {
                return Some(earlier.rule);
            }
        }
        None
    }

    /// Does a charge that fulfils the term meet this demand, too?
    fn implied(&mut self, term: &Term, demand: Literal) -> bool {
        term.iter().any(|have| {
            if have.attribute != demand.attribute {
                return demand.wanted == Wanted::One && self.currencies_within(*have, demand);
            }
            match (have.wanted, demand.wanted) {
                (Wanted::One, Wanted::One) => self.within(have.values, demand.values),
                (Wanted::None, Wanted::None) => self.within(demand.values, have.values),
                (Wanted::One, Wanted::None) => self.apart(have.values, demand.values),
                (Wanted::None, Wanted::One) => false,
            }
        })
    }

    /// An amount says its currency.
    fn currencies_within(&self, have: Literal, demand: Literal) -> bool {
        if (have.attribute, have.wanted, demand.attribute) != (Attribute::Amount, Wanted::One, Attribute::Currency) {
            return false;
        }
        let (Some(Values::Amounts(spans)), Some(Values::Texts(texts))) =
            (self.values(have.values), self.values(demand.values))
        else {
            return false;
        };
        let known = |(currency, _): &Money| texts.iter().any(|text| text.as_ref() == currency.as_str().as_bytes());
        spans.iter().all(|(from, _)| known(from))
    }

    fn spend(&mut self, values: usize) -> Option<()> {
        self.work = self.work.checked_sub(values)?;
        Some(())
    }

    fn within(&mut self, a: ValuesId, b: ValuesId) -> bool {
        if a == b {
            return true;
        }
        if let Some(known) = self.within.get(&(a, b)) {
            return *known;
        }
        let (Some(left), Some(right)) = (self.values(a), self.values(b)) else { return false };
        let within = self.spend(left.len()).is_some() && left.within(right);
        self.within.insert((a, b), within);
        within
    }

    fn apart(&mut self, a: ValuesId, b: ValuesId) -> bool {
        if let Some(known) = self.apart.get(&(a, b)) {
            return *known;
        }
        let (Some(left), Some(right)) = (self.values(a), self.values(b)) else { return false };
        let apart = self.spend(left.len().saturating_add(right.len())).is_some()
            && match (left, right) {
                (Values::Texts(a), Values::Texts(b)) => a.iter().all(|text| b.binary_search(text).is_err()),
                (Values::Numbers(a), Values::Numbers(b)) => a.and(b).is_empty(),
                (Values::Amounts(a), Values::Amounts(b)) => a.and(b).is_empty(),
                (Values::Paths(a), Values::Paths(b)) => a.and(b).is_empty(),
                _ => false,
            };
        self.apart.insert((a, b), apart);
        apart
    }

    /// The texts that all demands on one attribute leave.
    fn texts(&mut self, literals: &[Literal]) -> Option<Left<Vec<&'a [u8]>>> {
        let of = |literal: &Literal| Some((literal.wanted, self.values(literal.values)?.as_texts()?));
        let all: Vec<(Wanted, &'a [Box<[u8]>])> = literals.iter().map(of).collect::<Option<_>>()?;
        let wanted = all.iter().filter(|(wanted, _)| *wanted == Wanted::One).map(|(_, texts)| *texts);
        let Some(fewest) = wanted.min_by_key(|texts| texts.len()) else { return Some(Left::Any) };
        if all.len() == 1 {
            return Some(Left::Some(fewest.iter().map(Box::as_ref).collect()));
        }
        self.spend(fewest.len().saturating_mul(all.len()))?;
        let among = |text: &[u8], texts: &[Box<[u8]>]| texts.binary_search_by(|known| known.as_ref().cmp(text)).is_ok();
        let fits = |text: &&[u8]| all.iter().all(|(wanted, texts)| among(text, texts) == (*wanted == Wanted::One));
        Some(Left::Some(fewest.iter().map(Box::as_ref).filter(fits).collect()))
    }

    /// The intervals that all demands on one attribute leave.
    fn spans<K: Ord + Clone + 'a>(
        &mut self,
        literals: &[Literal],
        of: impl Fn(&'a Values) -> Option<&'a Spans<K>>,
    ) -> Option<Left<Spans<K>>> {
        let mut left: Option<Spans<K>> = None;
        for wanted in [Wanted::One, Wanted::None] {
            for literal in literals.iter().filter(|literal| literal.wanted == wanted) {
                let spans = of(self.values(literal.values)?)?;
                if literals.len() == 1 && wanted == Wanted::One && literal.attribute != Attribute::Amount {
                    // One is enough: a long list is not copied for it. Of amounts the currency is still to be seen.
                    let first = spans.iter().take(1).cloned().collect();
                    return Some(Left::Some(Spans::new(first)));
                }
                if wanted == Wanted::None && left.is_none() {
                    return Some(Left::Any);
                }
                let already = left.as_ref().map_or(0, |left| left.iter().len());
                self.spend(spans.iter().len().saturating_add(already))?;
                left = match (left, wanted) {
                    (None, Wanted::One) => Some(spans.clone()),
                    (Some(left), Wanted::One) => Some(left.and(spans)),
                    (Some(left), Wanted::None) => Some(left.without(spans)),
                    (None, Wanted::None) => None,
                };
            }
        }
        Some(left.map_or(Left::Any, Left::Some))
    }

    fn witness(&mut self, term: &Term) -> Made {
        self.make(term).unwrap_or(Made::Unknown)
    }

    fn make(&mut self, term: &Term) -> Option<Made> {
        let of = |attribute| term.iter().filter(|l| l.attribute == attribute).copied().collect::<Vec<_>>();

        let mut witness =
            Witness { texts: BTreeMap::new(), money: ("XXX".parse().ok()?, 0), bin: None, week: 0, date: 0 };
        for literals in term.chunk_by(|a, b| a.attribute == b.attribute) {
            let Some(attribute) = literals.first().map(|literal| literal.attribute) else { continue };
            match attribute {
                Attribute::Amount | Attribute::Currency => {}
                Attribute::Bin => {
                    if let Left::Some(left) = self.spans(literals, Values::as_numbers)? {
                        let Some((from, _)) = left.iter().next() else { return Some(Made::Never) };
                        let width = bins::DIGITS_MAX;
                        witness.bin = Bin::of_digits(&format!("{from:0width$}"));
                    }
                }
                Attribute::Week | Attribute::Date => {
                    let mut left = match self.spans(literals, Values::as_numbers)? {
                        Left::Some(left) => left,
                        Left::Any => Spans::new(vec![(0, if attribute == Attribute::Week { WEEK } else { u64::MAX })]),
                    };
                    for literal in literals.iter().filter(|literal| literal.wanted == Wanted::None) {
                        left = left.without(self.values(literal.values)?.as_numbers()?);
                    }
                    let Some((from, _)) = left.iter().next() else { return Some(Made::Never) };
                    *(if attribute == Attribute::Week { &mut witness.week } else { &mut witness.date }) = *from;
                }
                Attribute::Path => {
                    if let Left::Some(left) = self.spans(literals, Values::as_paths)? {
                        let Some((from, _)) = left.iter().next() else { return Some(Made::Never) };
                        witness.texts.insert(attribute, from.to_vec());
                    }
                }
                _ => {
                    if let Left::Some(left) = self.texts(literals)? {
                        let Some(first) = left.first() else { return Some(Made::Never) };
                        witness.texts.insert(attribute, first.to_vec());
                    }
                }
            }
        }

        let currencies = match of(Attribute::Currency) {
            literals if literals.is_empty() => Left::Any,
            literals => self.texts(&literals)?,
        };
        let refused: Vec<Literal> = of(Attribute::Currency).into_iter().filter(|l| l.wanted == Wanted::None).collect();
        let money = of(Attribute::Amount);
        let left = if money.is_empty() { Left::Any } else { self.spans(&money, Values::as_amounts)? };
        match (currencies, left) {
            (Left::Any, Left::Any) => {}
            (Left::Any, Left::Some(amounts)) => {
                let taken = |(currency, _): &Money| {
                    refused.iter().any(|literal| match self.values(literal.values) {
                        Some(Values::Texts(texts)) => texts.iter().any(|t| t.as_ref() == currency.as_str().as_bytes()),
                        _ => false,
                    })
                };
                let Some((from, _)) = amounts.iter().find(|(from, _)| !taken(from)) else { return Some(Made::Never) };
                witness.money = *from;
            }
            (Left::Some(texts), amounts) => {
                let mut found = None;
                for text in texts {
                    let currency = std::str::from_utf8(text).ok()?.parse().ok()?;
                    let whole = Spans::new(vec![((currency, 0), (currency, Amount::MINOR_MAX.saturating_add(1)))]);
                    let mut left = match &amounts {
                        Left::Some(amounts) => amounts.and(&whole),
                        Left::Any => whole,
                    };
                    for literal in money.iter().filter(|literal| literal.wanted == Wanted::None) {
                        let Some(Values::Amounts(spans)) = self.values(literal.values) else { continue };
                        left = left.without(spans);
                    }
                    found = left.iter().next().map(|(from, _)| *from);
                    if found.is_some() {
                        break;
                    }
                }
                let Some(money) = found else { return Some(Made::Never) };
                witness.money = money;
            }
        }
        let text = witness.money.0.as_str().as_bytes().to_vec();
        witness.texts.insert(Attribute::Currency, text);
        Some(Made::Witness(witness))
    }
}
