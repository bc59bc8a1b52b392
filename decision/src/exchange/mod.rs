//! One request and its response: events in, one [`Step`] out, and the order of everything.
//!
//! ```text
//! charge      headers: ReadBody   body: Ask(Claim) if keyed, else Forward    response: HoldResponse
//!             whole response: Ask(StorePin)    acknowledged, or not in time: Pass
//! follow_up   headers: Ask(Pin)   pinned: Forward    response: Ask(Invalidate)    then Pass
//! lookup      headers: Reply from memory, or Ask(Pin), Ask(Lookup)    hit: Reply, else Forward
//!             response: HoldResponse    whole: Ask(Fill)    then Pass
//! ```
//!
//! The shell calls [`Exchange::on_done`] last, whatever happened before: that is where a request that never got its
//! answer is counted out.

mod answer;
mod charge;
mod decide;
mod explain;
mod follow_up;
mod head;
mod lookup;
mod pin;
mod request;
mod shadow;

pub use explain::{Explained, explain};
pub use head::{Edit, Headers, Repeated};

use core::net::IpAddr;
use std::time::Duration;

use answer::AnswerHead;
use request::{Found, Request, find_operation, tenant};

use crate::config::{AnswerHeaders, Config, Detail};
use crate::fact::{Fact, WriteResult};
use crate::lookup::{Answer, Key, Loaded, Question};
use crate::operation::{Kind, Mode, OperationId};
use crate::payment::{Evidence, Outcome, Spoke};
use crate::processor::ProcessorId;
use crate::reason::{LocalReply, Reason};
use crate::router::{Router, Ticket};
use crate::store::Asked;
use crate::time::Now;

/// What the shell must do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Let the headers, or the held response, go on with these edits.
    Pass(Vec<Edit>),
    /// Hold the request; bring the whole body.
    ReadBody,
    /// Hold the request or response; bring the answer.
    Ask(Question),
    /// Send the request on with these edits: they name the processor.
    Forward(Vec<Edit>),
    /// Hold the response; bring its whole body.
    HoldResponse,
    /// Answer the client.
    Reply(LocalReply),
}

/// Does the message end with its headers?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// There is no body.
    Here,
    /// A body follows.
    Later,
}

/// A body as far as it could be collected.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// More than the bound.
    TooLarge,
}

impl<'a> Body<'a> {
    fn whole(self) -> Option<&'a [u8]> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::TooLarge => None,
        }
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client left, or all was said.
    Quiet,
    /// The processor broke off in the middle of its answer.
    Broken,
    /// The proxy's time-out ended in the middle of the answer.
    TimedOut,
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Who made it.
    pub spoke: Spoke,
    /// Its headers.
    pub headers: Headers<'a>,
    /// Where the proxy sent the request; looked at where [`Exchange::is_shadow`].
    pub cluster: Option<&'a [u8]>,
}

/// One request and its response.
#[derive(Default)]
pub struct Exchange {
    state: State,
    /// The question that is out.
    asked: Option<Asked>,
    /// The caller's address.
    source: Option<IpAddr>,
}

#[derive(Default)]
enum State {
    /// Nothing was seen yet.
    #[default]
    New,
    /// Nothing is left to decide.
    Closed,
    ChargeBody(decide::Head),
    ChargeClaim(charge::Claiming),
    FollowUpPin(follow_up::Head),
    LookupPin(lookup::Head),
    LookupAsk(lookup::Asking),
    /// The request is at a processor.
    Sent(Sent),
    /// The response is held until a write is acknowledged.
    Writing(Writing),
    ShadowBody(shadow::Reading),
    ShadowSent(shadow::Watched),
}

struct Sent {
    ticket: Ticket,
    job: Job,
    /// The head of the answer, once it was seen.
    answer: Option<AnswerHead>,
}

enum Job {
    Charge(charge::Job),
    FollowUp(follow_up::Job),
    Lookup(lookup::Job),
}

struct Writing {
    question: Question,
    edits: Vec<Edit>,
    then: Then,
}

/// What this worker does once a write ended.
enum Then {
    /// Remembers the pin, unless it is ambiguous. Not acknowledged, it is written again.
    Pinned(Key, ProcessorId),
    /// Nothing. Not acknowledged, it is written again.
    Invalidated,
    /// Remembers the value if it was stored: a refusal says that it is outdated. It is not written again.
    Filled(Box<Loaded>),
}

impl Exchange {
    /// The exchange of a caller whose address the proxy names; needed where [`Config::needs_source`].
    pub fn of_caller(source: Option<IpAddr>) -> Self {
        Self { source, ..Self::default() }
    }

