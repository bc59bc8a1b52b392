//! What would become of a charge, told to an operator.

use core::net::IpAddr;

use super::decide::{self, read_head};
use super::request::{Found, find_operation, tenant};
use super::{Ends, Headers, Request};
use crate::explain::Explanation;
use crate::operation::Kind;
use crate::reason::Reason;
use crate::router::Router;
use crate::time::Now;

/// What would become of a request.
#[derive(Debug)]
pub enum Explained {
    /// No operation has its method and path: it passes.
    NoOperation,
    /// It is a follow-up or look-up: it goes to the processor that has its payment.
    Pinned {
        /// The operation's name.
        operation: String,
    },
    /// The filter would answer it.
    Refused {
        /// The operation's name; none where it was not told.
        operation: Option<String>,
        /// Why.
        reason: Reason,
    },
    /// A charge that reads well.
    Charge {
        /// The operation's name.
        operation: String,
        /// The rule that names its pool; none: the default.
        rule: Option<String>,
        /// The part of the rule's split, by its place.
        part: Option<usize>,
        /// How its processor is chosen.
        explanation: Explanation,
    },
}

/// Explains a request without counting anything or asking anybody.
pub fn explain(
    router: &mut Router,
    headers: Headers<'_>,
    body: Option<&[u8]>,
    source: Option<IpAddr>,
    now: Now,
) -> Explained {
    let config = router.config();
    let request = match find_operation(config, headers) {
        Found::None => return Explained::NoOperation,
        Found::Malformed(_) => return Explained::Refused { operation: None, reason: Reason::PaymentIdMalformed },
        Found::Operation(request) => request,
    };
    let operation = config.operation(request.operation).map(|o| o.name.clone()).unwrap_or_default();
    if request.kind != Kind::Charge {
        return Explained::Pinned { operation };
    }
    let ends = if body.is_some() { Ends::Later } else { Ends::Here };
    let read = |tenant| read_head(router, Request { tenant, ..request }, headers, ends);
    let explained = tenant(config, headers).and_then(read).and_then(|head| {
        let bytes = body.unwrap_or_default();
        if bytes.len() > router.config().request_body_bytes {
            return Err(Reason::BodyTooLarge);
        }
        decide::explain(router, &head, bytes, source, now)
    });
    match explained {
        Ok((rule, part, explanation)) => Explained::Charge { operation, rule, part, explanation },
        Err(reason) => Explained::Refused { operation: Some(operation), reason },
    }
}
