//! A decline is an answer: however many there are, and whatever their code, no breaker opens.

use std::collections::BTreeSet;

use decision::breakers::Traits;
use decision::config::Config;
use decision::config::presets::PRESETS;
use decision::fact::Fact;
use decision::operation::Kind;
use decision::payment::{Answer, Asked, NetworkCodes, Outcome, Pointer, Profile, Scheme, Spoke};
use decision::router::{Charge, Router, Told};
use decision::stats::Approval;
use serde_json::json;

use crate::fixture::{CHARGE, Drive, at, document};

/// Beyond every bound of the default breaker: failures in a row, shares, issuers.
const MANY: u64 = 1_000;

/// One processor that answers with codes of ISO 8583, behind the strictest breakers there are.
fn config() -> Config {
    let mut json = document();
    json["breaker"] = json!({
        "consecutive_failures": 1, "calls_min": 1, "failure_percent": 1, "issuers": 1, "per": ["scheme"],
    });
    json["profiles"]["sample"] = json!({
        "payment_id": ["/id"], "status": ["/status"], "code": ["/code"], "network_code": ["/response_code"],
        "iso8583": true, "approved": ["succeeded"], "declined": ["declined"], "same_key": "replays",
    });
    json["default"]["processors"] = json!(["a"]);
    Config::parse(json.to_string().as_bytes()).unwrap()
}

/// Every code there can be.
fn codes() -> impl Iterator<Item = String> {
    const SIGNS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let signs = || SIGNS.iter().copied().map(char::from);
    signs().flat_map(move |first| signs().map(move |second| format!("{first}{second}")))
}

fn schemes() -> impl Iterator<Item = Option<Scheme>> {
    Scheme::ALL.into_iter().map(Some).chain([None])
}

fn outcome(profile: &Profile, scheme: Option<Scheme>, status: u16, body: &str) -> Outcome {
    let asked = Asked { scheme, ..Asked::default() };
    profile.read(Kind::Charge, Answer { status, spoke: Spoke::Processor, body: Some(body.as_bytes()), asked }).outcome
}

fn body(code: &str) -> String {
    format!(r#"{{"id":"pay_1","status":"declined","response_code":"{code}"}}"#)
}

/// So many payments of a scheme that end so, one after the other: none may change a breaker.
fn check(config: &Config, told: Told, times: u64, what: &str) {
    let mut router = Router::new(config.clone(), 1);
    let pool = config.rules.pools().next().unwrap();
    let charge = Charge { traits: Traits { scheme: told.scheme, ..Traits::default() }, ..Charge::of(pool) };
    for n in 0..times {
        let ticket = router.route(&charge, at(n * 10)).expect("it is never kept out");
        router.settle(ticket, told, at(n * 10 + 5));
        while let Some(fact) = router.poll_fact() {
            assert!(matches!(fact, Fact::Settled { .. }), "{what}, after {n}: {fact:?}");
        }
    }
}

/// What was declined, by scheme, code and outcome; each once for any code that means the same.
#[test]
fn a_thousand_declines_in_a_row_open_nothing_whatever_their_code() {
    let config = config();
    let profile = &config.processors[0].profile;
    let mut seen = BTreeSet::new();
    let mut declines = 0;
    for (code, scheme) in codes().flat_map(|code| schemes().map(move |scheme| (code.clone(), scheme))) {
        // Letters that no list names are one kind; they are read for one scheme.
        if code.bytes().all(|sign| sign.is_ascii_uppercase()) && scheme != Some(Scheme::Visa) {
            continue;
        }
        let outcome = outcome(profile, scheme, 201, &body(&code));
        if outcome.approval() != Some(Approval::Declined) {
            continue;
        }
        declines += 1;
        // All digits are tried to the full; of the others one for each outcome.
        if seen.insert((scheme, outcome)) || (scheme == Some(Scheme::Visa) && code.parse::<u8>().is_ok()) {
            check(&config, Told { scheme, ..Told::from(outcome) }, MANY, &format!("{code} of {scheme:?}"));
        } else {
            check(&config, Told { scheme, ..Told::from(outcome) }, 2, &format!("{code} of {scheme:?}"));
        }
    }
    assert!(declines > 5_000, "most codes are declines: {declines}");
    assert_eq!(seen.len(), 22, "hard and soft ones of each scheme: {seen:?}");
}

/// The codes that presets name, beside their own words for a decline.
#[test]
fn nor_do_the_declines_that_presets_name() {
    let mut declines = 0;
    for (name, _) in PRESETS {
        let mut json = document();
        json["profiles"]["sample"] = json!({"preset": name});
        let config = Config::parse(json.to_string().as_bytes()).unwrap();
        let mut profile = config.processors[0].profile.clone();
        // Where they stand does not matter here.
        (profile.status, profile.code) =
            (vec![Pointer::parse("/status").unwrap()], vec![Pointer::parse("/code").unwrap()]);
        (profile.network_code, profile.network_codes) = (Vec::new(), NetworkCodes::default());
        profile.encoding = decision::payment::Encoding::Json;
        let codes: Vec<String> = profile.codes.exact.keys().chain(profile.codes.prefixes.keys()).cloned().collect();
        let words: Vec<String> = profile.statuses.keys().cloned().collect();
        for (code, word) in
            codes.iter().map(|code| (code.as_str(), "")).chain(words.iter().map(|word| ("", word.as_str())))
        {
            let body = json!({"id": "pay_1", "status": word, "code": code}).to_string();
            let outcome = outcome(&profile, None, 200, &body);
            if outcome.approval() == Some(Approval::Declined) {
                declines += 1;
                check(&self::config(), outcome.into(), MANY, &format!("{name}: {body}"));
            }
        }
    }
    assert!(declines >= 10, "{declines}");
}

/// All the way through an exchange, and the breaker is one that opens.
#[test]
fn one_technical_code_opens_what_a_hundred_declines_do_not() {
    let changes = |code: &str, times: u32| {
        let mut drive = Drive::of(config());
        for _ in 0..times {
            drive.again().charge(CHARGE, None);
            drive.response(201, Spoke::Processor, Some(&body(code)));
        }
        drive.facts().into_iter().filter(|fact| matches!(fact, Fact::Breaker(..))).count()
    };
    for code in ["05", "41", "43", "51", "54", "59", "65"] {
        assert_eq!(changes(code, 100), 0, "{code}");
    }
    // The processor's, and that of the scheme.
    assert_eq!(changes("96", 1), 2);
}
