//! Charges that differ, so that neither branches nor caches see the same one again and again.

use decision::lookup::{Key, KeyBuilder};
use decision::payment::{Amount, Bin, Funding, Payment, Scheme};
use decision::time::{Mono, Now, Wall};

use crate::Failure;

/// How many there are, one after the other, before the first comes again.
const CHARGES: usize = 512;

/// The currencies that charges and rules name.
pub(crate) const CURRENCIES: [&str; 10] = ["EUR", "USD", "GBP", "JPY", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK"];
/// Merchants that charges are for, rules or no rules: with 10,000 rules by merchant one charge in six has none.
const MERCHANTS: usize = 12_000;
/// The first and the number of the BINs of eight digits that charges have; rules name ranges among them.
pub(crate) const BINS: (usize, usize) = (40_000_000, 20_000_000);

/// Noon of Monday, 23 November 2026, in microseconds: rules read the time of day.
const WALL: u64 = 1_795_435_200_000_000;

/// A charge, and what a proxy would know of it.
pub(crate) struct Charged {
    pub(crate) payment: Payment,
    pub(crate) merchant: String,
    pub(crate) key: Key,
    pub(crate) tier: [Option<Vec<u8>>; 1],
}

/// Charges in turn.
pub(crate) struct Charges {
    list: Vec<Charged>,
    next: usize,
}

impl Charges {
    pub(crate) fn new() -> Result<Self, Failure> {
        let list = (0..CHARGES).map(charge).collect::<Result<_, _>>()?;
        Ok(Self { list, next: 0 })
    }

    pub(crate) fn next(&mut self) -> &Charged {
        self.next = (self.next + 1) % CHARGES;
        &self.list[self.next]
    }
}

fn charge(n: usize) -> Result<Charged, Failure> {
    // Steps by primes: every attribute goes round with a period of its own.
    let merchant = format!("merchant-{}", n * 104_729 % MERCHANTS);
    let currency = CURRENCIES[if n.is_multiple_of(2) { 0 } else { n % CURRENCIES.len() }];
    let schemes = [Scheme::Visa, Scheme::Mastercard, Scheme::Amex];
    let payment = Payment {
        amount: Amount {
            minor: u64::try_from(n * 7_919 % 100_000)?,
            currency: currency.parse().map_err(|_| "currency")?,
        },
        merchant: Some(merchant.clone()),
        bin: Bin::of_digits(&(BINS.0 + n * 1_299_709 % BINS.1).to_string()),
        scheme: Some(schemes[n % schemes.len()]),
        issuer_country: "DE".parse().ok(),
        funding: Some(Funding::Debit),
        method: Some("card".to_owned()),
    };
    let key = KeyBuilder::new("affinity.v1").part(merchant.as_bytes()).finish();
    Ok(Charged { payment, merchant, key, tier: [Some(format!("tier-{n}").into_bytes())] })
}

/// A clock that moves by a step at each look.
pub(crate) struct Clock {
    micros: u64,
    step: u64,
}

impl Clock {
    /// A worker with some thousands of payments per second.
    pub(crate) fn new() -> Self {
        Self { micros: 1_000_000, step: 200 }
    }

    pub(crate) fn next(&mut self) -> Now {
        self.micros += self.step;
        self.now()
    }

    /// The time, some milliseconds from now.
    pub(crate) fn later(&self, millis: u64) -> Now {
        let micros = self.micros + millis * 1_000;
        Now { mono: Mono(micros), wall: Wall(WALL + micros) }
    }

    fn now(&self) -> Now {
        self.later(0)
    }
}
