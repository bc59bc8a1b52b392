//! A record as bytes in the memory that workers share. The names carry the version of this format
//! ([`super::shared::FORMAT`]): two versions of the filter in one proxy do not meet.

use super::record::{Permit, Record, State};
use super::window::{BUCKETS, Tally, Window};
use crate::time::Mono;

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const HALF_OPEN: u8 = 2;

impl Record {
    /// Its bytes; whole numbers are little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(256);
        word(&mut to, self.epoch);
        match &self.state {
            State::Closed { failures, trips, since } => {
                to.push(CLOSED);
                word(&mut to, *failures);
                word(&mut to, *trips);
                long(&mut to, since.0);
            }
            State::Open { until, trips } => {
                to.push(OPEN);
                long(&mut to, until.0);
                word(&mut to, *trips);
            }
            State::HalfOpen { trips, passed, out } => {
                to.push(HALF_OPEN);
                word(&mut to, *trips);
                word(&mut to, *passed);
                to.push(u8::try_from(out.len()).unwrap_or(0));
                for permit in out {
                    long(&mut to, permit.id);
                    long(&mut to, permit.until.0);
                }
            }
        }
        long(&mut to, self.window.head);
        for Tally { calls, failures, slow } in self.window.buckets {
            word(&mut to, calls);
            word(&mut to, failures);
            word(&mut to, slow);
        }
        for (issuer, at) in self.issuers.iter().flatten() {
            word(&mut to, *issuer);
            long(&mut to, at.0);
        }
        to
    }

    /// The record of `bytes`; none when they are not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let epoch = from.word()?;
        let state = match from.byte()? {
            CLOSED => State::Closed { failures: from.word()?, trips: from.word()?, since: Mono(from.long()?) },
            OPEN => State::Open { until: Mono(from.long()?), trips: from.word()? },
            HALF_OPEN => {
                let (trips, passed) = (from.word()?, from.word()?);
                let mut out = Vec::new();
                for _ in 0..from.byte()? {
                    out.push(Permit { id: from.long()?, until: Mono(from.long()?) });
                }
                State::HalfOpen { trips, passed, out }
            }
            _ => return None,
        };
        let mut window = Window { head: from.long()?, buckets: [Tally::default(); BUCKETS] };
        for bucket in &mut window.buckets {
            *bucket = Tally { calls: from.word()?, failures: from.word()?, slow: from.word()? };
        }
        let mut issuers = [None; super::record::ISSUERS];
        let mut slots = issuers.iter_mut();
        while !from.0.is_empty() {
            *slots.next()? = Some((from.word()?, Mono(from.long()?)));
        }
        Some(Self { epoch, state, window, issuers })
    }
}

fn word(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_le_bytes());
}

fn long(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_le_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}
