//! The closed list of the filter's metrics, defined once per VM.
//!
//! Envoy's wasm metrics have no labels: a label is written into the name as `.label=value`, and `stats_tags` of the
//! shipped bootstrap takes it out again. Every name is known when the configuration is read, so none is ever made from
//! what a client sends.

use decision::breaker::Transition;
use decision::breakers::Scope;
use decision::config::Config;
use decision::fact::{Beat, Fact, LookupResult, Went, WriteResult};
use decision::operation::Kind;
use decision::payment::{Evidence, Outcome};
use decision::processor::ProcessorId;
use decision::reason::Reason;
use decision::store::Store;

use crate::host::{self, Counter};

/// Requests that ended, by processor, kind and outcome.
const REQUESTS: &str = "switchyard_requests_total";
/// Charges that ended, by processor and what is proven of them.
const EVIDENCE: &str = "switchyard_evidence_total";
/// Changes of breakers, by processor, what they stand for, and the state entered.
const TRANSITIONS: &str = "switchyard_breaker_transitions_total";
/// Charges sent to a processor that its breaker keeps out, as too few others were left, by processor.
const PANICS: &str = "switchyard_panics_total";
/// Charges that were only watched, by the processor decided for and where they went.
const SHADOW: &str = "switchyard_shadow_total";
/// Charges that were only watched and would have been answered by the filter, by reason.
const SHADOW_REFUSALS: &str = "switchyard_shadow_refusals_total";
/// Heartbeats that ended, by processor and how.
const HEARTBEATS: &str = "switchyard_heartbeats_total";
/// Payments a processor took without an id that could be pinned, by processor.
const UNPINNED: &str = "switchyard_unpinned_total";
/// Requests the filter answered itself, by reason.
const REFUSALS: &str = "switchyard_refusals_total";
/// Look-ups, by where the answer came from.
const LOOKUPS: &str = "switchyard_lookups_total";
/// Changes of the breakers before the cache-service, by store and the state entered.
const STORES: &str = "switchyard_store_transitions_total";
/// Writes to the cache-service, by how they ended.
const WRITES: &str = "switchyard_writes_total";

const KINDS: [Kind; 3] = [Kind::Charge, Kind::FollowUp, Kind::Lookup];
const STATES: [Transition; 3] = [Transition::Opened, Transition::HalfOpened, Transition::Closed];

/// One counter for each value of a small closed set.
struct Family<K>(Vec<(K, Option<Counter>)>);

impl<K: Copy + PartialEq> Family<K> {
    fn define(values: impl IntoIterator<Item = K>, name: impl Fn(K) -> String) -> Self {
        Self(values.into_iter().map(|value| (value, host::define_counter(&name(value)))).collect())
    }

    fn count(&self, value: K) {
        if let Some((_, Some(counter))) = self.0.iter().find(|(v, _)| *v == value) {
            host::count(*counter);
        }
    }
}

struct OfProcessor {
    name: String,
    requests: Family<(Kind, Outcome)>,
    evidence: Family<Evidence>,
    transitions: Family<(&'static str, Transition)>,
    panics: Family<()>,
    shadow: Family<Went>,
    heartbeats: Family<Beat>,
    unpinned: Family<()>,
}

/// All counters.
pub(crate) struct Metrics {
    processors: Vec<OfProcessor>,
    refusals: Family<Reason>,
    shadow_refusals: Family<Reason>,
    lookups: Family<LookupResult>,
    stores: Family<(Store, Transition)>,
    writes: Family<WriteResult>,
}

impl Metrics {
    /// Defines them all.
    pub(crate) fn define(config: &Config) -> Self {
        let of_processor = |name: &str| OfProcessor {
            name: name.to_owned(),
            requests: Family::define(
                KINDS.into_iter().flat_map(|kind| Outcome::ALL.map(|outcome| (kind, outcome))),
                |(kind, outcome)| {
                    format!("{REQUESTS}.processor={name}.kind={}.outcome={}", kind.as_str(), outcome.as_str())
                },
            ),
            evidence: Family::define(Evidence::ALL, |e| format!("{EVIDENCE}.processor={name}.evidence={}", e.as_str())),
            unpinned: Family::define([()], |()| format!("{UNPINNED}.processor={name}")),
            panics: Family::define([()], |()| format!("{PANICS}.processor={name}")),
            shadow: Family::define(Went::ALL, |w| format!("{SHADOW}.processor={name}.went={}", w.as_str())),
            heartbeats: Family::define(Beat::ALL, |b| format!("{HEARTBEATS}.processor={name}.result={}", b.as_str())),
            transitions: Family::define(
                Scope::KINDS.into_iter().flat_map(|scope| STATES.map(|to| (scope, to))),
                |(scope, to)| format!("{TRANSITIONS}.processor={name}.scope={scope}.to={}", state(to)),
            ),
        };
        Self {
            processors: config.processors.iter().map(|p| of_processor(&p.name)).collect(),
            refusals: Family::define(Reason::ALL, |r| format!("{REFUSALS}.reason={}", r.code())),
            shadow_refusals: Family::define(Reason::ALL, |r| format!("{SHADOW_REFUSALS}.reason={}", r.code())),
            stores: Family::define(Store::ALL.into_iter().flat_map(|s| STATES.map(|t| (s, t))), |(s, t)| {
                format!("{STORES}.store={}.to={}", s.as_str(), state(t))
            }),
            lookups: Family::define(LookupResult::ALL, |r| format!("{LOOKUPS}.result={}", r.as_str())),
            writes: Family::define(WriteResult::ALL, |r| format!("{WRITES}.result={}", r.as_str())),
        }
    }

    /// The name of a processor.
    pub(crate) fn processor(&self, id: ProcessorId) -> &str {
        self.processors.get(id.index()).map_or("", |of| of.name.as_str())
    }

    /// Counts a fact.
    pub(crate) fn count(&self, fact: Fact) {
        match fact {
            Fact::Settled { processor, kind, outcome } => {
                if let Some(of) = self.processors.get(processor.index()) {
                    of.requests.count((kind, outcome));
                }
            }
            Fact::Evidence(processor, evidence) => {
                if let Some(of) = self.processors.get(processor.index()) {
                    of.evidence.count(evidence);
                }
            }
            Fact::Breaker(processor, scope, transition) => {
                if let Some(of) = self.processors.get(processor.index()) {
                    of.transitions.count((scope.kind(), transition));
                }
            }
            Fact::Panicked(processor) => {
                if let Some(of) = self.processors.get(processor.index()) {
                    of.panics.count(());
                }
            }
            Fact::Shadowed(processor, went) => {
                if let Some(of) = self.processors.get(processor.index()) {
                    of.shadow.count(went);
                }
            }
            Fact::ShadowRefused(reason) => self.shadow_refusals.count(reason),
            Fact::Heartbeat(processor, beat) => {
                if let Some(of) = self.processors.get(processor.index()) {
                    of.heartbeats.count(beat);
                }
            }
            Fact::Unpinned(processor) => {
                if let Some(of) = self.processors.get(processor.index()) {
                    of.unpinned.count(());
                }
            }
            Fact::Refused(reason) => self.refusals.count(reason),
            Fact::Store(store, transition) => self.stores.count((store, transition)),
            Fact::Lookup(result) => self.lookups.count(result),
            Fact::Write(result) => self.writes.count(result),
        }
    }
}

/// The state a transition enters, as written in metrics and logs.
pub(crate) fn state(transition: Transition) -> &'static str {
    match transition {
        Transition::Opened => "open",
        Transition::HalfOpened => "half_open",
        Transition::Closed => "closed",
    }
}
