//! A look-up: the worker's memory, then the cache-service, then the processor.

use std::time::Duration;

use super::answer::AnswerHead;
use super::{ATTEMPTS, PROCESSOR, X_CACHE};
use super::{
    Body, Ends, Exchange, Headers, Job as AnyJob, Request, ResponseHead, Sent, State, Step, Then, answer_edits, detail,
    head, pin,
};
use crate::config::{AnswerHeaders, Config, Detail, Lookup, Shared};
use crate::fact::{Fact, LookupResult};
use crate::lookup::{Answer, Key, KeyBuilder, Loaded, Namespace, Question, Value};
use crate::operation::{Kind, WhenOpen};
use crate::payment::{self, Encoding, Outcome, Spoke, holds_card_number};
use crate::processor::ProcessorId;
use crate::reason::{LocalReply, Reason};
use crate::router::{Router, Ticket};
use crate::time::{Mono, Now};

/// A tenant's look-up whose processor is awaited.
pub(super) struct Head {
    request: Request,
    plan: Plan,
}

/// A look-up whose value is awaited.
pub(super) struct Asking {
    request: Request,
    plan: Plan,
    processor: Option<ProcessorId>,
    key: Key,
    entity: Option<Key>,
    /// When it was asked.
    since: Mono,
}

/// How a look-up may be cached.
#[derive(Clone)]
struct Plan {
    lookup: Lookup,
    caching: Caching,
    /// The values of the headers that change the answer.
    vary: Vec<Option<Vec<u8>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Caching {
    Yes,
    No,
}

/// A look-up at a processor.
pub(super) struct Job {
    fill: Option<Fill>,
}

struct Fill {
    local_key: Key,
    local_ttl: Duration,
    shared: Shared,
    namespace: Namespace,
    ttl: Duration,
    key: Key,
    entity: Option<Key>,
    /// None: the cache-service was silent, so only this worker keeps the value.
    fence: Option<Option<Vec<u8>>>,
    content_type: Vec<u8>,
    /// When the processor was asked.
    since: Mono,
    vary: Vec<String>,
}

impl Exchange {
    pub(super) fn lookup_headers(
        &mut self,
        router: &mut Router,
        request: Request,
        headers: Headers<'_>,
        ends: Ends,
        now: Now,
    ) -> Step {
        let Some(Detail::Lookup(lookup)) = detail(router, request.operation) else {
            return Step::Pass(request.edits);
        };
        let lookup = lookup.clone();
        let unknown_caller = lookup.shared == Shared::Tenant && request.tenant.is_none();
        // A card number is not a key, not even hashed; and a GET with a body is no look-up we know.
        let card = holds_card_number(&spaced(&request.path));
        let vary: Result<Vec<_>, _> = lookup.vary.iter().map(|name| headers.only(name.as_bytes())).collect();
        let plain = !unknown_caller && !card && ends == Ends::Here && vary.is_ok();
        let caching = if plain { Caching::Yes } else { Caching::No };
        let vary = vary.unwrap_or_default().into_iter().map(|value| value.map(<[u8]>::to_vec)).collect();
        let plan = Plan { lookup, caching, vary };
        if plan.caching == Caching::Yes {
            let local_key = plan.local_key(&request);
            if let Some(value) = router.local.value(&local_key, now.mono).cloned() {
                router.fact(Fact::Lookup(LookupResult::HitLocal));
                self.state = State::Closed;
                return Step::Reply(hit(router.config(), value));
            }
        }
        match (plan.lookup.shared, &request.parameter) {
            (Shared::Public, _) => self.ask_value(router, request, plan, None, now),
            (Shared::Tenant, None) => self.refuse(router, Reason::PaymentIdMalformed, None),
            (Shared::Tenant, Some(payment)) => {
                let key = pin::key(&request.tenant, payment);
                if let Some(id) = router.local.pin(&key, now.mono) {
                    return self.ask_value(router, request, plan, Some(id), now);
                }
                self.state = State::LookupPin(Head { request, plan });
                self.ask(router, Question::Pin { key }, now)
            }
        }
    }

    pub(super) fn lookup_pinned(
        &mut self,
        router: &mut Router,
        Head { request, plan }: Head,
        answer: Answer,
        now: Now,
    ) -> Step {
        let id = match pin::holder(router, answer) {
            Ok(id) => id,
            Err((reason, wait)) => return self.refuse_lookup(router, reason, wait),
        };
        if let Some(payment) = &request.parameter {
            let (key, ttl) = (pin::key(&request.tenant, payment), router.config().pin_ttl);
            router.local.keep_pin(key, id, ttl, now.mono);
        }
        self.ask_value(router, request, plan, Some(id), now)
    }

