//! Probes: the same small filter, the same requests, once on the real Envoy and once in the test world, and what was seen.
//!
//! A file of `tests/conformance/probes` says what the proxy is, what the filter does and what is sent ([`load`], [`script`]); [`run`]
//! plays it on a real Envoy between [`client`] and [`server`], [`world`] in the test world; a [`recording`] is text that two hosts can share, and
//! [`compare`] says where they do not.

pub mod client;
pub mod compare;
pub mod conformance;
pub mod envoy;
pub mod load;
pub mod recording;
pub mod run;
pub mod script;
mod server;
mod wire;
pub mod world;

use std::path::PathBuf;

use e2e::stack::repository;
use recording::Sections;

/// The files, in order of their names.
pub fn files() -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(repository().join("tests/conformance/probes"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") && !path.ends_with(compare::KNOWN) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The known differences, none if there is no file of them.
pub fn known() -> Result<Vec<compare::Known>, load::LoadError> {
    let path = repository().join("tests/conformance/probes").join(compare::KNOWN);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let file: compare::KnownFile = toml::from_str(&std::fs::read_to_string(path)?)?;
    file.entries().map_err(load::LoadError::Wrong)
}

/// What a case's recording lacks of what was expected: a probe that records nothing must not pass.
pub fn unmet(case: &load::Case, sections: &Sections) -> Vec<String> {
    let mut unmet = Vec::new();
    let lines: Vec<&String> = sections.values().flatten().collect();
    let has = |text: &String| lines.iter().any(|line| line.contains(text.as_str()));
    let first = case.streams.first().and_then(|stream| sections.get(&format!("client {}", stream.label)));
    if let (Some(status), Some(client)) = (case.expect.status, first) {
        let head = if status == 0 { "no answer".to_owned() } else { format!("status {status}") };
        if client.first() != Some(&head) {
            unmet.push(format!("{head}, not {:?}", client.first()));
        }
    }
    if let (Some(body), Some(client)) = (&case.expect.body, first) {
        let body = format!("  body \"{body}\"");
        if !client.contains(&body) {
            unmet.push(format!("the client sees{body}"));
        }
    }
    unmet.extend(case.expect.must_see.iter().filter(|text| !has(text)).map(|text| format!("not seen: {text}")));
    unmet.extend(case.expect.must_not_see.iter().filter(|text| has(text)).map(|text| format!("seen: {text}")));
    if lines.iter().any(|line| line.ends_with("NO SUCH OPERATION")) {
        unmet.push("an operation that there is not".to_owned());
    }
    unmet
}
