//! Configurations as an operator writes them.

use decision::config::Config;
use decision::payment::Profile;
use serde_json::{Value, json};

use crate::Failure;

/// A policy: how the table calls it, and its options as JSON.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    policy: &'static str,
    options: &'static str,
}

const fn plain(policy: &'static str) -> Named {
    Named { name: policy, policy, options: "{}" }
}

const fn hashing(policy: &'static str) -> Named {
    Named { name: policy, policy, options: r#"{"hash_by": "merchant"}"# }
}

const fn bounded(name: &'static str, policy: &'static str) -> Named {
    Named { name, policy, options: r#"{"hash_by": "merchant", "bounded_load_percent": 125}"# }
}

/// What a pool does where nobody says.
pub(crate) const DEFAULT: Named = plain("smooth_weighted_round_robin");

/// Every policy, and what of its options costs time.
pub(crate) const POLICIES: [Named; 17] = [
    plain("round_robin"),
    DEFAULT,
    Named {
        name: "smooth_weighted_round_robin, reported_load",
        policy: "smooth_weighted_round_robin",
        options: r#"{"weights": "reported_load"}"#,
    },
    plain("random"),
    plain("weighted_random"),
    plain("least_connections"),
    plain("least_response_time"),
    plain("load_based"),
    plain("failure_based"),
    plain("ip_hash"),
    hashing("maglev"),
    bounded("maglev, bounded_load", "maglev"),
    hashing("ring_hash"),
    bounded("ring_hash, bounded_load", "ring_hash"),
    hashing("rendezvous"),
    plain("approval_rate"),
    plain("least_cost"),
];

/// Has the traffic of a processor breakers of its parts?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// One breaker for all of it.
    None,
    /// One for each scheme as well.
    Schemes,
}

/// A pool of so many processors, and no rules.
pub(crate) fn pool(Named { policy, options, .. }: &Named, processors: usize, parts: Parts) -> Result<Config, Failure> {
    let mut named: Value = serde_json::from_str(options)?;
    named["name"] = (*policy).into();
    let mut document = document(processors, named);
    if parts == Parts::Schemes {
        document["breaker"] = json!({"per": ["scheme"]});
    }
    parse(&document)
}

/// Three processors as they are shipped, and these rules.
pub(crate) fn ruled(rules: Vec<Value>) -> Result<Config, Failure> {
    let mut document = document(3, DEFAULT.policy.into());
    document["rules"] = rules.into();
    parse(&document)
}

/// How a processor of this profile is read.
pub(crate) fn profile(name: &str) -> Result<Profile, Failure> {
    let mut document = document(1, DEFAULT.policy.into());
    document["processors"][0]["profile"] = name.into();
    let processor = parse(&document)?.processors.into_iter().next();
    Ok(processor.ok_or("a configuration has a processor")?.profile)
}

fn parse(document: &Value) -> Result<Config, Failure> {
    Ok(Config::parse(document.to_string().as_bytes())?)
}

fn document(processors: usize, policy: Value) -> Value {
    let names: Vec<String> = (0..processors).map(|n| format!("acquirer-{n}")).collect();
    let processor = |(n, name): (usize, &String)| {
        let cost = json!({"rate_bp": 20 + n % 7, "fixed": {"EUR": 5 + n % 3}});
        json!({"name": name, "profile": "sample", "weight": 1 + n % 3, "cost": cost})
    };
    json!({
        "tenant": {"header": "authorization", "presence": "optional"},
        "fields": {
            "amount": ["/amount"],
            "currency": ["/currency"],
            "merchant": ["/merchant"],
            "card_number": ["/source/number"],
            "scheme": ["/source/scheme"],
            "issuer_country": ["/source/country"]
        },
        "profiles": {
            "sample": {
                "payment_id": ["/id"],
                "status": ["/status"],
                "network_code": ["/response_code"],
                "iso8583": true,
                "scheme": ["/network"],
                "approved": ["succeeded"],
                "declined": ["declined"],
                "pending": ["pending"],
                "same_key": "replays"
            },
            "stripe": {"preset": "stripe"},
            "adyen": {"preset": "adyen"}
        },
        "processors": names.iter().enumerate().map(processor).collect::<Vec<_>>(),
        "operations": [{"name": "charge", "kind": "charge", "method": "POST", "path": "/v1/payments"}],
        "default": {"processors": names, "policy": policy}
    })
}
