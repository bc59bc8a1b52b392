//! What was expected beside what came: pure, and in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fill::{Known, fill, fill_json};
use super::host::{Outcome, Seen};
use super::raw::{Check, Expect, HeaderRule, Rows, Span};
use e2e::processor::{Counts, Row};
use e2e::stack::Acquirer;

/// What a finding says that is about when an answer came.
pub(super) const TOOK: &str = "the answer took";

/// What one answer is not. Empty: it is as expected.
pub fn answer(expect: &Expect, outcome: &Outcome, known: &Known, n: u64) -> Vec<String> {
    let seen = match outcome {
        Outcome::Answer(seen) => seen,
        Outcome::Left => return Vec::new(),
        Outcome::Broken(why) => return vec![format!("no answer: {why}")],
    };
    let mut found = Vec::new();
    if let Some(statuses) = &expect.status
        && !statuses.0.contains(&seen.status)
    {
        found.push(format!("status {}, not {:?}: {}", seen.status, statuses.0, seen.text()));
    }
    if let Some(code) = &expect.problem {
        found.extend(problem(seen, code));
    }
    found.extend(filled(expect, seen, known, n).unwrap_or_else(|why| vec![why]));
    if let Some(span) = &expect.took_ms {
        let took = u64::try_from(seen.took.as_millis()).unwrap_or(u64::MAX);
        if !span.holds(took) {
            found.push(format!("{TOOK} {took} ms, not {span}"));
        }
    }
    found
}

/// What is compared after its `${...}` were filled in.
fn filled(expect: &Expect, seen: &Seen, known: &Known, n: u64) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    if let Some(names) = &expect.processor {
        let names = names.0.iter().map(|name| fill(name, known, n)).collect::<Result<Vec<_>, _>>()?;
        let by = seen.header("x-switchyard-processor");
        if !names.iter().any(|name| Some(name.as_str()) == by) {
            found.push(format!("answered by {by:?}, not {names:?}"));
        }
    }
    for (name, rule) in &expect.header {
        let given = seen.header(name);
        let wanted = match rule {
            HeaderRule::Present => given.is_none().then(|| "present".to_owned()),
            HeaderRule::Absent => given.is_some().then(|| "absent".to_owned()),
            HeaderRule::Is(text) => {
                let text = fill(text, known, n)?;
                (given != Some(&text)).then(|| format!("{text:?}"))
            }
        };
        found.extend(wanted.map(|wanted| format!("header {name} is {given:?}, not {wanted}")));
    }
    if let Some(part) = &expect.body {
        let part = serde_json::to_value(part).map_err(|error| error.to_string())?;
        let part = fill_json(&part, known, n)?;
        match seen.json() {
            Some(whole) => found.extend(missing(&part, &whole, "body")),
            None => found.push(format!("the body is no JSON: {:?}", seen.text())),
        }
    }
    if let Some(text) = &expect.text {
        let text = fill(text, known, n)?;
        if seen.body != text.as_bytes() {
            found.push(format!("the body is {:?}, not {text:?}", seen.text()));
        }
    }
    if let Some(name) = &expect.same_body_as {
        let other = known.get(name).ok_or(format!("no step before this one is called {name}"))?;
        if seen.body != other.body {
            found.push(format!("the body is {:?}, not that of {name}: {:?}", seen.text(), other.text()));
        }
    }
    Ok(found)
}

fn problem(seen: &Seen, code: &str) -> Option<String> {
    let body = seen.json().unwrap_or_default();
    let given = (seen.header("content-type"), body["type"].as_str(), body["status"].as_u64());
    let kind = format!("urn:switchyard:problem:{code}");
    let wanted = (Some("application/problem+json"), Some(kind.as_str()), Some(u64::from(seen.status)));
    (given != wanted).then(|| format!("not the problem {code}, but {given:?}: {}", seen.text()))
}

/// What of `part` is not in `whole`; objects may have more fields, everything else is equal.
fn missing(part: &Value, whole: &Value, at: &str) -> Vec<String> {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            let field = |(name, part): (&String, &Value)| {
                missing(part, whole.get(name).unwrap_or(&Value::Null), &format!("{at}.{name}"))
            };
            part.iter().flat_map(field).collect()
        }
        (part, whole) if part == whole => Vec::new(),
        (part, whole) => vec![format!("{at} is {whole}, not {part}")],
    }
}

