//! A request asked of the router: what explains it, and then what really happens with it.

use decision::config::Config;
use decision::exchange::{self, Body, Ends, Exchange, Explained, Headers, Step};
use decision::operation::Mode;
use decision::payment::{self, Encoding, Scheme};
use decision::processor::ProcessorId;
use decision::reason::{LocalReply, Reason};
use decision::router::Router;

use crate::input::Wrong;
use crate::request::Request;
use crate::state;

/// What became of a request.
pub(crate) struct Told {
    pub(crate) explained: Explained,
    pub(crate) went: Went,
    /// Is its operation only watched? All of this is what would be, were it enforced.
    pub(crate) mode: Mode,
    /// What turns and chance began with.
    pub(crate) seed: u64,
}

/// Where it went.
pub(crate) enum Went {
    /// To this processor.
    To(ProcessorId),
    /// The filter answered it.
    Refused {
        reason: Reason,
        /// Seconds, where waiting helps.
        retry_after: Option<u64>,
    },
    /// Nobody can say without the cache-service, or it is not ours.
    Unknown,
}

/// Asks. The router is given back, as what is told names places in its configuration.
pub(crate) fn explain(mut config: Config, request: &Request, seed: u64) -> Result<(Router, Told), Wrong> {
    let modes: Vec<(String, Mode)> = config.operations.iter().map(|o| (o.name.clone(), o.mode)).collect();
    // One that is only watched is decided in the same way, and its answer is worth seeing.
    config.operations.iter_mut().for_each(|operation| operation.mode = Mode::Enforce);
    let mut router = Router::new(config, seed);
    let Request { lines, body, source, now, .. } = request;
    let (headers, body) = (Headers::new(lines), body.as_deref());
    let scheme = scheme(router.config(), headers, body.unwrap_or_default());
    state::bring_about(&mut router, &request.state, scheme, *now)
        .map_err(|(path, message)| Wrong::at(&request.file, &path, message))?;

    let explained = exchange::explain(&mut router, headers, body, *source, *now);
    let operation = match &explained {
        Explained::NoOperation => None,
        Explained::Refused { operation, .. } => operation.as_ref(),
        Explained::Pinned { operation } | Explained::Charge { operation, .. } => Some(operation),
    };
    let mode = modes.iter().find(|(name, _)| Some(name) == operation).map_or(Mode::Enforce, |(_, mode)| *mode);
    let went = send(&mut router, request);
    Ok((router, Told { explained, went, mode, seed }))
}

/// The card scheme of the request's payment.
fn scheme(config: &Config, headers: Headers<'_>, body: &[u8]) -> Option<Scheme> {
    let encoding = headers.one(b"content-type").and_then(Encoding::of_content_type)?;
    payment::parse(encoding, body, &config.fields).ok()?.scheme
}

/// Takes the request through the filter's own steps, as far as they go without the cache-service.
fn send(router: &mut Router, request: &Request) -> Went {
    let ids = || (0..ProcessorId::COUNT_MAX).filter_map(ProcessorId::new);
    let before: Vec<u32> = ids().map(|id| router.in_flight(id)).collect();
    let mut exchange = Exchange::of_caller(request.source);
    let ends = if request.body.is_some() { Ends::Later } else { Ends::Here };
    let mut step = exchange.on_request_headers(router, Headers::new(&request.lines), ends, request.now);
    if step == Step::ReadBody {
        let body = request.body.as_deref().unwrap_or_default();
        let fits = body.len() <= router.config().request_body_bytes;
        let body = if fits { Body::Whole(body) } else { Body::TooLarge };
        step = exchange.on_request_body(router, body, request.now);
    }
    if let Step::Reply(reply) = &step
        && let Some(reason) = Reason::ALL.into_iter().find(|reason| reason.code() == reply.details)
    {
        return Went::Refused { reason, retry_after: retry_after(reply) };
    }
    // Where it is counted in, it goes: also while its key's claim is asked for.
    let to = ids().zip(before).find(|(id, before)| router.in_flight(*id) > *before);
    to.map_or(Went::Unknown, |(id, _)| Went::To(id))
}

fn retry_after(reply: &LocalReply) -> Option<u64> {
    let (_, value) = reply.headers.iter().find(|(name, _)| name == "retry-after")?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
