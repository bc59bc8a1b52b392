//! The shipped Envoy configuration with other values in it.
//!
//! Every literal that may vary stands at the end of its line, before a comment that names it:
//! `port_value: 9101 # PROCESSOR_A_PORT`. The file stays a plain one that Envoy loads as it is, and what the tests load
//! differs from it in those values and in nothing else.

/// One change of text that a test asks for on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What stands there; it must occur exactly once.
    pub old: String,
    /// What is to stand there.
    pub new: String,
}

impl Edit {
    /// Replaces `old` by `new`.
    pub fn new(old: impl Into<String>, new: impl Into<String>) -> Self {
        Self { old: old.into(), new: new.into() }
    }
}

/// Why a configuration could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// No line ends in the marker.
    #[error("no line ends in `# {0}`")]
    NoMarker(String),
    /// A line ends in the marker and has no plain value before it.
    #[error("line {line}: no `key: value` or `- value` stands before `# {marker}`")]
    NoValue {
        /// The marker.
        marker: String,
        /// Number of the line, from 1.
        line: usize,
    },
    /// The old text of an edit does not occur exactly once.
    #[error("the text to replace occurs {found} times, not once: {old}")]
    Edit {
        /// The old text.
        old: String,
        /// How often it occurs.
        found: usize,
    },
}

/// Puts each `(marker, value)` of `values` on every line that ends in the marker, then applies `edits` in their order.
pub fn render(template: &str, values: &[(&str, String)], edits: &[Edit]) -> Result<String, RenderError> {
    let mut lines: Vec<String> = template.lines().map(str::to_owned).collect();
    for (marker, value) in values {
        let comment = format!(" # {marker}");
        let mut found = false;
        for (index, line) in lines.iter_mut().enumerate() {
            let Some(code) = line.trim_end().strip_suffix(&comment) else {
                continue;
            };
            let changed = with_value(code, value)
                .ok_or_else(|| RenderError::NoValue { marker: (*marker).to_owned(), line: index + 1 })?;
            *line = format!("{changed}{comment}");
            found = true;
        }
        if !found {
            return Err(RenderError::NoMarker((*marker).to_owned()));
        }
    }
    let mut text = lines.join("\n") + "\n";
    for Edit { old, new } in edits {
        let found = if old.is_empty() { 0 } else { text.matches(old.as_str()).count() };
        if found != 1 {
            return Err(RenderError::Edit { old: old.clone(), found });
        }
        text = text.replacen(old, new, 1);
    }
    Ok(text)
}

/// `code` with its last scalar replaced, or nothing if it does not end in one. What closes a flow collection may follow.
fn with_value(code: &str, value: &str) -> Option<String> {
    let open = code.trim_end_matches(['}', ']', ' ']);
    let closing = &code[open.len()..];
    let start = [": ", "- "].iter().filter_map(|mark| Some(open.rfind(mark)? + mark.len())).max()?;
    let (head, old) = open.split_at(start);
    // A list in brackets or a block scalar has no single value; what is commented out is no value at all.
    let plain = !old.is_empty() && !old.contains(['{', '[', ',', '|', '>', '#']) && !head.trim_start().starts_with('#');
    plain.then(|| format!("{head}{}{closing}", scalar(value)))
}

/// `value` as a YAML scalar: plain where no reader could take it for anything else.
fn scalar(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        value.to_owned()
    } else {
        serde_json::Value::from(value).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
a:
  port_value: 9101 # A_PORT
  filename: target/filter.wasm # WASM
- 9101 # A_PORT
b: {at: {host: local, port: 1}} # FLOW
# c: 1 # DEAD
d: [1, 2] # LIST
e: | # BLOCK
";

    fn value(marker: &'static str, value: &str) -> (&'static str, String) {
        (marker, value.to_owned())
    }

    #[test]
    fn every_line_of_a_marker_gets_the_value_and_no_other() {
        let text = render(TEMPLATE, &[value("A_PORT", "0"), value("WASM", "built/a b.wasm"), value("FLOW", "2")], &[])
            .unwrap();
        assert_eq!(
            text,
            TEMPLATE
                .replace("9101 #", "0 #")
                .replace("target/filter.wasm", "\"built/a b.wasm\"")
                .replace("port: 1}", "port: 2}")
        );
        assert_eq!(render(TEMPLATE, &[], &[]).unwrap(), TEMPLATE);
    }

    #[test]
    fn a_marker_that_is_not_there_is_an_error() {
        for marker in ["B_PORT", "PORT", "A_POR"] {
            let error = render(TEMPLATE, &[value(marker, "1")], &[]).unwrap_err();
            assert_eq!(error, RenderError::NoMarker(marker.to_owned()));
        }
    }

    #[test]
    fn what_is_no_plain_value_is_an_error() {
        for (marker, line) in [("DEAD", 6), ("LIST", 7), ("BLOCK", 8)] {
            let error = render(TEMPLATE, &[value(marker, "1")], &[]).unwrap_err();
            assert_eq!(error, RenderError::NoValue { marker: marker.to_owned(), line });
        }
    }

    #[test]
    fn an_edit_must_match_once() {
        let edited = render(TEMPLATE, &[], &[Edit::new("port: 1", "port: 2"), Edit::new("port: 2", "port: 3")]);
        assert!(edited.unwrap().contains("b: {at: {host: local, port: 3}}"));
        for (old, found) in [("9101", 2), ("absent", 0), ("", 0)] {
            let error = render(TEMPLATE, &[], &[Edit::new(old, "x")]).unwrap_err();
            assert_eq!(error, RenderError::Edit { old: old.to_owned(), found });
        }
    }
}
