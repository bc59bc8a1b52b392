//! A follow-up: to the processor that has the payment, and nowhere else.

use super::{Exchange, Job as AnyJob, Request, ResponseHead, State, Step, Then, answer_edits, detail, lookup, pin};
use crate::config::Detail;
use crate::lookup::{Answer, Key, Namespace, Question};
use crate::operation::{Kind, WhenOpen};
use crate::payment;
use crate::reason::Reason;
use crate::router::{Router, Ticket};
use crate::time::Now;

/// A follow-up whose pin is awaited.
pub(super) struct Head {
    request: Request,
}

/// A follow-up at its processor.
pub(super) struct Job {
    /// What it makes outdated.
    invalidates: Option<(Namespace, Key)>,
}

impl Job {
    /// The payment may have changed: this worker forgets it, and so must the cache-service.
    pub(super) fn outdates(self, router: &mut Router, now: Now) -> Option<Question> {
        let (namespace, entity) = self.invalidates?;
        router.local.outdate(entity, now.mono);
        Some(Question::Invalidate { namespace, entity })
    }
}

impl Exchange {
    pub(super) fn follow_up_headers(&mut self, router: &mut Router, request: Request, now: Now) -> Step {
        let Some(payment) = &request.parameter else {
            return self.refuse(router, Reason::PaymentIdMalformed, None);
        };
        // The store is asked each time: a worker's memory may not have heard that the id became ambiguous.
        let key = pin::key(&request.tenant, payment);
        self.state = State::FollowUpPin(Head { request });
        self.ask(router, Question::Pin { key }, now)
    }

    pub(super) fn follow_up_pinned(
        &mut self,
        router: &mut Router,
        Head { request }: Head,
        answer: Answer,
        now: Now,
    ) -> Step {
        let id = match pin::holder(router, answer) {
            Ok(id) => id,
            Err((reason, wait)) => return self.refuse(router, reason, wait),
        };
        let (when_open, namespace) = match detail(router, request.operation) {
            Some(Detail::FollowUp { when_open, invalidates }) => (*when_open, invalidates.clone()),
            _ => (WhenOpen::Send, None),
        };
        let ticket = match router.admit_pinned(id, Kind::FollowUp, when_open, now) {
            Ok(ticket) => ticket,
            Err(wait) => return self.refuse(router, Reason::ProcessorOut, Some(wait)),
        };
        let entity = lookup::entity_key(router, &request, id);
        let job = Job { invalidates: namespace.zip(entity) };
        self.forward(router, request, ticket, AnyJob::FollowUp(job), now)
    }

    pub(super) fn follow_up_response(
        &mut self,
        router: &mut Router,
        ticket: Ticket,
        job: Job,
        head: ResponseHead<'_>,
        now: Now,
    ) -> Step {
        let id = ticket.processor();
        let asked = payment::Asked::default();
        let answer = payment::Answer { status: head.status, spoke: head.spoke, body: None, asked };
        let outcome = router.config().processor(id).map(|p| p.profile.read(Kind::FollowUp, answer).outcome);
        router.settle(ticket, outcome.unwrap_or(payment::Outcome::Unread), now);
        let edits = answer_edits(router.config(), id, None);
        // Whatever the answer says, the payment may have changed: what is remembered of it ends before the answer
        // leaves.
        match job.outdates(router, now) {
            Some(question) => self.write(router, question, edits, Then::Invalidated, now),
            None => Step::Pass(edits),
        }
    }
}
