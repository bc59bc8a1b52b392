//! HTTP/1.1 as bytes, written piece by piece and read as it came: chunk borders, trailers and half messages matter here, and
//! an HTTP library would hide them.

use world::http::Headers;
use world::upstream::Piece;

/// A message as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// The first line.
    pub(super) start: String,
    /// The header lines; names in lower case.
    pub(super) headers: Headers,
    /// What came of the body.
    pub(super) body: Vec<u8>,
    /// The trailers.
    pub(super) trailers: Headers,
    /// Whether it came to its end.
    pub(super) whole: bool,
    /// How many bytes it took.
    pub(super) used: usize,
}

impl Read {
    /// The first value of a header.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(key, _)| key == name.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }
}

/// Writes the pieces of one message.
pub(super) struct Writer {
    chunked: bool,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { chunked: false }
    }

    /// A piece as bytes; none for a reset.
    pub(super) fn bytes(&mut self, piece: &Piece) -> Vec<u8> {
        match piece {
            Piece::Head { headers, .. } => {
                self.chunked = headers.iter().any(|(name, _)| name == b"transfer-encoding");
                head(headers)
            }
            Piece::Body { bytes, end } if self.chunked => {
                let mut out = Vec::new();
                if !bytes.is_empty() {
                    out.extend(format!("{:x}\r\n", bytes.len()).bytes());
                    out.extend_from_slice(bytes);
                    out.extend_from_slice(b"\r\n");
                }
                if *end {
                    out.extend_from_slice(b"0\r\n\r\n");
                }
                out
            }
            Piece::Body { bytes, .. } => bytes.clone(),
            Piece::Trailers(trailers) => {
                let mut out = b"0\r\n".to_vec();
                out.extend(lines(trailers));
                out
            }
            Piece::Reset => Vec::new(),
        }
    }
}

fn head(headers: &Headers) -> Vec<u8> {
    let value = |name: &str| {
        let found = headers.iter().find(|(key, _)| key == name.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let mut out = if value(":status").is_empty() {
        format!("{} {} HTTP/1.1\r\nhost: {}\r\n", value(":method"), value(":path"), value(":authority")).into_bytes()
    } else {
        // Envoy does not look at the reason.
        format!("HTTP/1.1 {} Any\r\n", value(":status")).into_bytes()
    };
    let plain: Headers = headers.iter().filter(|(name, _)| !name.starts_with(b":")).cloned().collect();
    out.extend(lines(&plain));
    out
}

fn lines(headers: &Headers) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in headers {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Reads the first message of `bytes`, none while its head is not whole. `ended`: nothing more will come.
pub(super) fn read(bytes: &[u8], ended: bool) -> Option<Read> {
    let (head, mut used) = block(bytes, 0)?;
    let mut lines = head.into_iter();
    let start = String::from_utf8_lossy(&lines.next()?).into_owned();
    let headers: Headers = lines.filter_map(|line| field(&line)).collect();
    let mut read = Read { start, headers, ..Read::default() };
    let answer = read.start.starts_with("HTTP/");
    if answer && read.status() / 100 == 1 {
        // An interim answer: the one that counts follows.
        let mut rest = self::read(&bytes[used..], ended)?;
        rest.used += used;
        return Some(rest);
    }
    let bare = answer && [204, 304].contains(&read.status());
    let length = read.header("content-length").and_then(|length| length.parse::<usize>().ok());
    if read.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        used = chunks(bytes, used, &mut read);
    } else {
        let rest = bytes.len() - used;
        let expected = if bare { 0 } else { length.unwrap_or(if answer { usize::MAX } else { 0 }) };
        let here = rest.min(expected);
        read.body = bytes[used..used + here].to_vec();
        used += here;
        read.whole = here == expected || (expected == usize::MAX && ended);
    }
    read.used = used;
    Some(read)
}

/// Reads chunks and trailers into `read`; where they end.
fn chunks(bytes: &[u8], mut at: usize, read: &mut Read) -> usize {
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return at };
        let size = std::str::from_utf8(&bytes[at..at + end]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size.split(';').next()?.trim(), 16).ok());
        let Some(size) = size else { return at };
        let from = at + end + 2;
        if size == 0 {
            if let Some((trailers, used)) = block(bytes, from) {
                read.trailers = trailers.iter().filter_map(|line| field(line)).collect();
                read.whole = true;
                return used;
            }
            return at;
        }
        let here = size.min(bytes.len() - from.min(bytes.len()));
        read.body.extend_from_slice(&bytes[from..from + here]);
        if bytes.len() < from + size + 2 {
            return bytes.len();
        }
        at = from + size + 2;
    }
}

/// Lines up to an empty one, and where what follows it begins.
fn block(bytes: &[u8], mut at: usize) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut lines = Vec::new();
    loop {
        let end = find(bytes.get(at..)?, b"\r\n")?;
        let line = bytes[at..at + end].to_vec();
        at += end + 2;
        if line.is_empty() {
            return Some((lines, at));
        }
        lines.push(line);
    }
}

fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii().to_vec()))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let pieces = [
            Piece::Head {
                headers: world::http::lines([(":status", "200"), ("transfer-encoding", "chunked")]),
                end: false,
            },
            Piece::Body { bytes: b"hello".to_vec(), end: false },
            Piece::Trailers(world::http::lines([("x", "y")])),
        ];
        let mut writer = Writer::new();
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| writer.bytes(piece)).collect();
        let whole = read(&bytes, false).unwrap();
        assert_eq!((whole.status(), whole.body.as_slice(), whole.whole), (200, b"hello".as_slice(), true));
        assert_eq!((whole.trailers, whole.used), (world::http::lines([("x", "y")]), bytes.len()));
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], true).is_none_or(|read| !read.whole), "{cut}");
        }
    }
}
