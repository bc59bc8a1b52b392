//! What VMs share: data, queues, metrics.

use super::{Came, Here, named, number, word};
use crate::{host, state, text};

const METRICS: [&str; 3] = ["counter", "gauge", "histogram"];

/// `shget KEY`, `shset KEY VALUE 0|last|stale|N`.
/// `qreg NAME`, `qresolve VM NAME`, `qput NAME VALUE`, `qget NAME`.
/// `mdef KIND NAME`, `minc NAME DELTA`, `mrec NAME VALUE`, `mget NAME`. `#N` stands for the raw number of a name.
pub(super) fn run(_: &Here<'_>, verb: &str, arguments: &[&str]) -> Came {
    let [first, second] = [word(arguments, 0), word(arguments, 1)];
    let key = text::bytes(first);
    match verb {
        "shget" => {
            let (status, (value, cas)) = host::shared(&key);
            let known = state::with(|state| state.cas.insert(first.to_owned(), cas));
            // The number itself counts what others did; that it moves, and how it begins, is the contract.
            let cas = match known {
                _ if cas == 0 => "zero",
                None => "some",
                Some(known) if known == cas => "same",
                Some(known) if known < cas => "grown",
                Some(_) => "SHRUNK",
            };
            Came::Of(format!("{status} {} cas={cas}", text::shown(&value)))
        }
        "shset" => {
            let known = state::with(|state| state.cas.get(first).copied().unwrap_or_default());
            let cas = match word(arguments, 2) {
                "last" => known,
                "stale" => known.wrapping_sub(1).max(1),
                other => other.parse().unwrap_or_default(),
            };
            Came::status(host::set_shared(&key, &text::bytes(second), cas))
        }
        "qreg" => remember("queue", first, host::register_queue(&key)),
        "qresolve" => remember("queue", second, host::resolve_queue(&key, &text::bytes(second))),
        "qput" => Came::status(host::enqueue(id("queue", first), &text::bytes(second))),
        "qget" => {
            let (status, value) = host::dequeue(id("queue", first));
            Came::value(status, text::shown(&value), value.is_empty())
        }
        "mdef" => {
            let name = text::bytes(second);
            remember("metric", second, host::define_metric(named(&METRICS, first), &name))
        }
        "minc" => Came::status(host::increment(id("metric", first), number(arguments, 1))),
        "mrec" => Came::status(host::record(id("metric", first), number(arguments, 1))),
        "mget" => {
            let (status, value) = host::metric(id("metric", first));
            Came::Of(format!("{status} {value}"))
        }
        _ => Came::Unknown,
    }
}

/// Keeps the number that the host gave to a name, and says whether it is the one it had.
fn remember(kind: &str, name: &str, (status, id): (u32, u32)) -> Came {
    if status != 0 {
        return Came::status(status);
    }
    let known = state::with(|state| state.ids.insert(format!("{kind} {name}"), id));
    let told = match known {
        None => "new",
        Some(known) if known == id => "same",
        Some(_) => "another",
    };
    Came::Of(format!("{status} id={told}"))
}

fn id(kind: &str, name: &str) -> u32 {
    if let Some(raw) = name.strip_prefix('#') {
        return raw.parse().unwrap_or_default();
    }
    state::with(|state| state.ids.get(&format!("{kind} {name}")).copied().unwrap_or(u32::MAX))
}
