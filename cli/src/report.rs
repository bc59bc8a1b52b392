//! What was found, in words and as JSON: names that the operator gave, and numbers. Nothing of the request.

use std::fmt::Write as _;

use decision::balance::{Keyed, Standing, Weighed};
use decision::config::{Config, Detail, Shared};
use decision::exchange::Explained;
use decision::explain::{Considered, Explanation, shown};
use decision::operation::{Claims, Mode};
use decision::processor::ProcessorId;
use decision::reason::Reason;
use decision::rules::Target;
use serde_json::json;

use crate::config::Loaded;
use crate::explain::{Told, Went};

/// A valid configuration: what is in it, and what is odd about it.
pub(crate) fn checked(file: &str, Loaded { config, filter, prefix }: &Loaded) -> String {
    let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let all = [
        count(config.processors.len(), "processor"),
        count(config.operations.len(), "operation"),
        count(config.rules.list.len(), "rule"),
        count(config.pools.len(), "pool"),
    ];
    let of = filter.as_ref().map_or(String::new(), |filter| format!("filter {filter}: "));
    let mut text = format!("{file}: {of}ok: {}\n", all.join(", "));
    for warning in &config.warnings {
        let path = if warning.path == "." { prefix.trim_end_matches('.') } else { warning.path.as_str() };
        let prefix = if warning.path == "." { "" } else { prefix };
        let _ = writeln!(text, "{file}: warning: {prefix}{path}: {}", warning.message);
    }
    text
}

/// For people.
pub(crate) fn text(config: &Config, told: &Told) -> String {
    let mut text = String::new();
    let mut line = |what: &str, said: &str| {
        let _ = writeln!(text, "{what:<10} {said}");
    };
    let watched = if told.mode == Mode::Shadow { "; it is only watched (shadow): this is what would be" } else { "" };
    match (&told.explained, &told.went) {
        (Explained::NoOperation, _) => {
            line(
                "operation",
                "none has this method and path: the request passes the filter, and Envoy's routes decide",
            );
        }
        (Explained::Refused { operation, reason }, _) => {
            line("operation", &format!("{}{watched}", operation.as_deref().unwrap_or("not told")));
            line("refused", &refusal(*reason, None));
        }
        (Explained::Pinned { operation }, went) => {
            line("operation", &format!("{operation}{watched}"));
            match went {
                Went::Refused { reason, retry_after } => line("refused", &refusal(*reason, *retry_after)),
                Went::To(_) | Went::Unknown => line("goes to", &pinned(config, operation)),
            }
        }
        (Explained::Charge { operation, rule, part, explanation }, went) => {
            line("operation", &format!("{operation}{watched}"));
            line("rule", rule.as_deref().unwrap_or("none holds: the default"));
            if let Some(part) = part {
                let of = parts(config, rule.as_deref()).map_or(String::new(), |parts| format!(" of {parts}"));
                line("part", &format!("{}{of}", part.saturating_add(1)));
            }
            line("policy", explanation.policy());
            if explanation.panic {
                line("panic", "too few are left, so breakers are passed over");
            }
            let to = match went {
                Went::To(id) => Some(*id),
                Went::Refused { .. } | Went::Unknown => None,
            };
            let picked = match went {
                Went::To(id) => format!("{}: {}", name(config, *id), why(config, operation, explanation, told.seed)),
                Went::Refused { reason, retry_after } => format!("nobody: {}", refusal(*reason, *retry_after)),
                Went::Unknown => "nobody".to_owned(),
            };
            line("picked", &picked);
            line("line", &explanation.line(config, rule.as_deref(), to));
            let _ = write!(text, "\n{}", table(config, &explanation.members));
        }
    }
    text
}

