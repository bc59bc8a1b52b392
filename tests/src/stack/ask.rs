//! One question over HTTP to a part of the stack, which must say yes.

use std::net::SocketAddr;

use super::error::StackError;
use crate::client::{Answer, Client, Request};

/// Sends `request` on a connection of its own; any status but a 2xx is an error that says what was asked.
pub(super) async fn ask(what: &str, to: SocketAddr, request: Request) -> Result<Answer, StackError> {
    // A client per question: a stack may be shared by tests, each of which has a runtime of its own.
    let answer = Client::new()
        .send(to, request)
        .await
        .map_err(|error| StackError::Unanswered { what: what.to_owned(), error })?;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    Err(StackError::Refused { what: what.to_owned(), status: answer.status, body: answer.text() })
}
