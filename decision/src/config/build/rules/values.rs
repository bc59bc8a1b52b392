//! Values of one kind: what each text must be, and how it is compared.

use super::super::values::{currency, some};
use super::super::{Result, wrong};
use super::Builder;
use crate::config::{ConfigError, defaults, raw};
use crate::payment::{Country, Funding, MalformedCountry, Payment, Scheme};
use crate::rules::{Attribute, Condition, Spans, Values, ValuesId, bins};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Currency,
    Scheme,
    Bin,
    BinPrefix,
    Country,
    Funding,
    Merchant,
    Method,
    HttpMethod,
    Path,
    Text,
}

impl<'a> Builder<'a> {
    /// A condition on one attribute. A list is shared by all rules that name it, so it stays a set of its own.
    pub(super) fn items(
        &mut self,
        path: &str,
        attribute: Attribute,
        kind: Kind,
        items: &[raw::Item],
    ) -> Result<Condition> {
        some(path, items)?;
        let mut any = Vec::new();
        let mut own = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = || format!("{path}[{i}]");
            match item {
                raw::Item::List(name) => any.push(Condition::Is(attribute, self.list(&path(), name, kind)?)),
                _ => own.push(span(path, kind, item)?),
            }
        }
        if !own.is_empty() {
            let values = self.intern(values(kind, own));
            any.push(Condition::Is(attribute, values));
        }
        Ok(match any.pop() {
            Some(only) if any.is_empty() => only,
            Some(last) => Condition::Any(any.into_iter().chain([last]).collect()),
            None => Condition::Any(Vec::new()),
        })
    }

    fn list(&mut self, path: &str, name: &str, kind: Kind) -> Result<ValuesId> {
        let Some((name, items)) = self.lists.get_key_value(name) else {
            return wrong(path, format!("no list is called {name:?}; a value that begins with @ is written @@.."));
        };
        self.used.insert(name);
        if let Some(known) = self.read.get(&(name.as_str(), kind)) {
            return Ok(*known);
        }
        let all = items.iter().enumerate().map(|(i, item)| span(|| format!("lists.{name}[{i}]"), kind, item));
        let all = all.collect::<Result<Vec<_>>>()?;
        let id = self.intern(values(kind, all));
        self.read.insert((name, kind), id);
        Ok(id)
    }
}

/// A value: a text, or everything between two.
enum One {
    Text(Box<[u8]>),
    Numbers(u64, u64),
    Texts(Box<[u8]>, Box<[u8]>),
}

fn values(kind: Kind, all: Vec<One>) -> Values {
    let (mut texts, mut numbers, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    for one in all {
        match one {
            One::Text(text) => texts.push(text),
            One::Numbers(from, to) => numbers.push((from, to)),
            One::Texts(from, to) => paths.push((from, to)),
        }
    }
    match kind {
        Kind::Bin | Kind::BinPrefix => Values::Numbers(Spans::new(numbers)),
        Kind::Path => Values::Paths(Spans::new(paths)),
        _ => Values::texts(texts),
    }
}

fn span(path: impl Fn() -> String, kind: Kind, item: &raw::Item) -> Result<One> {
    let (text, prefix) = match item {
        raw::Item::Value(text) => (text, false),
        raw::Item::Prefix(text) => (text, true),
        raw::Item::List(_) => return wrong(path(), "a value, not a list"),
    };
    let text_of = |text: String| Ok(One::Text(text.into_bytes().into()));
    let expected = |message: &str| wrong(path(), message);
    match (kind, prefix) {
        (Kind::Bin, false) => match bins::of_text(text) {
            Some((from, to)) => Ok(One::Numbers(from, to)),
            None => expected(
                "a BIN of 6 to 11 digits, a range of two that are equally long (\"4242-4243\"), or {\"prefix\": digits}",
            ),
        },
        (Kind::Bin, true) => match bins::of_prefix(text) {
            Some((from, to)) => Ok(One::Numbers(from, to)),
            None => expected("a prefix of 1 to 11 digits"),
        },
        (Kind::BinPrefix, false) => match bins::of_prefix(text).filter(|_| text.len() <= 8) {
            Some((from, to)) => Ok(One::Numbers(from, to)),
            None => expected("1 to 8 digits"),
        },
        (Kind::Path, prefix) => {
            let plain = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b));
            if !plain || text.len() > defaults::RULE_VALUE_LEN_MAX {
                return expected("a path that starts with /, without a query");
            }
            let from = text.as_bytes();
            // The next text after one is that text and a zero byte; after all that begin with it, one more in its last.
            let to = match (prefix, from.split_last()) {
                (true, Some((last, rest))) => [rest, &[last.saturating_add(1)]].concat(),
                _ => [from, &[0]].concat(),
            };
            Ok(One::Texts(from.into(), to.into()))
        }
        (_, true) => expected("a value: only bin and path take a prefix"),
        (Kind::Currency, _) => text_of(currency(&path(), text)?.as_str().to_owned()),
        (Kind::Country, _) => {
            let malformed = |e: MalformedCountry| ConfigError { path: path(), message: e.to_string() };
            text_of(text.parse::<Country>().map_err(malformed)?.as_str().to_owned())
        }
        (Kind::Scheme, _) => one_of(path, text, &Scheme::ALL.map(Scheme::as_str)),
        (Kind::Funding, _) => one_of(path, text, &Funding::ALL.map(Funding::as_str)),
        (Kind::HttpMethod, _) => match text.len() {
            1..=defaults::NAME_LEN_MAX if text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') => {
                text_of(text.clone())
            }
            _ => expected("an HTTP method in upper case"),
        },
        (Kind::Merchant, _) if text.len() > Payment::MERCHANT_LEN_MAX => {
            wrong(path(), format!("a merchant is at most {} bytes", Payment::MERCHANT_LEN_MAX))
        }
        (Kind::Method, _) => text_of(text.to_ascii_lowercase()),
        (Kind::Merchant | Kind::Text, _) if text.len() > defaults::RULE_VALUE_LEN_MAX => {
            wrong(path(), format!("a value is at most {} bytes", defaults::RULE_VALUE_LEN_MAX))
        }
        (Kind::Merchant | Kind::Text, _) => text_of(text.clone()),
    }
}

fn one_of(path: impl Fn() -> String, text: &str, known: &[&str]) -> Result<One> {
    match known.iter().find(|known| **known == text) {
        Some(known) => Ok(One::Text(known.as_bytes().into())),
        None => wrong(path(), format!("{text:?} is none of {}", known.join(", "))),
    }
}
