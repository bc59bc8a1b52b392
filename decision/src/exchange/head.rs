//! Headers as the proxy hands them over, and edits to them.

/// Header lines in order; names are lower case, values any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(&'a [(Vec<u8>, Vec<u8>)]);

impl<'a> Headers<'a> {
    /// Wraps header lines.
    pub fn new(lines: &'a [(Vec<u8>, Vec<u8>)]) -> Self {
        Self(lines)
    }

    /// The value of the first line of this name.
    pub fn one(self, name: &[u8]) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all lines of this name.
    pub fn all(self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        let wanted = name.to_vec();
        self.0.iter().filter(move |(n, _)| *n == wanted).map(|(_, value)| value.as_slice())
    }

    /// The only line of this name; an error when there are several.
    pub fn only(self, name: &[u8]) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(first) }
    }

    /// All lines.
    pub fn lines(self) -> &'a [(Vec<u8>, Vec<u8>)] {
        self.0
    }
}

/// A header that may stand once stands twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

/// A change of one header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Exactly this value, whatever was there.
    Set(String, Vec<u8>),
    /// None.
    Remove(Vec<u8>),
}

/// What a client must not set: our own headers, and Envoy's, by which it would retry, hedge, or turn a time-out into a
/// success on a client's word. Each is a prefix of lower-case names.
const CONTROL_PREFIXES: [&[u8]; 3] = [b"x-switchyard-", b"switchyard-", b"x-envoy-"];

/// What Envoy itself says of the caller before any filter runs.
const SET_BY_ENVOY: [&[u8]; 2] = [b"x-envoy-external-address", b"x-envoy-internal"];

/// The removal of every control header the client sent; `route_header` is one too.
pub(super) fn strip_control(headers: Headers<'_>, route_header: &str) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (name, _) in headers.lines() {
        let control = CONTROL_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let control = control && !SET_BY_ENVOY.contains(&name.as_slice()) || name == route_header.as_bytes();
        let removal = Edit::Remove(name.clone());
        if control && !edits.contains(&removal) {
            edits.push(removal);
        }
    }
    edits
}

/// Is the body as it stands, or compressed?
pub(super) fn is_encoded(headers: Headers<'_>) -> bool {
    headers.all(b"content-encoding").any(|v| !v.is_empty() && !v.eq_ignore_ascii_case(b"identity"))
}

/// The body's announced length in bytes; what is no number that fits is longer than any bound.
pub(super) fn content_length(headers: Headers<'_>) -> Option<u64> {
    let value = headers.one(b"content-length")?;
    Some(std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX))
}
