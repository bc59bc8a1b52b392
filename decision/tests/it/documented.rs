//! What an operator may meet in an answer or a metric stands in the reference.

use decision::balance;
use decision::breakers::Scope;
use decision::config::presets::PRESETS;
use decision::fact::{Beat, LookupResult, Went, WriteResult};
use decision::payment::{Evidence, Outcome};
use decision::reason::Reason;
use decision::store::Store;

const REFERENCE: &str = include_str!("../../../envoy/README.md");
const FILTER_METRICS: &str = include_str!("../../../filter/src/metrics.rs");

#[test]
fn every_code_of_every_registry_is_explained() {
    let codes = Reason::ALL.map(Reason::code).into_iter();
    let outcomes = Outcome::ALL.map(Outcome::as_str).into_iter();
    let evidence = Evidence::ALL.map(Evidence::as_str).into_iter();
    let presets = PRESETS.map(|(name, _)| name).into_iter();
    let lookups = LookupResult::ALL.map(LookupResult::as_str).into_iter();
    let writes = WriteResult::ALL.map(WriteResult::as_str).into_iter();
    let stores = Store::ALL.map(Store::as_str).into_iter();
    let standings = balance::Standing::ALL.map(balance::Standing::as_str);
    let beats = standings
        .into_iter()
        .filter(|word| *word != "running")
        .chain(Beat::ALL.map(Beat::as_str))
        .chain(Went::ALL.map(Went::as_str))
        .chain(Scope::KINDS);
    let words = codes.chain(outcomes).chain(evidence).chain(presets).chain(lookups).chain(writes).chain(stores);
    for word in words.chain(beats) {
        let known = REFERENCE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|w| w == word);
        assert!(known, "envoy/README.md does not name {word}");
    }
}

#[test]
fn every_metric_of_the_filter_is_explained() {
    let names: Vec<_> = FILTER_METRICS.split('"').filter(|text| text.starts_with("switchyard_")).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(REFERENCE.contains(&format!("`{name}`")), "envoy/README.md does not name {name}");
    }
}

/// What a newcomer pastes first is read as it stands.
#[test]
fn the_configuration_of_the_readme_is_valid() {
    const README: &str = include_str!("../../../README.md");
    let sample = README.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect("a sample");
    let document: serde_json::Value = serde_json::from_str(sample).expect("JSON");
    let read = decision::config::Config::parse(document["routing"].to_string().as_bytes());
    assert!(read.is_ok(), "{:?}", read.err());
}