    fn ask_value(
        &mut self,
        router: &mut Router,
        request: Request,
        plan: Plan,
        processor: Option<ProcessorId>,
        now: Now,
    ) -> Step {
        let entity = processor.and_then(|id| entity_key(router, &request, id));
        // The cache-service may hold what the payment was, as long as it was not told otherwise.
        let outdated = entity.is_some_and(|entity| router.invalidates(&entity));
        if plan.caching == Caching::No || outdated {
            router.fact(Fact::Lookup(LookupResult::Uncached));
            return self.send_lookup(router, request, processor, Job { fill: None }, now);
        }
        let key = plan.key(router.config(), &request, processor);
        let namespace = plan.lookup.namespace.clone();
        let since = now.mono;
        self.state = State::LookupAsk(Asking { request, plan, processor, key, entity, since });
        self.ask(router, Question::Lookup { namespace, key, entity }, now)
    }

    pub(super) fn lookup_answered(
        &mut self,
        router: &mut Router,
        Asking { request, plan, processor, key, entity, since }: Asking,
        answer: Answer,
        now: Now,
    ) -> Step {
        let local_key = plan.local_key(&request);
        let Plan { lookup, .. } = plan;
        let (result, fence) = match answer {
            Answer::Hit(value, ttl) => {
                let ttl = ttl.min(lookup.local_ttl);
                router.local.keep(Loaded { key: local_key, value: value.clone(), ttl, since, entity }, now.mono);
                router.fact(Fact::Lookup(LookupResult::HitService));
                return Step::Reply(hit(router.config(), value));
            }
            Answer::Miss(fence) => (LookupResult::Miss, Some(fence)),
            _ => (LookupResult::Unavailable, None),
        };
        router.fact(Fact::Lookup(result));
        let fill = Fill {
            local_key,
            local_ttl: lookup.local_ttl,
            shared: lookup.shared,
            namespace: lookup.namespace,
            ttl: lookup.ttl,
            key,
            entity,
            fence,
            content_type: Vec::new(),
            since: now.mono,
            vary: lookup.vary,
        };
        self.send_lookup(router, request, processor, Job { fill: Some(fill) }, now)
    }

    fn send_lookup(
        &mut self,
        router: &mut Router,
        request: Request,
        processor: Option<ProcessorId>,
        job: Job,
        now: Now,
    ) -> Step {
        let ticket = match processor {
            Some(id) => router.admit_pinned(id, Kind::Lookup, WhenOpen::Send, now).ok(),
            None => router.route_lookup(router.config().rules.default, now),
        };
        match ticket {
            Some(ticket) => self.forward(router, request, ticket, AnyJob::Lookup(job), now),
            None => self.refuse_lookup(router, Reason::NoProcessor, None),
        }
    }

    /// A refusal that says, as every answer to a look-up, that no cache gave it.
    fn refuse_lookup(&mut self, router: &mut Router, reason: Reason, wait: Option<Duration>) -> Step {
        let mut step = self.refuse(router, reason, wait);
        if let Step::Reply(reply) = &mut step
            && router.config().answer_headers != AnswerHeaders::Hide
        {
            reply.headers.push((X_CACHE.to_owned(), b"miss".to_vec()));
        }
        step
    }

    pub(super) fn lookup_response(
        &mut self,
        router: &mut Router,
        ticket: Ticket,
        Job { fill }: Job,
        head: ResponseHead<'_>,
        ends: Ends,
        now: Now,
    ) -> Step {
        let good = head.status == 200 && head.spoke == Spoke::Processor && !head::is_encoded(head.headers);
        match fill {
            Some(mut fill) if good && ends == Ends::Later && may_be_kept(head.headers, &fill) => {
                fill.content_type = head.headers.one(b"content-type").unwrap_or_default().to_vec();
                let job = AnyJob::Lookup(Job { fill: Some(fill) });
                let answer = Some(AnswerHead::of(head, None));
                self.state = State::Sent(Sent { ticket, job, answer });
                Step::HoldResponse
            }
            _ => {
                let id = ticket.processor();
                settle(router, ticket, head.status, head.spoke, now);
                Step::Pass(answer_edits(router.config(), id, Some("miss")))
            }
        }
    }

