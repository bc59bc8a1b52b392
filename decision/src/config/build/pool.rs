//! Pools.

use xxhash_rust::xxh64::xxh64;

use super::values::{header_name, millis, number, small, some};
use super::{Result, wrong};
use crate::balance::{
    BoundedLoad, ENVOY_RING_POINTS_MAX, HashBy, Keyed, Member, POINTS_PER_WEIGHT, Policy, Settings, Weights,
};
use crate::breaker::Mode;
use crate::config::{Pool, Processor, State, defaults, raw};
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
        if raw.policy.name == raw::PolicyName::LeastCost && processor.fees.is_none() {
            return wrong(path, format!("least_cost needs to know what {name:?} costs: give it a cost"));
        }
        members.push(Member {
            id,
            weight: processor.weight,
            seed: xxh64(name.as_bytes(), 0),
            hash_key: processor.hash_key.clone(),
            priority: processor.priority,
            fees: processor.fees.clone(),
            in_use: processor.state == State::Active && processor.breaker.mode != Mode::ForcedOpen,
        });
    }
    let keyed = match raw.keyed {
        raw::Keyed::Rendezvous => Keyed::Rendezvous,
        raw::Keyed::Policy => Keyed::Policy,
    };
    let policy = policy(&format!("{path}.policy"), raw.policy, keyed)?;
    let slow_start = number(
        &format!("{path}.slow_start_ms"),
        raw.slow_start_ms,
        defaults::SLOW_START_MS,
        defaults::SLOW_START_MS_RANGE,
    )?;
    let panic_percent = small(
        &format!("{path}.panic_percent"),
        raw.panic_percent,
        defaults::PANIC_PERCENT,
        defaults::PANIC_PERCENT_RANGE,
    )?;
    Ok(Pool { balance: Settings { policy, keyed, slow_start: millis(slow_start) }, panic_percent, members })
}

/// Do the tables of all pools fit a worker?
pub(super) fn bounded(pools: &[Pool]) -> Result<()> {
    let entries = |pool: &Pool| match pool.balance.policy {
        Policy::Maglev { table_size, .. } => {
            // At most one table per member: each may be a level of its own.
            let mut levels: Vec<u8> = pool.members.iter().map(|m| m.priority).collect();
            levels.sort_unstable();
            levels.dedup();
            u64::from(table_size).saturating_mul(u64::try_from(levels.len()).unwrap_or(u64::MAX))
        }
        Policy::RingHash { .. } => {
            pool.members.iter().map(|m| u64::from(m.weight).saturating_mul(POINTS_PER_WEIGHT)).sum()
        }
        // At most one ring per member, as above: all their weights, and what each has without regard to weight.
        Policy::EnvoyRingHash { .. } => {
            pool.members.iter().map(|m| u64::from(m.weight).saturating_add(ENVOY_RING_POINTS_MAX)).sum()
        }
        _ => 0,
    };
    let all = pools.iter().fold(0_u64, |sum, pool| sum.saturating_add(entries(pool)));
    if all > defaults::TABLES_MAX {
        let message = format!(
            "the hash tables of all pools have {all} entries, at most {}: use fewer, smaller tables or weights",
            defaults::TABLES_MAX
        );
        return wrong(".", message);
    }
    Ok(())
}

