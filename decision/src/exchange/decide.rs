//! From what a charge says to the processor it goes to, and why.

use core::net::IpAddr;
use std::time::Duration;

use super::request::Tenant;
use super::{Body, Edit, Ends, Headers, Repeated, Request, detail, head};
use crate::balance::HashBy;
use crate::breakers::Traits;
use crate::config::{AnswerHeaders, Config, Detail, KeyCarrier, Presence, Spelling};
use crate::explain::Explanation;
use crate::lookup::{Key, KeyBuilder};
use crate::operation::Claims;
use crate::payment::{self, Asked, Encoding, IdempotencyKey, Payment};
use crate::processor::ProcessorId;
use crate::reason::Reason;
use crate::router::{Charge, Router, Ticket};
use crate::rules;
use crate::time::Now;

/// A charge whose body is awaited.
pub(super) struct Head {
    pub(super) request: Request,
    pub(super) key: Option<(IdempotencyKey, Claims)>,
    encoding: Encoding,
    values: HeadValues,
}

/// What rules and hashes read of the head.
struct HeadValues {
    headers: Vec<Option<Vec<u8>>>,
    queries: Vec<Option<Vec<u8>>>,
    /// By [`Config::hash_headers`].
    hashed: Vec<Option<Vec<u8>>>,
    http_method: Vec<u8>,
}

/// A charge whose processor is chosen and counted in.
pub(super) struct Decided {
    pub(super) ticket: Ticket,
    pub(super) about: About,
}

/// What of a charge is kept until its answer.
#[derive(Default)]
pub(super) struct About {
    pub(super) traits: Traits,
    pub(super) asked: Asked,
    /// Why it goes where it goes, in one line, where answers say so.
    pub(super) why: Option<String>,
}

/// A charge that the filter answers itself.
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) wait: Option<Duration>,
    pub(super) why: Option<String>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, wait: None, why: None }
    }
}

/// A charge as rules and policies see it.
struct Read<'a> {
    payment: Payment,
    decision: rules::Decision,
    affinity: Option<Key>,
    input: Option<&'a [u8]>,
}

impl Read<'_> {
    fn charge(&self, source: Option<IpAddr>) -> Charge<'_> {
        Charge {
            pool: self.decision.pool,
            key: self.affinity.as_ref(),
            traits: Traits::of(&self.payment),
            amount: Some(&self.payment.amount),
            source,
            input: self.input,
        }
    }

    fn about(&self, why: Option<String>) -> About {
        About { traits: Traits::of(&self.payment), asked: Asked::from(&self.payment), why }
    }
}

/// Reads the body and chooses a processor; or says why there is none.
pub(super) fn decide(
    router: &mut Router,
    head: &Head,
    body: Body<'_>,
    source: Option<IpAddr>,
    now: Now,
) -> Result<Decided, Refused> {
    let Body::Whole(bytes) = body else { return Err(Reason::BodyTooLarge.into()) };
    let mut input = Vec::new();
    let read = read(router.config(), head, bytes, source, &mut input, now)?;
    let charge = read.charge(source);
    let explains = router.config().answer_headers == AnswerHeaders::Explain;
    let explanation = if explains { router.explain(&charge, now) } else { None };
    let ticket = router.route(&charge, now);
    let why = explanation.map(|explanation| {
        let to = ticket.as_ref().ok().map(Ticket::processor);
        explanation.line(router.config(), rule_name(router.config(), &read.decision), to)
    });
    match ticket {
        Ok(ticket) => Ok(Decided { ticket, about: read.about(why) }),
        Err(wait) => Err(Refused { reason: Reason::NoProcessor, wait: Some(wait), why }),
    }
}

/// Where a charge would go that is only watched.
pub(super) fn would_go(
    router: &mut Router,
    head: &Head,
    body: Body<'_>,
    source: Option<IpAddr>,
    now: Now,
) -> Result<(ProcessorId, About), Reason> {
    let Body::Whole(bytes) = body else { return Err(Reason::BodyTooLarge) };
    let mut input = Vec::new();
    let read = read(router.config(), head, bytes, source, &mut input, now)?;
    let id = router.would_route(&read.charge(source), now).ok_or(Reason::NoProcessor)?;
    Ok((id, read.about(None)))
}

/// Why a charge would go where it would go; see [`super::explain`].
pub(super) fn explain(
    router: &mut Router,
    head: &Head,
    bytes: &[u8],
    source: Option<IpAddr>,
    now: Now,
) -> Result<(Option<String>, Option<usize>, Explanation), Reason> {
    let mut input = Vec::new();
    let read = read(router.config(), head, bytes, source, &mut input, now)?;
    let explanation = router.explain(&read.charge(source), now).ok_or(Reason::NoProcessor)?;
    let rule = rule_name(router.config(), &read.decision).map(str::to_owned);
    Ok((rule, read.decision.part, explanation))
}

fn rule_name<'a>(config: &'a Config, decision: &rules::Decision) -> Option<&'a str> {
    decision.rule.and_then(|at| config.rules.list.get(at)).map(|rule| rule.name.as_str())
}

