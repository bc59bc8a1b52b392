//! The processor behind its API: what a request does, decided and recorded in one step under one lock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::charge::{Charge, ChargeError};
use super::control::{Control, Idempotency, Mode};
use super::ledger::{Ledger, Payment, PaymentStatus, Reply, Row, Stored};
use super::verdict::{Execution, draw, verdict};

/// Requests that arrived, by route; a test of a cache counts the look-ups that got through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// `POST /v1/payments`.
    pub charges: u64,
    /// `GET /v1/payments/{id}`.
    pub payments: u64,
    /// `POST /v1/payments/{id}/capture`.
    pub captures: u64,
    /// `POST /v1/payments/{id}/refund`.
    pub refunds: u64,
    /// `GET /v1/bins/{bin}`.
    pub bins: u64,
    /// `GET /health`.
    pub health: u64,
}

/// The answer of `GET` and `PUT /control`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What the processor calls itself.
    pub name: String,
    /// How it behaves.
    pub control: Control,
    /// What arrived since it started.
    pub counts: Counts,
}

/// A route whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Charge,
    Payment,
    Capture,
    Refund,
    Bin,
    Health,
}

/// What a follow-up does to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowUp {
    Capture,
    Refund,
}

/// What leaves on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// An answer.
    Answer(Reply),
    /// Nothing, for as long as anyone waits.
    Hang,
    /// A reset.
    Reset,
}

/// What a fault of the line does to a request that is no charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The request is served.
    None,
    /// This leaves; the request is executed unseen or not at all.
    Strikes(Wire, Execution),
}

/// The state that the routes of one processor share.
#[derive(Debug)]
pub struct State {
    name: String,
    id_prefix: String,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    control: Control,
    // Apart, so that look-ups do not shift which of the charges a seed strikes.
    charge_draws: Rng,
    other_draws: Rng,
    ids: Rng,
    ledger: Ledger,
    counts: Counts,
}

