//! A charge that is only watched: read, decided, counted, and left as it came.
//!
//! Nothing is edited but a routing header of the client's own, nothing is asked or claimed, nobody is refused. The proxy's
//! own route sends the charge; the answer is read to learn of the processor that really took it, whose breakers and pins
//! are so in place when the operation is enforced one day.

use super::answer::AnswerHead;
use super::charge;
use super::decide::{About, Head, read_head, would_go};
use super::request::Tenant;
use super::{Body, Edit, Ends, Exchange, Headers, Request, ResponseHead, State, Step, pin};
use crate::config::Config;
use crate::fact::{Fact, Went};
use crate::lookup::Question;
use crate::operation::Kind;
use crate::payment::{self, Evidence, Outcome};
use crate::processor::ProcessorId;
use crate::reason::Reason;
use crate::router::Router;
use crate::time::{Mono, Now};

/// A charge that is read to be watched.
pub(super) struct Reading {
    head: Head,
    edits: Vec<Edit>,
}

/// A charge on its way to wherever the proxy sends it.
pub(super) struct Watched {
    decided: Result<ProcessorId, Reason>,
    tenant: Tenant,
    about: About,
    sent: Mono,
    /// Who really has it, and the head of its answer, once that was seen.
    answered: Option<(ProcessorId, AnswerHead)>,
}

impl Exchange {
    pub(super) fn shadow_headers(
        &mut self,
        router: &mut Router,
        request: Request,
        tenant: Result<Tenant, Reason>,
        headers: Headers<'_>,
        ends: Ends,
        now: Now,
    ) -> Step {
        let edits = edits(router.config(), headers);
        if request.kind != Kind::Charge {
            self.state = State::Closed;
            return Step::Pass(edits);
        }
        let read = |tenant| read_head(router, Request { tenant, ..request }, headers, ends);
        match tenant.and_then(read) {
            Ok(head) => {
                self.state = State::ShadowBody(Reading { head, edits });
                Step::ReadBody
            }
            Err(reason) => {
                self.watch(Err(reason), None, About::default(), now);
                Step::Pass(edits)
            }
        }
    }

    pub(super) fn shadow_body(
        &mut self,
        router: &mut Router,
        Reading { head, edits }: Reading,
        body: Body<'_>,
        now: Now,
    ) -> Step {
        let (decided, about) = match would_go(router, &head, body, self.source, now) {
            Ok((id, about)) => (Ok(id), about),
            Err(reason) => (Err(reason), About::default()),
        };
        self.watch(decided, head.request.tenant, about, now);
        Step::Pass(edits)
    }

    fn watch(&mut self, decided: Result<ProcessorId, Reason>, tenant: Tenant, about: About, now: Now) {
        self.state = State::ShadowSent(Watched { decided, tenant, about, sent: now.mono, answered: None });
    }

    pub(super) fn shadow_response(
        &mut self,
        router: &mut Router,
        watched: Watched,
        head: ResponseHead<'_>,
        ends: Ends,
        now: Now,
    ) -> Step {
        let went = head.cluster.and_then(|cluster| router.config().processor_of_cluster(cluster));
        let Some(went) = went else {
            tell(router, &watched, Went::Unknown);
            return Step::Pass(Vec::new());
        };
        let seen = AnswerHead::of(head, router.config().processor(went));
        let watched = Watched { answered: Some((went, seen)), ..watched };
        if charge::is_unread(router, head) {
            learn(router, watched, None, now);
        } else if ends == Ends::Here {
            learn(router, watched, Some(b""), now);
        } else {
            self.state = State::ShadowSent(watched);
            return Step::HoldResponse;
        }
        Step::Pass(Vec::new())
    }

    pub(super) fn shadow_response_body(
        &mut self,
        router: &mut Router,
        watched: Watched,
        body: Body<'_>,
        now: Now,
    ) -> Step {
        learn(router, watched, body.whole(), now);
        Step::Pass(Vec::new())
    }
}

/// A client must not choose the way of what another operation enforces.
pub(super) fn edits(config: &Config, headers: Headers<'_>) -> Vec<Edit> {
    let route_header = config.route_header.as_bytes();
    headers.one(route_header).map(|_| Edit::Remove(route_header.to_vec())).into_iter().collect()
}

impl Watched {
    /// The answer never came, or broke off.
    pub(super) fn over(self, router: &mut Router, outcome: Outcome, now: Now) {
        match self.answered {
            Some((went, _)) => {
                let said = said(&self, went);
                tell(router, &self, said);
                router.learn(went, self.about.traits, outcome, self.sent, now);
                router.fact(Fact::Evidence(went, Evidence::Unknown));
            }
            None => tell(router, &self, Went::Unknown),
        }
    }
}

/// Learns of the processor that really answered, and who has the payment.
fn learn(router: &mut Router, watched: Watched, body: Option<&[u8]>, now: Now) {
    let Some((went, seen)) = watched.answered else { return };
    let said = said(&watched, went);
    tell(router, &watched, said);
    let Some(processor) = router.config().processor(went) else { return };
    let answer = payment::Answer { status: seen.status, spoke: seen.spoke, body, asked: watched.about.asked };
    let reading = processor.profile.read(Kind::Charge, answer);
    let (told, name) = (seen.told(processor, &reading, body), processor.name.clone());
    router.learn(went, watched.about.traits, told, watched.sent, now);
    router.fact(Fact::Evidence(went, reading.evidence));
    if let Some(payment) = reading.payment_id
        && router.config().needs_records().is_some()
    {
        router.defer_if_quiet(Question::StorePin { key: pin::key(&watched.tenant, &payment), processor: name }, now);
    }
}

fn said(watched: &Watched, went: ProcessorId) -> Went {
    match watched.decided {
        Ok(decided) if decided == went => Went::AsDecided,
        _ => Went::Elsewhere,
    }
}

fn tell(router: &mut Router, watched: &Watched, went: Went) {
    router.fact(match watched.decided {
        Ok(processor) => Fact::Shadowed(processor, went),
        Err(reason) => Fact::ShadowRefused(reason),
    });
}