    pub(super) fn lookup_response_body(
        &mut self,
        router: &mut Router,
        ticket: Ticket,
        Job { fill }: Job,
        status: u16,
        body: Body<'_>,
        now: Now,
    ) -> Step {
        let id = ticket.processor();
        settle(router, ticket, status, Spoke::Processor, now);
        let edits = answer_edits(router.config(), id, Some("miss"));
        let (Some(fill), Body::Whole(bytes)) = (fill, body) else { return Step::Pass(edits) };
        let Some(processor) = router.config().processor(id) else { return Step::Pass(edits) };
        // A payment that is not final changes at any moment: it is never kept.
        let last = || processor.profile.outcome_of_payment(bytes).is_final();
        if fill.shared == Shared::Tenant && !last() {
            return Step::Pass(edits);
        }
        let value = Value {
            status,
            content_type: fill.content_type,
            body: bytes.to_vec(),
            processor: Some(processor.name.clone()),
        };
        let Fill { local_key, local_ttl, namespace, ttl, key, entity, fence, since, .. } = fill;
        let loaded = Loaded { key: local_key, value: value.clone(), ttl: local_ttl, since, entity };
        match fence {
            Some(fence) => {
                let question = Question::Fill { namespace, key, entity, fence, ttl, value };
                self.write(router, question, edits, Then::Filled(Box::new(loaded)), now)
            }
            None => {
                // Nobody can say whether a tenant's value is outdated by now; a public one has nobody to outdate it.
                if entity.is_none() {
                    router.local.keep(loaded, now.mono);
                }
                Step::Pass(edits)
            }
        }
    }
}

/// May the answer be given to another request? Not if it sets a cookie, or varies by a header that is not in the key.
/// An answer for everybody must also be JSON, as a page about maintenance is not, and must not say that it is private.
/// What a tenant's answer says of storage is not asked: processors mark every answer `no-store`, and the operator chose.
fn may_be_kept(headers: Headers<'_>, fill: &Fill) -> bool {
    let words = |name: &[u8]| -> Vec<String> {
        let all = headers.all(name).flat_map(|value| value.split(|b| *b == b','));
        all.map(|word| String::from_utf8_lossy(word.trim_ascii()).to_ascii_lowercase()).collect()
    };
    let known = |name: &String| name == "accept-encoding" || name == "origin" || fill.vary.contains(name);
    if headers.one(b"set-cookie").is_some() || !words(b"vary").iter().all(known) {
        return false;
    }
    let json = || headers.one(b"content-type").and_then(Encoding::of_content_type) == Some(Encoding::Json);
    let private = || words(b"cache-control").iter().any(|word| word == "no-store" || word.starts_with("private"));
    fill.shared == Shared::Tenant || json() && !private()
}

/// The path with its spaces as spaces, for the search of card numbers.
fn spaced(path: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(path).replace("%20", " ").replace('+', " ");
    text.replace("%2D", "-").replace("%2d", "-").into_bytes()
}

fn settle(router: &mut Router, ticket: Ticket, status: u16, spoke: Spoke, now: Now) {
    let answer = payment::Answer { status, spoke, body: None, asked: payment::Asked::default() };
    let processor = router.config().processor(ticket.processor());
    let outcome = processor.map(|p| p.profile.read(Kind::Lookup, answer).outcome);
    router.settle(ticket, outcome.unwrap_or(Outcome::Unread), now);
}

fn hit(config: &Config, value: Value) -> LocalReply {
    let mut headers = Vec::new();
    if !value.content_type.is_empty() {
        headers.push(("content-type".to_owned(), value.content_type));
    }
    if config.answer_headers != AnswerHeaders::Hide {
        headers.push((X_CACHE.to_owned(), b"hit".to_vec()));
        headers.push((ATTEMPTS.to_owned(), b"0".to_vec()));
        if let Some(name) = value.processor {
            headers.push((PROCESSOR.to_owned(), name.into_bytes()));
        }
    }
    LocalReply { status: value.status, headers, body: value.body, details: "cache_hit" }
}

/// The payment at its processor, for its tenant: what a follow-up invalidates.
pub(super) fn entity_key(router: &Router, request: &Request, id: ProcessorId) -> Option<Key> {
    let processor = router.config().processor(id)?;
    let payment = request.parameter.as_deref()?;
    let key = KeyBuilder::new("entity.v1")
        .optional(request.tenant.as_deref())
        .part(processor.name.as_bytes())
        .part(processor.account.as_bytes())
        .part(payment.as_bytes());
    Some(key.finish())
}

impl Plan {
    /// The key in this worker's memory; it need not know the processor.
    fn local_key(&self, request: &Request) -> Key {
        self.finish(KeyBuilder::new("local.v1"), request)
    }

    /// The key at the cache-service. A public value is the same from whichever processor it came.
    fn key(&self, config: &Config, request: &Request, id: Option<ProcessorId>) -> Key {
        let processor = id.and_then(|id| config.processor(id));
        let key = KeyBuilder::new("lookup.v1")
            .optional(processor.map(|p| p.name.as_bytes()))
            .optional(processor.map(|p| p.account.as_bytes()));
        self.finish(key, request)
    }

    fn finish(&self, key: KeyBuilder, request: &Request) -> Key {
        let tenant = match self.lookup.shared {
            Shared::Public => None,
            Shared::Tenant => request.tenant.as_deref(),
        };
        // Where a processor is addressed by the client's own host, another host may be another's answer.
        let mut key = key
            .part(&request.authority)
            .part(self.lookup.namespace.as_str().as_bytes())
            .optional(tenant)
            .part(&request.path);
        for value in &self.vary {
            key = key.optional(value.as_deref());
        }
        key.finish()
    }
}
