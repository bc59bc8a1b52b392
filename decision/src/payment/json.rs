//! JSON as a tree that borrows its texts from the body: a charge is read once, and most of it is never looked at.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A JSON value in which no object has a repeated name.
#[derive(Debug)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    /// In the order of the names, as [`by_name`] has it.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// What stands under a name of an object, or at a place of a list.
    pub(super) fn under(&self, token: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(entries) => {
                let at = entries.binary_search_by(|(name, _)| by_name(name, token)).ok()?;
                entries.get(at).map(|(_, value)| value)
            }
            Self::List(items) => items.get(token.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without repeated names")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut entries: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some((Name(name), value)) = access.next_entry()? {
            entries.push((name, value));
        }
        entries.sort_unstable_by(|(a, _), (b, _)| by_name(a, b));
        if entries.is_sorted_by(|(a, _), (b, _)| by_name(a, b).is_lt()) {
            Ok(Json::Object(entries))
        } else {
            Err(de::Error::custom("a name is repeated"))
        }
    }
}

/// An order of names: most differ in length, which is soon compared.
fn by_name(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A name of an object: serde's own `Cow` always copies.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor).map(Self)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_what_they_mean() {
        for (body, reads) in [
            (r#"{"b":1,"a":2,"c":{"a":3}}"#, true),
            (r#"{"a":1,"b":2,"a":1}"#, false),
            // The same name twice, written in two ways.
            (r#"{"a":1,"\u0061":2}"#, false),
            (r#"{"":1,"A":2,"a":3}"#, true),
            (r#"{"":1,"":2}"#, false),
        ] {
            assert_eq!(serde_json::from_str::<Json<'_>>(body).is_ok(), reads, "{body}");
        }
    }

    #[test]
    fn texts_are_borrowed_where_they_stand_as_they_are() {
        let body = r#"{"plain":"text","es\ncaped":"t\u00e9xt"}"#;
        let read: Json<'_> = serde_json::from_str(body).unwrap();
        assert!(matches!(read.under("plain"), Some(Json::Text(Cow::Borrowed("text")))));
        assert!(matches!(read.under("es\ncaped"), Some(Json::Text(text)) if text == "t\u{e9}xt"));
        assert!(read.under("absent").is_none());
    }
}
