//! What a processor remembers: every charge that arrived, every payment it made, every answer it stored under a key.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::charge::Charge;

/// Charges that are remembered. Later ones get a 507 and are not executed, and `GET /ledger` answers 507 from then on,
/// since a ledger with holes would lie; `DELETE /ledger` starts anew.
pub const LEDGER_ROWS_MAX: usize = 200_000;

/// One charge that arrived with its whole body. The law counts the rows that are `approved`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The `Idempotency-Key` as sent, if there was one.
    pub key: Option<String>,
    /// The payment it made or, when it was a replay, met. `None` where there is no payment.
    pub payment_id: Option<String>,
    /// In minor units; `None` when the body could not be read.
    pub amount: Option<u64>,
    /// Three letters; `None` when the body could not be read.
    pub currency: Option<String>,
    /// When it arrived, in milliseconds since 1970 (wall clock).
    pub at: u64,
    /// Whether this arrival was put to the issuer. A replay was not.
    pub executed: bool,
    /// Whether it was executed and money was taken.
    pub approved: bool,
}

/// Where a payment stands, as the answers spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PaymentStatus {
    Succeeded,
    Declined,
}

/// A payment, and the body of every answer that speaks of one.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) status: PaymentStatus,
    pub(super) processor: String,
    pub(super) response_code: String,
    pub(super) network: &'static str,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) captured: bool,
    pub(super) refunded: bool,
}

/// An answer as it leaves: HTTP status and JSON body, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, empty if there is none.
    pub body: Bytes,
}

impl Reply {
    /// The JSON of `payment` under `status`.
    pub(super) fn payment(status: u16, payment: &Payment) -> Self {
        Self::json(status, payment)
    }

    /// `value` under `status`.
    pub(super) fn json(status: u16, value: &impl Serialize) -> Self {
        Self { status, body: serde_json::to_vec(value).unwrap_or_default().into() }
    }

    /// No body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, body: Bytes::new() }
    }

    /// An error, as `{"error": .., "status": ..}`; without a body where HTTP has none.
    pub(super) fn error(status: u16, error: impl ToString) -> Self {
        if matches!(status, 204 | 304) {
            return Self::empty(status);
        }
        Self::json(status, &serde_json::json!({ "error": error.to_string(), "status": status }))
    }
}

/// What was answered under a key.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) charge: Charge,
    pub(super) payment_id: String,
    pub(super) reply: Reply,
}

/// The memory of one processor. Payments and stored answers are at most as many as the rows.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    rows: Vec<Row>,
    overflowed: bool,
    pub(super) payments: HashMap<String, Payment>,
    pub(super) stored: HashMap<String, Stored>,
}

impl Ledger {
    /// Whether one more row fits; when it does not, remembers that one was lost.
    pub(super) fn take_room(&mut self) -> bool {
        self.overflowed |= self.rows.len() >= LEDGER_ROWS_MAX;
        !self.overflowed
    }

    /// Adds a row; the caller has asked for room.
    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Every row so far, oldest first, or nothing if one is missing.
    pub(super) fn rows(&self) -> Option<&[Row]> {
        (!self.overflowed).then_some(&self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ledger_says_so_rather_than_show_a_part() {
        let row =
            Row { key: None, payment_id: None, amount: None, currency: None, at: 0, executed: false, approved: false };
        let mut ledger = Ledger::default();
        for _ in 0..LEDGER_ROWS_MAX {
            assert!(ledger.take_room());
            ledger.push(row.clone());
        }
        assert_eq!(ledger.rows().map(<[Row]>::len), Some(LEDGER_ROWS_MAX));
        assert!(!ledger.take_room());
        assert_eq!(ledger.rows(), None);
    }
}
