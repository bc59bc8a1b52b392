//! What a processor is told to do: the body of `PUT /control`, valid by construction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest latency that may be asked for: ten minutes.
pub(super) const LATENCY_MS_MAX: u64 = 600_000;
/// Longest response code that `decline` and `technical` take; ISO 8583 has two characters, some processors more.
const CODE_LEN_MAX: usize = 16;

/// How the processor behaves from now on. Every field that is not named in the JSON takes its default, so that a
/// `PUT` says all there is to say and nothing of an earlier one is left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// What happens to a request.
    pub mode: Mode,
    /// How long every answer but the one of `/health` waits, in milliseconds, 0 to 600,000.
    pub latency_ms: u64,
    /// Share of the charges, 0 to 1, that the mode applies to; the others are approved. Of the other routes the same
    /// share meets the faults. `refuse` knows no share.
    pub rate: f64,
    /// Whether an `http`, `technical` or `hang` request was executed all the same.
    pub recorded: Recorded,
    /// Seed of the draws that `rate` and `recorded: random` make; every `PUT` starts them anew.
    pub seed: u64,
    /// What a second charge under the same `Idempotency-Key` meets.
    pub idempotency: Idempotency,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            mode: Mode::Approve,
            latency_ms: 0,
            rate: 1.0,
            recorded: Recorded::No,
            seed: 0,
            idempotency: Idempotency::Replay,
        }
    }
}

impl From<Mode> for Control {
    fn from(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }
}

impl Control {
    /// Refuses what lies outside the bounds of a field.
    pub fn check(self) -> Result<Self, ControlError> {
        if self.latency_ms > LATENCY_MS_MAX {
            return Err(ControlError::Latency(self.latency_ms));
        }
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(ControlError::Rate(self.rate));
        }
        Ok(self)
    }
}

/// What happens to a request. On the wire it is one word, for three of them followed by a colon and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Mode {
    /// Charges are approved.
    Approve,
    /// Charges are executed and declined with this response code.
    Decline(String),
    /// Charges get a 201 whose body carries this response code (91: issuer unavailable, 96: system malfunction).
    Technical(String),
    /// This HTTP status, 200 to 599, with a problem body.
    Http(u16),
    /// No answer, until the caller leaves or ten minutes have passed.
    Hang,
    /// The connection is reset (RST) and nothing is executed.
    ResetBefore,
    /// The request is executed, then the connection is reset (RST).
    ResetAfter,
    /// Nothing listens and every open connection is closed, until the next `PUT /control`; then the same port again.
    Refuse,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approve => f.write_str("approve"),
            Self::Decline(code) => write!(f, "decline:{code}"),
            Self::Technical(code) => write!(f, "technical:{code}"),
            Self::Http(status) => write!(f, "http:{status}"),
            Self::Hang => f.write_str("hang"),
            Self::ResetBefore => f.write_str("reset_before"),
            Self::ResetAfter => f.write_str("reset_after"),
            Self::Refuse => f.write_str("refuse"),
        }
    }
}

impl FromStr for Mode {
    type Err = ControlError;

    fn from_str(text: &str) -> Result<Self, ControlError> {
        let unknown = || ControlError::Mode(text.to_owned());
        let code = |code: &str| {
            let fits = (1..=CODE_LEN_MAX).contains(&code.len());
            let plain = code.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            (fits && plain).then(|| code.to_owned()).ok_or_else(unknown)
        };
        match text.split_once(':') {
            None => match text {
                "approve" => Ok(Self::Approve),
                "hang" => Ok(Self::Hang),
                "reset_before" => Ok(Self::ResetBefore),
                "reset_after" => Ok(Self::ResetAfter),
                "refuse" => Ok(Self::Refuse),
                _ => Err(unknown()),
            },
            Some(("decline", value)) => Ok(Self::Decline(code(value)?)),
            Some(("technical", value)) => Ok(Self::Technical(code(value)?)),
            Some(("http", value)) => match value.parse() {
                Ok(status @ 200..=599) => Ok(Self::Http(status)),
                _ => Err(unknown()),
            },
            Some(_) => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Mode {
    type Error = ControlError;

    fn try_from(text: String) -> Result<Self, ControlError> {
        text.parse()
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        mode.to_string()
    }
}

/// Whether a request whose answer is a fault was executed all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    /// It was.
    Yes,
    /// It was not.
    No,
    /// Drawn for each request, half and half.
    Random,
}

/// What a second charge under the same `Idempotency-Key` meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Idempotency {
    /// The stored answer, whatever its status, byte for byte; another amount or currency gets a 422.
    #[serde(rename = "replay")]
    Replay,
    /// The key means nothing: every charge is a new one.
    #[serde(rename = "none")]
    None,
    /// As `replay` if the stored answer was a 2xx; otherwise the charge is executed once more.
    #[serde(rename = "2xx_only")]
    SuccessOnly,
}

/// Why a `PUT /control` was refused.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The mode is not one of ours, or its value is out of bounds.
    #[error(
        "mode {0:?} is none of approve, decline:CODE, technical:CODE, http:STATUS (200-599), hang, reset_before, reset_after, refuse"
    )]
    Mode(String),
    /// The latency is above ten minutes.
    #[error("latency_ms {0} is above {LATENCY_MS_MAX}")]
    Latency(u64),
    /// The rate is not a share.
    #[error("rate {0} is not between 0 and 1")]
    Rate(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_survives_the_wire() {
        for text in
            ["approve", "decline:51", "technical:91", "http:503", "hang", "reset_before", "reset_after", "refuse"]
        {
            assert_eq!(text.parse::<Mode>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_word_that_is_no_mode_is_refused() {
        for text in ["", "Approve", "decline", "decline:", "decline:5 1", "http:99", "http:600", "http:x", "hang:1"] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_named_takes_its_default() {
        let control: Control = serde_json::from_str(r#"{"mode":"http:503","recorded":"random"}"#).unwrap();
        let expected = Control { recorded: Recorded::Random, ..Mode::Http(503).into() };
        assert_eq!(control, expected);
        assert!(serde_json::from_str::<Control>(r#"{"mod":"approve"}"#).is_err());
        assert!(Control { rate: f64::NAN, ..Control::default() }.check().is_err());
        assert!(Control { latency_ms: LATENCY_MS_MAX + 1, ..Control::default() }.check().is_err());
    }
}
