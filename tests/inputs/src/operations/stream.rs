//! One stream, held as the filter's `http.rs` holds it.

use decision::exchange::{Exchange, Step};
use decision::lookup::Question;

/// Which half of the stream a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Request,
    Response,
}

/// What the stream is held for.
#[derive(Debug)]
pub(super) enum Hold {
    Nothing,
    RequestBody,
    ResponseBody,
    Answer(Box<Question>, Phase),
}

/// Has the answer's head been seen? There is one, from the processor or from the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Not,
    Yes,
}

/// One stream.
pub(super) struct Stream {
    /// Its number in the transcript.
    pub(super) number: usize,
    pub(super) exchange: Exchange,
    pub(super) hold: Hold,
    pub(super) answered: Answered,
    /// How often it was sent to a processor.
    pub(super) forwards: u32,
}

impl Stream {
    pub(super) fn new(number: usize) -> Self {
        let (exchange, hold) = (Exchange::default(), Hold::Nothing);
        Self { number, exchange, hold, answered: Answered::Not, forwards: 0 }
    }

    /// The laws of one step.
    pub(super) fn check(&mut self, step: &Step, phase: Phase, route_header: &str, clusters: &[String]) {
        let number = self.number;
        match step {
            Step::Forward(edits) => {
                self.forwards += 1;
                assert!(self.forwards == 1 && phase == Phase::Request, "stream {number} is sent again");
                let to = edits.iter().filter_map(|edit| match edit {
                    decision::exchange::Edit::Set(name, value) if name == route_header => Some(value),
                    _ => None,
                });
                let to: Vec<_> = to.collect();
                let known = |value: &[u8]| clusters.iter().any(|cluster| cluster.as_bytes() == value);
                assert!(to.len() == 1 && known(to[0]), "stream {number} is sent to {to:?}");
            }
            Step::Reply(_) => {
                assert_eq!(
                    (phase, self.forwards),
                    (Phase::Request, 0),
                    "stream {number} was sent, and is answered here"
                );
                assert!(self.exchange.is_closed(), "stream {number} is answered, and not over");
            }
            Step::Ask(question) => {
                let asks = match question {
                    Question::Lookup { .. } | Question::Pin { .. } | Question::Claim { .. } => Phase::Request,
                    Question::Fill { .. } | Question::Invalidate { .. } | Question::StorePin { .. } => Phase::Response,
                };
                assert_eq!(asks, phase, "stream {number} asks {question:?}");
            }
            Step::ReadBody => assert_eq!(phase, Phase::Request, "stream {number} reads"),
            Step::HoldResponse => assert_eq!(phase, Phase::Response, "stream {number} holds"),
            Step::Pass(_) => {}
        }
    }
}
