//! The rules themselves: each a pure function from text to findings, fed with a bad sample by its test.

use super::Source;

/// Card numbers that payment processors publish for tests. No other may be in the tree.
const TEST_CARDS: &str = "
    2223003122003222 30569309025904   3056930009020004 3530111333300000 3566002020360505
    36227206271667   371449635398431  378282246310005  38520000023237   4000000000000002
    4000000000000069 4000000000000077 4000000000000119 4000000000000127 4000000000009995
    4000056655665556 4012888888881881 4111111111111111 4242424242424242 5105105105105100
    5200828282828210 5555555555554444 6011000990139424 6011111111111117 6200000000000005
    4222222222222    6304000000000000 6304000000000000000
";

/// The lints that keep the filter's virtual machine alive: one panic ends it for every request in flight.
const PANIC_LINTS: [&str; 4] = ["expect_used", "indexing_slicing", "panic", "unwrap_used"];

/// What ties a crate to a clock, a thread, a host or a network. `decision` takes all of these as arguments.
const WORLDLY_CRATES: &str = "axum getrandom hyper moka proxy-wasm rand redis reqwest tokio wasmtime";
const WORLDLY_MODULES: &str = "env fs net os process thread";
const WORLDLY_WORDS: [&str; 3] = ["Instant", "SystemTime", "proxy_wasm"];

/// The SDK's calls of the host, by how they begin: as methods of its traits they are reached on `self`.
const HOST_CALLS: &str = "
    add_http_ call_foreign_ define_metric dequeue_ dispatch_ enqueue_ get_buffer get_current_time get_http_ get_metric
    get_plugin_configuration get_property get_shared_ get_vm_configuration increment_metric record_metric
    register_shared_ remove_http_ remove_shared_ reset_http_ resolve_shared_ resume_http_ send_http_ set_http_
    set_property set_shared_ set_tick_period
";

fn listed(list: &'static str, word: &str) -> bool {
    list.split_whitespace().any(|item| item == word)
}

/// A crate of the workspace and the names of what it depends on, tests apart.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) dependencies: Vec<String>,
}

pub(super) fn wrong_arrows(packages: &[Package]) -> Vec<String> {
    let member = |name: &str| packages.iter().any(|package| package.name == name);
    let mut findings = Vec::new();
    for Package { name, dependencies } in packages {
        for dependency in dependencies {
            let wrong = match name.as_str() {
                "decision" => member(dependency) || listed(WORLDLY_CRATES, dependency),
                "filter" => dependency == "cache-service",
                "cache-service" => dependency == "filter",
                "world" => member(dependency),
                "cli" => member(dependency) && dependency != "decision",
                _ => false,
            };
            if wrong {
                findings.push(format!("remove {name} -> {dependency}"));
            }
        }
        let shell = name == "filter" || name == "cache-service";
        if shell && !dependencies.iter().any(|dependency| dependency == "decision") {
            findings.push(format!("add {name} -> decision: what both shells know is said there"));
        }
    }
    findings
}

/// Whether `word` stands in `line` as a whole identifier.
fn names(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part_of_word) && !line[at + word.len()..].starts_with(part_of_word))
}

/// The modules of `std` that a text names, also in a group: `std::{env, fs::File}`.
fn std_modules(text: &str) -> Vec<&str> {
    let word = |item: &'_ str| item.find(|c: char| !c.is_alphanumeric() && c != '_');
    let mut found = Vec::new();
    for (at, root) in text.match_indices("std::") {
        let rest = &text[at + root.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(&rest[..word(rest).unwrap_or(rest.len())]);
            continue;
        };
        // Names deeper in the group count as well: none of ours is spelt like a module that is refused.
        let mut depth = 1;
        let end = group.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0
        });
        let group = &group[..end.unwrap_or(group.len())];
        found.extend(group.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()));
    }
    found
}

pub(super) fn worldly(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, text) in source.code() {
        for word in WORLDLY_WORDS.iter().filter(|word| names(text, word)) {
            findings.push(format!("{}:{line}: {word}", source.path));
        }
    }
    let code: String = source.code().flat_map(|(_, line)| [line, "\n"]).collect();
    for module in std_modules(&code).into_iter().filter(|module| listed(WORLDLY_MODULES, module)) {
        findings.push(format!("{}: std::{module}", source.path));
    }
    findings
}

/// What the test world must not know: it is a proxy for any filter.
pub(super) fn payment_words(source: &Source) -> Vec<String> {
    const WORDS: [&str; 7] = ["payment", "charge", "card", "acquirer", "processor", "refund", "idempotency"];
    let mut findings = Vec::new();
    for (line, text) in source.text.lines().enumerate() {
        let lower = text.to_lowercase();
        // The crate's own description says that it knows none.
        for word in WORDS.iter().filter(|word| lower.contains(**word) && !lower.contains("no payment word")) {
            findings.push(format!("{}:{}: {word}", source.path, line + 1));
        }
    }
    findings
}

