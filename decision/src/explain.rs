//! Why a charge goes where it goes, as a value; the words of operators, never a client's.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::balance::{self, Keyed, Weighed};
use crate::breaker::Standing;
use crate::breakers::Scope;
use crate::config::{Config, State};
use crate::processor::ProcessorId;

/// How the processor of a charge is chosen among those of its pool.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// How the pool balances.
    pub settings: balance::Settings,
    /// Does the charge have an idempotency key?
    pub keyed: bool,
    /// Are breakers passed over, as too few processors are left?
    pub panic: bool,
    /// Every processor of the pool.
    pub members: Vec<Considered>,
}

/// One processor of the pool.
#[derive(Clone, Debug)]
pub struct Considered {
    /// What its breakers let through.
    pub breaker: Standing,
    /// Whose word that is.
    pub scope: Scope,
    /// What the operator says of it.
    pub state: State,
    /// Whether it is in the running, and what is compared.
    pub weighed: Weighed,
}

impl Considered {
    /// Why it cannot be picked; none: it can.
    pub fn out(&self) -> Option<String> {
        if self.weighed.standing == balance::Standing::Running {
            return None;
        }
        let by_breaker = match self.breaker {
            _ if self.weighed.standing != balance::Standing::NotCandidate => {
                return Some(self.weighed.standing.as_str().to_owned());
            }
            _ if self.state == State::Drain => return Some("drain".to_owned()),
            Standing::Closed | Standing::Probing => return Some("not_candidate".to_owned()),
            kept_out => kept_out.as_str().to_owned(),
        };
        Some(if self.scope == Scope::Processor { by_breaker } else { format!("{by_breaker} ({})", self.scope) })
    }
}

impl Explanation {
    /// The policy that picks.
    pub fn policy(&self) -> &'static str {
        match self.settings.keyed {
            Keyed::Rendezvous if self.keyed => "rendezvous of the key",
            _ => self.settings.policy.as_str(),
        }
    }

    /// One line: `rule=eu; policy=least_response_time; to=a; a=0.031 b=0.052 expected_seconds; out=c:open`.
    pub fn line(&self, config: &Config, rule: Option<&str>, to: Option<ProcessorId>) -> String {
        let name = |id| config.processor(id).map_or("", |p| p.name.as_str());
        let mut line = format!("rule={}; policy={}", rule.unwrap_or("default"), self.policy());
        if self.panic {
            line.push_str("; panic");
        }
        let _ = write!(line, "; to={}", to.map_or("nobody", name));
        let mut measure = "";
        for (n, one) in self.members.iter().filter(|m| m.out().is_none()).enumerate() {
            let Weighed { id, value, .. } = one.weighed;
            let _ = write!(line, "{}{}={}", if n == 0 { "; " } else { " " }, name(id), shown(value));
            measure = one.weighed.measure;
        }
        if !measure.is_empty() {
            let _ = write!(line, " {measure}");
        }
        for (n, (one, why)) in self.members.iter().filter_map(|m| Some((m, m.out()?))).enumerate() {
            let _ = write!(line, "{}{}:{why}", if n == 0 { "; out=" } else { ", " }, name(one.weighed.id));
        }
        line
    }

    /// All of it.
    pub fn to_json(&self, config: &Config) -> Value {
        let name = |id| config.processor(id).map_or("", |p| p.name.as_str());
        let members = self.members.iter().map(|one| {
            let Weighed { id, measure, value, standing } = one.weighed;
            json!({
                "processor": name(id),
                "breaker": one.breaker.as_str(),
                "wait_ms": u64::try_from(one.breaker.wait().as_millis()).unwrap_or(u64::MAX),
                "running": standing == balance::Standing::Running,
                "out": one.out(),
                "compared": {measure: value},
            })
        });
        json!({"policy": self.policy(), "panic": self.panic, "processors": members.collect::<Vec<_>>()})
    }
}

/// A compared value as operators read it: three decimals, none from 100 on.
pub fn shown(value: f64) -> String {
    if value == 0.0 || value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}