fn read<'a>(
    config: &Config,
    head: &'a Head,
    bytes: &[u8],
    source: Option<IpAddr>,
    input: &'a mut Vec<u8>,
    now: Now,
) -> Result<Read<'a>, Reason> {
    let (payment, bodies) = payment::parse_with(head.encoding, bytes, &config.fields, &config.rules.needs.bodies)?;
    let facts = rules::Facts {
        payment: &payment,
        http_method: &head.values.http_method,
        path: head.request.path.split(|b| *b == b'?').next().unwrap_or_default(),
        headers: &head.values.headers,
        queries: &head.values.queries,
        bodies: &bodies,
        tenant: head.request.tenant.as_deref(),
        key: head.key.as_ref().map(|(key, _)| key.as_bytes()),
        wall: now.wall,
    };
    let decision = config.rules.decide(&facts);
    let affinity = head.key.as_ref().map(|(key, _)| affinity_key(&head.request.tenant, key));
    let hash_by = config.pool(decision.pool).and_then(|pool| pool.balance.policy.hash_by());
    let input = hash_by.and_then(|by| hash_input(by, config, head, &payment, source, input));
    Ok(Read { payment, decision, affinity, input })
}

/// What a hash policy hashes; none where the request has it not.
fn hash_input<'a>(
    by: &HashBy,
    config: &Config,
    head: &'a Head,
    payment: &Payment,
    source: Option<IpAddr>,
    buffer: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    match by {
        HashBy::Tenant => head.request.tenant.as_deref(),
        HashBy::Key => head.key.as_ref().map(|(key, _)| key.as_bytes()),
        HashBy::Header(name) => {
            let at = config.hash_headers.iter().position(|known| known == name)?;
            head.values.hashed.get(at)?.as_deref()
        }
        HashBy::Merchant => {
            buffer.extend_from_slice(payment.merchant.as_ref()?.as_bytes());
            Some(buffer)
        }
        HashBy::Bin => {
            buffer.extend_from_slice(payment.bin.as_ref()?.digits());
            Some(buffer)
        }
        HashBy::SourceIp => {
            match source? {
                IpAddr::V4(address) => buffer.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => buffer.extend_from_slice(&address.octets()),
            }
            Some(buffer)
        }
    }
}

pub(super) fn read_head(router: &Router, request: Request, headers: Headers<'_>, ends: Ends) -> Result<Head, Reason> {
    let config = router.config();
    let carrier = match detail(router, request.operation) {
        Some(Detail::Charge { key }) => key.as_ref(),
        _ => None,
    };
    let mut request = request;
    let key = match carrier {
        Some(carrier) => idempotency_key(carrier, headers)?.map(|key| (key, carrier)),
        None => None,
    };
    if let Some((key, carrier)) = &key {
        request.edits.push(Edit::Set(carrier.header.clone(), spelt(key, carrier.spelling)));
    }
    let key = key.map(|(key, carrier)| (key, carrier.claims));
    if head::is_encoded(headers) {
        return Err(Reason::BodyEncoded);
    }
    let over = |n: u64| usize::try_from(n).map_or(true, |n| n > config.request_body_bytes);
    if head::content_length(headers).is_some_and(over) {
        return Err(Reason::BodyTooLarge);
    }
    if ends == Ends::Here {
        return Err(Reason::BodyMissing);
    }
    let content_type = headers.only(b"content-type").map_err(|_| Reason::MediaTypeUnknown)?;
    let encoding = content_type.and_then(Encoding::of_content_type).ok_or(Reason::MediaTypeUnknown)?;
    let values = values(config, &request, headers);
    Ok(Head { request, key, encoding, values })
}

fn values(config: &Config, request: &Request, headers: Headers<'_>) -> HeadValues {
    let needs = &config.rules.needs;
    let query = request.path.splitn(2, |b| *b == b'?').nth(1).unwrap_or_default();
    let parameter = |name: &String| {
        form_urlencoded::parse(query).find(|(known, _)| known == name).map(|(_, value)| value.into_owned().into_bytes())
    };
    let header = |name: &String| headers.one(name.as_bytes()).map(<[u8]>::to_vec);
    HeadValues {
        headers: needs.headers.iter().map(header).collect(),
        hashed: config.hash_headers.iter().map(header).collect(),
        queries: needs.queries.iter().map(parameter).collect(),
        http_method: headers.one(b":method").unwrap_or_default().to_vec(),
    }
}

fn idempotency_key(carrier: &KeyCarrier, headers: Headers<'_>) -> Result<Option<IdempotencyKey>, Reason> {
    match headers.only(carrier.header.as_bytes()) {
        Ok(Some(value)) => IdempotencyKey::parse(value).map(Some).map_err(|_| Reason::KeyMalformed),
        Ok(None) if carrier.presence == Presence::Required => Err(Reason::KeyMissing),
        Ok(None) => Ok(None),
        Err(Repeated) => Err(Reason::KeyMalformed),
    }
}

/// The one spelling of a key that processors see.
fn spelt(key: &IdempotencyKey, spelling: Spelling) -> Vec<u8> {
    match spelling {
        Spelling::Bare => key.as_bytes().to_vec(),
        Spelling::Quoted => [b"\"", key.as_bytes(), b"\""].concat(),
    }
}

/// What the processor of a key is drawn from.
fn affinity_key(tenant: &Tenant, key: &IdempotencyKey) -> Key {
    KeyBuilder::new("affinity.v1").optional(tenant.as_deref()).part(key.as_bytes()).finish()
}
