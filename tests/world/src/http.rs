//! Messages.

/// Header lines in order; names are lower case.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// A request or an answer as it stands when it is whole. A request has `:method`, `:path` and `:authority` among its
/// headers, an answer `:status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The header lines.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers, mostly none.
    pub trailers: Headers,
}

impl Message {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }
}

/// Header lines from text.
pub fn lines<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Headers {
    pairs.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}
