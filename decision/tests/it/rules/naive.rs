//! The meaning of a rule, taken from the JSON as written, one rule after the other. Nothing of the compiled form is used.

use decision::payment::{Funding, Scheme};
use serde_json::Value;

use super::Charge;

/// The first rule that holds.
pub(super) fn first(rules: &Value, lists: &Value, charge: &Charge) -> Option<usize> {
    rules.as_array().expect("rules").iter().position(|rule| holds(&rule["when"], lists, charge))
}

pub(super) fn holds(when: &Value, lists: &Value, charge: &Charge) -> bool {
    let Some(fields) = when.as_object() else { return true };
    fields.iter().all(|(field, given)| {
        let among = |value: Option<&str>| value.is_some_and(|value| any(given, lists, |item| item == value));
        match field.as_str() {
            "amount" => each(given).any(|range| {
                let bound = |name: &str, default| range[name].as_u64().unwrap_or(default);
                range["currency"] == *charge.currency
                    && (bound("min", 0)..=bound("max", u64::MAX)).contains(&charge.minor)
            }),
            "currency" => among(Some(&charge.currency)),
            "scheme" => among(charge.scheme.map(Scheme::as_str)),
            "issuer_country" => among(charge.country.as_deref()),
            "funding" => among(charge.funding.map(Funding::as_str)),
            "merchant" => among(charge.merchant.as_deref()),
            "method" => among(charge.method.as_deref()),
            "http_method" => among(Some(&charge.http_method)),
            "header" | "query" | "body" => {
                let value = match field.as_str() {
                    "header" => &charge.header,
                    "query" => &charge.query,
                    _ => &charge.body,
                };
                let mut named = given.as_object().expect("by name").values();
                named.all(|given| value.as_deref().is_some_and(|value| any(given, lists, |item| item == value)))
            }
            "path" => any(given, lists, |item| match item["prefix"].as_str() {
                Some(prefix) => charge.path.starts_with(prefix),
                None => item == charge.path.as_str(),
            }),
            "bin" | "bin_prefix" => charge.bin.as_ref().is_some_and(|bin| in_bins(given, lists, bin)),
            "time" => each(given).any(|window| open(window, charge.at)),
            "all" => each(given).all(|when| holds(when, lists, charge)),
            "any" => each(given).any(|when| holds(when, lists, charge)),
            "not" => !holds(given, lists, charge),
            other => panic!("no meaning for {other}"),
        }
    })
}

fn each(given: &Value) -> impl Iterator<Item = &Value> {
    given.as_array().map_or(std::slice::from_ref(given), Vec::as_slice).iter()
}

fn list<'a>(item: &Value, lists: &'a Value) -> Option<&'a Value> {
    let named = item.as_str().and_then(|text| text.strip_prefix('@')).filter(|name| !name.starts_with('@'));
    named.or(item["list"].as_str()).map(|name| &lists[name])
}

fn any(given: &Value, lists: &Value, is: impl Fn(&Value) -> bool) -> bool {
    each(given).any(|item| match list(item, lists) {
        Some(items) => each(items).any(&is),
        None => is(item),
    })
}

/// All eleven-digit numbers that begin with the BIN lie within one list, or within the condition's own values.
fn in_bins(given: &Value, lists: &Value, bin: &str) -> bool {
    let own: Vec<&Value> = each(given).filter(|item| list(item, lists).is_none()).collect();
    let named = each(given).filter_map(|item| list(item, lists)).map(|items| each(items).collect());
    std::iter::once(own).chain(named).any(|values: Vec<&Value>| {
        // Every place where what is held may change, and the first number: between two of these nothing changes.
        let (low, high) = bounds(bin, bin);
        let ranges: Vec<(u64, u64)> = values.iter().map(|value| range(value)).collect();
        let edges = ranges.iter().flat_map(|(from, to)| [*from, *to + 1]).chain([low]);
        let mut inside = edges.filter(|edge| (low..=high).contains(edge));
        inside.all(|number| ranges.iter().any(|(from, to)| (*from..=*to).contains(&number)))
    })
}

fn range(value: &Value) -> (u64, u64) {
    match (value["prefix"].as_str(), value.as_str()) {
        (Some(prefix), _) => bounds(prefix, prefix),
        (_, Some(text)) => text.split_once('-').map_or_else(|| bounds(text, text), |(from, to)| bounds(from, to)),
        _ => panic!("no BIN: {value}"),
    }
}

fn bounds(from: &str, to: &str) -> (u64, u64) {
    (format!("{from:0<11}").parse().unwrap(), format!("{to:9<11}").parse().unwrap())
}

fn open(window: &Value, at: u64) -> bool {
    let text = |name: &str| window[name].as_str();
    let minutes = |text: &str| text[..2].parse::<i64>().unwrap() * 60 + text[3..5].parse::<i64>().unwrap();
    let ahead = match text("offset") {
        None | Some("Z") => 0,
        Some(offset) => minutes(&offset[1..]) * if offset.starts_with('-') { -1 } else { 1 },
    };
    let local = i64::try_from(at).unwrap().div_euclid(60) + ahead;
    let (day, minute) = (local.div_euclid(1_440), local.rem_euclid(1_440));
    // The first of 1970 was a Thursday.
    let names = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];
    let on = |day: i64| {
        let name = names[usize::try_from(day.rem_euclid(7)).unwrap()];
        window["days"].as_array().is_none_or(|days| days.iter().any(|d| d == name))
    };
    let (from, to) = (text("from").map_or(0, minutes), text("to").map_or(1_440, minutes));
    let in_week = if from < to {
        on(day) && (from..to).contains(&minute)
    } else {
        (on(day) && minute >= from) || (on(day - 1) && minute < to)
    };
    // Dates compare as text.
    let date = date(day);
    let stamp = format!("{date}T{:02}:{:02}", minute / 60, minute % 60);
    let cut = |bound: &str| stamp[..bound.len()].to_owned();
    in_week && text("not_before").is_none_or(|b| *cut(b) >= *b) && text("not_after").is_none_or(|b| *cut(b) <= *b)
}

/// The date of a day since 1970, counted year by year.
fn date(mut day: i64) -> String {
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let months = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, days) in (1..).zip(months) {
            if day < days {
                return format!("{year:04}-{month:02}-{:02}", day + 1);
            }
            day -= days;
        }
        year += 1;
    }
}
