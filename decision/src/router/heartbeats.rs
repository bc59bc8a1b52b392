//! Heartbeats: whose turn it is, and what their answers say.

use super::Router;
use crate::breaker::{Seen, Standing, Verdict};
use crate::breakers::{Leave, Sender, Traits};
use crate::fact::{Beat, Fact};
use crate::heartbeat;
use crate::processor::ProcessorId;
use crate::time::{Mono, Now};

/// A heartbeat to send; consumed by its result.
#[must_use = "a probe that is not settled keeps its breaker half-open until it expires"]
#[derive(Debug)]
pub struct Heartbeat {
    processor: ProcessorId,
    leave: Leave,
    sent: Mono,
}

impl Heartbeat {
    /// Where it goes.
    pub fn processor(&self) -> ProcessorId {
        self.processor
    }
}

impl Router {
    /// The next heartbeat that this worker should send now, for the whole proxy.
    pub fn take_heartbeat(&mut self, now: Now) -> Option<Heartbeat> {
        self.breakers.refresh();
        let traits = Traits::default();
        for (at, of) in self.config.processors.iter().enumerate() {
            let (Some(settings), Some(processor)) = (&of.heartbeat, ProcessorId::new(at)) else { continue };
            let (standing, _) = self.breakers.standing(processor, of, &traits, Sender::Heartbeat, now.mono);
            let due = match standing {
                Standing::Probing => true,
                Standing::Closed => heartbeat::take_turn(self.breakers.memory(), &of.name, settings, now.mono),
                Standing::Open(_) | Standing::AwaitingProbe | Standing::ForcedOpen => false,
            };
            if !due {
                continue;
            }
            if let Some(leave) =
                self.breakers.acquire(processor, of, &traits, Sender::Heartbeat, now.mono, &mut self.rng)
            {
                self.tell_breakers();
                return Some(Heartbeat { processor, leave, sent: now.mono });
            }
        }
        None
    }

    /// Counts the answer to a heartbeat; none: there was none.
    pub fn settle_heartbeat(&mut self, beat: Heartbeat, status: Option<u16>, now: Now) {
        let Heartbeat { processor, leave, sent } = beat;
        let (verdict, result) = match (heartbeat::is_good(status), leave.is_probe()) {
            (true, true) => (Verdict::Good, Beat::Good),
            // A health page that answers does not say that charges work.
            (true, false) => (Verdict::Neutral, Beat::Good),
            (false, _) => (Verdict::Bad, Beat::Bad),
        };
        let took = if verdict == Verdict::Neutral { None } else { Some(now.mono.since(sent)) };
        self.settle_leave(processor, leave, Seen { verdict, took, issuer: None }, now.mono);
        self.fact(Fact::Heartbeat(processor, result));
    }
}
