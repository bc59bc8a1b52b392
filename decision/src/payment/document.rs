//! A body as a tree of scalars under JSON pointers, whether it came as JSON or as a form.

use std::borrow::Cow;

use serde_json::Number;

use super::json::Json;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`, or any `+json`.
    Json,
    /// `application/x-www-form-urlencoded`, with `a[b][c]` for nesting.
    Form,
}

impl Encoding {
    /// The encoding a `content-type` names; none for any other.
    pub fn of_content_type(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let essence = text.split(';').next().unwrap_or(text).trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Form),
            other if other.starts_with("application/") && other.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }
}

/// A JSON pointer (RFC 6901), such as `/amount/value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix('/').ok_or("a JSON pointer starts with /")?;
        let tokens = rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~"));
        Ok(Self(tokens.collect()))
    }
}

/// A scalar under a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    Text(&'a str),
    Number(&'a Number),
    Bool(bool),
}

/// A body that was read whole; it lends out texts of the body itself.
#[derive(Debug)]
pub struct Document<'a>(Read<'a>);

#[derive(Debug)]
enum Read<'a> {
    Json(Json<'a>),
    /// Name and value, in order.
    Form(Vec<(Cow<'a, str>, Cow<'a, str>)>),
}

/// Two values stand under one name: two readers of the body could see two payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatedField;

/// Pairs in a form, at most.
const FORM_PAIRS_MAX: usize = 1_024;

impl<'a> Document<'a> {
    /// Reads a body; none when it is not what it says it is. JSON deeper than 128 levels is refused, and so is any
    /// object with a repeated name.
    pub fn parse(encoding: Encoding, body: &'a [u8]) -> Option<Self> {
        match encoding {
            // All of it is looked through for what is not UTF-8 at once: text by text takes longer.
            Encoding::Json => {
                let text = std::str::from_utf8(body).ok()?;
                serde_json::from_str(text).ok().map(|json| Self(Read::Json(json)))
            }
            Encoding::Form => {
                let pairs: Vec<_> = form_urlencoded::parse(body).take(FORM_PAIRS_MAX.saturating_add(1)).collect();
                (1..=FORM_PAIRS_MAX).contains(&pairs.len()).then_some(Self(Read::Form(pairs)))
            }
        }
    }

    /// The first of `pointers` that leads to a scalar.
    pub(crate) fn find(&self, pointers: &[Pointer]) -> Result<Option<Scalar<'_>>, RepeatedField> {
        for pointer in pointers {
            if let Some(found) = self.at(pointer)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The number under a pointer, written as one or as its digits.
    pub(crate) fn number(&self, pointer: &Pointer) -> Option<f64> {
        match self.at(pointer).ok()?? {
            Scalar::Number(number) => number.as_f64(),
            Scalar::Text(text) => text.parse().ok(),
            Scalar::Bool(_) => None,
        }
    }

    fn at(&self, Pointer(tokens): &Pointer) -> Result<Option<Scalar<'_>>, RepeatedField> {
        match &self.0 {
            Read::Json(root) => Ok(match tokens.iter().try_fold(root, |here, token| here.under(token)) {
                Some(Json::Text(text)) => Some(Scalar::Text(text)),
                Some(Json::Number(number)) => Some(Scalar::Number(number)),
                Some(Json::Bool(flag)) => Some(Scalar::Bool(*flag)),
                Some(Json::Null | Json::List(_) | Json::Object(_)) | None => None,
            }),
            Read::Form(pairs) => {
                let mut values = pairs.iter().filter(|(name, _)| is_at(name, tokens)).map(|(_, value)| value);
                let first = values.next();
                if values.next().is_some() {
                    return Err(RepeatedField);
                }
                Ok(first.map(|text| Scalar::Text(text)))
            }
        }
    }
}

/// Is this the name in a form of what stands under these tokens? Most names differ in the first already.
fn is_at(name: &str, tokens: &[String]) -> bool {
    tokens.first().is_some_and(|first| name.starts_with(first.as_str())) && form_path(name).eq(tokens)
}

/// `a[b][c]` is `/a/b/c`; a name that is not of this shape is one token.
fn form_path(name: &str) -> impl Iterator<Item = &str> {
    let nested = name.split_once('[').and_then(|(head, rest)| Some((head, Some(rest.strip_suffix(']')?))));
    let (head, inner) = nested.unwrap_or((name, None));
    std::iter::once(head).chain(inner.into_iter().flat_map(|inner| inner.split("][")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_nest_as_stripe_writes_them() {
        let cases: [(&str, &[&str]); 7] = [
            ("amount", &["amount"]),
            ("card[number]", &["card", "number"]),
            ("a[b][c]", &["a", "b", "c"]),
            ("a[b", &["a[b"]),
            ("a[]", &["a", ""]),
            ("[a]", &["", "a"]),
            ("", &[""]),
        ];
        for (name, path) in cases {
            assert_eq!(form_path(name).collect::<Vec<_>>(), path, "{name}");
            let tokens: Vec<String> = path.iter().map(|token| (*token).to_owned()).collect();
            assert!(is_at(name, &tokens), "{name}");
            assert!(!is_at(&format!("{name}x"), &tokens), "{name}");
        }
    }

    #[test]
    fn repeated_names_are_refused_at_any_depth() {
        for body in [r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"a":1}]}"#] {
            assert!(Document::parse(Encoding::Json, body.as_bytes()).is_none(), "{body}");
        }
        let form = Document::parse(Encoding::Form, b"a=1&a=2&b=3").unwrap();
        assert_eq!(form.find(&[Pointer::parse("/a").unwrap()]), Err(RepeatedField));
        assert!(form.find(&[Pointer::parse("/b").unwrap()]).is_ok());
    }

    #[test]
    fn what_is_not_utf_8_is_refused_wherever_it_stands() {
        for body in [b"{\"a\":\"\xff\"}".as_slice(), b"{\"\xff\":1}", b"{\"a\":1}\xff", b"\xff"] {
            assert!(Document::parse(Encoding::Json, body).is_none(), "{body:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(60_000);
        assert!(Document::parse(Encoding::Json, deep.as_bytes()).is_none());
        let closed = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
        assert!(Document::parse(Encoding::Json, closed.as_bytes()).is_none());
    }

    #[test]
    fn pointers_reach_objects_arrays_and_escaped_names() {
        let body = br#"{"a":{"b/c":[{"d":"x"}]},"n":null}"#;
        let document = Document::parse(Encoding::Json, body).unwrap();
        let at = |p: &str| document.find(&[Pointer::parse(p).unwrap()]).unwrap();
        assert_eq!(at("/a/b~1c/0/d"), Some(Scalar::Text("x")));
        for missing in ["/n", "/a", "/a/b", "/a/b~1c/9/d", "/a/b~1c/x/d"] {
            assert_eq!(at(missing), None, "{missing}");
        }
    }

    #[test]
    fn content_types() {
        for (value, want) in [
            ("application/json", Some(Encoding::Json)),
            ("Application/JSON; charset=utf-8", Some(Encoding::Json)),
            ("application/vnd.worldpay.payments-v7+json", Some(Encoding::Json)),
            ("application/x-www-form-urlencoded", Some(Encoding::Form)),
            ("text/json", None),
            ("", None),
        ] {
            assert_eq!(Encoding::of_content_type(value.as_bytes()), want, "{value}");
        }
    }
}
