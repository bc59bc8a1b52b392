//! What a mode makes of one request, from the control and a draw.

use fastrand::Rng;

use super::control::{Control, Mode, Recorded};
use super::ledger::PaymentStatus;

/// Whether a request that met a fault was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Execution {
    Done,
    Skipped,
}

/// What becomes of a charge that gets as far as a payment.
pub(super) struct Verdict<'a> {
    /// What the answer says.
    pub(super) said: PaymentStatus,
    /// What is true, and what a later `GET` says.
    pub(super) truth: PaymentStatus,
    pub(super) code: &'a str,
    pub(super) execution: Execution,
}

/// The verdict under `mode`, or nothing if the charge makes no payment.
pub(super) fn verdict(mode: &Mode, recorded: Execution) -> Option<Verdict<'_>> {
    use PaymentStatus::{Declined, Succeeded};
    let done = |status, code| Verdict { said: status, truth: status, code, execution: Execution::Done };
    match mode {
        Mode::Approve | Mode::ResetAfter | Mode::Refuse => Some(done(Succeeded, "00")),
        Mode::Decline(code) => Some(done(Declined, code)),
        Mode::Http(_) | Mode::Hang => (recorded == Execution::Done).then(|| done(Succeeded, "00")),
        Mode::ResetBefore => None,
        Mode::Technical(code) => Some(Verdict {
            said: Declined,
            truth: if recorded == Execution::Done { Succeeded } else { Declined },
            code,
            execution: recorded,
        }),
    }
}

/// The mode that one request meets, and whether it is recorded: one draw each, whatever the control says, so that the
/// n-th request meets the same under every control with the same seed.
pub(super) fn draw(control: &Control, draws: &mut Rng) -> (Mode, Execution) {
    let (struck, coin) = (draws.f64() < control.rate, draws.bool());
    let recorded = match control.recorded {
        Recorded::Yes => Execution::Done,
        Recorded::No => Execution::Skipped,
        Recorded::Random if coin => Execution::Done,
        Recorded::Random => Execution::Skipped,
    };
    let mode = if struck { control.mode.clone() } else { Mode::Approve };
    (mode, recorded)
}
