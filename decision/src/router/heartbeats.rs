//! Heartbeats: whose turn it is, and what their answers say.

use super::Router;
use crate::breaker::{Standing, Verdict};
use crate::breakers::{Leave, Sender, Traits};
use crate::fact::{Beat, Fact};
use crate::heartbeat;
use crate::processor::ProcessorId;
use crate::time::Now;

/// A heartbeat to send; consumed by its result.
#[must_use = "a probe that is not settled keeps its breaker half-open until it expires"]
#[derive(Debug)]
pub struct Heartbeat {
    processor: ProcessorId,
    leave: Leave,
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
                return Some(Heartbeat { processor, leave });
            }
        }
        None
    }

    /// Counts a heartbeat out whose answer nobody waits for any more.
    pub fn release_heartbeat(&mut self, beat: Heartbeat, now: Now) {
        self.settle_leave(beat.processor, beat.leave, Verdict::Neutral.into(), now.mono);
    }

    /// Counts the answer to a heartbeat; none: there was none.
    pub fn settle_heartbeat(&mut self, beat: Heartbeat, status: Option<u16>, now: Now) {
        let Heartbeat { processor, leave } = beat;
        let good = heartbeat::is_good(status);
        self.fact(Fact::Heartbeat(processor, if good { Beat::Good } else { Beat::Bad }));
        let Some(of) = self.config.processors.get(processor.index()) else { return };
        let row = heartbeat::count(self.breakers.memory(), &of.name, good);
        if leave.is_probe() {
            let verdict = if good { Verdict::Good } else { Verdict::Bad };
            // How slow a health page may be, its own time-out says.
            return self.settle_leave(processor, leave, verdict.into(), now.mono);
        }
        if row < of.breaker.consecutive_failures {
            return self.settle_leave(processor, leave, Verdict::Neutral.into(), now.mono);
        }
        self.breakers.refresh();
        self.breakers.trip(processor, of, leave, now.mono, &mut self.rng);
        self.tell_breakers();
    }
}
