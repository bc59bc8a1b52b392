//! What an answer means. Total: every answer has an outcome, and only some outcomes blame the processor.

use std::collections::BTreeSet;

use super::document::{Document, Encoding, Pointer, Scalar};
use crate::breaker::Verdict;
use crate::operation::{Kind, is_plain};
use crate::stats::Approval;

/// Who made the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoke {
    /// The processor.
    Processor,
    /// The proxy, because the processor could not be reached or broke off.
    Proxy,
    /// The proxy, because its time-out ended.
    ProxyTimedOut,
    /// The proxy, which did not try: its own limit, a cluster it does not know, another filter.
    ProxyDeclined,
}

/// What a response means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Money was reserved or taken.
    Approved,
    /// A well-formed no from issuer or processor.
    Declined,
    /// Not final yet.
    Pending,
    /// The processor answered something that is not a charge's outcome, as it should.
    Answered,
    /// 4xx: the request was at fault.
    Rejected,
    /// 429.
    RateLimited,
    /// 5xx, a technical code inside a 2xx, or no connection.
    Failed,
    /// No answer in time.
    TimedOut,
    /// The proxy did not send it.
    Unsent,
    /// Complete, but it does not say what became of the payment.
    Unclear,
    /// Encoded or over the bound: passed on unread.
    Unread,
    /// The client left before the answer.
    Abandoned,
}

impl Outcome {
    /// Every outcome, for metrics and tables.
    pub const ALL: [Self; 12] = [
        Self::Approved,
        Self::Declined,
        Self::Pending,
        Self::Answered,
        Self::Rejected,
        Self::RateLimited,
        Self::Failed,
        Self::TimedOut,
        Self::Unsent,
        Self::Unclear,
        Self::Unread,
        Self::Abandoned,
    ];

    /// As written in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Pending => "pending",
            Self::Answered => "answered",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate_limited",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Unsent => "unsent",
            Self::Unclear => "unclear",
            Self::Unread => "unread",
            Self::Abandoned => "abandoned",
        }
    }

    /// What it says of the processor. A decline is an answer, and so is a refusal of a bad request; a processor that
    /// asks for less traffic is not down; what was not read says nothing.
    pub fn blame(self) -> Verdict {
        match self {
            Self::Approved | Self::Declined | Self::Pending | Self::Answered | Self::Rejected => Verdict::Good,
            Self::Failed | Self::TimedOut | Self::Unclear => Verdict::Bad,
            Self::RateLimited | Self::Unsent | Self::Unread | Self::Abandoned => Verdict::Neutral,
        }
    }

    /// What became of the payment, where that is decided.
    pub fn approval(self) -> Option<Approval> {
        match self {
            Self::Approved => Some(Approval::Approved),
            Self::Declined => Some(Approval::Declined),
            _ => None,
        }
    }

    /// What it says when the request was the probe. A processor that answers is back, whatever it said; else one whose
    /// answers cannot be read would be probed for ever.
    pub fn blame_of_probe(self) -> Verdict {
        match self {
            Self::RateLimited | Self::Unread => Verdict::Good,
            other => other.blame(),
        }
    }
}

/// How one kind of processor answers a charge.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Where the payment's id stands.
    pub payment_id: Vec<Pointer>,
    /// Where the status stands.
    pub status: Vec<Pointer>,
    /// Where the response code stands.
    pub code: Vec<Pointer>,
    /// Statuses of a charge that went through.
    pub approved: BTreeSet<String>,
    /// Statuses of a charge that was declined.
    pub declined: BTreeSet<String>,
    /// Statuses of a charge that is not final.
    pub pending: BTreeSet<String>,
    /// Codes that say the processor or the network failed, whatever the status says.
    pub technical: BTreeSet<String>,
}

/// A response, as far as its meaning goes.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Who made it.
    pub spoke: Spoke,
    /// The whole body, where it could be read.
    pub body: Option<&'a [u8]>,
}

