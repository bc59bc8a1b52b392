//! A charge: read, routed, claimed, sent, read again, pinned.

use std::time::Duration;

use super::request::Tenant;
use super::{
    Body, Edit, Ends, Exchange, Headers, Job as AnyJob, Repeated, Request, ResponseHead, Sent, State, Step, Then,
    answer_edits, detail, head, pin,
};
use crate::breakers::Traits;
use crate::config::{Detail, KeyCarrier, Presence, SameKey, Spelling};
use crate::fact::Fact;
use crate::lookup::{Answer, Claim, Key, KeyBuilder, Question};
use crate::operation::{Claims, Kind};
use crate::payment::{self, Encoding, IdempotencyKey, Outcome, Spoke};
use crate::reason::Reason;
use crate::router::{Charge, Router, Ticket};
use crate::rules;
use crate::time::Now;

/// A charge whose body is awaited.
pub(super) struct Head {
    request: Request,
    key: Option<(IdempotencyKey, Claims)>,
    encoding: Encoding,
    /// The values of the headers that rules read.
    rule_headers: Vec<Option<Vec<u8>>>,
}

impl Head {
    pub(super) fn tenant(&self) -> &Tenant {
        &self.request.tenant
    }
}

/// A charge that is counted in at a processor and waits for its claim.
pub(super) struct Claiming {
    request: Request,
    ticket: Ticket,
    traits: Traits,
}

impl Claiming {
    pub(super) fn abandon(self, router: &mut Router, now: Now) {
        router.release(self.ticket, now);
    }
}

/// A charge at its processor.
pub(super) struct Job {
    tenant: Tenant,
}

impl Exchange {
    pub(super) fn charge_headers(
        &mut self,
        router: &mut Router,
        request: Request,
        headers: Headers<'_>,
        ends: Ends,
    ) -> Step {
        match read_head(router, request, headers, ends) {
            Ok(head) => {
                self.state = State::ChargeBody(head);
                Step::ReadBody
            }
            Err(reason) => self.refuse(router, reason, None),
        }
    }

    pub(super) fn charge_body(&mut self, router: &mut Router, head: Head, body: Body<'_>, now: Now) -> Step {
        let (ticket, traits) = match decide(router, &head, body, now) {
            Ok(decided) => decided,
            Err((reason, wait)) => return self.refuse(router, reason, wait),
        };
        let Some((key, Claims::Required)) = &head.key else {
            return self.send_charge(router, head.request, ticket, now);
        };
        let name = router.config().processor(ticket.processor()).map(|p| p.name.clone());
        let key = claim_key(router, &head.request, key);
        self.state = State::ChargeClaim(Claiming { request: head.request, ticket, traits });
        self.ask(router, Question::Claim { key, processor: name.unwrap_or_default() }, now)
    }

    pub(super) fn charge_claimed(
        &mut self,
        router: &mut Router,
        Claiming { request, ticket, traits }: Claiming,
        answer: Answer,
        now: Now,
    ) -> Step {
        let holder = match answer {
            Answer::Claimed(Claim::Fresh, _) => return self.send_charge(router, request, ticket, now),
            Answer::Claimed(Claim::Existing, holder) => holder,
            _ => {
                router.release(ticket, now);
                return self.refuse(router, Reason::KeyStateUnknown, Some(Duration::from_secs(1)));
            }
        };
        // The key went to a processor before. Nobody else may ever take it, and that one only if it replays.
        router.release(ticket, now);
        let id = router.config().processor_named(&holder);
        let replays = id.and_then(|id| router.config().processor(id)).map(|p| p.same_key);
        let again = match (id, replays) {
            (Some(id), Some(SameKey::Replays)) => router.try_admit(id, &traits, now),
            _ => None,
        };
        match again {
            Some(ticket) => self.send_charge(router, request, ticket, now),
            None => self.refuse(router, Reason::KeyUnresolved, None),
        }
    }

    fn send_charge(&mut self, router: &Router, request: Request, ticket: Ticket, now: Now) -> Step {
        let job = Job { tenant: request.tenant.clone() };
        self.forward(router, request, ticket, AnyJob::Charge(job), now)
    }

