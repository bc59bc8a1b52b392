//! Rules name the pool a charge goes to: the first whose conditions all hold, else the default.

use std::collections::BTreeSet;

use crate::operation::PoolId;
use crate::payment::{Currency, Payment};

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As the operator calls it; shown in explanations.
    pub name: String,
    /// All must hold. A rule without conditions always holds.
    pub conditions: Vec<Condition>,
    /// Where the charge goes.
    pub pool: PoolId,
}

/// Something a charge may fulfil; the values of one condition are alternatives.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Between two amounts of one currency, both included: minor units of two currencies do not compare.
    Amount {
        /// Of this currency only.
        currency: Currency,
        /// At least.
        min: u64,
        /// At most.
        max: u64,
    },
    /// In one of these currencies.
    Currency(BTreeSet<Currency>),
    /// A card whose number starts with one of these, 1 to 8 digits.
    BinPrefix(Vec<String>),
    /// For one of these merchants.
    Merchant(BTreeSet<String>),
    /// A request header with one of these values.
    Header {
        /// Its place among [`Rules::headers`].
        slot: usize,
        /// The values, as bytes.
        values: BTreeSet<Vec<u8>>,
    },
}

/// All rules, in order.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The rules; the first match wins.
    pub list: Vec<Rule>,
    /// Where a charge goes that no rule names.
    pub default: PoolId,
    /// The header names (lower case) that some rule reads.
    pub headers: Vec<String>,
}

/// What the rules read of a request: the payment, and the values of [`Rules::headers`] in their order (the first
/// value of a repeated header).
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// From the body.
    pub payment: &'a Payment,
    /// From the headers.
    pub headers: &'a [Option<Vec<u8>>],
}

impl Rules {
    /// The pool for a charge, and the rule that named it (none: the default).
    pub fn pool(&self, facts: Facts<'_>) -> (PoolId, Option<&Rule>) {
        match self.list.iter().find(|rule| rule.holds(facts)) {
            Some(rule) => (rule.pool, Some(rule)),
            None => (self.default, None),
        }
    }
}

impl Rule {
    fn holds(&self, facts: Facts<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(facts))
    }
}

impl Condition {
    fn holds(&self, Facts { payment, headers }: Facts<'_>) -> bool {
        match self {
            Self::Amount { currency, min, max } => {
                payment.amount.currency == *currency && (*min..=*max).contains(&payment.amount.minor)
            }
            Self::Currency(any) => any.contains(&payment.amount.currency),
            Self::BinPrefix(any) => {
                payment.bin.is_some_and(|bin| any.iter().any(|prefix| bin.digits().starts_with(prefix.as_bytes())))
            }
            Self::Merchant(any) => payment.merchant.as_ref().is_some_and(|m| any.contains(m)),
            Self::Header { slot, values } => {
                headers.get(*slot).and_then(Option::as_ref).is_some_and(|value| values.contains(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Amount, Bin};

    fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
        items.into_iter().collect()
    }

    #[test]
    fn the_first_rule_whose_conditions_all_hold_wins() {
        let eur: Currency = "EUR".parse().unwrap();
        let rule = |name: &str, pool, conditions| Rule { name: name.to_owned(), conditions, pool: PoolId(pool) };
        let rules = Rules {
            list: vec![
                rule("large", 1, vec![Condition::Amount { currency: eur, min: 100_000, max: u64::MAX }]),
                rule(
                    "bin and merchant",
                    2,
                    vec![
                        Condition::BinPrefix(vec!["555555".to_owned()]),
                        Condition::Merchant(set(["shop".to_owned()])),
                    ],
                ),
                rule("vip", 3, vec![Condition::Header { slot: 0, values: set([b"1".to_vec()]) }]),
                rule("euro", 4, vec![Condition::Currency(set([eur]))]),
            ],
            default: PoolId(0),
            headers: vec!["x-vip".to_owned()],
        };
        let pool = |minor, currency: &str, card: &str, merchant: Option<&str>, vip: Option<&[u8]>| {
            let payment = Payment {
                amount: Amount { minor, currency: currency.parse().unwrap() },
                merchant: merchant.map(str::to_owned),
                bin: Bin::of_card_number(card),
                scheme: None,
                issuer_country: None,
                funding: None,
                method: None,
            };
            let headers = [vip.map(<[u8]>::to_vec)];
            rules.pool(Facts { payment: &payment, headers: &headers }).0.0
        };
        assert_eq!(pool(100_000, "EUR", "", None, None), 1);
        assert_eq!(pool(100_000, "JPY", "", None, None), 0, "an amount range is of one currency");
        assert_eq!(pool(99_999, "EUR", "5555555555554444", Some("shop"), None), 2);
        assert_eq!(pool(5, "EUR", "5555555555554444", Some("other"), None), 4);
        assert_eq!(pool(5, "USD", "4242424242424242", None, Some(b"1")), 3);
        assert_eq!(pool(5, "USD", "4242424242424242", None, Some(b"\xff")), 0);
        assert_eq!(pool(5, "USD", "", None, None), 0);
    }
}
