//! What a proxy's breakers must be doing, told from their transitions and the time alone.

use std::collections::BTreeMap;

use decision::breaker::{Standing, Transition, Verdict};
use decision::breakers::Scope;
use decision::payment::{Outcome, Scheme};

use super::laws::{Law, Laws};
use super::plan::{Listed, Plan};

/// A charge, or a heartbeat, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sent {
    Charge(usize),
    Beat(usize),
}

#[derive(Debug)]
enum State {
    Closed {
        trips: u32,
        since: u64,
    },
    Open {
        trips: u32,
        since: u64,
    },
    /// With when each probe that is out was sent.
    HalfOpen {
        trips: u32,
        passed: usize,
        out: BTreeMap<Sent, u64>,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { trips: 0, since: 0 }
    }
}

/// One proxy's, by processor and scope.
#[derive(Default)]
pub(super) struct Model {
    states: BTreeMap<(usize, Scope), State>,
    /// How often each has changed.
    epochs: BTreeMap<(usize, Scope), u64>,
    /// Which of its epochs let a charge go.
    given: BTreeMap<(Sent, Scope), u64>,
    pub(super) opened: BTreeMap<usize, u64>,
    pub(super) probes: BTreeMap<usize, u64>,
}

impl Model {
    /// A worker told of a change, by what became of `sent`.
    pub(super) fn change(
        &mut self,
        plan: &Plan,
        laws: &mut Laws,
        (key, to): ((usize, Scope), Transition),
        sent: Option<Sent>,
        now: u64,
    ) {
        let epoch = self.epochs.entry(key).or_default();
        if let (Some(sent), Transition::Opened, true) = (sent, to, plan.made[key.0].breaks.acts) {
            let given = self.given.get(&(sent, key.1));
            laws.judge(Law::Open, "opened by what it let go", given == Some(epoch), || {
                format!("{key:?} at {now} by {sent:?} of its epoch {given:?}, and it is {epoch}")
            });
        }
        *epoch += 1;
        let breaks = &plan.made[key.0].breaks;
        let told = |state: &State| format!("{to:?} of {key:?} at {now} from {state:?}");
        let state = self.states.entry(key).or_default();
        *state = match (to, &*state) {
            (Transition::Opened, State::Closed { trips, since }) => {
                let trips = if now - since <= breaks.open_max { *trips } else { 0 };
                State::Open { trips, since: now }
            }
            (Transition::Opened, State::HalfOpen { trips, .. }) => State::Open { trips: trips + 1, since: now },
            (Transition::HalfOpened, State::Open { trips, since }) => {
                let waited = now - since >= breaks.wait(*trips) / 2;
                laws.judge(Law::Open, "tried again after its wait", waited, || told(state));
                State::HalfOpen { trips: *trips, passed: 0, out: BTreeMap::new() }
            }
            (Transition::Closed, State::HalfOpen { trips, passed, .. }) => {
                let all = passed + 1 == breaks.probes || !breaks.acts;
                laws.judge(Law::Probes, "closed once all probes passed", all, || told(state));
                State::Closed { trips: trips + 1, since: now }
            }
            // Two workers that do not know of each other.
            (to, state) => {
                laws.judge(Law::Probes, "one change at a time", false, || told(state));
                match to {
                    Transition::Opened => State::Open { trips: 0, since: now },
                    Transition::HalfOpened => State::HalfOpen { trips: 0, passed: 0, out: BTreeMap::new() },
                    Transition::Closed => State::Closed { trips: 0, since: now },
                }
            }
        };
        if to == Transition::Opened {
            *self.opened.entry(key.0).or_default() += 1;
        }
    }

    /// Something is sent to a processor. True: as a probe.
    pub(super) fn send(
        &mut self,
        plan: &Plan,
        laws: &mut Laws,
        (at, scheme): (usize, Option<Scheme>),
        sent: Sent,
        now: u64,
    ) -> bool {
        let breaks = &plan.made[at].breaks;
        if !breaks.acts {
            return false;
        }
        let part = scheme.filter(|_| breaks.by_scheme && matches!(sent, Sent::Charge(_))).map(Scope::Scheme);
        let mut probes = false;
        for scope in [Some(Scope::Processor), part].into_iter().flatten() {
            self.given.insert((sent, scope), self.epochs.get(&(at, scope)).copied().unwrap_or(0));
            let state = self.states.entry((at, scope)).or_default();
            let told = format!("{sent:?} to p{at}, {scope} at {now}: {state:?}");
            match state {
                State::Closed { .. } => laws.saw(Law::Open, "sent while closed"),
                State::Open { .. } => laws.judge(Law::Open, "sent while open", false, || told),
                State::HalfOpen { passed, out, .. } => {
                    let room = *passed + out.len() < breaks.probes;
                    laws.judge(Law::Probes, "as many probes as there may be", room, || told.clone());
                    let by_beat = breaks.beats && scope == Scope::Processor && matches!(sent, Sent::Charge(_));
                    laws.judge(Law::Probes, "no payment probes for a heartbeat", !by_beat, || told);
                    out.insert(sent, now);
                    probes = true;
                }
            }
        }
        if probes {
            *self.probes.entry(at).or_default() += 1;
        }
        probes
    }

