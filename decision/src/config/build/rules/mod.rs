//! Rules: what is written becomes conditions over values that stand once, and pools.

mod condition;
mod split;
mod time;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use super::values::name;
use super::{Result, pool, wrong};
use crate::config::{ConfigWarning, Pool, Processor, defaults, raw};
use crate::operation::PoolId;
use crate::payment::Fields;
use crate::rules::{Attribute, Condition, Finding, Needs, Rule, Rules, Target, Values, ValuesId};

/// What charges tell under this configuration: a rule that asks for more can never hold.
pub(super) struct Told<'a> {
    pub(super) fields: &'a Fields,
    /// Does a header name the caller?
    pub(super) tenant: Option<&'a str>,
    /// Does a charge operation name a header with the key?
    pub(super) key: Option<&'a str>,
}

impl Told<'_> {
    /// The field that is missing where the attribute can never be told.
    fn missing(&self, attribute: Attribute) -> Option<&'static str> {
        let fields = self.fields;
        let no_card = fields.card_number.is_empty() && fields.bin.is_empty();
        match attribute {
            Attribute::Merchant if fields.merchant.is_empty() => Some("fields.merchant"),
            Attribute::Bin if no_card => Some("fields.card_number"),
            Attribute::Scheme if no_card && fields.scheme.is_empty() => Some("fields.scheme"),
            Attribute::IssuerCountry if fields.issuer_country.is_empty() => Some("fields.issuer_country"),
            Attribute::Funding if fields.funding.is_empty() => Some("fields.funding"),
            Attribute::Method if fields.method.is_empty() => Some("fields.method"),
            _ => None,
        }
    }
}

/// Builds rules: each set of values stands once, and so does each name.
struct Builder<'a> {
    told: &'a Told<'a>,
    lists: &'a BTreeMap<String, Vec<raw::Item>>,
    /// A list as values of one kind, and whether some rule uses the list.
    read: BTreeMap<(&'a str, values::Kind), ValuesId>,
    used: BTreeSet<&'a str>,
    values: BTreeMap<Values, ValuesId>,
    needs: Needs,
    warnings: Vec<ConfigWarning>,
}

pub(super) fn read(
    raw: Vec<raw::Rule>,
    lists: &BTreeMap<String, Vec<raw::Item>>,
    told: &Told<'_>,
    processors: &[Processor],
    pools: &mut Vec<Pool>,
) -> Result<(Rules, Vec<ConfigWarning>)> {
    if raw.len() > defaults::RULES_MAX {
        return wrong("rules", format!("at most {} rules", defaults::RULES_MAX));
    }
    if lists.len() > defaults::LISTS_MAX {
        return wrong("lists", format!("at most {} lists", defaults::LISTS_MAX));
    }
    for (list, items) in lists {
        let path = format!("lists.{list}");
        name(&path, list)?;
        super::values::some(&path, items)?;
        if let Some(at) = items.iter().position(|item| matches!(item, raw::Item::List(_))) {
            return wrong(
                format!("{path}[{at}]"),
                "a list holds values, not lists; a value that begins with @ is @@..",
            );
        }
    }
    let mut builder = Builder {
        told,
        lists,
        read: BTreeMap::new(),
        used: BTreeSet::new(),
        values: BTreeMap::new(),
        needs: Needs::default(),
        warnings: Vec::new(),
    };
    let mut names = BTreeSet::new();
    let mut rules = Vec::with_capacity(raw.len());
    for (i, rule) in raw.into_iter().enumerate() {
        let path = format!("rules[{i}]");
        name(&format!("{path}.name"), &rule.name)?;
        if !names.insert(rule.name.clone()) {
            return wrong(format!("{path}.name"), format!("{:?} is there already", rule.name));
        }
        let condition = builder.condition(&format!("{path}.when"), &rule.when)?;
        builder.possible(&format!("{path}.when"), &condition)?;
        let path = format!("{path}.use");
        let mut add = |path: &str, raw| {
            pools.push(pool::read(path, raw, processors)?);
            Ok(PoolId(pools.len().saturating_sub(1)))
        };
        let target = match rule.target {
            raw::Use::Pool(raw) => Target::Pool(add(&path, raw)?),
            raw::Use::Split(raw) => Target::Split(builder.split(&path, &rule.name, raw, add)?),
        };
        rules.push((Rule { name: rule.name, target }, condition));
    }
    let Builder { used, values, needs, mut warnings, .. } = builder;
    let mut in_order: Vec<(Values, ValuesId)> = values.into_iter().collect();
    in_order.sort_unstable_by_key(|(_, id)| *id);
    let values = in_order.into_iter().map(|(values, _)| values).collect();
    let (rules, findings) = Rules::new(rules, PoolId(0), needs, values);
    warnings.extend(findings.iter().map(|finding| told_of(*finding, &rules)));
    for list in lists.keys().filter(|list| !used.contains(list.as_str())) {
        warnings.push(ConfigWarning { path: format!("lists.{list}"), message: "no rule uses it".to_owned() });
    }
    Ok((rules, warnings))
}

fn told_of(Finding { rule, hidden_by }: Finding, rules: &Rules) -> ConfigWarning {
    let message = match hidden_by.and_then(|at| Some((at, rules.list.get(at)?))) {
        Some((at, by)) => {
            format!("it never gets its turn: rules[{at}] ({:?}) takes every charge that fulfils it", by.name)
        }
        None => "it can never hold: its conditions contradict each other".to_owned(),
    };
    ConfigWarning { path: format!("rules[{rule}].when"), message }
}

impl Builder<'_> {
    /// A condition that asks for what is never told does not hold: a whole rule that does not is an error, an
    /// alternative of it a warning.
    fn possible(&mut self, path: &str, condition: &Condition) -> Result<()> {
        fn holdable(condition: &Condition, told: &Told<'_>, missing: &mut Option<&'static str>) -> bool {
            match condition {
                Condition::All(each) => each.iter().all(|one| holdable(one, told, missing)),
                Condition::Any(each) => each.iter().filter(|one| holdable(one, told, missing)).count() > 0,
                // What is never told is never one of the values: the opposite holds.
                Condition::Not(_) => true,
                Condition::Is(attribute, _) => match told.missing(*attribute) {
                    Some(field) => {
                        *missing = Some(field);
                        false
                    }
                    None => true,
                },
            }
        }
        let mut missing = None;
        let holdable = holdable(condition, self.told, &mut missing);
        match (missing, holdable) {
            (None, _) => Ok(()),
            (Some(field), false) => wrong(path, format!("it can never hold: {field} is not given")),
            (Some(field), true) => {
                let message = format!("a part of it can never hold: {field} is not given");
                self.warnings.push(ConfigWarning { path: path.to_owned(), message });
                Ok(())
            }
        }
    }

    fn intern(&mut self, values: Values) -> ValuesId {
        let next = ValuesId(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        *self.values.entry(values).or_insert(next)
    }
}

/// The place of a name among those that rules read.
fn slot<T: PartialEq>(path: &str, names: &mut Vec<T>, name: T) -> Result<u16> {
    if let Some(at) = names.iter().position(|known| *known == name) {
        return Ok(u16::try_from(at).unwrap_or(u16::MAX));
    }
    if names.len() >= defaults::RULE_NAMES_MAX {
        return wrong(path, format!("rules read at most {} different ones of these", defaults::RULE_NAMES_MAX));
    }
    names.push(name);
    Ok(u16::try_from(names.len().saturating_sub(1)).unwrap_or(u16::MAX))
}
