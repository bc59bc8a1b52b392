//! A body as a tree of scalars under JSON pointers, whether it came as JSON or as a form.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

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

/// A body that was read whole.
#[derive(Debug)]
pub enum Document {
    /// From JSON.
    Json(Value),
    /// From a form: path and value, in order.
    Form(Vec<(Vec<String>, String)>),
}

/// Two values stand under one name: two readers of the body could see two payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatedField;

/// Pairs in a form, at most.
const FORM_PAIRS_MAX: usize = 1_024;

impl Document {
    /// Reads a body; none when it is not what it says it is. JSON deeper than 128 levels is refused, and so is any
    /// object with a repeated name.
    pub fn parse(encoding: Encoding, body: &[u8]) -> Option<Self> {
        match encoding {
            Encoding::Json => serde_json::from_slice(body).ok().map(|Strict(value)| Self::Json(value)),
            Encoding::Form => {
                let mut pairs = Vec::new();
                for (name, value) in form_urlencoded::parse(body) {
                    if pairs.len() == FORM_PAIRS_MAX {
                        return None;
                    }
                    pairs.push((form_path(&name), value.into_owned()));
                }
                (!pairs.is_empty()).then_some(Self::Form(pairs))
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
        match self {
            Self::Json(root) => {
                let mut here = root;
                for token in tokens {
                    let next = match here {
                        Value::Object(map) => map.get(token),
                        Value::Array(items) => token.parse::<usize>().ok().and_then(|i| items.get(i)),
                        _ => None,
                    };
                    match next {
                        Some(value) => here = value,
                        None => return Ok(None),
                    }
                }
                Ok(match here {
                    Value::String(text) => Some(Scalar::Text(text)),
                    Value::Number(number) => Some(Scalar::Number(number)),
                    Value::Bool(flag) => Some(Scalar::Bool(*flag)),
                    Value::Null | Value::Array(_) | Value::Object(_) => None,
                })
            }
            Self::Form(pairs) => {
                let mut values = pairs.iter().filter(|(path, _)| path == tokens).map(|(_, value)| value);
                let first = values.next();
                if values.next().is_some() {
                    return Err(RepeatedField);
                }
                Ok(first.map(|text| Scalar::Text(text)))
            }
        }
    }
}

/// `a[b][c]` is `/a/b/c`; a name that is not of this shape is one token.
fn form_path(name: &str) -> Vec<String> {
    let Some((head, rest)) = name.split_once('[') else { return vec![name.to_owned()] };
    let Some(inner) = rest.strip_suffix(']') else { return vec![name.to_owned()] };
    let nested = inner.split("][").map(str::to_owned);
    std::iter::once(head.to_owned()).chain(nested).collect()
}

/// A JSON value in which no object has a repeated name.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without repeated names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Strict(value))) = access.next_entry::<String, Strict>()? {
            if map.insert(name, value).is_some() {
                return Err(de::Error::custom("a name is repeated"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_nest_as_stripe_writes_them() {
        assert_eq!(form_path("amount"), ["amount"]);
        assert_eq!(form_path("card[number]"), ["card", "number"]);
        assert_eq!(form_path("a[b][c]"), ["a", "b", "c"]);
        assert_eq!(form_path("a[b"), ["a[b"]);
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
