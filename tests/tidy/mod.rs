//! The house rules that neither the compiler nor clippy can hold, as tests over the text of the tree: which crate may know
//! which, where the world may be touched, how long a file may get, what may not be in it.
//!
//! This file reads what git tracks and asks; [`rules`] holds the rules. A finding says what to do about it.

mod rules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rules::Package;

/// A file that is longer has more than one subject.
const LINES_MAX: usize = 500;
/// A file that is longer is named in the test's output, so that it is split before it must be.
const LINES_NOTED: usize = 300;
/// The filter moves values and decides nothing: what outgrows this belongs into `decision`.
const FILTER_LINES_MAX: usize = 1200;

/// What may stand at the top of the repository.
const TOP_LEVEL: &str = "
    .cargo .ci .gitignore ARCHITECTURE.md CONTRIBUTING.md Cargo.lock Cargo.toml LICENSE README.md cache-service cli
    clippy.toml decision deny.toml docs envoy filter fuzz just justfile nginx rust-toolchain.toml rustfmt.toml scripts
    tests
";

/// One tracked text file: its path from the repository's root, and what is in it.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Its lines of code with their numbers: without the lines that are comments only.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(n, line)| (n + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("the package is in the workspace").to_path_buf()
}

/// The paths git tracks; where there is no git (an unpacked archive), every path outside the build's own folders.
fn tracked() -> Vec<String> {
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    match git {
        Ok(listed) if listed.status.success() && !listed.stdout.is_empty() => {
            let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
            listed.split_terminator('\0').map(str::to_owned).collect()
        }
        _ => {
            let mut found = Vec::new();
            walk(&root(), "", &mut found);
            found
        }
    }
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the tree can be read") {
        let entry = entry.expect("the tree can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            if ![".git", ".tools", "target"].contains(&name.as_str()) {
                walk(&entry.path(), &format!("{path}/"), found);
            }
        } else if name != ".git" {
            found.push(path);
        }
    }
}

/// Every tracked file that is text. One that is deleted but not yet committed is passed over.
fn sources() -> Vec<Source> {
    let read = |path: String| {
        let text = fs::read_to_string(root().join(&path)).ok()?;
        Some(Source { path, text })
    };
    tracked().into_iter().filter_map(read).collect()
}

/// The Rust files under a folder; all of them for "".
fn rust_in(folder: &str) -> Vec<Source> {
    let mut all = sources();
    all.retain(|source| source.path.ends_with(".rs") && Path::new(&source.path).starts_with(folder));
    assert!(!all.is_empty(), "no Rust file found under {}/{folder}", root().display());
    all
}

fn require(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}

#[test]
fn the_arrows_hold() {
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("cargo writes JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let packages: Vec<Package> = list(&told["packages"])
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            dependencies: list(&package["dependencies"])
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        })
        .collect();
    assert!(packages.iter().any(|package| package.name == "decision"), "no decision in {told}");
    require("filter -> decision <- cache-service is all, and decision is pure:", rules::wrong_arrows(&packages));
}

#[test]
fn decision_touches_no_clock_host_or_network() {
    let found = rust_in("decision/src").iter().flat_map(rules::worldly).collect();
    require("take it as an argument (time is Now, randomness a seed, addresses core::net):", found);
}

#[test]
fn the_world_knows_no_payment() {
    let found = rust_in("tests/world").iter().flat_map(rules::payment_words).collect();
    require("the world is a proxy for any filter; what knows payments stands beside it:", found);
}

#[test]
fn no_file_is_too_long() {
    let mut found = Vec::new();
    for source in rust_in("") {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{}: {lines} lines", source.path));
        } else if lines > LINES_NOTED {
            println!("note: {} has {lines} lines; at {LINES_MAX} it must be split", source.path);
        }
    }
    require(&format!("split what has more than {LINES_MAX} lines by subject:"), found);
}

#[test]
fn the_filter_stays_thin() {
    let lines: usize = rust_in("filter/src").iter().map(|source| source.text.lines().count()).sum();
    assert!(
        lines <= FILTER_LINES_MAX,
        "filter/src has {lines} lines, {FILTER_LINES_MAX} are allowed: move what decides into decision"
    );
}

#[test]
fn only_host_rs_calls_the_host() {
    let elsewhere = rust_in("filter/src").into_iter().filter(|source| source.path != "filter/src/host.rs");
    let found = elsewhere.flat_map(|source| rules::host_calls(&source)).collect();
    require("call the host through filter/src/host.rs:", found);
}

#[test]
fn the_filter_reads_bytes() {
    let found = rust_in("filter").iter().flat_map(rules::panicking_getters).collect();
    require("it panics on bytes that are not UTF-8 and one request ends the VM; use its _bytes twin:", found);
}

#[test]
fn what_runs_in_the_vm_denies_panics() {
    let mut found = Vec::new();
    for path in ["filter/src/lib.rs", "decision/src/lib.rs"] {
        let text = fs::read_to_string(root().join(path)).expect("the crate is there");
        found.extend(rules::missing_panic_lints(&text).into_iter().map(|lint| format!("{path}: {lint}")));
    }
    require("add to the file's #![deny(..)] or #![cfg_attr(not(test), deny(..))]:", found);
}

#[test]
fn every_file_has_a_caption() {
    let found = rust_in("").into_iter().filter(|source| !rules::has_caption(&source.text)).map(|source| source.path);
    require("begin the file with a line `//! what it is for`:", found.collect());
}

#[test]
fn no_test_is_skipped() {
    let found = rust_in("").iter().flat_map(rules::ignored_tests).collect();
    require("make the test pass or remove it:", found);
}

#[test]
fn the_top_level_holds_known_names_only() {
    let mut found: Vec<String> = tracked()
        .iter()
        .filter_map(|path| path.split('/').next().map(str::to_owned))
        .filter(|name| !TOP_LEVEL.split_whitespace().any(|known| known == name))
        .collect();
    found.dedup();
    require("move it into a folder, or add it to TOP_LEVEL with a reason in the commit:", found);
}

#[test]
fn no_path_of_a_machine_is_in_the_tree() {
    let found = sources().iter().flat_map(rules::machine_paths).collect();
    require("write a path from the repository's root, or take it from the environment:", found);
}

#[test]
fn no_card_number_is_in_the_tree() {
    // The lock's checksums are not ours to choose.
    let ours = sources().into_iter().filter(|source| source.path != "Cargo.lock");
    let found = ours.flat_map(|source| rules::card_numbers(&source)).collect();
    require("use a published test card, or write a number that is no card with underscores:", found);
}
