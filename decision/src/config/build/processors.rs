//! Processors.

use super::values::{name, number};
use super::{Result, breaker, wrong};
use crate::config::{Processor, SameKey, defaults, raw};
use crate::payment::Profile;
use crate::processor::ProcessorId;

pub(super) fn read(
    raw: Vec<raw::Processor>,
    profiles: &[(String, (Profile, SameKey))],
    common: &raw::Breaker,
) -> Result<Vec<Processor>> {
    if raw.is_empty() || raw.len() > ProcessorId::COUNT_MAX {
        return wrong("processors", format!("1 to {} processors", ProcessorId::COUNT_MAX));
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
        let weight = number(&format!("{path}.weight"), one.weight, defaults::WEIGHT, defaults::WEIGHT_RANGE)?;
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
            weight: u32::try_from(weight).unwrap_or(1),
            authority: one.authority,
            path_prefix: one.path_prefix.unwrap_or_default(),
            breaker: breaker::read(&format!("{path}.breaker"), &one.breaker, common)?,
            per: breaker::per(&one.breaker, common),
            heartbeat: breaker::heartbeat(&format!("{path}.heartbeat"), one.heartbeat.as_ref())?,
            name: one.name,
        });
    }
    Ok(all)
}
