//! Operations.

use super::values::{header_name, millis, name, namespace, number};
use super::{Result, wrong};
use crate::config::{ConfigError, Detail, KeyCarrier, Lookup, Operation, Presence, Shared, Spelling, defaults, raw};
use crate::operation::{Claims, Mode, Template, WhenOpen};

pub(super) fn read(raw: Vec<raw::Operation>) -> Result<Vec<Operation>> {
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
        let mode = match one.mode {
            raw::OperationMode::Enforce => Mode::Enforce,
            raw::OperationMode::Shadow => Mode::Shadow,
        };
        all.push(Operation { name: one.name, method: one.method, path: template, mode, detail });
    }
    consistent(&all)?;
    Ok(all)
}

/// Without a tenant's name nothing can be kept for one.
pub(super) fn need_no_tenant(all: &[Operation]) -> Result<()> {
    let of_tenant = |o: &Operation| matches!(&o.detail, Detail::Lookup(l) if l.shared == Shared::Tenant);
    match all.iter().position(of_tenant) {
        Some(at) => wrong(format!("operations[{at}].lookup.shared"), "tenant needs tenant.header, which is not given"),
        None => Ok(()),
    }
}

/// What one operation says of another must be so.
fn consistent(all: &[Operation]) -> Result<()> {
    let lookups = || all.iter().filter_map(|o| if let Detail::Lookup(l) = &o.detail { Some((o, l)) } else { None });
    for (i, operation) in all.iter().enumerate() {
        let same = |o: &&Operation| o.method == operation.method && o.path == operation.path;
        if let Some(earlier) = all.iter().take(i).find(same) {
            let message = format!("{} has the same method and path, and comes first", earlier.name);
            return wrong(format!("operations[{i}].path"), message);
        }
        match &operation.detail {
            Detail::FollowUp { invalidates: None, .. } => {
                let reads =
                    |(o, l): &(&Operation, &Lookup)| l.shared == Shared::Tenant && o.path.same_subject(&operation.path);
                if let Some((reader, lookup)) = lookups().find(reads) {
                    let message = format!("{} would stay what it was: say {}", reader.name, lookup.namespace);
                    return wrong(format!("operations[{i}].invalidates"), message);
                }
            }
            Detail::FollowUp { invalidates: Some(namespace), .. }
                if !lookups().any(|(_, l)| l.namespace == *namespace && l.shared == Shared::Tenant) =>
            {
                let message = format!("no look-up of a tenant is kept in {namespace}");
                return wrong(format!("operations[{i}].invalidates"), message);
            }
            Detail::Lookup(lookup) if lookup.shared == Shared::Public => {
                let follows_up = |o: &&Operation| matches!(o.detail, Detail::FollowUp { .. });
                let subject = all.iter().filter(follows_up).find(|o| o.path.same_subject(&operation.path));
                if let Some(other) = subject {
                    let message = format!("{} acts on what this reads: it is not for everybody", other.name);
                    return wrong(format!("operations[{i}].lookup.shared"), message);
                }
            }
            _ => {}
        }
    }
    Ok(())
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
                    spelling: match key.spelling {
                        raw::Spelling::Bare => Spelling::Bare,
                        raw::Spelling::Quoted => Spelling::Quoted,
                    },
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
