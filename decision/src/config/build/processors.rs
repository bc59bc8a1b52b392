//! Processors.

use std::sync::Arc;

use super::values::{currency, header_name, name, number, pointer, small};
use super::{Result, breaker, wrong};
use crate::balance::Fees;
use crate::config::{Processor, SameKey, State, defaults, raw};
use crate::load::Source;
use crate::payment::Profile;
use crate::processor::ProcessorId;

pub(super) fn read(
    raw: Vec<raw::Processor>,
    profiles: &[(String, (Profile, SameKey))],
    common: &raw::Breaker,
    here: Option<&raw::Locality>,
) -> Result<Vec<Processor>> {
    if raw.is_empty() || raw.len() > ProcessorId::COUNT_MAX {
        return wrong("processors", format!("1 to {} processors", ProcessorId::COUNT_MAX));
    }
    if let Some(here) = here {
        known_place("locality", here)?;
    }
    let mut all: Vec<Processor> = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let path = format!("processors[{i}]");
        name(&format!("{path}.name"), &one.name)?;
        if all.iter().any(|p| p.name == one.name) {
            return wrong(format!("{path}.name"), format!("{:?} is there already", one.name));
        }
        let Some((_, (profile, same_key))) = profiles.iter().find(|(n, _)| *n == one.profile) else {
            return wrong(format!("{path}.profile"), format!("no profile is called {:?}", one.profile));
        };
        let weight = small(&format!("{path}.weight"), one.weight, defaults::WEIGHT, defaults::WEIGHT_RANGE)?;
        if let Some(prefix) = &one.path_prefix
            && (!prefix.starts_with('/') || prefix.ends_with('/') || !prefix.bytes().all(|b| b.is_ascii_graphic()))
        {
            return wrong(format!("{path}.path_prefix"), "starts with / and does not end with one");
        }
        if let Some(authority) = &one.authority
            && (authority.is_empty() || !authority.bytes().all(|b| b.is_ascii_graphic()))
        {
            return wrong(format!("{path}.authority"), "a host name, with a port where it needs one");
        }
        let cluster = one.cluster.unwrap_or_else(|| one.name.clone());
        if cluster.is_empty() || !cluster.bytes().all(|b| b.is_ascii_graphic()) {
            return wrong(format!("{path}.cluster"), "what the proxy calls it, without spaces");
        }
        all.push(Processor {
            cluster,
            account: one.account.unwrap_or_default(),
            profile: profile.clone(),
            same_key: *same_key,
            weight,
            authority: one.authority,
            path_prefix: one.path_prefix.unwrap_or_default(),
            breaker: breaker::read(&format!("{path}.breaker"), &one.breaker, common)?,
            per: breaker::per(&one.breaker, common),
            heartbeat: breaker::heartbeat(&format!("{path}.heartbeat"), one.heartbeat.as_ref())?,
            load: load(&format!("{path}.load"), one.load)?,
            state: match one.state {
                raw::State::Active => State::Active,
                raw::State::Drain => State::Drain,
            },
            priority: priority(&path, one.priority, one.locality.as_ref(), here)?,
            fees: one.cost.map(|cost| fees(&format!("{path}.cost"), &cost)).transpose()?.map(Arc::new),
            hash_key: hash_key(&path, one.hash_key, &one.name)?,
            name: one.name,
        });
    }
    Ok(all)
}

/// As the operator says, else by where the processor is: 0 in the zone of this proxy, 1 in its region, 2 anywhere else.
fn priority(
    path: &str,
    explicit: Option<u64>,
    there: Option<&raw::Locality>,
    here: Option<&raw::Locality>,
) -> Result<u8> {
    if let Some(there) = there {
        known_place(&format!("{path}.locality"), there)?;
        if here.is_none() {
            return wrong(format!("{path}.locality"), "it says nothing without locality, where this proxy is");
        }
        if explicit.is_some() {
            return wrong(format!("{path}.priority"), "priority or locality, not both");
        }
    }
    let far = match (there, here) {
        (Some(there), Some(here)) if there.region != here.region => 2,
        (Some(there), Some(here)) => u64::from(there.zone != here.zone || here.zone.is_none()),
        (None, Some(_)) => 2,
        (_, None) => 0,
    };
    let priority = number(&format!("{path}.priority"), explicit, far, defaults::PRIORITY_RANGE)?;
    Ok(u8::try_from(priority).unwrap_or(u8::MAX))
}

fn known_place(path: &str, place: &raw::Locality) -> Result<()> {
    name(&format!("{path}.region"), &place.region)?;
    place.zone.as_ref().map_or(Ok(()), |zone| name(&format!("{path}.zone"), zone))
}

fn fees(path: &str, cost: &raw::Cost) -> Result<Fees> {
    if cost.rate_bp.is_none() && cost.fixed.is_empty() {
        return wrong(path, "rate_bp, fixed, or both");
    }
    let fixed = cost.fixed.iter().map(|(code, minor)| {
        let path = format!("{path}.fixed.{code}");
        Ok((currency(&path, code)?, small(&path, Some(*minor), 0, defaults::FIXED_FEE_RANGE)?))
    });
    Ok(Fees {
        rate_bp: small(&format!("{path}.rate_bp"), cost.rate_bp, 0, defaults::RATE_BP_RANGE)?,
        fixed: fixed.collect::<Result<_>>()?,
    })
}

fn hash_key(path: &str, given: Option<String>, name: &str) -> Result<Arc<str>> {
    let Some(given) = given else { return Ok(name.into()) };
    if !(1..=defaults::HASH_KEY_LEN_MAX).contains(&given.len()) || !given.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("1 to {} characters without spaces", defaults::HASH_KEY_LEN_MAX);
        return wrong(format!("{path}.hash_key"), message);
    }
    Ok(given.into())
}

fn load(path: &str, raw: raw::Load) -> Result<Source> {
    Ok(match raw {
        raw::Load::Orca => Source::Orca,
        raw::Load::Header(name) => Source::Header(header_name(&format!("{path}.header"), &name)?),
        raw::Load::Pointer(text) => Source::Pointer(pointer(&format!("{path}.pointer"), &text)?),
    })
}
