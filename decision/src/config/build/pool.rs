//! Pools.

use xxhash_rust::xxh64::xxh64;

use super::values::some;
use super::{Result, wrong};
use crate::balance::{Member, Policy};
use crate::config::{Pool, Processor, raw};
use crate::processor::ProcessorId;

pub(super) fn read(path: &str, raw: raw::Pool, processors: &[Processor]) -> Result<Pool> {
    some(&format!("{path}.processors"), &raw.processors)?;
    let mut members: Vec<Member> = Vec::new();
    for (i, name) in raw.processors.iter().enumerate() {
        let path = format!("{path}.processors[{i}]");
        let found = processors.iter().enumerate().find(|(_, p)| p.name == *name);
        let Some((id, processor)) = found.and_then(|(at, p)| Some((ProcessorId::new(at)?, p))) else {
            return wrong(path, format!("no processor is called {name:?}"));
        };
        if members.iter().any(|m| m.id == id) {
            return wrong(path, format!("{name:?} is there already"));
        }
        members.push(Member { id, weight: processor.weight, seed: xxh64(name.as_bytes(), 0) });
    }
    let policy = match raw.policy {
        raw::Policy::RoundRobin => Policy::RoundRobin,
        raw::Policy::SmoothWeightedRoundRobin => Policy::SmoothWeightedRoundRobin,
    };
    Ok(Pool { policy, members })
}
