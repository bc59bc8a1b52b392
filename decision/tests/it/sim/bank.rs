//! A processor in virtual time: how long it takes, what it answers, and what it has really executed.

use std::collections::BTreeMap;

use decision::payment::{ProxyReply, Spoke, Why};
use decision::rng::Rng;

use crate::fixture::{REFUSED, TIMED_OUT};

use super::plan::{Made, Phase, SECOND, TIMEOUT};

/// An answer on its way.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) spoke: Spoke,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
    /// It breaks off within its body.
    pub(super) breaks: bool,
}

/// The connection ended before the answer began.
const RESET: Spoke = Spoke::Proxy(ProxyReply { why: Why::Reset, attempts: Some(1) });
/// The codes of issuers that say no.
const NO: [&str; 8] = ["05", "51", "54", "41", "43", "59", "61", "65"];

impl Reply {
    fn of(status: u16, body: String) -> Self {
        Self { status, spoke: Spoke::Processor, headers: Vec::new(), body: Some(body), breaks: false }
    }

    fn by_proxy(status: u16, spoke: Spoke) -> Self {
        Self { status, spoke, headers: Vec::new(), body: None, breaks: false }
    }
}

#[derive(Default)]
pub(super) struct Bank {
    in_flight: u64,
    /// The longest it was.
    pub(super) busiest: u64,
    pub(super) arrived: u64,
    pub(super) replayed: u64,
    pub(super) unheard: u64,
    /// Approved executions: exchange and key.
    pub(super) ledger: Vec<(usize, Option<u64>)>,
    answers: BTreeMap<u64, String>,
}

/// A charge as the processor sees it.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) x: usize,
    pub(super) key: Option<u64>,
    pub(super) card: usize,
}

impl Bank {
    /// Takes a charge; the answer comes after so many microseconds.
    pub(super) fn arrive(&mut self, made: &Made, asked: Asked, now: u64, rng: &mut Rng) -> (u64, Reply) {
        (self.in_flight, self.arrived) = (self.in_flight + 1, self.arrived + 1);
        self.busiest = self.busiest.max(self.in_flight);
        let phase = made.phase(now);
        let wait = self.latency(made, phase, rng);
        let chance = rng.below(100);
        let declined = |code: &str| format!(r#"{{"id":"d{}","status":"declined","response_code":"{code}"}}"#, asked.x);
        let mut reply = match phase {
            Phase::Down => Reply::of(503, "{}".to_owned()),
            Phase::Partial if chance < 50 => Reply::of(502, "{}".to_owned()),
            Phase::Weak if chance < 25 => Reply::of(500, "{}".to_owned()),
            Phase::Refuses => return (1_000, Reply::by_proxy(503, REFUSED)),
            Phase::Hangs => {
                if chance < 40 {
                    self.unheard(made, asked);
                }
                return (TIMEOUT, Reply::by_proxy(504, TIMED_OUT));
            }
            Phase::Lossy => {
                self.unheard(made, asked);
                return (wait, Reply::by_proxy(503, RESET));
            }
            Phase::Breaks => Reply { breaks: true, ..Reply::of(201, self.execute(made, asked)) },
            Phase::Technical => Reply::of(200, declined("96")),
            Phase::Issuer if asked.card == 0 => Reply::of(200, declined("91")),
            Phase::Issuers if chance < 80 => Reply::of(200, declined("91")),
            Phase::Limits => {
                let headers = vec![("retry-after", "2".to_owned())];
                Reply { headers, ..Reply::of(429, "{}".to_owned()) }
            }
            Phase::Unclear => Reply::of(200, "<html>".to_owned()),
            _ if wait > TIMEOUT => {
                self.unheard(made, asked);
                return (TIMEOUT, Reply::by_proxy(504, TIMED_OUT));
            }
            Phase::Declines => Reply::of(201, declined(NO[asked.x % NO.len()])),
            _ if chance >= made.approves => Reply::of(201, declined(NO[asked.x % NO.len()])),
            _ => Reply::of(201, self.execute(made, asked)),
        };
        let percent = (self.in_flight * 100 / made.capacity).min(100);
        reply
            .headers
            .push(("endpoint-load-metrics", format!("TEXT cpu_utilization={}.{:02}", percent / 100, percent % 100)));
        (wait.min(TIMEOUT), reply)
    }

    pub(super) fn leave(&mut self) {
        self.in_flight -= 1;
    }

    /// What its health page says, and after how long; none: nothing.
    pub(super) fn beat(&self, made: &Made, now: u64, rng: &mut Rng) -> (u64, Option<u16>) {
        let wait = 20_000 + rng.below(80_000);
        match made.phase(now) {
            Phase::Down => (wait, Some(503)),
            Phase::Refuses => (1_000, None),
            Phase::Hangs => (SECOND / 2, None),
            _ => (wait, Some(200)),
        }
    }

    /// Exponential about its usual latency, and longer the more is in flight.
    fn latency(&self, made: &Made, phase: Phase, rng: &mut Rng) -> u64 {
        let load = self.in_flight * 1_000 / made.capacity;
        let drawn = (0.3 - 0.7 * libm::log(1.0 - rng.unit())) * 100.0;
        let slow = if phase == Phase::Weak { 8 } else { 1 };
        let hundredths = (0_u32..).take_while(|n| f64::from(*n) < drawn).count() as u64;
        made.latency * slow * hundredths / 100 * (1_000_000 + load * load) / 1_000_000
    }

    fn unheard(&mut self, made: &Made, asked: Asked) {
        self.execute(made, asked);
        self.unheard += 1;
    }

    /// Takes the money, unless it knows the key and answers as before.
    fn execute(&mut self, made: &Made, Asked { x, key, .. }: Asked) -> String {
        if let Some(answer) = key.filter(|_| made.replays).and_then(|key| self.answers.get(&key)) {
            self.replayed += 1;
            return answer.clone();
        }
        self.ledger.push((x, key));
        let body = format!(r#"{{"id":"{}-{x}","status":"succeeded"}}"#, made.name);
        if let Some(key) = key {
            self.answers.insert(key, body.clone());
        }
        body
    }
}
