//! Which pool takes a charge: `Rules::decide` over rule sets of each kind.

use std::hint::black_box;

use decision::rules::Facts;
use serde_json::{Value, json};

use crate::charges::{BINS, CURRENCIES, Charges, Clock};
use crate::{Case, Failure, configurations};

/// Ranges of BINs in one rule: 10,000 rules have 100,000.
const RANGES: usize = 10;
/// Card numbers that a range takes, and those from one range to the next, in the last of the eight digits.
const RANGE: (usize, usize) = (50, 100);

/// What the rules of a set ask for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Merchants,
    BinRanges,
    Amounts,
    Mixed,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Merchants, Self::BinRanges, Self::Amounts, Self::Mixed];

    fn name(self) -> &'static str {
        match self {
            Self::Merchants => "by merchant",
            Self::BinRanges => "by BIN, 10 ranges each",
            Self::Amounts => "by currency and amount",
            Self::Mixed => "mixed, every fifth by BIN, 50 ranges each",
        }
    }

    /// What the rule at a place asks for.
    fn when(self, at: usize) -> Value {
        let merchant = format!("merchant-{at}");
        match self {
            Self::Merchants => json!({"merchant": [merchant]}),
            Self::BinRanges => ranges(at * RANGES, RANGES),
            Self::Amounts => {
                let from = at / CURRENCIES.len() * 100;
                json!({"amount": {"currency": CURRENCIES[at % CURRENCIES.len()], "min": from, "max": from + 99}})
            }
            Self::Mixed => match at % 5 {
                0 => Self::Merchants.when(at),
                1 => ranges(at * RANGES, RANGES * 5),
                2 => Self::Amounts.when(at),
                3 => json!({"any": [
                    {"merchant": [merchant], "scheme": ["visa"]},
                    {"header": {"x-tier": [format!("tier-{at}")]}, "not": {"currency": ["EUR"]}}
                ]}),
                _ => json!({
                    "time": {"days": ["mon"], "from": format!("{:02}:{:02}", at / 60 % 23, at % 60), "to": "23:59"},
                    "merchant": [merchant],
                    "issuer_country": ["DE", "FR"]
                }),
            },
        }
    }
}

/// Ranges from the `first` on, none of which meets another.
fn ranges(first: usize, number: usize) -> Value {
    let range = |n: usize| {
        // A step that has no factor in common with the number of places reaches each once.
        let from = BINS.0 + n * 7_919 % (BINS.1 / RANGE.1) * RANGE.1;
        format!("{from}-{}", from + RANGE.0 - 1)
    };
    json!({"bin": (first..first + number).map(range).collect::<Vec<_>>()})
}

/// So many rules of a kind.
pub(crate) fn list(kind: Kind, number: usize) -> Vec<Value> {
    let rule = |at| json!({"name": format!("rule-{at}"), "when": kind.when(at), "use": {"processors": ["acquirer-0"]}});
    (0..number).map(rule).collect()
}

/// `Rules::decide` over so many rules of a kind.
pub(crate) fn decide(kind: Kind, number: usize) -> Result<Case, Failure> {
    let rules = configurations::ruled(list(kind, number))?.rules;
    let (mut charges, mut clock) = (Charges::new()?, Clock::new());
    Ok(Case::new("Rules::decide", kind.name(), format!("{number} rules"), move || {
        let (now, charged) = (clock.next(), charges.next());
        let facts = Facts {
            payment: &charged.payment,
            http_method: b"POST",
            path: b"/v1/payments",
            headers: &charged.tier[..rules.needs.headers.len()],
            queries: &[],
            bodies: &[],
            tenant: None,
            key: None,
            wall: now.wall,
        };
        black_box(rules.decide(black_box(&facts)));
    }))
}
