//! From the document as written to the configuration that cannot be wrong.

mod breaker;
mod operations;
mod pool;
mod processors;
mod profile;
mod rules;
mod values;

use std::collections::BTreeSet;

use super::{AnswerHeaders, Config, ConfigError, ConfigWarning, Detail, Pool, Presence, TenantHeader, defaults, raw};
use crate::balance::HashBy;
use values::{header_name, millis, name, number, size};

type Result<T> = std::result::Result<T, ConfigError>;

fn wrong<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T> {
    Err(ConfigError { path: path.into(), message: message.into() })
}

pub(super) fn config(raw: raw::Config) -> Result<Config> {
    let raw::Config {
        route_header,
        answer_headers,
        tenant,
        locality,
        limits,
        breaker,
        fields,
        profiles,
        processors,
        operations,
        lists,
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
        read_profiles.push((profile_name, profile::read(&path, profile)?));
    }
    let processors = processors::read(processors, &read_profiles, &breaker, locality.as_ref())?;
    let operations = operations::read(operations)?;

    let mut pools = vec![pool::read("default", default, &processors)?];
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
    let fields = profile::fields("fields", fields)?;
    let told = rules::Told {
        fields: &fields,
        tenant: tenant.as_ref().map(|tenant| tenant.header.as_str()),
        key: operations.iter().find_map(|operation| match &operation.detail {
            Detail::Charge { key } => key.as_ref().map(|key| key.header.as_str()),
            _ => None,
        }),
    };
    let (rules, warnings) = rules::read(rules, &lists, &told, &processors, &mut pools)?;
    pool::bounded(&pools)?;
    let route_header = match route_header {
        Some(header) => header_name("route_header", &header)?,
        None => defaults::ROUTE_HEADER.to_owned(),
    };
    Ok(Config {
        route_header,
        answer_headers: match answer_headers {
            Some(raw::AnswerHeaders::Hide) => AnswerHeaders::Hide,
            Some(raw::AnswerHeaders::Explain) => AnswerHeaders::Explain,
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
        fields,
        processors,
        operations,
        rules,
        hash_headers: hash_headers(&pools),
        pools,
        warnings: bounded(warnings),
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

/// The first of them, and how many more there are.
fn bounded(mut warnings: Vec<ConfigWarning>) -> Vec<ConfigWarning> {
    let more = warnings.len().saturating_sub(defaults::WARNINGS_MAX);
    if more > 0 {
        warnings.truncate(defaults::WARNINGS_MAX);
        warnings.push(ConfigWarning { path: "rules".to_owned(), message: format!("and {more} more warnings") });
    }
    warnings
}

fn hash_headers(pools: &[Pool]) -> Vec<String> {
    let named = pools.iter().filter_map(|pool| match pool.balance.policy.hash_by() {
        Some(HashBy::Header(name)) => Some(name.clone()),
        _ => None,
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}
