//! The VM: its contexts, its clock, its luck, its log, and how it ends.

use super::{Came, Here, number, word};
use crate::{host, state, text};

/// What an allocation without end takes at a time.
const MEGABYTE: usize = 1 << 20;
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

/// `tick MS`, `effective LABEL|#N`, `done`, `foreign NAME [ARGUMENT]`, `loglevel`, `log LEVEL TEXT`, `print TEXT`,
/// `env NAME`, `clock`, `clockid N`, `random LEN`, `panic`, `trap`, `loop`, `alloc`, `allocmb N`.
pub(super) fn run(here: &Here<'_>, verb: &str, arguments: &[&str]) -> Came {
    let first = word(arguments, 0);
    match verb {
        "tick" => Came::status(host::tick(number(arguments, 0))),
        "effective" => {
            let id = match first.strip_prefix('#') {
                Some(raw) => raw.parse().unwrap_or_default(),
                None if first == "self" => here.id,
                None => state::with(|state| state.labelled(first).unwrap_or(u32::MAX)),
            };
            Came::status(host::effective(id))
        }
        "done" => Came::status(host::done()),
        "foreign" => {
            let (status, value) = host::foreign(&text::bytes(first), &text::bytes(word(arguments, 1)));
            Came::value(status, text::shown(&value), value.is_empty())
        }
        "loglevel" => {
            let (status, level) = host::log_level();
            Came::Of(format!("{status} {level}"))
        }
        "log" => {
            Came::status(host::log(number(arguments, 0), &format!("probe|{}|    logged {arguments:?}", here.label)))
        }
        "print" => {
            println!("probe|{}|    printed {first}", here.label);
            Came::Of("done".to_owned())
        }
        "env" => Came::Of(format!("{:?}", std::env::var(first).ok())),
        "clock" => clocks(),
        "clockid" => Came::status(host::clock(number(arguments, 0)).0),
        "random" => random(number(arguments, 0)),
        "panic" => panic!("the program says so"),
        "trap" => trap(),
        "loop" => spin(),
        "alloc" => loop {
            keep(MEGABYTE);
        },
        "allocmb" => {
            let count: usize = number(arguments, 0);
            for _ in 0..count {
                keep(MEGABYTE);
            }
            Came::Of("done".to_owned())
        }
        _ => Came::Unknown,
    }
}

/// The three clocks: which go, which go back, and whether the first two are one.
fn clocks() -> Came {
    let (status, before) = host::time();
    let real = host::clock(REALTIME);
    let [first, second] = [host::clock(MONOTONIC), host::clock(MONOTONIC)];
    let after = host::time().1;
    let order = before <= after && first.1 <= second.1;
    // Fifty years and more since 1970, and the two within a second.
    let since_1970 = before > 1_500_000_000_000_000_000 && real.1.abs_diff(before) < 1_000_000_000;
    Came::Of(format!("{status} {} {} forward={order} since_1970={since_1970}", real.0, first.0))
}

/// Two draws: whether they differ, and whether anything was drawn.
fn random(len: usize) -> Came {
    let [(status, first), (_, second)] = [host::random(len), host::random(len)];
    Came::Of(format!("{status} differ={}", first != second))
}

/// Memory that is touched and never freed.
fn keep(len: usize) {
    std::mem::forget(std::hint::black_box(vec![1_u8; len]));
}

#[expect(clippy::empty_loop, reason = "a loop without end is what the program asks for")]
fn spin() -> ! {
    loop {}
}

/// Unlike a panic it writes nothing.
fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}