impl Profile {
    /// The outcome of an answer, and the payment's id where the body names one.
    pub fn read(&self, kind: Kind, answer: Answer<'_>) -> (Outcome, Option<String>) {
        let by_status = match (answer.spoke, answer.status) {
            (Spoke::ProxyTimedOut, _) => Some(Outcome::TimedOut),
            (Spoke::ProxyDeclined, _) => Some(Outcome::Unsent),
            (Spoke::Proxy, _) | (_, 500..) => Some(Outcome::Failed),
            (_, 429) => Some(Outcome::RateLimited),
            // 402 is a decline at several processors; its body tells.
            (_, 402) => None,
            (_, 400..) => Some(Outcome::Rejected),
            _ => None,
        };
        if kind != Kind::Charge {
            return (by_status.unwrap_or(Outcome::Answered), None);
        }
        let Some(body) = answer.body else { return (by_status.unwrap_or(Outcome::Unread), None) };
        let Some(document) = Document::parse(Encoding::Json, body) else {
            return (by_status.unwrap_or(Outcome::Unclear), None);
        };
        let id = self.text(&document, &self.payment_id).filter(|id| is_plain(id));
        let outcome = by_status.unwrap_or_else(|| self.outcome(&document, answer.status));
        (outcome, id)
    }

    /// The outcome a payment's own representation tells, such as the body of a status look-up.
    pub fn outcome_of_payment(&self, body: &[u8]) -> Outcome {
        match Document::parse(Encoding::Json, body) {
            Some(document) => self.outcome(&document, 200),
            None => Outcome::Unclear,
        }
    }

    fn outcome(&self, document: &Document, http_status: u16) -> Outcome {
        let code = self.text(document, &self.code);
        if code.is_some_and(|code| self.technical.contains(&code)) {
            return Outcome::Failed;
        }
        let Some(status) = self.text(document, &self.status) else {
            // A 402 without a status is a decline told by HTTP alone.
            return if http_status == 402 { Outcome::Declined } else { Outcome::Unclear };
        };
        if self.approved.contains(&status) {
            Outcome::Approved
        } else if self.declined.contains(&status) {
            Outcome::Declined
        } else if self.pending.contains(&status) {
            Outcome::Pending
        } else {
            Outcome::Unclear
        }
    }

    fn text(&self, document: &Document, pointers: &[Pointer]) -> Option<String> {
        match document.find(pointers).ok().flatten()? {
            Scalar::Text(text) => Some(text.to_owned()),
            Scalar::Number(number) => Some(number.to_string()),
            Scalar::Bool(flag) => Some(flag.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    fn profile() -> Profile {
        let at = |p: &str| vec![Pointer::parse(p).unwrap()];
        Profile {
            payment_id: at("/id"),
            status: at("/status"),
            code: at("/response_code"),
            approved: set(&["succeeded"]),
            declined: set(&["declined"]),
            pending: set(&["pending"]),
            technical: set(&["91", "96"]),
        }
    }

    #[test]
    fn outcomes_of_charges() {
        use Outcome::*;
        use Spoke::*;
        let table: [(u16, Spoke, Option<&str>, Outcome); 17] = [
            (201, Processor, Some(r#"{"id":"p","status":"succeeded"}"#), Approved),
            (201, Processor, Some(r#"{"status":"declined","response_code":"51"}"#), Declined),
            (201, Processor, Some(r#"{"status":"declined","response_code":"91"}"#), Failed),
            (201, Processor, Some(r#"{"status":"declined","response_code":96}"#), Failed),
            (202, Processor, Some(r#"{"status":"pending"}"#), Pending),
            (200, Processor, Some(r#"{"status":"weird"}"#), Unclear),
            (200, Processor, Some("<html>"), Unclear),
            (200, Processor, Some(""), Unclear),
            (200, Processor, None, Unread),
            (402, Processor, Some(r#"{"error":{}}"#), Declined),
            (422, Processor, Some("{}"), Rejected),
            (429, Processor, Some("{}"), RateLimited),
            (503, Processor, Some(r#"{"status":"succeeded"}"#), Failed),
            (503, Proxy, None, Failed),
            (504, ProxyTimedOut, None, TimedOut),
            (503, ProxyDeclined, None, Unsent),
            (504, Processor, None, Failed),
        ];
        for (status, spoke, body, want) in table {
            let answer = Answer { status, spoke, body: body.map(str::as_bytes) };
            assert_eq!(profile().read(Kind::Charge, answer).0, want, "{status} {body:?}");
        }
    }

    #[test]
    fn an_id_that_could_not_stand_in_a_path_is_no_id() {
        for (id, want) in [("pay_1", Some("pay_1")), ("a/b", None), ("..", None), ("", None)] {
            let body = format!(r#"{{"id":"{id}","status":"succeeded"}}"#);
            let answer = Answer { status: 201, spoke: Spoke::Processor, body: Some(body.as_bytes()) };
            assert_eq!(profile().read(Kind::Charge, answer).1.as_deref(), want);
        }
    }
}