    /// The request's headers arrived.
    pub fn on_request_headers(&mut self, router: &mut Router, headers: Headers<'_>, ends: Ends, now: Now) -> Step {
        if !matches!(self.state, State::New) {
            return Step::Pass(Vec::new());
        }
        let config = router.config();
        let mut edits = head::strip_control(headers, &config.route_header);
        if headers.lines().is_empty() {
            // What cannot be read must not choose its own way.
            edits.push(Edit::Remove(config.route_header.clone().into_bytes()));
        }
        let request = match find_operation(config, headers) {
            Found::None => {
                self.state = State::Closed;
                return Step::Pass(edits);
            }
            Found::Malformed(id) if is_shadowed(config, id) => {
                self.state = State::Closed;
                return Step::Pass(shadow::edits(config, headers));
            }
            Found::Malformed(_) => return self.refuse(router, Reason::PaymentIdMalformed, None),
            Found::Operation(request) => request,
        };
        let tenant = tenant(config, headers);
        if is_shadowed(config, request.operation) {
            return self.shadow_headers(router, request, tenant, headers, ends, now);
        }
        let tenant = match tenant {
            Ok(tenant) => tenant,
            Err(reason) => return self.refuse(router, reason, None),
        };
        let request = Request { tenant, edits, ..request };
        match request.kind {
            Kind::Charge => self.charge_headers(router, request, headers, ends),
            Kind::FollowUp => self.follow_up_headers(router, request, now),
            Kind::Lookup => self.lookup_headers(router, request, headers, ends, now),
        }
    }

    /// Is the request only watched? Then the response's head says where it went.
    pub fn is_shadow(&self) -> bool {
        matches!(self.state, State::ShadowSent(_))
    }

    /// Is nothing left to decide? The shell may then spare itself the rest of the events, all but [`Self::on_done`].
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The request's body that [`Step::ReadBody`] asked for.
    pub fn on_request_body(&mut self, router: &mut Router, body: Body<'_>, now: Now) -> Step {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::ChargeBody(head) => self.charge_body(router, head, body, now),
            State::ShadowBody(reading) => self.shadow_body(router, reading, body, now),
            other => self.unexpected(other),
        }
    }

    /// The answer that [`Step::Ask`] asked for.
    pub fn on_answer(&mut self, router: &mut Router, answer: Answer, now: Now) -> Step {
        if let Some(asked) = self.asked.take() {
            router.answered(asked, Some(&answer), now);
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::ChargeClaim(claiming) => self.charge_claimed(router, claiming, answer, now),
            State::FollowUpPin(head) => self.follow_up_pinned(router, head, answer, now),
            State::LookupPin(head) => self.lookup_pinned(router, head, answer, now),
            State::LookupAsk(asking) => self.lookup_answered(router, asking, answer, now),
            State::Writing(writing) => written(router, writing, &answer, now),
            other => self.unexpected(other),
        }
    }

    /// The shell can wait no longer for the answer. That says nothing of the cache-service.
    pub fn on_gave_up(&mut self, router: &mut Router, now: Now) -> Step {
        if let Some(asked) = self.asked.take() {
            router.answered(asked, None, now);
        }
        self.on_answer(router, Answer::Unavailable, now)
    }

    /// The response's headers arrived, from the processor or made by the proxy.
    pub fn on_response_headers(&mut self, router: &mut Router, head: ResponseHead<'_>, ends: Ends, now: Now) -> Step {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Sent(sent) => {
                let Sent { ticket, job, .. } = sent;
                match job {
                    Job::Charge(job) => self.charge_response(router, ticket, job, head, ends, now),
                    Job::FollowUp(job) => self.follow_up_response(router, ticket, job, head, now),
                    Job::Lookup(job) => self.lookup_response(router, ticket, job, head, ends, now),
                }
            }
            State::ShadowSent(watched) => self.shadow_response(router, watched, head, ends, now),
            // The proxy answered for us while the request was held, as with a body over its own bound.
            State::ChargeClaim(claiming) => {
                claiming.abandon(router, now);
                Step::Pass(Vec::new())
            }
            _ => Step::Pass(Vec::new()),
        }
    }

    /// The response's body that [`Step::HoldResponse`] asked for.
    pub fn on_response_body(&mut self, router: &mut Router, body: Body<'_>, now: Now) -> Step {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Sent(Sent { ticket, job: Job::Charge(job), answer: Some(seen) }) => {
                self.charge_response_body(router, ticket, job, seen, body, now)
            }
            State::Sent(Sent { ticket, job: Job::Lookup(job), answer: Some(seen) }) => {
                self.lookup_response_body(router, ticket, job, seen.status, body, now)
            }
            State::ShadowSent(watched) => self.shadow_response_body(router, watched, body, now),
            other => self.unexpected(other),
        }
    }

    /// The exchange is over. Always last.
    pub fn on_done(&mut self, router: &mut Router, ending: Ending, now: Now) {
        if let Some(asked) = self.asked.take() {
            router.answered(asked, None, now);
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Sent(Sent { ticket, job, .. }) => {
                let id = ticket.processor();
                router.settle(ticket, outcome(ending), now);
                if let Job::Charge(_) = job {
                    router.fact(Fact::Evidence(id, Evidence::Unknown));
                }
                // It may have been applied all the same.
                if let Job::FollowUp(job) = job
                    && let Some(question) = job.outdates(router, now)
                {
                    router.defer(question, now);
                }
            }
            State::ShadowSent(watched) => watched.over(router, outcome(ending), now),
            State::ChargeClaim(claiming) => claiming.abandon(router, now),
            // The client is gone and so is the call's answer: what the store must know is written once more.
            State::Writing(Writing { question, then: Then::Pinned(..) | Then::Invalidated, .. }) => {
                router.defer(question, now);
            }
            _ => {}
        }
    }

    /// Answers with a refusal.
    fn refuse(&mut self, router: &mut Router, reason: Reason, retry_after: Option<Duration>) -> Step {
        self.state = State::Closed;
        router.fact(Fact::Refused(reason));
        let mut reply = LocalReply::refuse(reason, retry_after);
        if router.config().answer_headers != AnswerHeaders::Hide {
            reply.headers.push((ATTEMPTS.to_owned(), b"0".to_vec()));
        }
        Step::Reply(reply)
    }

    /// Sends the request to the ticket's processor.
    fn forward(&mut self, router: &Router, request: Request, ticket: Ticket, job: Job, now: Now) -> Step {
        let mut edits = request.edits;
        if let Some(processor) = router.config().processor(ticket.processor()) {
            let config = router.config();
            edits.push(Edit::Set(config.route_header.clone(), processor.cluster.clone().into_bytes()));
            if let Some(authority) = &processor.authority {
                edits.push(Edit::Set(":authority".to_owned(), authority.clone().into_bytes()));
            }
            if !processor.path_prefix.is_empty() {
                let mut path = processor.path_prefix.clone().into_bytes();
                path.extend_from_slice(&request.path);
                edits.push(Edit::Set(":path".to_owned(), path));
            }
            // An answer that must be read must not come compressed.
            edits.push(Edit::Set("accept-encoding".to_owned(), b"identity".to_vec()));
        }
        self.state = State::Sent(Sent { ticket: ticket.sent(now), job, answer: None });
        Step::Forward(edits)
    }

    /// Asks the cache-service, or goes on at once where that is not worth it. The state says what awaits the answer.
    fn ask(&mut self, router: &mut Router, question: Question, now: Now) -> Step {
        self.asked = router.may_ask(&question, now);
        match self.asked {
            Some(_) => Step::Ask(question),
            None => self.on_answer(router, Answer::Unavailable, now),
        }
    }

    /// Holds the response until the write is acknowledged.
    fn write(&mut self, router: &mut Router, question: Question, edits: Vec<Edit>, then: Then, now: Now) -> Step {
        self.state = State::Writing(Writing { question: question.clone(), edits, then });
        self.ask(router, question, now)
    }

    /// An event that the state did not wait for changes nothing.
    fn unexpected(&mut self, state: State) -> Step {
        self.state = state;
        Step::Pass(Vec::new())
    }
}

