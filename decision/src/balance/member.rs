//! A processor as a pool sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::payment::{Amount, Currency};
use crate::processor::ProcessorId;

/// A processor that a pool may pick.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which processor.
    pub id: ProcessorId,
    /// Its share, 1 to 1,000.
    pub weight: u32,
    /// A hash of its name: its place among the keys does not depend on the order of the configuration.
    pub seed: u64,
    /// What Maglev and the ring place it by: its name, unless a table of another proxy is to be matched.
    pub hash_key: Arc<str>,
    /// The lower, the sooner it is used: 0 is this zone or whatever the operator says is first.
    pub priority: u8,
    /// Does the operator let it take new charges? The weight of one that may not is not missed.
    pub in_use: bool,
    /// What it charges; none where nobody said.
    pub fees: Option<Arc<Fees>>,
}

impl Member {
    /// A member of a name, with everything else as if nothing was said.
    pub fn new(id: ProcessorId, name: &str, weight: u32) -> Self {
        Self {
            id,
            weight,
            seed: xxh64(name.as_bytes(), 0),
            hash_key: name.into(),
            priority: 0,
            in_use: true,
            fees: None,
        }
    }
}

/// What a processor charges for a payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// Of the amount, in basis points, 0 to 10,000.
    pub rate_bp: u32,
    /// Per payment, in minor units of its currency. Where some are named, a currency that is not has no known price;
    /// where none are, every currency costs the rate alone.
    pub fixed: BTreeMap<Currency, u32>,
}

impl Fees {
    /// The price of a payment in minor units; none where it is not known.
    pub fn of(&self, amount: &Amount) -> Option<f64> {
        let fixed = match self.fixed.get(&amount.currency) {
            Some(fixed) => *fixed,
            None if self.fixed.is_empty() => 0,
            None => return None,
        };
        // In ten-thousandths of a minor unit all is whole: at most 10^19 for the highest amount.
        let rate = amount.minor.saturating_mul(u64::from(self.rate_bp));
        let all = rate.saturating_add(u64::from(fixed).saturating_mul(10_000));
        Some(all as f64 / 10_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_fixed_and_rate_of_the_currency() {
        let money = |minor, currency: &str| Amount { minor, currency: currency.parse().unwrap() };
        let fixed = |all: &[(&str, u32)]| all.iter().map(|(c, n)| (c.parse().unwrap(), *n)).collect();
        let card = Fees { rate_bp: 140, fixed: fixed(&[("EUR", 25)]) };
        assert_eq!(card.of(&money(10_000, "EUR")), Some(165.0));
        assert_eq!(card.of(&money(1, "EUR")), Some(25.014));
        assert_eq!(card.of(&money(10_000, "USD")), None, "an unnamed currency is not free");
        let rate = Fees { rate_bp: 30, fixed: BTreeMap::new() };
        assert_eq!(rate.of(&money(10_000, "USD")), Some(30.0));
        let most = Fees { rate_bp: 10_000, fixed: fixed(&[("EUR", u32::MAX)]) };
        assert!(most.of(&money(Amount::MINOR_MAX, "EUR")).unwrap() >= 999_999_999_999_999.0);
    }
}
