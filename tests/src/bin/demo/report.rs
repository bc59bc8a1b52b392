//! The table at the end of the story.

use std::time::Duration;

/// What one step showed.
pub(super) struct Shown {
    /// The claim.
    pub(super) claim: &'static str,
    /// What was seen.
    pub(super) seen: String,
    /// How long it took.
    pub(super) took: Duration,
}

/// A line per step.
pub(super) fn table(steps: &[Shown]) -> String {
    let width = steps.iter().map(|step| step.claim.len()).max().unwrap_or(0);
    let line = |(n, step): (usize, &Shown)| {
        let Shown { claim, seen, took } = step;
        format!("  {}. {claim:<width$}  {:>5.1} s  {seen}", n + 1, took.as_secs_f64())
    };
    steps.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}
