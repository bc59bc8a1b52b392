//! One `when`: each of its fields is a condition, and all of them must hold.

use super::super::values::{currency, header_name, some};
use super::super::{Result, wrong};
use super::values::Kind;
use super::{Builder, slot};
use crate::config::{ConfigError, defaults, raw};
use crate::payment::{Amount, Pointer};
use crate::rules::{Attribute, Condition, Spans, Values};

/// The two fields that hold one condition or several.
macro_rules! many {
    ($given:expr) => {
        match $given {
            raw::OneOrMore::One(one) => std::slice::from_ref(one.as_ref()),
            raw::OneOrMore::More(more) => more.as_slice(),
        }
    };
}

impl<'a> Builder<'a> {
    /// The condition of a rule.
    pub(super) fn condition(&mut self, path: &str, when: &raw::When) -> Result<Condition> {
        let mut all = self.conditions(path, when, 0)?;
        Ok(if all.len() == 1 { all.pop().unwrap_or(Condition::All(Vec::new())) } else { Condition::All(all) })
    }

    fn conditions(&mut self, path: &str, when: &raw::When, depth: usize) -> Result<Vec<Condition>> {
        let mut all = Vec::new();
        if let Some(given) = &when.amount {
            let amounts = self.amounts(&format!("{path}.amount"), given)?;
            all.push(Condition::Is(Attribute::Amount, amounts));
        }
        for (field, attribute, kind, items) in [
            ("currency", Attribute::Currency, Kind::Currency, &when.currency),
            ("scheme", Attribute::Scheme, Kind::Scheme, &when.scheme),
            ("bin", Attribute::Bin, Kind::Bin, &when.bin),
            ("bin_prefix", Attribute::Bin, Kind::BinPrefix, &when.bin_prefix),
            ("issuer_country", Attribute::IssuerCountry, Kind::Country, &when.issuer_country),
            ("funding", Attribute::Funding, Kind::Funding, &when.funding),
            ("merchant", Attribute::Merchant, Kind::Merchant, &when.merchant),
            ("method", Attribute::Method, Kind::Method, &when.method),
            ("http_method", Attribute::HttpMethod, Kind::HttpMethod, &when.http_method),
            ("path", Attribute::Path, Kind::Path, &when.path),
        ] {
            if let Some(items) = items {
                all.push(self.items(&format!("{path}.{field}"), attribute, kind, items)?);
            }
        }
        for (field, given) in [("header", &when.header), ("query", &when.query), ("body", &when.body)] {
            for (name, items) in given.iter().flatten() {
                let path = format!("{path}.{field}.{name}");
                let attribute = match field {
                    "header" => self.header(&path, name)?,
                    "query" => self.query(&path, name)?,
                    _ => self.body(&path, name)?,
                };
                all.push(self.items(&path, attribute, Kind::Text, items)?);
            }
        }
        if let Some(given) = &when.time {
            all.push(self.times(&format!("{path}.time"), many!(given))?);
        }
        self.joined(path, when, depth, &mut all)?;
        Ok(all)
    }

    /// What `all`, `any` and `not` hold.
    fn joined(&mut self, path: &str, when: &raw::When, depth: usize, all: &mut Vec<Condition>) -> Result<()> {
        let deeper = depth.saturating_add(1);
        let mut inner = |path: String, when: &raw::When| {
            if deeper > defaults::RULE_DEPTH_MAX {
                return wrong(path, format!("all, any and not nest at most {} deep", defaults::RULE_DEPTH_MAX));
            }
            let conditions = self.conditions(&path, when, deeper)?;
            some(&path, &conditions).map_err(|e| ConfigError { message: "at least one condition".to_owned(), ..e })?;
            Ok(Condition::All(conditions))
        };
        let mut each = |field: &str, given: &[raw::Inner]| {
            let path = format!("{path}.{field}");
            if given.is_empty() {
                return wrong(path, "at least one condition");
            }
            given.iter().enumerate().map(|(i, when)| inner(format!("{path}[{i}]"), &when.0)).collect::<Result<Vec<_>>>()
        };
        if let Some(given) = &when.all {
            all.push(Condition::All(each("all", given)?));
        }
        if let Some(given) = &when.any {
            all.push(Condition::Any(each("any", given)?));
        }
        if let Some(given) = &when.not {
            all.push(Condition::Not(Box::new(inner(format!("{path}.not"), given)?)));
        }
        Ok(())
    }

    fn amounts(&mut self, path: &str, given: &raw::OneOrMore<raw::AmountRange>) -> Result<crate::rules::ValuesId> {
        let more = matches!(given, raw::OneOrMore::More(_));
        let ranges = many!(given);
        some(path, ranges)?;
        let mut spans = Vec::new();
        for (i, range) in ranges.iter().enumerate() {
            let path = if more { format!("{path}[{i}]") } else { path.to_owned() };
            let (min, max) = (range.min.unwrap_or(0), range.max.unwrap_or(Amount::MINOR_MAX));
            if min > max {
                return wrong(path, format!("min {min} is over max {max}: no amount fits"));
            }
            let currency = currency(&format!("{path}.currency"), &range.currency)?;
            spans.push(((currency, min), (currency, max.saturating_add(1))));
        }
        Ok(self.intern(Values::Amounts(Spans::new(spans))))
    }

    pub(super) fn header(&mut self, path: &str, name: &str) -> Result<Attribute> {
        let name = header_name(path, name)?;
        slot(path, &mut self.needs.headers, name).map(Attribute::Header)
    }

    fn query(&mut self, path: &str, name: &str) -> Result<Attribute> {
        if name.is_empty() || name.len() > defaults::NAME_LEN_MAX {
            return wrong(path, format!("a parameter's name of 1 to {} bytes", defaults::NAME_LEN_MAX));
        }
        slot(path, &mut self.needs.queries, name.to_owned()).map(Attribute::Query)
    }

    /// A place in the body, as long as it is not where the card number stands.
    pub(super) fn body(&mut self, path: &str, pointer: &str) -> Result<Attribute> {
        let read = |text: &str| Pointer::parse(text);
        let parsed =
            read(pointer).map_err(|message| ConfigError { path: path.to_owned(), message: message.to_owned() })?;
        if self.told.fields.card_number.contains(&parsed) {
            return wrong(path, "the card number stands here: ask for bin, scheme or funding");
        }
        slot(path, &mut self.needs.bodies, parsed).map(Attribute::Body)
    }
}
