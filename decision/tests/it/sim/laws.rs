//! The laws, which of them were broken, and how often each had the chance to be.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Law {
    /// What was counted in is counted out.
    InFlight,
    /// So many probes per half-open time of a proxy.
    Probes,
    /// Nothing is sent while a breaker is open, nor is one tried before its wait is over.
    Open,
    /// An ejection moves only the ejected keys.
    Ejection,
    /// An id has one part, and shares are kept.
    Split,
    /// Exploration is rationed, and goes to candidates.
    Exploration,
    /// Every candidate gets something.
    Starvation,
    /// One key is executed once; what was said is so.
    Money,
}

/// What kind of chance a law had to be broken.
pub(super) type Kind = Cow<'static, str>;

/// Breaches that are told; further ones say nothing new.
const BROKEN_MAX: usize = 20;

#[derive(Default)]
pub(super) struct Laws {
    pub(super) broken: Vec<(Law, String)>,
    /// What happened that could have broken one, by law and kind.
    pub(super) exercised: BTreeMap<(Law, Kind), u64>,
}

impl Laws {
    pub(super) fn judge(&mut self, law: Law, what: impl Into<Kind>, holds: bool, told: impl FnOnce() -> String) {
        *self.exercised.entry((law, what.into())).or_default() += 1;
        if !holds && self.broken.len() < BROKEN_MAX {
            self.broken.push((law, told()));
        }
    }

    /// Notes that something happened without which a law says little.
    pub(super) fn saw(&mut self, law: Law, what: impl Into<Kind>) {
        self.judge(law, what, true, String::new);
    }

    pub(super) fn table(&self) -> String {
        let mut lines = String::new();
        for ((law, what), times) in &self.exercised {
            let _ = writeln!(lines, "    {law:?}: {what}: {times}");
        }
        lines
    }
}
