//! What a response means. Total: every answer has an outcome, and only some outcomes blame the processor.
//!
//! Whether the request may be sent again is another question and another type: [`super::Evidence`].

use crate::breaker::Verdict;
use crate::stats::Approval;

/// What a response means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Money was reserved or taken, all of it or a part.
    Approved,
    /// A well-formed no that another try may change: later, or with other data.
    DeclinedSoft,
    /// A well-formed no that no other try with this credential changes.
    DeclinedHard,
    /// Taken, and not final yet.
    Pending,
    /// Taken, and waits for the customer: a redirect, a challenge.
    ActionRequired,
    /// The processor has this key or payment in progress, or had it before.
    InFlight,
    /// The processor answered something that is not a charge's outcome, as it should.
    Answered,
    /// The request was at fault.
    InvalidRequest,
    /// The merchant's account, credential or set-up at the processor is at fault: somebody must look at it.
    Misconfigured,
    /// The processor asks for less traffic.
    RateLimited,
    /// The processor failed: 5xx, a technical code inside a 2xx, or no connection.
    Failed,
    /// The issuer, or the way to it, failed (codes 91 and 92): the processor only says so.
    IssuerFailed,
    /// No answer in time.
    TimedOut,
    /// The proxy did not send it.
    Unsent,
    /// Complete, but it does not say what became of the payment.
    Unclear,
    /// Encoded, over the bound, or replaced on its way: not read.
    Unread,
    /// The client left before the answer.
    Abandoned,
}

impl Outcome {
    /// Every outcome, for metrics and tables.
    pub const ALL: [Self; 17] = [
        Self::Approved,
        Self::DeclinedSoft,
        Self::DeclinedHard,
        Self::Pending,
        Self::ActionRequired,
        Self::InFlight,
        Self::Answered,
        Self::InvalidRequest,
        Self::Misconfigured,
        Self::RateLimited,
        Self::Failed,
        Self::IssuerFailed,
        Self::TimedOut,
        Self::Unsent,
        Self::Unclear,
        Self::Unread,
        Self::Abandoned,
    ];

    /// As written in metrics, logs and profiles.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::DeclinedSoft => "declined_soft",
            Self::DeclinedHard => "declined_hard",
            Self::Pending => "pending",
            Self::ActionRequired => "action_required",
            Self::InFlight => "in_flight",
            Self::Answered => "answered",
            Self::InvalidRequest => "invalid_request",
            Self::Misconfigured => "misconfigured",
            Self::RateLimited => "rate_limited",
            Self::Failed => "failed",
            Self::IssuerFailed => "issuer_failed",
            Self::TimedOut => "timed_out",
            Self::Unsent => "unsent",
            Self::Unclear => "unclear",
            Self::Unread => "unread",
            Self::Abandoned => "abandoned",
        }
    }

    /// What it says of the processor. A decline is an answer, and so is a refusal of a bad request. A processor that
    /// asks for less traffic, knows the key already or was never set up for this merchant is not down; what was not read
    /// says nothing.
    pub fn blame(self) -> Verdict {
        match self {
            Self::Approved
            | Self::DeclinedSoft
            | Self::DeclinedHard
            | Self::Pending
            | Self::ActionRequired
            | Self::Answered
            | Self::InvalidRequest => Verdict::Good,
            Self::Failed | Self::TimedOut | Self::Unclear => Verdict::Bad,
            Self::IssuerFailed => Verdict::Issuer,
            Self::InFlight
            | Self::Misconfigured
            | Self::RateLimited
            | Self::Unsent
            | Self::Unread
            | Self::Abandoned => Verdict::Neutral,
        }
    }

    /// What became of the payment, where that is decided.
    pub fn approval(self) -> Option<Approval> {
        match self {
            Self::Approved => Some(Approval::Approved),
            Self::DeclinedSoft | Self::DeclinedHard => Some(Approval::Declined),
            _ => None,
        }
    }

    /// What it says when the request was the probe. A processor that answers is back, whatever it said; else one whose
    /// answers cannot be read would be probed for ever.
    pub fn blame_of_probe(self) -> Verdict {
        match self {
            Self::InFlight | Self::Misconfigured | Self::RateLimited | Self::Unread => Verdict::Good,
            other => other.blame(),
        }
    }

    /// Is it the last word on a payment? Anything else may still change by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Approved | Self::DeclinedSoft | Self::DeclinedHard)
    }

    /// Does, or may, the processor have a payment after it?
    pub fn may_hold_payment(self) -> bool {
        matches!(self, Self::Approved | Self::Pending | Self::ActionRequired | Self::Unread)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_registry_is_complete_and_its_names_differ() {
        let names: BTreeSet<_> = Outcome::ALL.map(Outcome::as_str).into_iter().collect();
        assert_eq!(names.len(), Outcome::ALL.len());
        // `ALL` holds every variant: they are sorted as declared, and the last is the last declared.
        assert!(Outcome::ALL.is_sorted());
        assert_eq!(Outcome::ALL.last().map(|o| *o as usize), Some(Outcome::ALL.len() - 1));
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }

    #[test]
    fn whom_an_outcome_blames() {
        for outcome in Outcome::ALL {
            let want = match outcome.as_str() {
                "failed" | "timed_out" | "unclear" => (Verdict::Bad, Verdict::Bad),
                "issuer_failed" => (Verdict::Issuer, Verdict::Issuer),
                "unsent" | "abandoned" => (Verdict::Neutral, Verdict::Neutral),
                "in_flight" | "misconfigured" | "rate_limited" | "unread" => (Verdict::Neutral, Verdict::Good),
                _ => (Verdict::Good, Verdict::Good),
            };
            assert_eq!((outcome.blame(), outcome.blame_of_probe()), want, "{outcome:?}");
        }
    }
}
