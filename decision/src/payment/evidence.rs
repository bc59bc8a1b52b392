//! What is proven of a request: whether it was sent, and whether the processor acted on it.
//!
//! A question of its own beside [`Outcome`]: that one says how a processor does, this one what may be done with the
//! request. Only [`Evidence::NotSent`] and [`Evidence::NotProcessed`] allow another processor; everything that is not
//! proven is [`Evidence::Unknown`], as a proxy must not repeat what it does not know to be undone (RFC 9110, 9.2.2).

use super::Outcome;
use super::local_reply::ProxyReply;

/// Who made the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoke {
    /// The processor.
    Processor,
    /// The proxy, and why.
    Proxy(ProxyReply),
}

/// What is proven of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// No byte of it left the proxy for a processor, or the processor's edge refused the stream unread.
    NotSent,
    /// It reached the processor, which is documented to answer so before it acts.
    NotProcessed,
    /// The processor acted on it and says what came of it, or that it goes on.
    Processed,
    /// Money may have moved.
    Unknown,
}

impl Evidence {
    /// Every kind of evidence, for metrics and tables.
    pub const ALL: [Self; 4] = [Self::NotSent, Self::NotProcessed, Self::Processed, Self::Unknown];

    /// As written in metrics and profiles.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NotProcessed => "not_processed",
            Self::Processed => "processed",
            Self::Unknown => "unknown",
        }
    }

    /// What an answer proves. `said` is what the processor's profile says of answers of this kind; it is not asked where
    /// the proxy spoke, nor where the outcome says that the processor has the payment.
    ///
    /// A technical code is not proof: processors were seen to say "malfunction" of payments that went through. Nor is a
    /// 4xx of a processor whose profile does not say that it answers so before it acts.
    pub fn of(spoke: Spoke, status: u16, outcome: Outcome, said: Option<Self>) -> Self {
        match (spoke, outcome) {
            (Spoke::Proxy(reply), _) => reply.evidence(),
            (_, Outcome::Approved | Outcome::Pending | Outcome::ActionRequired | Outcome::Answered) => Self::Processed,
            // What is unclear may be a code that says "the original may be approved": no rule's word undoes that.
            (_, Outcome::TimedOut | Outcome::Unread | Outcome::Abandoned | Outcome::InFlight | Outcome::Unclear) => {
                Self::Unknown
            }
            (
                _,
                Outcome::DeclinedSoft
                | Outcome::DeclinedHard
                | Outcome::InvalidRequest
                | Outcome::Misconfigured
                | Outcome::RateLimited
                | Outcome::Failed
                | Outcome::IssuerFailed
                | Outcome::Unsent,
            ) => said.unwrap_or(match (outcome, status) {
                (Outcome::DeclinedSoft | Outcome::DeclinedHard, _) => Self::Processed,
                // A code inside a good answer: the processor decided.
                (Outcome::InvalidRequest | Outcome::Misconfigured, 200..=299 | 402) => Self::Processed,
                _ => Self::Unknown,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::local_reply::Why;
    use super::*;

    #[test]
    fn what_a_processors_answer_proves() {
        use Evidence::*;
        use Outcome::*;
        let not = Some(NotProcessed);
        for (status, outcome, said, want) in [
            (201, Approved, None, Processed),
            (201, Approved, not, Processed),
            (402, DeclinedSoft, None, Processed),
            (422, DeclinedHard, None, Processed),
            (200, Pending, not, Processed),
            (202, ActionRequired, None, Processed),
            (200, Answered, None, Processed),
            (200, Misconfigured, None, Processed),
            (401, Misconfigured, None, Unknown),
            (401, Misconfigured, not, NotProcessed),
            (400, InvalidRequest, None, Unknown),
            (400, InvalidRequest, not, NotProcessed),
            (429, RateLimited, None, Unknown),
            (429, RateLimited, not, NotProcessed),
            (409, InFlight, None, Unknown),
            (409, InFlight, not, Unknown),
            (500, Failed, None, Unknown),
            (503, Failed, not, NotProcessed),
            (200, Failed, None, Unknown),
            (200, IssuerFailed, None, Unknown),
            (200, Unclear, None, Unknown),
            (422, Unclear, not, Unknown),
            (200, Unread, not, Unknown),
            (0, TimedOut, not, Unknown),
            (0, Abandoned, None, Unknown),
        ] {
            assert_eq!(Evidence::of(Spoke::Processor, status, outcome, said), want, "{status} {outcome:?} {said:?}");
        }
    }

    #[test]
    fn where_the_proxy_speaks_no_profile_is_asked() {
        for outcome in Outcome::ALL {
            for said in [None, Some(Evidence::NotProcessed)] {
                let reset = ProxyReply { why: Why::Reset, attempts: Some(1) };
                assert_eq!(Evidence::of(Spoke::Proxy(reset), 503, outcome, said), Evidence::Unknown);
            }
        }
    }

    #[test]
    fn the_registry_is_complete() {
        assert!(Evidence::ALL.is_sorted());
        assert_eq!(Evidence::ALL.last().map(|e| *e as usize), Some(Evidence::ALL.len() - 1));
    }
}