/// What many answers taken together are not.
pub fn many(expect: &Expect, outcomes: &[&Outcome]) -> Vec<String> {
    let seen: Vec<&Seen> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Answer(seen) => Some(seen),
            _ => None,
        })
        .collect();
    let mut statuses = BTreeMap::<String, u64>::new();
    let mut processors = BTreeMap::<String, u64>::new();
    let mut payments = BTreeSet::new();
    for seen in &seen {
        *statuses.entry(seen.status.to_string()).or_default() += 1;
        if let Some(name) = seen.header("x-switchyard-processor") {
            *processors.entry(name.to_owned()).or_default() += 1;
        }
        payments.extend(seen.json().and_then(|body| body["id"].as_str().map(str::to_owned)));
    }
    let mut found = Vec::new();
    let mut spans = |what: &str, wanted: &BTreeMap<String, Span>, came: &BTreeMap<String, u64>| {
        for (name, span) in wanted {
            let count = came.get(name).copied().unwrap_or(0);
            if !span.holds(count) {
                found.push(format!("{what} {name} came {count} times, not {span}; all: {came:?}"));
            }
        }
    };
    spans("status", &expect.statuses, &statuses);
    spans("processor", &expect.processors, &processors);
    if !expect.statuses.is_empty() {
        let unnamed = statuses.keys().filter(|status| !expect.statuses.contains_key(*status));
        found.extend(unnamed.map(|status| format!("status {status} came {} times and is not named", statuses[status])));
    }
    let mut distinct = |what: &str, span: &Option<Span>, count: usize| {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        found.extend(span.iter().filter(|span| !span.holds(count)).map(|span| format!("{count} {what}, not {span}")));
    };
    distinct("processors answered", &expect.distinct_processors, processors.len());
    distinct("payments were spoken of", &expect.distinct_payments, payments.len());
    found
}

/// What the parts behind the proxy, and its counters, have to say.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Every charge that arrived.
    pub ledgers: [Vec<Row>; 3],
    /// How many requests arrived.
    pub arrived: [Counts; 3],
    /// The filter's counters.
    pub metrics: BTreeMap<String, u64>,
}

/// What is not as the check says.
pub fn standing(check: &Check, standing: &Standing) -> Vec<String> {
    let mut found = Vec::new();
    for (who, wanted) in &check.ledger {
        let of_them = standing.ledgers.iter().zip(Acquirer::ALL).filter(|(_, one)| who == "all" || one.name() == who);
        found.extend(rows(
            &format!("ledger.{who}"),
            wanted,
            of_them.flat_map(|(rows, one)| rows.iter().map(move |row| (one, row))),
        ));
    }
    for (key, wanted) in &check.key {
        let all = standing.ledgers.iter().zip(Acquirer::ALL);
        let named = all.flat_map(|(rows, one)| rows.iter().map(move |row| (one, row)));
        found.extend(rows(&format!("key.{key}"), wanted, named.filter(|(_, row)| row.key.as_ref() == Some(key))));
    }
    for (who, routes) in &check.arrived {
        let of_them = standing.arrived.iter().zip(Acquirer::ALL).filter(|(_, one)| who == "all" || one.name() == who);
        let of_them: Vec<Value> = of_them.map(|(counts, _)| serde_json::to_value(counts).unwrap_or_default()).collect();
        for (route, span) in routes {
            let count: Option<u64> = of_them.iter().map(|counts| counts[route].as_u64()).sum();
            match count {
                None => found.push(format!("arrived.{who}.{route}: no such route")),
                Some(count) if !span.holds(count) => found.push(format!("arrived.{who}.{route}: {count}, not {span}")),
                Some(_) => {}
            }
        }
    }
    for (pattern, span) in &check.metrics {
        let matching: BTreeMap<_, _> = standing.metrics.iter().filter(|(name, _)| matches(pattern, name)).collect();
        let count: u64 = matching.values().copied().sum();
        // A counter that is not there is a name that is wrong.
        if matching.is_empty() {
            found.push(format!("metrics.{pattern}: no such counter"));
        } else if !span.holds(count) {
            found.push(format!("metrics.{pattern}: {count}, not {span}"));
        }
    }
    found
}

fn rows<'a>(what: &str, wanted: &Rows, rows: impl Iterator<Item = (Acquirer, &'a Row)>) -> Vec<String> {
    let (mut count, mut executed, mut approved, mut processors) = (0, 0, 0, BTreeSet::new());
    for (who, row) in rows {
        count += 1;
        executed += u64::from(row.executed);
        approved += u64::from(row.approved);
        processors.insert(who);
    }
    let processors = u64::try_from(processors.len()).unwrap_or(u64::MAX);
    let all = [
        ("rows", &wanted.rows, count),
        ("executed", &wanted.executed, executed),
        ("approved", &wanted.approved, approved),
        ("processors", &wanted.processors, processors),
    ];
    let wrong = |(name, span, count): (&str, &Option<Span>, u64)| {
        let span = span.as_ref().filter(|span| !span.holds(count))?;
        Some(format!("{what}.{name}: {count}, not {span}"))
    };
    all.into_iter().filter_map(wrong).collect()
}

