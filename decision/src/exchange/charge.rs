//! A charge: read, routed, claimed, sent, read again, pinned.

use std::time::Duration;

use super::answer::AnswerHead;
use super::decide::{About, Decided, Head, Refused, decide, read_head};
use super::request::Tenant;
use super::{
    Body, DECISION, Edit, Ends, Exchange, Headers, Job as AnyJob, Request, ResponseHead, Sent, State, Step, Then,
    answer_edits, head, pin,
};
use crate::config::SameKey;
use crate::fact::Fact;
use crate::lookup::{Answer, Claim, Key, KeyBuilder, Question};
use crate::operation::{Claims, Kind};
use crate::payment::{self, IdempotencyKey, Spoke};
use crate::reason::Reason;
use crate::router::{Router, Ticket};
use crate::time::Now;

/// A charge that is counted in at a processor and waits for its claim.
pub(super) struct Claiming {
    request: Request,
    ticket: Ticket,
    about: About,
}

impl Claiming {
    pub(super) fn abandon(self, router: &mut Router, now: Now) {
        router.release(self.ticket, now);
    }
}

/// A charge at its processor.
pub(super) struct Job {
    tenant: Tenant,
    about: About,
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
        let Decided { ticket, about } = match decide(router, &head, body, self.source, now) {
            Ok(decided) => decided,
            Err(refused) => return self.refuse_charge(router, refused),
        };
        let Some((key, Claims::Required)) = &head.key else {
            return self.send_charge(router, head.request, ticket, about, now);
        };
        let name = router.config().processor(ticket.processor()).map(|p| p.name.clone());
        let key = claim_key(router, &head.request, key);
        self.state = State::ChargeClaim(Claiming { request: head.request, ticket, about });
        self.ask(router, Question::Claim { key, processor: name.unwrap_or_default() }, now)
    }

    pub(super) fn charge_claimed(
        &mut self,
        router: &mut Router,
        Claiming { request, ticket, about }: Claiming,
        answer: Answer,
        now: Now,
    ) -> Step {
        let holder = match answer {
            Answer::Claimed(Claim::Fresh, _) => return self.send_charge(router, request, ticket, about, now),
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
            (Some(id), Some(SameKey::Replays)) => router.try_admit(id, &about.traits, now),
            _ => None,
        };
        let why = about.why.map(|_| format!("claimed before; to={holder}"));
        let about = About { why, ..about };
        match again {
            Some(ticket) => self.send_charge(router, request, ticket, about, now),
            None => self.refuse(router, Reason::KeyUnresolved, None),
        }
    }

    fn refuse_charge(&mut self, router: &mut Router, Refused { reason, wait, why }: Refused) -> Step {
        let step = self.refuse(router, reason, wait);
        match (step, why) {
            (Step::Reply(mut reply), Some(why)) => {
                reply.headers.push((DECISION.to_owned(), why.into_bytes()));
                Step::Reply(reply)
            }
            (step, _) => step,
        }
    }

    fn send_charge(&mut self, router: &Router, request: Request, ticket: Ticket, about: About, now: Now) -> Step {
        let job = Job { tenant: request.tenant.clone(), about };
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
        let seen = AnswerHead::of(head, router.config().processor(ticket.processor()));
        if is_unread(router, head) {
            return self.charge_outcome(router, ticket, job, seen, None, now);
        }
        if ends == Ends::Here {
            return self.charge_outcome(router, ticket, job, seen, Some(b""), now);
        }
        self.state = State::Sent(Sent { ticket, job: AnyJob::Charge(job), answer: Some(seen) });
        Step::HoldResponse
    }

    pub(super) fn charge_response_body(
        &mut self,
        router: &mut Router,
        ticket: Ticket,
        job: Job,
        seen: AnswerHead,
        body: Body<'_>,
        now: Now,
    ) -> Step {
        self.charge_outcome(router, ticket, job, seen, body.whole(), now)
    }

    fn charge_outcome(
        &mut self,
        router: &mut Router,
        ticket: Ticket,
        Job { tenant, about }: Job,
        seen: AnswerHead,
        body: Option<&[u8]>,
        now: Now,
    ) -> Step {
        let id = ticket.processor();
        let mut edits = answer_edits(router.config(), id, None);
        edits.extend(about.why.map(|why| Edit::Set(DECISION.to_owned(), why.into_bytes())));
        let answer = payment::Answer { status: seen.status, spoke: seen.spoke, body, asked: about.asked };
        let Some(processor) = router.config().processor(id) else {
            router.settle(ticket, seen.unread(), now);
            return Step::Pass(edits);
        };
        let reading = processor.profile.read(Kind::Charge, answer);
        let (told, name) = (seen.told(processor, &reading, body), processor.name.clone());
        router.settle(ticket, told, now);
        router.fact(Fact::Evidence(id, reading.evidence));
        let Some(payment) = reading.payment_id else {
            if reading.outcome.may_hold_payment() {
                router.fact(Fact::Unpinned(id));
            }
            return Step::Pass(edits);
        };
        let key = pin::key(&tenant, &payment);
        self.write(router, Question::StorePin { key, processor: name }, edits, Then::Pinned(key, id), now)
    }
}

/// Is the answer one whose body is not read: the proxy's own, encoded, or too long?
pub(super) fn is_unread(router: &Router, head: ResponseHead<'_>) -> bool {
    let too_large = head::content_length(head.headers)
        .is_some_and(|n| usize::try_from(n).map_or(true, |n| n > router.config().answer_body_bytes));
    head.spoke != Spoke::Processor || head::is_encoded(head.headers) || too_large
}

/// A key's scope is its tenant and operation.
fn claim_key(router: &Router, request: &Request, key: &IdempotencyKey) -> Key {
    let operation = router.config().operation(request.operation).map(|o| o.name.as_bytes());
    KeyBuilder::new("claim.v1").optional(request.tenant.as_deref()).optional(operation).part(key.as_bytes()).finish()
}