    /// A charge ended with this outcome.
    pub(super) fn settled(&mut self, laws: &mut Laws, at: usize, sent: Sent, outcome: Outcome) {
        let given = self.given.get(&(sent, Scope::Processor));
        if outcome.blame() == Verdict::Bad
            && given.is_some_and(|given| *given < self.epochs.get(&(at, Scope::Processor)).copied().unwrap_or(0))
        {
            laws.saw(Law::Open, "a straggler failed");
        }
        self.judged(at, sent, outcome.blame_of_probe());
    }

    /// What was sent ended, or never was.
    pub(super) fn judged(&mut self, at: usize, sent: Sent, verdict: Verdict) {
        for (_, state) in self.states.iter_mut().filter(|((of, _), _)| *of == at) {
            let State::HalfOpen { passed, out, .. } = state else { continue };
            if out.remove(&sent).is_some() && verdict == Verdict::Good {
                *passed += 1;
            }
        }
    }

    /// Is what is still out a probe of a half-open time?
    pub(super) fn is_out(&self, at: usize, sent: Sent) -> bool {
        self.states.iter().any(|((of, _), state)| match state {
            State::HalfOpen { out, .. } => *of == at && out.contains_key(&sent),
            State::Closed { .. } | State::Open { .. } => false,
        })
    }

    /// Whatever became of their worker, probes end, by the tick of any worker: one of this version has just ticked.
    pub(super) fn expired(&self, plan: &Plan, laws: &mut Laws, version: usize, now: u64) {
        // Of a part, a worker that never met it knows nothing, nor does one of a processor that is not listed.
        for ((at, _), state) in self.states.iter().filter(|((_, scope), _)| *scope == Scope::Processor) {
            if plan.versions[version].listed[*at] == Listed::Gone {
                continue;
            }
            let State::HalfOpen { out, .. } = state else { continue };
            let breaks = &plan.made[*at].breaks;
            for sent in out.values() {
                let in_time = now - sent < breaks.probe_timeout || !breaks.acts;
                laws.judge(Law::Probes, "a probe ends", in_time, || format!("p{at} at {now}: {state:?}"));
            }
        }
    }

    /// Is what a worker takes a processor's breakers for what its proxy knows of them?
    pub(super) fn agrees(&self, plan: &Plan, at: usize, scheme: Scheme, standing: Standing, now: u64) -> bool {
        let breaks = &plan.made[at].breaks;
        if !breaks.acts {
            return standing == Standing::Closed;
        }
        let scopes = [Scope::Processor, Scope::Scheme(scheme)];
        let scopes = scopes.iter().take(if breaks.by_scheme { 2 } else { 1 });
        let mut states = scopes.filter_map(|scope| self.states.get(&(at, *scope)));
        match standing {
            Standing::Closed => states.all(|state| matches!(state, State::Closed { .. })),
            Standing::Open(_) => states.any(|state| match state {
                State::Open { trips, since } => now - since < breaks.wait(*trips),
                State::Closed { .. } | State::HalfOpen { .. } => false,
            }),
            Standing::Probing => states.any(|state| match state {
                State::Open { trips, since } => now - since >= breaks.wait(*trips) / 2,
                State::HalfOpen { passed, out, .. } => passed + out.len() < breaks.probes,
                State::Closed { .. } => false,
            }),
            // All are out, or a heartbeat is awaited.
            Standing::AwaitingProbe => states.any(|state| match state {
                State::HalfOpen { passed, out, .. } => breaks.beats || passed + out.len() >= breaks.probes,
                State::Open { trips, since } => breaks.beats && now - since >= breaks.wait(*trips) / 2,
                State::Closed { .. } => false,
            }),
            Standing::ForcedOpen => false,
        }
    }
}
