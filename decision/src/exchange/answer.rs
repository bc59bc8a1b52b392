//! What the head of a processor's answer tells, kept until its body is read.

use std::time::Duration;

use super::{Headers, ResponseHead};
use crate::config::Processor;
use crate::payment::{Outcome, Reading, Spoke};
use crate::router::Told;

/// The head of an answer, as far as it is needed when the body has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerHead {
    pub(super) status: u16,
    pub(super) spoke: Spoke,
    retry_after: Option<Duration>,
    load: Option<f64>,
}

impl AnswerHead {
    /// Of what `processor` answered.
    pub(super) fn of(head: ResponseHead<'_>, processor: Option<&Processor>) -> Self {
        let ResponseHead { status, spoke, headers, .. } = head;
        let own = spoke == Spoke::Processor;
        Self {
            status,
            spoke,
            retry_after: retry_after(headers).filter(|_| own),
            load: processor.filter(|_| own).and_then(|p| p.load.of_headers(headers)),
        }
    }

    /// What the worker learns from the whole answer.
    pub(super) fn told(&self, processor: &Processor, reading: &Reading, body: Option<&[u8]>) -> Told {
        Told {
            outcome: reading.outcome,
            scheme: reading.scheme,
            retry_after: self.retry_after,
            load: self.load.or_else(|| processor.load.of_body(body?)),
        }
    }

    /// What the worker learns where nobody can read the answer.
    pub(super) fn unread(&self) -> Told {
        Told { retry_after: self.retry_after, load: self.load, ..Told::from(Outcome::Unread) }
    }
}

/// Seconds alone: the form with a date needs a clock that agrees with the processor's.
fn retry_after(headers: Headers<'_>) -> Option<Duration> {
    let text = std::str::from_utf8(headers.one(b"retry-after")?).ok()?.trim();
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()))
}
