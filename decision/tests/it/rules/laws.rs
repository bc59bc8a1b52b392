//! The compiled decision is the plain one, for any rules and any charge.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{BODY, Charge, HEADER, QUERY, decide, naive, parse, rules, with};
use decision::payment::{Funding, Scheme};

/// Few values of each kind, so that rules and charges meet.
const BINS: [&str; 6] = ["424242", "42424242", "424242421", "4242424212", "42424242123", "555555"];

fn lists() -> Value {
    json!({
        "bins": ["424242-424243", {"prefix": "55"}, "424250000-424251999"],
        "fine": ["42424240000-42424244999", "42424245000-42424299998"],
        "shops": ["a", "c"],
    })
}

fn items(values: Vec<Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec(select(values), 1..4).prop_map(Value::from)
}

fn texts(values: &[&str]) -> impl Strategy<Value = Value> + use<> {
    items(values.iter().map(|value| json!(value)).collect())
}

fn leaf() -> impl Strategy<Value = Value> {
    let bins = vec![
        json!("424242"),
        json!("42424242"),
        json!("424242421"),
        json!("42424242123"),
        json!("4242-4243"),
        json!("42424242000-42424242499"),
        json!("42424242500-42424242999"),
        json!("510000-559999"),
        json!({"prefix": "4"}),
        json!({"prefix": "42424"}),
        json!("@bins"),
        json!({"list": "fine"}),
    ];
    let amount = (select(vec!["EUR", "USD"]), 0_u64..30, 0_u64..30)
        .prop_map(|(currency, a, b)| json!({"currency": currency, "min": a.min(b), "max": a.max(b)}));
    let paths = vec![json!("/v1/payments"), json!({"prefix": "/v1/"}), json!({"prefix": "/v1/pay"}), json!("/v1/")];
    let day = select(vec!["mon", "tue", "thu", "sun"]);
    let clock = select(vec!["00:00", "06:30", "12:00", "22:15"]);
    let offset = select(vec!["Z", "+05:30", "-11:00", "+14:00"]);
    let dates = select(vec![
        json!({"not_before": "1970-01-02"}),
        json!({"not_after": "1970-01-03"}),
        json!({"not_before": "1970-01-01T23:00", "not_after": "1970-01-05T01:30"}),
        json!({}),
    ]);
    let window = (prop::collection::vec(day, 1..3), clock.clone(), clock, offset, dates).prop_map(
        |(days, from, to, offset, mut window)| {
            window["offset"] = json!(offset);
            window["days"] = json!(days);
            if from != to {
                (window["from"], window["to"]) = (json!(from), json!(to));
            }
            window
        },
    );
    prop_oneof![
        prop::collection::vec(amount, 1..3).prop_map(|ranges| json!({"amount": ranges})),
        texts(&["EUR", "USD", "JPY"]).prop_map(|v| json!({"currency": v})),
        texts(&["visa", "mastercard"]).prop_map(|v| json!({"scheme": v})),
        items(bins.clone()).prop_map(|v| json!({"bin": v})),
        items(bins).prop_map(|v| json!({"bin": v})),
        texts(&["4", "42424242", "5"]).prop_map(|v| json!({"bin_prefix": v})),
        texts(&["DE", "FR"]).prop_map(|v| json!({"issuer_country": v})),
        texts(&["credit", "debit"]).prop_map(|v| json!({"funding": v})),
        texts(&["a", "b", "@shops"]).prop_map(|v| json!({"merchant": v})),
        texts(&["card", "ideal"]).prop_map(|v| json!({"method": v})),
        texts(&["POST", "PUT"]).prop_map(|v| json!({"http_method": v})),
        items(paths).prop_map(|v| json!({"path": v})),
        texts(&["1", "2"]).prop_map(|v| json!({"header": {HEADER: v}})),
        texts(&["1", "2"]).prop_map(|v| json!({"query": {QUERY: v}})),
        texts(&["1", "2"]).prop_map(|v| json!({"body": {BODY: v}})),
        prop::collection::vec(window, 1..3).prop_map(|windows| json!({"time": windows})),
    ]
}

/// Several fields at once are one object, as an operator writes them; the last of two equal ones stays.
fn merged(whens: Vec<Value>) -> Value {
    let mut all = json!({});
    for when in whens {
        all.as_object_mut().unwrap().append(&mut when.as_object().unwrap().clone());
    }
    all
}

fn when() -> impl Strategy<Value = Value> {
    let fields = prop::collection::vec(leaf(), 1..4).prop_map(merged);
    fields.prop_recursive(3, 24, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            several.clone().prop_map(|all| json!({"all": all})),
            several.prop_map(|any| json!({"any": any})),
            inner.clone().prop_map(|not| json!({"not": not})),
            (inner.clone(), inner.clone(), leaf()).prop_map(|(not, one, leaf)| {
                merged(vec![leaf, json!({"not": not}), json!({"any": [one, {"currency": ["JPY"]}]})])
            }),
        ]
    })
}