/// For machines.
pub(crate) fn json(config: &Config, told: &Told) -> String {
    let (picked, refused) = match &told.went {
        Went::To(id) => (Some(name(config, *id)), None),
        Went::Refused { reason, retry_after } => (None, Some((*reason, *retry_after))),
        Went::Unknown => (None, None),
    };
    let refused = match (&told.explained, refused) {
        (Explained::Refused { reason, .. }, None) => Some((*reason, None)),
        (_, refused) => refused,
    };
    let refused = refused.map(|(reason, wait)| {
        json!({"reason": reason.code(), "status": reason.status(), "detail": reason.detail(), "retry_after_s": wait})
    });
    let mode = if told.mode == Mode::Shadow { "shadow" } else { "enforce" };
    let value = match &told.explained {
        Explained::NoOperation => json!({"operation": null, "passes": true}),
        Explained::Refused { operation, .. } => json!({"operation": operation, "mode": mode, "refused": refused}),
        Explained::Pinned { operation } => {
            let goes_to = refused.is_none().then(|| pinned(config, operation));
            json!({"operation": operation, "mode": mode, "goes_to": goes_to, "refused": refused})
        }
        Explained::Charge { operation, rule, part, explanation } => json!({
            "operation": operation,
            "mode": mode,
            "rule": rule,
            "part": part.map(|part| part.saturating_add(1)),
            "keyed": explanation.keyed,
            "explanation": explanation.to_json(config),
            "seed": told.seed,
            "picked": picked,
            "refused": refused,
        }),
    };
    format!("{value:#}\n")
}

fn name(config: &Config, id: ProcessorId) -> &str {
    config.processor(id).map_or("", |p| p.name.as_str())
}

fn refusal(reason: Reason, retry_after: Option<u64>) -> String {
    let wait = retry_after.map_or(String::new(), |seconds| format!(", retry-after {seconds} s"));
    format!("{} {}{wait}. {}", reason.status(), reason.code(), reason.detail())
}

/// How many parts a rule's split has.
fn parts(config: &Config, rule: Option<&str>) -> Option<usize> {
    match &config.rules.list.iter().find(|known| Some(known.name.as_str()) == rule)?.target {
        Target::Split(split) => Some(split.parts.len()),
        Target::Pool(_) => None,
    }
}

fn pinned(config: &Config, operation: &str) -> String {
    let detail = config.operations.iter().find(|o| o.name == operation).map(|o| &o.detail);
    match detail {
        Some(Detail::Lookup(lookup)) if lookup.shared == Shared::Public => {
            "the cache that everybody shares; else any processor of the default pool".to_owned()
        }
        Some(Detail::Lookup(_)) => {
            "the tenant's cache; else the processor that has the payment (its pin), and without a pin it is a 409"
                .to_owned()
        }
        _ => "the processor that has the payment (its pin), and without a pin it is a 409".to_owned(),
    }
}

/// Why it is this one of those in the running.
fn why(config: &Config, operation: &str, explanation: &Explanation, seed: u64) -> String {
    let carrier = config.operations.iter().find(|o| o.name == operation).and_then(|o| match &o.detail {
        Detail::Charge { key } => key.as_ref(),
        Detail::FollowUp { .. } | Detail::Lookup(_) => None,
    });
    let claimed = explanation.keyed && carrier.is_some_and(|key| key.claims == Claims::Required);
    let running = explanation.members.iter().filter(|one| one.out().is_none());
    let placed = ["draw", "home"].contains(&measure(&explanation.members));
    let mut why = if explanation.keyed && explanation.settings.keyed == Keyed::Rendezvous {
        "the key decides among those in the running".to_owned()
    } else if running.count() == 1 {
        "nobody else is in the running".to_owned()
    } else if placed {
        "what the policy hashes decides among those in the running".to_owned()
    } else {
        let measure = measure(&explanation.members);
        let by = match measure {
            "weight" => "a share by weight".to_owned(),
            "credit" | "approval_rate" => format!("the highest {measure}"),
            _ => format!("the lowest {measure}"),
        };
        format!("by {by}; what is equal or left to chance goes by seed {seed}, and in another worker otherwise")
    };
    if claimed {
        why.push_str("; where the key was claimed before, its claim goes first");
    }
    why
}

/// What is compared: the same of all.
fn measure(members: &[Considered]) -> &'static str {
    members.first().map_or("", |one| one.weighed.measure)
}

/// Every processor of the pool in a row.
fn table(config: &Config, members: &[Considered]) -> String {
    let mut rows = vec![["processor", "running", "breaker", measure(members)].map(str::to_owned)];
    rows.extend(members.iter().map(|one| {
        let running = one.out().map_or("yes".to_owned(), |why| format!("no: {why}"));
        let Weighed { id, standing, value, .. } = one.weighed;
        // Who is no candidate is not compared.
        let value = if standing == Standing::NotCandidate { "-".to_owned() } else { shown(value) };
        [name(config, id).to_owned(), running, one.breaker.as_str().to_owned(), value]
    }));
    let mut widths = [0; 4];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}