/// A call of the SDK that panics on bytes that are not UTF-8: every getter of headers that has a `_bytes` twin.
pub(super) fn panicking_getters(source: &Source) -> Vec<String> {
    let mut getters = vec!["get_map".to_owned(), "get_map_value".to_owned(), "get_grpc_status".to_owned()];
    for map in ["http_request", "http_response", "http_call_response"] {
        for part in ["header", "headers", "trailer", "trailers"] {
            getters.push(format!("get_{map}_{part}"));
        }
    }
    let mut findings = Vec::new();
    for (line, text) in source.code() {
        // A call, not a function of the same name that is defined here.
        for getter in getters.iter().filter(|getter| names(text, getter) && !text.contains(&format!("fn {getter}"))) {
            findings.push(format!("{}:{line}: {getter}", source.path));
        }
    }
    findings
}

/// What reaches the host past `host.rs`: the SDK's functions, its traits' methods on `self`, or code of our own.
pub(super) fn host_calls(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, text) in source.code() {
        let foreign = names(text, "hostcalls") || names(text, "unsafe") || text.contains("extern \"C\"");
        if foreign || HOST_CALLS.split_whitespace().any(|call| text.contains(&format!("self.{call}"))) {
            findings.push(format!("{}:{line}: {}", source.path, text.trim()));
        }
    }
    findings
}

pub(super) fn missing_panic_lints(text: &str) -> Vec<String> {
    let denied: String =
        text.split("#![").skip(1).filter(|rest| rest.contains("deny(") || rest.contains("forbid(")).collect();
    let missing = PANIC_LINTS.iter().filter(|lint| !names(&denied, lint));
    missing.map(|lint| format!("clippy::{lint}")).collect()
}

pub(super) fn has_caption(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.find(|line| !line.starts_with("#![")).is_some_and(|line| line.starts_with("//!") && line.len() > 4)
}

pub(super) fn ignored_tests(source: &Source) -> Vec<String> {
    let skipped = |text: &str| text.trim_start().starts_with("#[ignore") || text.contains(", ignore");
    let found = source.code().filter(|(_, text)| text.trim_start().starts_with("#[") && skipped(text));
    found.map(|(line, _)| format!("{}:{line}", source.path)).collect()
}

/// An absolute path of somebody's machine. Spelt in halves, or this file would be a finding.
pub(super) fn machine_paths(source: &Source) -> Vec<String> {
    const ROOTS: [&str; 3] = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/")];
    let mut findings = Vec::new();
    for (line, text) in source.text.lines().enumerate() {
        // In the middle of a path or of a URL the name is nobody's home.
        let starts = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}*~".contains(c));
        if ROOTS.iter().any(|root| text.match_indices(root).any(|(at, _)| starts(at))) {
            findings.push(format!("{}:{}: {}", source.path, line + 1, text.trim()));
        }
    }
    findings
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| {
            let value = u32::from(digit - b'0');
            if i % 2 == 0 { value } else { value * 2 - if value > 4 { 9 } else { 0 } }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Numbers that a card could carry: 13 to 19 digits, also in groups of four, of an issuer's range, with the check digit right.
pub(super) fn card_numbers(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, text) in source.text.lines().enumerate() {
        let apart = |c: char| !c.is_alphanumeric() && c != '_' && c != '.';
        let whole = text.split(apart).map(str::to_owned);
        let grouped = text.split(|c: char| !c.is_ascii_digit() && c != ' ' && c != '-').filter_map(|run| {
            let groups: Vec<&str> = run.trim().split([' ', '-']).collect();
            (groups.len() > 2 && groups.iter().all(|group| (2..=6).contains(&group.len()))).then(|| groups.concat())
        });
        for number in whole.chain(grouped) {
            let digits = number.trim_end_matches('.').as_bytes();
            let card = (13..=19).contains(&digits.len())
                && digits.iter().all(u8::is_ascii_digit)
                && (b'2'..=b'6').contains(&digits[0])
                && passes_luhn(digits);
            if card && !TEST_CARDS.split_whitespace().any(|known| known.as_bytes() == digits) {
                // The finding does not repeat the number: test output is kept, too.
                findings.push(format!("{}:{}: {} digits", source.path, line + 1, digits.len()));
            }
        }
    }
    findings
}

