//! Rules: what each condition means, and that the compiled decision is the plain one.

mod laws;
mod naive;
mod splits;
mod tables;
mod told;

use decision::config::Config;
use decision::payment::{Amount, Bin, Country, Funding, Payment, Scheme};
use decision::rules::{Decision, Facts};
use decision::time::Wall;
use serde_json::{Value, json};

use crate::fixture::document;

/// A request as a test says it; what it does not say is absent, but for 10.00 EUR by `POST /v1/payments`.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    pub(super) minor: u64,
    pub(super) currency: String,
    pub(super) bin: Option<String>,
    pub(super) scheme: Option<Scheme>,
    pub(super) country: Option<String>,
    pub(super) funding: Option<Funding>,
    pub(super) merchant: Option<String>,
    pub(super) method: Option<String>,
    pub(super) http_method: String,
    pub(super) path: String,
    pub(super) header: Option<String>,
    pub(super) query: Option<String>,
    pub(super) body: Option<String>,
    pub(super) key: Option<String>,
    pub(super) tenant: Option<String>,
    /// Seconds since 1970.
    pub(super) at: u64,
}

impl Default for Charge {
    fn default() -> Self {
        Self {
            minor: 1_000,
            currency: "EUR".to_owned(),
            bin: None,
            scheme: None,
            country: None,
            funding: None,
            merchant: None,
            method: None,
            http_method: "POST".to_owned(),
            path: "/v1/payments".to_owned(),
            header: None,
            query: None,
            body: None,
            key: None,
            tenant: None,
            at: 0,
        }
    }
}

/// The one header, parameter and pointer that a [`Charge`] may have.
pub(super) const HEADER: &str = "x-vip";
pub(super) const QUERY: &str = "channel";
pub(super) const BODY: &str = "/metadata/plan";

/// What the configuration makes of a charge.
pub(super) fn decide(config: &Config, charge: &Charge) -> Decision {
    let country = charge.country.as_ref().map(|c| c.parse::<Country>().expect("a country"));
    let payment = Payment {
        amount: Amount { minor: charge.minor, currency: charge.currency.parse().expect("a currency") },
        merchant: charge.merchant.clone(),
        bin: charge.bin.as_ref().map(|bin| Bin::of_digits(bin).expect("6 to 11 digits")),
        scheme: charge.scheme,
        issuer_country: country,
        funding: charge.funding,
        method: charge.method.clone(),
    };
    let needs = &config.rules.needs;
    let bytes = |value: &Option<String>| value.clone().map(String::into_bytes);
    let headers: Vec<_> = needs.headers.iter().map(|_| bytes(&charge.header)).collect();
    let queries: Vec<_> = needs.queries.iter().map(|_| bytes(&charge.query)).collect();
    let bodies: Vec<_> = needs.bodies.iter().map(|_| charge.body.clone()).collect();
    config.rules.decide(&Facts {
        payment: &payment,
        http_method: charge.http_method.as_bytes(),
        path: charge.path.as_bytes(),
        headers: &headers,
        queries: &queries,
        bodies: &bodies,
        tenant: charge.tenant.as_deref().map(str::as_bytes),
        key: charge.key.as_deref().map(str::as_bytes),
        wall: Wall(charge.at * 1_000_000),
    })
}

/// The fixture with other rules and lists.
pub(super) fn with(rules: &Value, lists: &Value) -> Value {
    let mut json = document();
    json["rules"] = rules.clone();
    json["lists"] = lists.clone();
    for field in ["scheme", "issuer_country", "funding", "method"] {
        json["fields"][field] = json!([format!("/{field}")]);
    }
    json
}

pub(super) fn parse(json: &Value) -> Config {
    Config::parse(json.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// Rules named by their place, each to processor c.
pub(super) fn rules(whens: &[Value]) -> Value {
    let rule =
        |(n, when): (usize, &Value)| json!({"name": format!("r{n}"), "when": when, "use": {"processors": ["c"]}});
    whens.iter().enumerate().map(rule).collect()
}