fn policy(path: &str, raw: raw::Policy, keyed: Keyed) -> Result<Policy> {
    use raw::PolicyName as Name;
    let name = raw.name;
    let raw::PolicyOptions {
        weights,
        hash_by,
        table_size,
        bounded_load_percent,
        explore_percent,
        margin_bp,
        min_volume,
    } = raw.options;
    let hashes = [Name::Maglev, Name::RingHash, Name::EnvoyRingHash];
    let explores = [Name::ApprovalRate, Name::LeastCost];
    for (option, given, policies, of) in [
        ("weights", weights.is_some(), &[Name::SmoothWeightedRoundRobin][..], "smooth_weighted_round_robin"),
        (
            "hash_by",
            hash_by.is_some(),
            &[Name::Maglev, Name::RingHash, Name::EnvoyRingHash, Name::Rendezvous],
            "maglev, ring_hash, envoy_ring_hash and rendezvous",
        ),
        ("table_size", table_size.is_some(), &[Name::Maglev], "maglev"),
        ("bounded_load_percent", bounded_load_percent.is_some(), &hashes, "maglev, ring_hash and envoy_ring_hash"),
        ("explore_percent", explore_percent.is_some(), &explores, "approval_rate and least_cost"),
        ("margin_bp", margin_bp.is_some(), &[Name::LeastCost], "least_cost"),
        ("min_volume", min_volume.is_some(), &[Name::LeastCost], "least_cost"),
    ] {
        if given && !policies.contains(&name) {
            return wrong(format!("{path}.{option}"), format!("only for {of}"));
        }
    }
    let hash_by = || hashed(&format!("{path}.hash_by"), hash_by, keyed);
    let bounded_load = match bounded_load_percent {
        Some(_) => {
            let path = format!("{path}.bounded_load_percent");
            Some(BoundedLoad(small(&path, bounded_load_percent, 0, defaults::BOUNDED_LOAD_PERCENT_RANGE)?))
        }
        None => None,
    };
    let explore_percent = small(
        &format!("{path}.explore_percent"),
        explore_percent,
        defaults::EXPLORE_PERCENT,
        defaults::EXPLORE_PERCENT_RANGE,
    )?;
    Ok(match name {
        Name::RoundRobin => Policy::RoundRobin,
        Name::SmoothWeightedRoundRobin => Policy::SmoothWeightedRoundRobin(match weights {
            Some(raw::Weights::ReportedLoad) => Weights::ReportedLoad,
            Some(raw::Weights::Configured) | None => Weights::Configured,
        }),
        Name::Random => Policy::Random,
        Name::WeightedRandom => Policy::WeightedRandom,
        Name::LeastConnections => Policy::LeastConnections,
        Name::LeastResponseTime => Policy::LeastResponseTime,
        Name::IpHash => Policy::IpHash,
        Name::Maglev => {
            let path = format!("{path}.table_size");
            let table_size = small(&path, table_size, defaults::TABLE_SIZE, defaults::TABLE_SIZE_RANGE)?;
            if !is_prime(table_size) {
                return wrong(path, format!("{table_size} is not a prime: Maglev needs one, such as 65537"));
            }
            Policy::Maglev { table_size, hash_by: hash_by()?, bounded_load }
        }
        Name::RingHash => Policy::RingHash { hash_by: hash_by()?, bounded_load },
        Name::EnvoyRingHash => Policy::EnvoyRingHash { hash_by: hash_by()?, bounded_load },
        Name::LoadBased => Policy::LoadBased,
        Name::FailureBased => Policy::FailureBased,
        Name::Rendezvous => Policy::Rendezvous { hash_by: hash_by()? },
        Name::ApprovalRate => Policy::ApprovalRate { explore_percent },
        Name::LeastCost => Policy::LeastCost {
            margin_bp: small(&format!("{path}.margin_bp"), margin_bp, defaults::MARGIN_BP, defaults::MARGIN_BP_RANGE)?,
            min_volume: small(
                &format!("{path}.min_volume"),
                min_volume,
                defaults::MIN_VOLUME,
                defaults::MIN_VOLUME_RANGE,
            )?,
            explore_percent,
        },
    })
}

fn hashed(path: &str, given: Option<raw::HashBy>, keyed: Keyed) -> Result<HashBy> {
    Ok(match given {
        Some(raw::HashBy::Tenant) => HashBy::Tenant,
        Some(raw::HashBy::Merchant) => HashBy::Merchant,
        Some(raw::HashBy::Bin) => HashBy::Bin,
        Some(raw::HashBy::SourceIp) => HashBy::SourceIp,
        Some(raw::HashBy::Key) if keyed == Keyed::Policy => HashBy::Key,
        Some(raw::HashBy::Key) => {
            return wrong(path, "charges with a key go by rendezvous already: key needs keyed: policy");
        }
        Some(raw::HashBy::Header(name)) => HashBy::Header(header_name(&format!("{path}.header"), &name)?),
        None => return wrong(path, "what is hashed: tenant, merchant, bin, source_ip, key or {\"header\": name}"),
    })
}

fn is_prime(n: u32) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d: u32| !n.is_multiple_of(d))
}