/// Whether a counter has the name and all the labels of a pattern: `name.label=value.label=value`, in any order.
pub fn matches(pattern: &str, counter: &str) -> bool {
    let (mut wanted, given) = (pattern.split('.'), counter.split('.').collect::<Vec<_>>());
    wanted.next() == given.first().copied() && wanted.all(|label| given.contains(&label))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn expect(text: &str) -> Expect {
        toml::from_str(text).unwrap()
    }

    fn seen(status: u16, headers: &[(&str, &str)], body: &str) -> Outcome {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        Outcome::Answer(Seen { status, headers, body: body.as_bytes().to_vec(), took: Duration::from_millis(20) })
    }

    #[test]
    fn each_expectation_is_met_or_named() {
        let body = r#"{"type":"urn:switchyard:problem:pin_missing","status":409,"more":{"a":1,"b":2}}"#;
        let came = seen(409, &[("content-type", "application/problem+json"), ("x-switchyard-attempts", "0")], body);
        let met = r#"
            status = [404, 409]
            problem = "pin_missing"
            took_ms = "..1000"
            body.more.a = 1
            [header]
            x-switchyard-attempts = "0"
            x-switchyard-processor = false
            content-type = true
        "#;
        assert_eq!(answer(&expect(met), &came, &Known::new(), 0), Vec::<String>::new());
        for wrong in [
            "status = 404",
            "problem = \"pin_ambiguous\"",
            "processor = \"acquirer-a\"",
            "header.x-cache = true",
            "header.content-type = false",
            "header.content-type = \"text/plain\"",
            "body.more.c = 1",
            "body.more.a = \"1\"",
            "text = \"x\"",
            "same_body_as = \"nobody\"",
            "took_ms = \"21..\"",
        ] {
            assert_eq!(answer(&expect(wrong), &came, &Known::new(), 0).len(), 1, "{wrong}");
        }
        assert_eq!(answer(&expect("status = 200"), &Outcome::Broken("reset".into()), &Known::new(), 0).len(), 1);
    }

    #[test]
    fn many_answers_are_counted() {
        let by = |who| seen(201, &[("x-switchyard-processor", who)], r#"{"id":"pay_1"}"#);
        let (a, b, c) = (by("acquirer-a"), by("acquirer-a"), by("acquirer-b"));
        let all = [&a, &b, &c];
        let met = "statuses.201 = 3\nprocessors.acquirer-a = \"1..2\"\ndistinct_processors = 2\ndistinct_payments = 1";
        assert_eq!(many(&expect(met), &all), Vec::<String>::new());
        for wrong in
            ["statuses.200 = 0", "statuses.201 = \"4..\"", "processors.acquirer-c = 1", "distinct_processors = 3"]
        {
            assert_eq!(many(&expect(wrong), &all).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn ledgers_arrivals_and_counters_are_counted() {
        let row = |key: Option<&str>, approved| Row {
            key: key.map(str::to_owned),
            payment_id: None,
            amount: None,
            currency: None,
            at: 0,
            executed: approved,
            approved,
        };
        let mut now = Standing::default();
        now.ledgers[0] = vec![row(Some("k"), true), row(Some("k"), false)];
        now.ledgers[1] = vec![row(None, true)];
        now.arrived[2].bins = 3;
        now.metrics = BTreeMap::from([("m.a=1.b=2".to_owned(), 4), ("m.a=2.b=2".to_owned(), 5), ("mm".to_owned(), 9)]);
        let check = |text: &str| standing(&toml::from_str(text).unwrap(), &now);
        for met in [
            "ledger.all = { rows = 3, approved = 2, processors = 2 }",
            "ledger.acquirer-a = { rows = 2, executed = 1 }",
            "key.k = { rows = 2, approved = \"..1\", processors = 1 }",
            "arrived.all.bins = 3\narrived.acquirer-a.bins = 0",
            "metrics = { m = 9, \"m.b=2\" = 9, \"m.b=2.a=1\" = 4, mm = \"9..\" }",
        ] {
            assert_eq!(check(met), Vec::<String>::new(), "{met}");
        }
        for wrong in ["ledger.all.rows = 2", "key.x.rows = 1", "arrived.all.bin = 3", "metrics.m = 1", "metrics.x = 0"]
        {
            assert_eq!(check(wrong).len(), 1, "{wrong}");
        }
    }
}
