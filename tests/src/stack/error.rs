//! Why a part of the stack did not do what it was asked.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::render::RenderError;
use crate::client::ClientError;

/// Why a part of the stack did not do what it was asked. No text holds a secret that the stack knows.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A file that must have been built or installed is not there.
    #[error("{what} is not at {path}: {remedy}", path = path.display())]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A child could not be started.
    #[error("{name} could not be started: {error}")]
    Spawn {
        /// The child.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// A child was started and did not become ready.
    #[error("{name} did not become ready: {why}\n--- the end of its log:\n{tail}")]
    NotReady {
        /// The child.
        name: String,
        /// What was waited for, or how it ended.
        why: String,
        /// The last lines of its log.
        tail: String,
    },
    /// The start failed; the logs were kept.
    #[error("{error}\n--- all logs are in {dir}", dir = dir.display())]
    Start {
        /// What failed.
        error: Box<StackError>,
        /// Where the logs are.
        dir: PathBuf,
    },
    /// The Envoy configuration could not be made.
    #[error("the Envoy configuration: {0}")]
    Render(#[from] RenderError),
    /// A file, socket or port.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// A part was asked over HTTP and gave no answer.
    #[error("{what}: {error}")]
    Unanswered {
        /// What was asked.
        what: String,
        /// Why there is no answer.
        error: ClientError,
    },
    /// A part was asked over HTTP and did not say yes.
    #[error("{what}: status {status}: {body}")]
    Refused {
        /// What was asked.
        what: String,
        /// The status of the answer.
        status: u16,
        /// The body of the answer.
        body: String,
    },
    /// A part that was asked for is not running.
    #[error("{0} is not running")]
    NotRunning(&'static str),
    /// Something did not become true in time.
    #[error("{what} was not so within {within:?}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
    },
}

impl StackError {
    /// Says what was tried when the system refused.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }
}
