//! Rules.

use super::values::{self, header_name, some};
use super::{Result, wrong};
use crate::config::raw;
use crate::payment::Amount;
use crate::rules::{Condition, Rule};

pub(super) fn conditions(path: &str, when: raw::When, headers: &mut Vec<String>) -> Result<Vec<Condition>> {
    let raw::When { amount, currency, bin_prefix, merchant, header } = when;
    let mut all = Vec::new();
    if let Some(range) = amount {
        let path = format!("{path}.amount");
        let (min, max) = (range.min.unwrap_or(0), range.max.unwrap_or(Amount::MINOR_MAX));
        if min > max {
            return wrong(path, format!("min {min} is over max {max}: no amount fits"));
        }
        let currency = values::currency(&format!("{path}.currency"), &range.currency)?;
        all.push(Condition::Amount { currency, min, max });
    }
    if let Some(codes) = currency {
        let path = format!("{path}.currency");
        some(&path, &codes)?;
        let codes = codes.iter().enumerate().map(|(i, code)| values::currency(&format!("{path}[{i}]"), code));
        all.push(Condition::Currency(codes.collect::<Result<_>>()?));
    }
    if let Some(prefixes) = bin_prefix {
        let path = format!("{path}.bin_prefix");
        some(&path, &prefixes)?;
        for (i, prefix) in prefixes.iter().enumerate() {
            if !(1..=8).contains(&prefix.len()) || !prefix.bytes().all(|b| b.is_ascii_digit()) {
                return wrong(format!("{path}[{i}]"), "1 to 8 digits");
            }
        }
        all.push(Condition::BinPrefix(prefixes));
    }
    if let Some(names) = merchant {
        some(&format!("{path}.merchant"), &names)?;
        all.push(Condition::Merchant(names.into_iter().collect()));
    }
    for (header, values) in header.unwrap_or_default() {
        let path = format!("{path}.header.{header}");
        some(&path, &values)?;
        let header = header_name(&path, &header)?;
        let slot = headers.iter().position(|h| *h == header).unwrap_or_else(|| {
            headers.push(header);
            headers.len().saturating_sub(1)
        });
        all.push(Condition::Header { slot, values: values.into_iter().map(String::into_bytes).collect() });
    }
    Ok(all)
}

/// Can every rule hold, and does none hide those after it?
pub(super) fn reachable(list: &[Rule], merchant: &[String], card_number: &[String]) -> Result<()> {
    for (i, rule) in list.iter().enumerate() {
        let path = format!("rules[{i}]");
        if list.iter().take(i).any(|earlier| earlier.name == rule.name) {
            return wrong(format!("{path}.name"), format!("{:?} is there already", rule.name));
        }
        if rule.conditions.is_empty() && i.saturating_add(1) < list.len() {
            return wrong(format!("{path}.when"), "without a condition it always holds: the rules after it never do");
        }
        for condition in &rule.conditions {
            let missing = match condition {
                Condition::Merchant(_) if merchant.is_empty() => "merchant",
                Condition::BinPrefix(_) if card_number.is_empty() => "card_number",
                _ => continue,
            };
            return wrong(format!("{path}.when"), format!("it can never hold: fields.{missing} is not given"));
        }
    }
    Ok(())
}
