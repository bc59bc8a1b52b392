//! From the document as written to the configuration that cannot be wrong.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use xxhash_rust::xxh64::xxh64;

use super::{
    AnswerHeaders, Config, ConfigError, Detail, KeyCarrier, Lookup, Operation, Pool, Presence, Processor, SameKey,
    Shared, defaults, raw,
};
use crate::balance::{Member, Policy};
use crate::breaker;
use crate::lookup::Namespace;
use crate::operation::{Claims, PoolId, Template, WhenOpen};
use crate::payment::{Amount, Currency, Fields, Pointer, Profile};
use crate::processor::ProcessorId;
use crate::rules::{Condition, Rule, Rules};

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
    let operations = self::operations(operations)?;

    let mut pools = vec![pool("default", default, &processors)?];
    let mut headers = Vec::new();
    let mut list = Vec::new();
    if rules.len() > defaults::RULES_MAX {
        return wrong("rules", format!("at most {} rules", defaults::RULES_MAX));
    }
    for (i, rule) in rules.into_iter().enumerate() {
        let path = format!("rules[{i}]");
        name(&format!("{path}.name"), &rule.name)?;
        let conditions = conditions(&format!("{path}.when"), rule.when, &mut headers)?;
        pools.push(pool(&format!("{path}.use"), rule.pool, &processors)?);
        list.push(Rule { name: rule.name, conditions, pool: PoolId(pools.len().saturating_sub(1)) });
    }

    let tenant_header = match tenant {
        Some(tenant) => Some(header_name("tenant.header", &tenant.header)?),
        None => None,
    };
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
        tenant_header,
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

fn operations(raw: Vec<raw::Operation>) -> Result<Vec<Operation>> {
    if raw.is_empty() || raw.len() > defaults::OPERATIONS_MAX {
        return wrong("operations", format!("1 to {} operations", defaults::OPERATIONS_MAX));
    }
    let mut all: Vec<Operation> = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let path = format!("operations[{i}]");
        name(&format!("{path}.name"), &one.name)?;
        if all.iter().any(|o| o.name == one.name) {
            return wrong(format!("{path}.name"), format!("{:?} is there already", one.name));
        }
        if one.method.is_empty() || !one.method.bytes().all(|b| b.is_ascii_uppercase()) {
            return wrong(format!("{path}.method"), "an HTTP method in upper case");
        }
        let template = Template::parse(&one.path)
            .map_err(|message| ConfigError { path: format!("{path}.path"), message: message.to_owned() })?;
        let detail = detail(&path, &one, &template)?;
        all.push(Operation { name: one.name, method: one.method, path: template, detail });
    }
    Ok(all)
}

fn detail(path: &str, one: &raw::Operation, template: &Template) -> Result<Detail> {
    let only = |field: &str, kind: &str| wrong(format!("{path}.{field}"), format!("only for kind {kind}"));
    if one.kind != raw::Kind::Charge && one.key.is_some() {
        return only("key", "charge");
    }
    if one.kind != raw::Kind::FollowUp && (one.when_open.is_some() || one.invalidates.is_some()) {
        return only(if one.when_open.is_some() { "when_open" } else { "invalidates" }, "follow_up");
    }
    if one.kind != raw::Kind::Lookup && one.lookup.is_some() {
        return only("lookup", "lookup");
    }
    match one.kind {
        raw::Kind::Charge => Ok(Detail::Charge {
            key: match &one.key {
                None => None,
                Some(key) => Some(KeyCarrier {
                    header: header_name(&format!("{path}.key.header"), &key.header)?,
                    presence: match key.presence {
                        raw::Presence::Required => Presence::Required,
                        raw::Presence::Optional => Presence::Optional,
                    },
                    claims: match key.claims {
                        raw::Claims::Required => Claims::Required,
                        raw::Claims::Off => Claims::Off,
                    },
                }),
            },
        }),
        raw::Kind::FollowUp => {
            if !template.has_parameter() {
                return wrong(format!("{path}.path"), "a follow_up has the payment's id as a {parameter}");
            }
            Ok(Detail::FollowUp {
                when_open: match one.when_open {
                    Some(raw::WhenOpen::Refuse) => WhenOpen::Refuse,
                    Some(raw::WhenOpen::Send) | None => WhenOpen::Send,
                },
                invalidates: match &one.invalidates {
                    Some(text) => Some(namespace(&format!("{path}.invalidates"), text)?),
                    None => None,
                },
            })
        }
        raw::Kind::Lookup => {
            let Some(lookup) = &one.lookup else {
                return wrong(format!("{path}.lookup"), "a look-up says where and how long it is cached");
            };
            lookup_detail(&format!("{path}.lookup"), lookup, one, template).map(Detail::Lookup)
        }
    }
}