fn is_shadowed(config: &Config, id: OperationId) -> bool {
    config.operation(id).is_some_and(|operation| operation.mode == Mode::Shadow)
}

/// What an answer that was not read to its end means.
fn outcome(ending: Ending) -> Outcome {
    match ending {
        Ending::Quiet => Outcome::Abandoned,
        Ending::Broken => Outcome::Failed,
        Ending::TimedOut => Outcome::TimedOut,
    }
}

fn written(router: &mut Router, writing: Writing, answer: &Answer, now: Now) -> Step {
    let Writing { question, edits, then } = writing;
    let result = match answer {
        Answer::Unavailable => WriteResult::Lost,
        Answer::Refused => WriteResult::Refused,
        Answer::Ambiguous => WriteResult::Ambiguous,
        _ => WriteResult::Stored,
    };
    match (then, result) {
        (Then::Pinned(key, id), WriteResult::Stored | WriteResult::Lost) => {
            let ttl = router.config().pin_ttl;
            router.local.keep_pin(key, id, ttl, now.mono);
            if result == WriteResult::Lost {
                router.defer(question, now);
                return Step::Pass(edits);
            }
        }
        (Then::Invalidated, WriteResult::Lost) => {
            router.defer(question, now);
            return Step::Pass(edits);
        }
        (Then::Filled(loaded), WriteResult::Stored) => router.local.keep(*loaded, now.mono),
        _ => {}
    }
    router.fact(Fact::Write(result));
    Step::Pass(edits)
}

const PROCESSOR: &str = "x-switchyard-processor";
const DECISION: &str = "x-switchyard-decision";
const ATTEMPTS: &str = "x-switchyard-attempts";
const X_CACHE: &str = "x-cache";

/// How the answer tells what became of the request.
fn answer_edits(config: &Config, id: ProcessorId, cache: Option<&'static str>) -> Vec<Edit> {
    if config.answer_headers == AnswerHeaders::Hide {
        return Vec::new();
    }
    let name = config.processor(id).map(|p| p.name.clone()).unwrap_or_default();
    let mut edits =
        vec![Edit::Set(PROCESSOR.to_owned(), name.into_bytes()), Edit::Set(ATTEMPTS.to_owned(), b"1".to_vec())];
    if let Some(cache) = cache {
        edits.push(Edit::Set(X_CACHE.to_owned(), cache.as_bytes().to_vec()));
    }
    edits
}

fn detail(router: &Router, operation: OperationId) -> Option<&Detail> {
    router.config().operation(operation).map(|o| &o.detail)
}