impl State {
    /// A processor that approves and has seen nothing. Its payments get their ids from `ids`, which is not seeded by the
    /// control: ids stay unique over restarts and processors.
    pub fn new(name: String, id_prefix: String, ids: Rng) -> Self {
        let control = Control::default();
        let inner = Inner {
            charge_draws: Rng::with_seed(control.seed),
            other_draws: Rng::with_seed(control.seed),
            control,
            ids,
            ledger: Ledger::default(),
            counts: Counts::default(),
        };
        Self { name, id_prefix, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A handler that panicked under the lock is a failed test already; the others may as well finish.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Behaves as `control` says from now on, and draws from its seed anew.
    pub fn set_control(&self, control: Control) {
        let mut inner = self.lock();
        inner.charge_draws = Rng::with_seed(control.seed);
        inner.other_draws = Rng::with_seed(control.seed);
        inner.control = control;
    }

    /// How it behaves, and what arrived so far.
    pub fn status(&self) -> Status {
        let inner = self.lock();
        Status { name: self.name.clone(), control: inner.control.clone(), counts: inner.counts }
    }

    /// Every row of the ledger, or nothing if it overflowed.
    pub fn rows(&self) -> Option<Vec<Row>> {
        self.lock().ledger.rows().map(<[Row]>::to_vec)
    }

    /// Forgets rows, payments and stored answers.
    pub fn clear_ledger(&self) {
        self.lock().ledger = Ledger::default();
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.lock().control.latency_ms)
    }

    pub(super) fn count(&self, route: Route) {
        let counts = &mut self.lock().counts;
        *match route {
            Route::Charge => &mut counts.charges,
            Route::Payment => &mut counts.payments,
            Route::Capture => &mut counts.captures,
            Route::Refund => &mut counts.refunds,
            Route::Bin => &mut counts.bins,
            Route::Health => &mut counts.health,
        } += 1;
    }

    /// What a request that is no charge meets on the line.
    pub(super) fn fault(&self) -> Fault {
        let inner = &mut *self.lock();
        let (mode, recorded) = draw(&inner.control, &mut inner.other_draws);
        match mode {
            Mode::Http(status) => Fault::Strikes(Wire::Answer(fault_reply(status)), recorded),
            Mode::Hang => Fault::Strikes(Wire::Hang, recorded),
            Mode::ResetBefore => Fault::Strikes(Wire::Reset, Execution::Skipped),
            Mode::ResetAfter => Fault::Strikes(Wire::Reset, Execution::Done),
            Mode::Approve | Mode::Decline(_) | Mode::Technical(_) | Mode::Refuse => Fault::None,
        }
    }

    /// Takes a charge that arrived `at` (milliseconds since 1970): executes it or not, writes its row, and says what leaves.
    pub(super) fn charge(&self, at: u64, key: Option<String>, parsed: Result<Charge, ChargeError>) -> Wire {
        let inner = &mut *self.lock();
        inner.counts.charges += 1;
        if !inner.ledger.take_room() {
            return Wire::Answer(Reply::error(507, "the ledger is full: nothing was executed"));
        }
        let (mode, recorded) = draw(&inner.control, &mut inner.charge_draws);
        let arrival = Arrival { key, at };
        let reply = match parsed {
            Err(error) => {
                inner.ledger.push(arrival.row(None));
                Reply::error(400, error)
            }
            Ok(charge) => self.process(inner, arrival, &charge, &mode, recorded),
        };
        match mode {
            Mode::Http(status) => Wire::Answer(fault_reply(status)),
            Mode::Hang => Wire::Hang,
            Mode::ResetBefore | Mode::ResetAfter => Wire::Reset,
            Mode::Approve | Mode::Decline(_) | Mode::Technical(_) | Mode::Refuse => Wire::Answer(reply),
        }
    }

    fn process(&self, inner: &mut Inner, arrival: Arrival, charge: &Charge, mode: &Mode, recorded: Execution) -> Reply {
        if let Some(stored) = inner.stored(arrival.key.as_deref()) {
            let same = (stored.charge.amount, &stored.charge.currency) == (charge.amount, &charge.currency);
            let (reply, payment_id) = if same {
                (stored.reply.clone(), Some(stored.payment_id.clone()))
            } else {
                let error = "this Idempotency-Key was used with another amount or currency";
                (Reply::error(422, error), None)
            };
            let row = Row { payment_id, ..arrival.row(Some(charge)) };
            inner.ledger.push(row);
            return reply;
        }
        let Some(verdict) = verdict(mode, recorded) else {
            inner.ledger.push(arrival.row(Some(charge)));
            // Never seen: a fault leaves instead.
            return Reply::error(500, "not executed");
        };
        let mut payment = Payment {
            id: format!("{}{:024x}", self.id_prefix, inner.ids.u128(..) >> 32),
            status: verdict.said,
            processor: self.name.clone(),
            response_code: verdict.code.to_owned(),
            network: charge.network,
            amount: charge.amount,
            currency: charge.currency.clone(),
            captured: false,
            refunded: false,
        };
        let said = Reply::payment(201, &payment);
        let id = payment.id.clone();
        payment.status = verdict.truth;
        inner.ledger.push(Row {
            payment_id: Some(id.clone()),
            executed: verdict.execution == Execution::Done,
            approved: verdict.execution == Execution::Done && verdict.truth == PaymentStatus::Succeeded,
            ..arrival.row(Some(charge))
        });
        inner.ledger.payments.insert(id.clone(), payment);
        if let Some(key) = arrival.key {
            let reply = match mode {
                Mode::Http(status) => fault_reply(*status),
                _ => said.clone(),
            };
            let stored = Stored { charge: charge.clone(), payment_id: id, reply };
            inner.ledger.stored.insert(key, stored);
        }
        said
    }

    /// The payment, with what became of it.
    pub(super) fn payment(&self, id: &str) -> Reply {
        match self.lock().ledger.payments.get(id) {
            Some(payment) => Reply::payment(200, payment),
            None => unknown_payment(),
        }
    }

    /// Captures or refunds the whole amount; doing so twice is the same as once.
    pub(super) fn follow_up(&self, id: &str, follow_up: FollowUp) -> Reply {
        let inner = &mut *self.lock();
        let Some(payment) = inner.ledger.payments.get_mut(id) else {
            return unknown_payment();
        };
        if payment.status != PaymentStatus::Succeeded {
            return Reply::error(409, "the payment was declined");
        }
        match follow_up {
            FollowUp::Capture => payment.captured = true,
            FollowUp::Refund => payment.refunded = true,
        }
        Reply::payment(200, payment)
    }
}

impl Inner {
    /// The answer that is to be replayed for `key`, if the processor honours keys at all.
    fn stored(&self, key: Option<&str>) -> Option<&Stored> {
        let stored = self.ledger.stored.get(key?)?;
        let honoured = match self.control.idempotency {
            Idempotency::Replay => true,
            Idempotency::None => false,
            Idempotency::SuccessOnly => (200..300).contains(&stored.reply.status),
        };
        honoured.then_some(stored)
    }
}

/// The part of a row that is known before the charge is looked at.
struct Arrival {
    key: Option<String>,
    at: u64,
}

impl Arrival {
    /// The row of a charge that executed nothing.
    fn row(&self, charge: Option<&Charge>) -> Row {
        Row {
            key: self.key.clone(),
            payment_id: None,
            amount: charge.map(|c| c.amount),
            currency: charge.map(|c| c.currency.clone()),
            at: self.at,
            executed: false,
            approved: false,
        }
    }
}

fn fault_reply(status: u16) -> Reply {
    Reply::error(status, "the processor was told to answer so")
}

fn unknown_payment() -> Reply {
    Reply::error(404, "no such payment")
}