fn charge() -> impl Strategy<Value = Charge> {
    let word = |values: &[&str]| prop::option::of(select(values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>()));
    let bin = prop_oneof![
        Just(None),
        select(BINS.map(|bin| Some(bin.to_owned())).to_vec()),
        (6_usize..12, 0_u64..2_000).prop_map(|(len, n)| Some(format!("42424242{n:03}00000000")[..len].to_owned())),
    ];
    let card = (bin, prop::option::of(select(vec![Scheme::Visa, Scheme::Mastercard])), word(&["DE", "FR", "US"]));
    let card = (card, prop::option::of(select(Funding::ALL.to_vec())), word(&["card", "ideal"]));
    let head = (word(&["1", "2", "3"]), word(&["1", "2", "3"]), word(&["1", "2", "3"]));
    let target = select(vec!["/v1/payments", "/v1/pay", "/v1/", "/v1", "/v2/payments", "/"]);
    let target = (target, select(vec!["POST", "PUT", "GET"]));
    let money = (0_u64..32, select(vec!["EUR", "USD", "JPY", "GBP"]), word(&["a", "b", "c", "d"]));
    (card, head, target, money, 0_u64..10 * 86_400).prop_map(|(card, head, target, money, at)| {
        let ((bin, scheme, country), funding, method) = card;
        let ((header, query, body), (path, http_method), (minor, currency, merchant)) = (head, target, money);
        Charge {
            minor,
            currency: currency.to_owned(),
            bin,
            scheme,
            country,
            funding,
            merchant,
            method,
            http_method: http_method.to_owned(),
            path: path.to_owned(),
            header,
            query,
            body,
            at,
            ..Charge::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// With its warnings, which are checked against the same charges: what can never hold does not, and a hidden rule is
    /// never the only one.
    #[test]
    fn the_compiled_decision_is_the_plain_one(
        whens in prop::collection::vec(when(), 1..12),
        charges in prop::collection::vec(charge(), 1..24),
    ) {
        let (rules, lists) = (rules(&whens), lists());
        let config = parse(&with(&rules, &lists));
        for charge in charges {
            let want = naive::first(&rules, &lists, &charge);
            prop_assert_eq!(decide(&config, &charge).rule, want, "{:?}", charge);
            for warning in config.warnings.iter().filter(|warning| warning.path.starts_with("rules[")) {
                let at = warning.path.trim_start_matches("rules[").split(']').next().unwrap().parse().unwrap();
                prop_assert!(want != Some(at), "{}", warning);
                prop_assert!(!warning.message.contains("contradict") || !naive::holds(&whens[at], &lists, &charge), "{}", warning);
            }
        }
    }

    /// As many rules as take several words of the index, mostly alike.
    #[test]
    fn many_rules_are_decided_alike(
        pool in prop::collection::vec(leaf(), 2..8),
        picks in prop::collection::vec((0_usize..8, 0_usize..8, any::<bool>()), 130..400),
        charges in prop::collection::vec(charge(), 1..8),
    ) {
        let whens: Vec<Value> = picks
            .into_iter()
            .map(|(a, b, not)| {
                let (a, b) = (&pool[a % pool.len()], &pool[b % pool.len()]);
                // A second header that is never 9 keeps most rules from holding.
                let never = json!({"body": {BODY: ["9"]}});
                if not { json!({"all": [a, {"not": b}, never]}) } else { json!({"all": [a, b]}) }
            })
            .collect();
        let (rules, lists) = (rules(&whens), lists());
        let config = parse(&with(&rules, &lists));
        for charge in charges {
            prop_assert_eq!(decide(&config, &charge).rule, naive::first(&rules, &lists, &charge), "{:?}", charge);
        }
    }
}

/// More alternatives than the index takes: asked as written, with the same answer.
#[test]
fn a_rule_with_many_alternatives_is_decided_alike() {
    let pairs = |from: usize| -> Vec<Value> {
        (from..from + 12).map(|n| json!({"merchant": [format!("m{n}")], "currency": ["EUR"]})).collect()
    };
    let currency = |n: usize| {
        let code = if n.is_multiple_of(2) { "EUR" } else { "USD" };
        json!({"currency": [code], "header": {HEADER: [n.to_string()]}})
    };
    let when = json!({"any": pairs(0), "all": [{"any": pairs(6)}, {"any": (0..9).map(currency).collect::<Vec<_>>()}]});
    let rules = rules(&[when, json!({"currency": ["EUR"]})]);
    let config = parse(&with(&rules, &json!({})));
    let mut seen = [0; 3];
    for merchant in 0..20 {
        for header in 0..10 {
            let charge = Charge {
                merchant: Some(format!("m{merchant}")),
                header: Some(header.to_string()),
                currency: if merchant == 19 { "JPY" } else { "EUR" }.to_owned(),
                ..Charge::default()
            };
            let want = naive::first(&rules, &json!({}), &charge);
            assert_eq!(decide(&config, &charge).rule, want, "{charge:?}");
            seen[want.unwrap_or(2)] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

/// More demands on one attribute than the index has layers for.
#[test]
fn a_rule_with_many_demands_on_one_attribute_is_decided_alike() {
    let not = |n: usize| json!({"not": {"merchant": [format!("m{n}")]}});
    let rules = rules(&[json!({"all": (0..6).map(not).collect::<Vec<_>>()}), json!({"merchant": ["m1", "m5"]})]);
    let config = parse(&with(&rules, &json!({})));
    for merchant in 0..8 {
        let charge = Charge { merchant: Some(format!("m{merchant}")), ..Charge::default() };
        let want = match merchant {
            1 | 5 => Some(1),
            0..6 => None,
            _ => Some(0),
        };
        assert_eq!(naive::first(&rules, &json!({}), &charge), want);
        assert_eq!(decide(&config, &charge).rule, want, "{charge:?}");
    }
}