    pub(super) fn charge_response(
        &mut self,
        router: &mut Router,
        ticket: Ticket,
        job: Job,
        head: ResponseHead<'_>,
        ends: Ends,
        now: Now,
    ) -> Step {
        if is_unread(router, head) {
            return self.charge_outcome(router, ticket, job, (head.status, head.spoke, None), now);
        }
        if ends == Ends::Here {
            return self.charge_outcome(router, ticket, job, (head.status, head.spoke, Some(b"")), now);
        }
        self.state = State::Sent(Sent { ticket, job: AnyJob::Charge(job), status: head.status });
        Step::HoldResponse
    }

    pub(super) fn charge_response_body(
        &mut self,
        router: &mut Router,
        ticket: Ticket,
        job: Job,
        status: u16,
        body: Body<'_>,
        now: Now,
    ) -> Step {
        let bytes = match body {
            Body::Whole(bytes) => Some(bytes),
            Body::TooLarge => None,
        };
        self.charge_outcome(router, ticket, job, (status, Spoke::Processor, bytes), now)
    }

    fn charge_outcome(
        &mut self,
        router: &mut Router,
        ticket: Ticket,
        Job { tenant }: Job,
        (status, spoke, body): (u16, Spoke, Option<&[u8]>),
        now: Now,
    ) -> Step {
        let id = ticket.processor();
        let edits = answer_edits(router.config(), id, None);
        let answer = payment::Answer { status, spoke, body };
        let read = router.config().processor(id).map(|p| (p.profile.read(Kind::Charge, answer), p.name.clone()));
        let Some(((outcome, payment), name)) = read else {
            router.settle(ticket, Outcome::Unread, now);
            return Step::Pass(edits);
        };
        router.settle(ticket, outcome, now);
        let Some(payment) = payment else {
            if matches!(outcome, Outcome::Approved | Outcome::Pending | Outcome::Unread) {
                router.fact(Fact::Unpinned(id));
            }
            return Step::Pass(edits);
        };
        let key = pin::key(&tenant, &payment);
        self.write(router, Question::StorePin { key, processor: name }, edits, Then::Pinned(key, id), now)
    }
}

/// Reads the body and chooses a processor, counted in; or why there is none, and how long to wait.
pub(super) fn decide(
    router: &mut Router,
    head: &Head,
    body: Body<'_>,
    now: Now,
) -> Result<(Ticket, Traits), (Reason, Option<Duration>)> {
    let Body::Whole(bytes) = body else { return Err((Reason::BodyTooLarge, None)) };
    let payment = payment::parse(head.encoding, bytes, &router.config().fields).map_err(|reason| (reason, None))?;
    let facts = rules::Facts { payment: &payment, headers: &head.rule_headers };
    let (pool, _) = router.config().rules.pool(facts);
    let affinity = head.key.as_ref().map(|(key, _)| affinity_key(&head.request.tenant, key));
    let traits = Traits::of(&payment);
    let ticket = router
        .route(&Charge { key: affinity.as_ref(), traits, amount: Some(&payment.amount), ..Charge::of(pool) }, now);
    ticket.map(|ticket| (ticket, traits)).map_err(|wait| (Reason::NoProcessor, Some(wait)))
}

/// Is the answer one whose body is not read: the proxy's own, encoded, or too long?
pub(super) fn is_unread(router: &Router, head: ResponseHead<'_>) -> bool {
    let too_large = head::content_length(head.headers)
        .is_some_and(|n| usize::try_from(n).map_or(true, |n| n > router.config().answer_body_bytes));
    head.spoke != Spoke::Processor || head::is_encoded(head.headers) || too_large
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
    let rule_headers = config.rules.headers.iter().map(|n| headers.one(n.as_bytes()).map(<[u8]>::to_vec));
    Ok(Head { request, key, encoding, rule_headers: rule_headers.collect() })
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

/// A key's scope is its tenant and operation.
fn claim_key(router: &Router, request: &Request, key: &IdempotencyKey) -> Key {
    let operation = router.config().operation(request.operation).map(|o| o.name.as_bytes());
    KeyBuilder::new("claim.v1").optional(request.tenant.as_deref()).optional(operation).part(key.as_bytes()).finish()
}