#[cfg(test)]
mod bites {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "sample.rs".to_owned(), text: text.to_owned() }
    }

    #[track_caller]
    fn check(rule: fn(&Source) -> Vec<String>, bad: &[&str], good: &[&str]) {
        for text in bad {
            assert_eq!(rule(&source(text)).len(), 1, "should be found once: {text}");
        }
        for text in good {
            assert_eq!(rule(&source(text)), Vec::<String>::new(), "should pass: {text}");
        }
    }

    #[test]
    fn arrows() {
        let package = |name: &str, dependencies: &[&str]| Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        };
        let wrong = |decision: &[&str], filter: &[&str], service: &[&str]| {
            wrong_arrows(&[package("decision", decision), package("filter", filter), package("cache-service", service)])
                .len()
        };
        assert_eq!(wrong(&["serde"], &["decision", "proxy-wasm"], &["decision", "tokio"]), 0);
        assert_eq!(wrong(&["tokio"], &["decision"], &["decision"]), 1);
        assert_eq!(wrong(&["filter"], &["decision"], &["decision"]), 1);
        assert_eq!(wrong(&[], &["decision", "cache-service"], &["decision", "filter"]), 2);
        assert_eq!(wrong(&[], &[], &[]), 2);
        let world = |dependency| wrong_arrows(&[package("world", &[dependency]), package("e2e", &["world"])]).len();
        assert_eq!((world("proxy-wasm-host"), world("e2e")), (0, 1));
        let wrong = |dependency| wrong_arrows(&[package("cli", &[dependency]), package("e2e", &[])]).len();
        assert_eq!((wrong("decision"), wrong("clap"), wrong("e2e")), (0, 0, 1));
    }

    #[test]
    fn worlds() {
        check(payment_words, &["let charge = 1;", "// a Processor's answer"], &["it knows no payment word", "a guest"]);
    }

    #[test]
    fn purity() {
        check(
            worldly,
            &[
                "let t = Instant::now();",
                "use std::time::{Duration, SystemTime};",
                "use std::{\n    collections::HashMap,\n    fs::File,\n};",
                "let home = std::env::var(\"HOME\");",
                "std::thread::spawn(|| ());",
                "use std::net::IpAddr;",
                "use proxy_wasm::types::Action;",
            ],
            &["use std::time::Duration;", "use core::net::IpAddr;", "// as std::env would", "struct Instantly;"],
        );
    }

    #[test]
    fn hosts() {
        check(
            host_calls,
            &[
                "use proxy_wasm::hostcalls;",
                "let id = self.dispatch_http_call(\"cache\", head, None, vec![], wait);",
                "extern \"C\" fn malloc() {}",
                "let x = unsafe { y() };",
                "self.get_property(vec![\"a\"])",
            ],
            &["host::dispatch(&call)", "fn on_http_call_response(&mut self) {", "// unsafe", "#![deny(unsafe_code)]"],
        );
        check(
            panicking_getters,
            &[
                "self.get_http_request_header(\"a\")",
                "hostcalls::get_map(kind)",
                "let get = Self::get_http_response_headers;",
            ],
            &["hostcalls::get_map_bytes(kind)", "self.get_http_request_header_bytes(\"a\")"],
        );
    }

    #[test]
    fn lints_and_captions() {
        let all = "//! X.\n#![cfg_attr(not(test), deny(\n    clippy::panic, clippy::unwrap_used,\n    clippy::expect_used, clippy::indexing_slicing\n))]";
        assert_eq!(missing_panic_lints(all), Vec::<String>::new());
        assert_eq!(missing_panic_lints(&all.replace("clippy::panic,", "")), ["clippy::panic"]);
        assert_eq!(missing_panic_lints(&all.replace("deny", "warn")).len(), 4);
        assert!(has_caption("//! What it is.\nuse x;") && has_caption("#![no_main]\n\n//! What it is.\n"));
        assert!(
            !has_caption("// What it is.")
                && !has_caption("use x;\n//! late")
                && !has_caption("//!\n")
                && !has_caption("")
        );
    }

    #[test]
    fn skipped_tests() {
        let skip = concat!("#[ign", "ore]");
        check(ignored_tests, &[skip, "#[cfg_attr(miri, ignore)]"], &["// #[ignore]", "let ignore = 1;"]);
    }

    #[test]
    fn paths() {
        let bad = ["/ho", "/ro", "/wo"].map(|half| {
            format!(
                "see {half}{}x",
                if half == "/ho" {
                    "me/"
                } else if half == "/ro" {
                    "ot/"
                } else {
                    "rk/"
                }
            )
        });
        check(
            machine_paths,
            &bad.each_ref().map(String::as_str),
            &["https://host.example/home/x", "$HOME/work/x", "a/root/b"],
        );
    }

    #[test]
    fn cards() {
        let number = ["45391488", "03436467"].concat();
        let grouped = ["4539", "1488", "0343", "6467"];
        check(
            card_numbers,
            &[&format!("\"{number}\""), &format!("pay {number}."), &grouped.join(" "), &grouped.join("-")],
            &[
                "4111 1111 1111 1111",
                "\"4242424242424242\"",
                "4539148803436460",
                &format!("a{number}"),
                &format!("0.{number}"),
            ],
        );
    }
}