fn lookup_detail(path: &str, raw: &raw::Lookup, one: &raw::Operation, template: &Template) -> Result<Lookup> {
    if one.method != "GET" {
        return wrong(path, "only GET is cached");
    }
    let (shared, local_default) = match raw.shared {
        raw::Shared::Public => (Shared::Public, defaults::LOCAL_TTL_MS_PUBLIC),
        raw::Shared::Tenant => (Shared::Tenant, defaults::LOCAL_TTL_MS_TENANT),
    };
    if shared == Shared::Tenant && !template.has_parameter() {
        return wrong(format!("{path}.shared"), "a tenant's look-up has the payment's id as a {parameter}");
    }
    let ttl = number(&format!("{path}.ttl_ms"), Some(raw.ttl_ms), 0, defaults::LOOKUP_TTL_MS_RANGE)?;
    let local = number(
        &format!("{path}.local_ttl_ms"),
        raw.local_ttl_ms,
        local_default.min(ttl),
        0..=if shared == Shared::Tenant { defaults::LOCAL_TTL_MS_TENANT } else { ttl },
    )?;
    let vary = raw.vary.iter().enumerate();
    Ok(Lookup {
        namespace: namespace(&format!("{path}.namespace"), &raw.namespace)?,
        shared,
        ttl: millis(ttl),
        local_ttl: millis(local),
        vary: vary.map(|(i, h)| header_name(&format!("{path}.vary[{i}]"), h)).collect::<Result<_>>()?,
    })
}

fn conditions(path: &str, when: raw::When, headers: &mut Vec<String>) -> Result<Vec<Condition>> {
    let raw::When { amount, currency, bin_prefix, merchant, header } = when;
    let mut all = Vec::new();
    if let Some(range) = amount {
        let path = format!("{path}.amount");
        let (min, max) = (range.min.unwrap_or(0), range.max.unwrap_or(Amount::MINOR_MAX));
        if min > max {
            return wrong(path, format!("min {min} is over max {max}: no amount fits"));
        }
        let currency = self::currency(&format!("{path}.currency"), &range.currency)?;
        all.push(Condition::Amount { currency, min, max });
    }
    if let Some(codes) = currency {
        let path = format!("{path}.currency");
        some(&path, &codes)?;
        let codes = codes.iter().enumerate().map(|(i, code)| self::currency(&format!("{path}[{i}]"), code));
        all.push(Condition::Currency(codes.collect::<Result<_>>()?));
    }
    if let Some(prefixes) = bin_prefix {
        let path = format!("{path}.bin_prefix");
        some(&path, &prefixes)?;
        for (i, prefix) in prefixes.iter().enumerate() {
            if !(1..=8).contains(&prefix.len()) || !prefix.bytes().all(|b| b.is_ascii_digit()) {
                return wrong(format!("{path}[{i}]"), "1 to 8 digits");
            }
        }
        all.push(Condition::BinPrefix(prefixes));
    }
    if let Some(names) = merchant {
        some(&format!("{path}.merchant"), &names)?;
        all.push(Condition::Merchant(names.into_iter().collect()));
    }
    for (header, values) in header.unwrap_or_default() {
        let path = format!("{path}.header.{header}");
        some(&path, &values)?;
        let header = header_name(&path, &header)?;
        let slot = headers.iter().position(|h| *h == header).unwrap_or_else(|| {
            headers.push(header);
            headers.len().saturating_sub(1)
        });
        all.push(Condition::Header { slot, values: values.into_iter().map(String::into_bytes).collect() });
    }
    Ok(all)
}

fn pool(path: &str, raw: raw::Pool, processors: &[Processor]) -> Result<Pool> {
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

fn pointers(path: &str, raw: &[String], presence: Presence) -> Result<Vec<Pointer>> {
    if presence == Presence::Required {
        some(path, raw)?;
    }
    let read = |(i, text): (usize, &String)| {
        Pointer::parse(text)
            .map_err(|message| ConfigError { path: format!("{path}[{i}]"), message: message.to_owned() })
    };
    raw.iter().enumerate().map(read).collect()
}

fn some<T>(path: &str, list: &[T]) -> Result<()> {
    if list.is_empty() { wrong(path, "at least one value") } else { Ok(()) }
}

fn name(path: &str, text: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if (1..=defaults::NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(plain) {
        Ok(())
    } else {
        wrong(path, format!("a name is 1 to {} letters, digits, - and _", defaults::NAME_LEN_MAX))
    }
}

fn header_name(path: &str, text: &str) -> Result<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=defaults::NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(token) {
        Ok(text.to_ascii_lowercase())
    } else {
        wrong(path, "a header name")
    }
}

fn namespace(path: &str, text: &str) -> Result<Namespace> {
    text.parse()
        .map_err(|e: crate::lookup::MalformedNamespace| ConfigError { path: path.to_owned(), message: e.to_string() })
}

fn currency(path: &str, text: &str) -> Result<Currency> {
    text.parse()
        .map_err(|e: crate::payment::MalformedCurrency| ConfigError { path: path.to_owned(), message: e.to_string() })
}

fn number(path: &str, given: Option<u64>, default: u64, range: RangeInclusive<u64>) -> Result<u64> {
    let value = given.unwrap_or(default);
    if range.contains(&value) {
        Ok(value)
    } else {
        wrong(path, format!("{value} is not within {} to {}", range.start(), range.end()))
    }
}

fn size(path: &str, given: Option<u64>, default: u64, range: RangeInclusive<u64>) -> Result<usize> {
    let value = number(path, given, default, range)?;
    usize::try_from(value).or_else(|_| wrong(path, format!("{value} does not fit this machine")))
}

fn millis(value: u64) -> Duration {
    Duration::from_millis(value)
}
