//! From the document as written to the configuration that cannot be wrong.

mod operations;
mod rules;
mod values;

use std::collections::BTreeSet;

use super::{AnswerHeaders, Config, ConfigError, Presence, Processor, SameKey, TenantHeader, defaults, raw};
use crate::breaker;
use crate::operation::PoolId;
use crate::payment::{Fields, Profile};
use crate::processor::ProcessorId;
use crate::rules::{Rule, Rules};
use values::{header_name, millis, name, number, pointers, size};

type Result<T> = std::result::Result<T, ConfigError>;

fn wrong<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T> {
    Err(ConfigError { path: path.into(), message: message.into() })
}

pub(super) fn config(raw: raw::Config) -> Result<Config> {
    let raw::Config {
        route_header,
        answer_headers,
        tenant,
        limits,
        breaker,
        fields,
        profiles,
        processors,
        operations,
        rules,
        default,
        cache,
    } = raw;

    if profiles.len() > defaults::PROFILES_MAX {
        return wrong("profiles", format!("at most {} profiles", defaults::PROFILES_MAX));
    }
    let mut read_profiles = Vec::new();
    for (profile_name, profile) in profiles {
        let path = format!("profiles.{profile_name}");
        name(&path, &profile_name)?;
        read_profiles.push((profile_name, self::profile(&path, profile)?));
    }
    let processors = self::processors(processors, &read_profiles, &breaker)?;
    let operations = operations::read(operations)?;

    let mut pools = vec![rules::pool("default", default, &processors)?];
    let mut headers = Vec::new();
    let mut list = Vec::new();
    if rules.len() > defaults::RULES_MAX {
        return wrong("rules", format!("at most {} rules", defaults::RULES_MAX));
    }
    for (i, rule) in rules.into_iter().enumerate() {
        let path = format!("rules[{i}]");
        name(&format!("{path}.name"), &rule.name)?;
        let conditions = rules::conditions(&format!("{path}.when"), rule.when, &mut headers)?;
        pools.push(rules::pool(&format!("{path}.use"), rule.pool, &processors)?);
        list.push(Rule { name: rule.name, conditions, pool: PoolId(pools.len().saturating_sub(1)) });
    }

    let tenant = match tenant {
        Some(tenant) => Some(TenantHeader {
            header: header_name("tenant.header", &tenant.header)?,
            presence: match tenant.presence {
                Some(raw::Presence::Optional) => Presence::Optional,
                Some(raw::Presence::Required) | None => Presence::Required,
            },
        }),
        None => None,
    };
    if tenant.is_none() {
        operations::need_no_tenant(&operations)?;
    }
    rules::reachable(&list, &fields.merchant, &fields.card_number)?;
    let route_header = match route_header {
        Some(header) => header_name("route_header", &header)?,
        None => defaults::ROUTE_HEADER.to_owned(),
    };
    Ok(Config {
        route_header,
        answer_headers: match answer_headers {
            Some(raw::AnswerHeaders::Hide) => AnswerHeaders::Hide,
            Some(raw::AnswerHeaders::Show) | None => AnswerHeaders::Show,
        },
        tenant,
        request_body_bytes: size(
            "limits.request_body_bytes",
            limits.request_body_bytes,
            defaults::REQUEST_BODY_BYTES,
            defaults::REQUEST_BODY_BYTES_RANGE,
        )?,
        answer_body_bytes: size(
            "limits.answer_body_bytes",
            limits.answer_body_bytes,
            defaults::ANSWER_BODY_BYTES,
            defaults::ANSWER_BODY_BYTES_RANGE,
        )?,
        fields: Fields {
            amount: pointers("fields.amount", &fields.amount, Presence::Required)?,
            currency: pointers("fields.currency", &fields.currency, Presence::Required)?,
            merchant: pointers("fields.merchant", &fields.merchant, Presence::Optional)?,
            card_number: pointers("fields.card_number", &fields.card_number, Presence::Optional)?,
        },
        processors,
        operations,
        rules: Rules { list, default: PoolId(0), headers },
        pools,
        local_entries: size(
            "cache.local_entries",
            cache.local_entries,
            defaults::LOCAL_ENTRIES,
            defaults::LOCAL_ENTRIES_RANGE,
        )?,
        local_bytes: size("cache.local_bytes", cache.local_bytes, defaults::LOCAL_BYTES, defaults::LOCAL_BYTES_RANGE)?,
        pin_ttl: millis(number(
            "cache.pin_ttl_ms",
            cache.pin_ttl_ms,
            defaults::PIN_TTL_MS,
            defaults::PIN_TTL_MS_RANGE,
        )?),
    })
}

fn profile(path: &str, raw: raw::Profile) -> Result<(Profile, SameKey)> {
    let words = |field: &str, words: Vec<String>, presence| {
        if presence == Presence::Required && words.is_empty() {
            return wrong(format!("{path}.{field}"), "at least one value");
        }
        Ok(words.into_iter().collect::<BTreeSet<_>>())
    };
    let profile = Profile {
        payment_id: pointers(&format!("{path}.payment_id"), &raw.payment_id, Presence::Required)?,
        status: pointers(&format!("{path}.status"), &raw.status, Presence::Required)?,
        code: pointers(&format!("{path}.code"), &raw.code, Presence::Optional)?,
        approved: words("approved", raw.approved, Presence::Required)?,
        declined: words("declined", raw.declined, Presence::Optional)?,
        pending: words("pending", raw.pending, Presence::Optional)?,
        technical: words("technical_codes", raw.technical_codes, Presence::Optional)?,
    };
    let Profile { approved, declined, pending, .. } = &profile;
    let twice = approved.intersection(declined).chain(approved.intersection(pending));
    if let Some(status) = twice.chain(declined.intersection(pending)).next() {
        return wrong(path, format!("status {status:?} stands in two of approved, declined and pending"));
    }
    let same_key = match raw.same_key {
        raw::SameKey::Replays => SameKey::Replays,
        raw::SameKey::ChargesAgain => SameKey::ChargesAgain,
    };
    Ok((profile, same_key))
}

fn processors(
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
            breaker: self::breaker(&format!("{path}.breaker"), &one.breaker, common)?,
            name: one.name,
        });
    }
    Ok(all)
}

fn breaker(path: &str, own: &raw::Breaker, common: &raw::Breaker) -> Result<breaker::Settings> {
    let failures = number(
        &format!("{path}.consecutive_failures"),
        own.consecutive_failures.or(common.consecutive_failures),
        defaults::CONSECUTIVE_FAILURES,
        defaults::CONSECUTIVE_FAILURES_RANGE,
    )?;
    let open =
        number(&format!("{path}.open_ms"), own.open_ms.or(common.open_ms), defaults::OPEN_MS, defaults::OPEN_MS_RANGE)?;
    let open_max = number(
        &format!("{path}.open_ms_max"),
        own.open_ms_max.or(common.open_ms_max),
        defaults::OPEN_MS_MAX.max(open),
        defaults::OPEN_MS_RANGE,
    )?;
    if open_max < open {
        return wrong(format!("{path}.open_ms_max"), format!("at least open_ms, which is {open}"));
    }
    Ok(breaker::Settings {
        consecutive_failures: u32::try_from(failures).unwrap_or(u32::MAX),
        open: millis(open),
        open_max: millis(open_max),
    })
}
