//! Rules as written.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::Pool;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Rule {
    pub(in crate::config) name: String,
    /// Boxed, as it is large, and a list that grows holds two of everything.
    #[serde(default)]
    pub(in crate::config) when: Box<When>,
    #[serde(rename = "use")]
    pub(in crate::config) target: Use,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct When {
    pub(in crate::config) amount: Option<OneOrMore<AmountRange>>,
    pub(in crate::config) currency: Option<Vec<Item>>,
    pub(in crate::config) scheme: Option<Vec<Item>>,
    pub(in crate::config) bin: Option<Vec<Item>>,
    pub(in crate::config) bin_prefix: Option<Vec<Item>>,
    pub(in crate::config) issuer_country: Option<Vec<Item>>,
    pub(in crate::config) funding: Option<Vec<Item>>,
    pub(in crate::config) merchant: Option<Vec<Item>>,
    pub(in crate::config) method: Option<Vec<Item>>,
    pub(in crate::config) http_method: Option<Vec<Item>>,
    pub(in crate::config) path: Option<Vec<Item>>,
    pub(in crate::config) header: Option<BTreeMap<String, Vec<Item>>>,
    pub(in crate::config) query: Option<BTreeMap<String, Vec<Item>>>,
    pub(in crate::config) body: Option<BTreeMap<String, Vec<Item>>>,
    pub(in crate::config) time: Option<OneOrMore<TimeWindow>>,
    pub(in crate::config) all: Option<Vec<Inner>>,
    pub(in crate::config) any: Option<Vec<Inner>>,
    pub(in crate::config) not: Option<Box<When>>,
}

/// One of several; boxed, as lists of large things are made with room to spare.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct Inner(pub(in crate::config) Box<When>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AmountRange {
    pub(in crate::config) currency: String,
    pub(in crate::config) min: Option<u64>,
    pub(in crate::config) max: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TimeWindow {
    pub(in crate::config) days: Option<Vec<String>>,
    pub(in crate::config) from: Option<String>,
    pub(in crate::config) to: Option<String>,
    pub(in crate::config) offset: Option<String>,
    pub(in crate::config) not_before: Option<String>,
    pub(in crate::config) not_after: Option<String>,
}

/// A value, a named list of values, or all values that begin alike.
#[derive(Debug)]
pub(in crate::config) enum Item {
    Value(String),
    List(String),
    Prefix(String),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a value, "@list", {"list": name} or {"prefix": text}"#)
            }

            fn visit_str<E>(self, text: &str) -> Result<Item, E> {
                Ok(match text.strip_prefix('@') {
                    Some(rest) if rest.starts_with('@') => Item::Value(rest.to_owned()),
                    Some(list) => Item::List(list.to_owned()),
                    None => Item::Value(text.to_owned()),
                })
            }

            fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
                Ok(Item::Value(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
                Ok(Item::Value(number.to_string()))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Item, E> {
                Ok(Item::Value(flag.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                let item = match map.next_key::<String>()?.as_deref() {
                    Some("list") => Item::List(map.next_value()?),
                    Some("prefix") => Item::Prefix(map.next_value()?),
                    Some(other) => return Err(de::Error::unknown_field(other, &["list", "prefix"])),
                    None => return Err(de::Error::invalid_length(0, &self)),
                };
                match map.next_key::<String>()? {
                    Some(_) => Err(de::Error::invalid_length(2, &self)),
                    None => Ok(item),
                }
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

/// One object, or a list of them.
#[derive(Debug)]
pub(in crate::config) enum OneOrMore<T> {
    One(Box<T>),
    More(Vec<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EitherVisitor<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a list of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(OneOrMore::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<OneOrMore<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMore::More)
            }
        }
        deserializer.deserialize_any(EitherVisitor(PhantomData))
    }
}

/// Where a rule sends charges.
#[derive(Debug)]
pub(in crate::config) enum Use {
    Pool(Pool),
    Split(Split),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Split {
    pub(in crate::config) by: Source,
    pub(in crate::config) parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Part {
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) share: u64,
    #[serde(rename = "use")]
    pub(in crate::config) pool: Pool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Source {
    Key,
    Tenant,
    Merchant,
    Bin,
    Header(String),
    Body(String),
}

/// The first name tells which it is; the rest is read as that, with the paths of its own errors.
impl<'de> Deserialize<'de> for Use {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UseVisitor;
        impl<'de> Visitor<'de> for UseVisitor {
            type Value = Use;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a pool or {"split": ...}"#)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Use, A::Error> {
                let first: Option<String> = map.next_key()?;
                if first.as_deref() != Some("split") {
                    return Pool::deserialize(MapAccessDeserializer::new(Replay { first, map })).map(Use::Pool);
                }
                let split = map.next_value()?;
                match map.next_key::<String>()? {
                    Some(more) => Err(de::Error::custom(format_args!("unknown field `{more}`, split stands alone"))),
                    None => Ok(Use::Split(split)),
                }
            }
        }
        deserializer.deserialize_map(UseVisitor)
    }
}

/// A map whose first name was read already.
struct Replay<A> {
    first: Option<String>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replay<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(first) => seed.deserialize(first.into_deserializer()).map(Some),
            None => self.map.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
