//! Which operation a request is: method and path against the configured templates.

/// Which operation: its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationId(pub(crate) usize);

/// What an operation may do to money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// May move money.
    Charge,
    /// Acts on an existing payment.
    FollowUp,
    /// Reads.
    Lookup,
}

impl Kind {
    /// As written in configuration, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::FollowUp => "follow_up",
            Self::Lookup => "lookup",
        }
    }
}

/// A path with at most one parameter, such as `/v1/payments/{payment}/capture`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter,
}

/// What a path is to a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// Another path.
    No,
    /// The path, with the parameter's value where the template has one.
    Yes(Option<&'a str>),
    /// The path, but the parameter is empty, longer than [`Template::PARAMETER_LEN_MAX`], or holds something other
    /// than letters, digits and `-_.~:`. Such a path is refused: two readers of it could see two payments.
    Malformed,
}

impl Template {
    /// The longest parameter value, in bytes.
    pub const PARAMETER_LEN_MAX: usize = 128;

    /// Reads a template; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix('/').ok_or("a path template starts with /")?;
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            let inner = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            segments.push(match inner {
                Some("") => return Err("a parameter has a name, such as {payment}"),
                Some(_) => Segment::Parameter,
                None if segment.contains(['{', '}', '?', '#']) => {
                    return Err("a segment is either plain text or one {parameter}");
                }
                None => Segment::Literal(segment.to_owned()),
            });
        }
        if segments.iter().filter(|s| **s == Segment::Parameter).count() > 1 {
            return Err("a path template has at most one parameter");
        }
        Ok(Self { segments })
    }

    /// Does the template have a parameter?
    pub fn has_parameter(&self) -> bool {
        self.segments.contains(&Segment::Parameter)
    }

    /// Up to and with its parameter, are the two the same? Then they speak of the same thing.
    pub fn same_subject(&self, other: &Self) -> bool {
        let subject = |template: &Self| {
            let end = template.segments.iter().position(|s| *s == Segment::Parameter)?;
            template.segments.get(..=end).map(<[Segment]>::to_vec)
        };
        subject(self).is_some() && subject(self) == subject(other)
    }

    /// Compares a path without its query.
    pub fn matches<'a>(&self, path: &'a [u8]) -> Match<'a> {
        let Some(rest) = path.strip_prefix(b"/") else { return Match::No };
        let mut given = rest.split(|b| *b == b'/');
        let mut parameter = None;
        for segment in &self.segments {
            let Some(bytes) = given.next() else { return Match::No };
            match segment {
                Segment::Literal(text) if text.as_bytes() == bytes => {}
                Segment::Literal(_) => return Match::No,
                Segment::Parameter => parameter = Some(bytes),
            }
        }
        if given.next().is_some() {
            return Match::No;
        }
        let Some(bytes) = parameter else { return Match::Yes(None) };
        match std::str::from_utf8(bytes) {
            Ok(text) if is_plain(text) => Match::Yes(Some(text)),
            _ => Match::Malformed,
        }
    }
}

/// Can the text stand for a payment in a path, a key and a header alike?
pub fn is_plain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~:".contains(&b);
    (1..=Template::PARAMETER_LEN_MAX).contains(&text.len()) && text.bytes().all(plain) && !matches!(text, "." | "..")
}

/// Whether an operation is acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Enforce,
    /// It is read, decided and counted, and passes as it came.
    Shadow,
}

/// What a follow-up does when its processor's breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenOpen {
    /// Goes there all the same: nobody else can take it.
    Send,
    /// Is answered 503 with `Retry-After`.
    Refuse,
}

/// Where the idempotency key of a charge protects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// The key's processor is written to the cache-service before anything is sent; when that fails the charge is
    /// refused.
    Required,
    /// Only the rendezvous order and the processor's own key protect a retry. While a breaker opens between two tries
    /// of one key, two processors can take it.
    Off,
}

/// The processors that a charge of one rule may go to, by place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolId(pub(crate) usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_whole_paths() {
        let capture = Template::parse("/v1/payments/{payment}/capture").unwrap();
        let long = format!("/v1/payments/{}/capture", "x".repeat(129));
        for (path, want) in [
            ("/v1/payments/pay_1/capture", Match::Yes(Some("pay_1"))),
            ("/v1/payments/pay_1/capture/", Match::No),
            ("/v1/payments/pay_1", Match::No),
            ("/V1/payments/pay_1/capture", Match::No),
            ("v1/payments/pay_1/capture", Match::No),
            ("", Match::No),
            ("/v1/payments//capture", Match::Malformed),
            ("/v1/payments/a%2Fb/capture", Match::Malformed),
            ("/v1/payments/../capture", Match::Malformed),
            (&long, Match::Malformed),
        ] {
            assert_eq!(capture.matches(path.as_bytes()), want, "{path}");
        }
        assert_eq!(capture.matches(b"/v1/payments/\xff/capture"), Match::Malformed);
        let plain = Template::parse("/v1/payments").unwrap();
        assert_eq!(plain.matches(b"/v1/payments"), Match::Yes(None));
    }

    #[test]
    fn bad_templates_are_refused() {
        for bad in ["", "v1", "/{}", "/{a}/{b}", "/a{b}", "/a?b"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
