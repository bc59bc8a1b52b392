//! Files and standard input, within a bound; and what is wrong with them.

use std::fmt;
use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use decision::config::defaults::CONFIG_BYTES_MAX;

/// Bytes: the longest routing document, and as much again for the Envoy configuration around it.
const BYTES_MAX: usize = 2 * CONFIG_BYTES_MAX;

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Wrong {
    file: String,
    /// The path within; empty: all of it.
    path: String,
    message: String,
}

impl Wrong {
    pub(crate) fn of(file: &str, message: impl Into<String>) -> Self {
        Self::at(file, "", message)
    }

    /// At a path within the file; `.` is all of it.
    pub(crate) fn at(file: &str, path: &str, message: impl Into<String>) -> Self {
        let path = if path == "." { "" } else { path };
        Self { file: file.to_owned(), path: path.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, path, message } = self;
        if path.is_empty() { write!(f, "{file}: {message}") } else { write!(f, "{file}: {path}: {message}") }
    }
}

/// What the file is called in messages.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The file's text.
pub(crate) fn read(path: &Path) -> Result<String, Wrong> {
    let mut bytes = Vec::new();
    // One more byte tells that there are too many.
    let bound = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = if is_stdin(path) {
        stdin().lock().take(bound).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes))
    };
    let name = name(path);
    match read {
        Err(error) => Err(Wrong::of(&name, format!("cannot be read: {error}"))),
        Ok(_) if bytes.len() > BYTES_MAX => Err(Wrong::of(&name, format!("is over {BYTES_MAX} bytes"))),
        Ok(_) => match String::from_utf8(bytes) {
            // Some editors begin a file with a mark that is no part of it.
            Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
            Err(_) => Err(Wrong::of(&name, "is not UTF-8 text")),
        },
    }
}
