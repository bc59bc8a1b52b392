//! From a file to a [`Scenario`]: every error names the file and the place in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::raw::{self, Expect};
use super::script::{Action, Body, Pace, Scenario, Send, Step};
use crate::stage::cache::Condition;
use e2e::stack::{Acquirer, Edit, repository};

/// The usual shop, the tenant of every request that does not say otherwise.
const SHOP: &str = "Bearer shop";
/// A published test card that no rule of the shipped configuration names.
const ANY_CARD: &str = "4242424242424242";

/// Why a file is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A field is unknown, missing or not what it must be.
    #[error("tests/conformance/scenarios/{name}.toml: {error}")]
    Toml {
        /// Which.
        name: String,
        /// Where, and why.
        error: Box<toml::de::Error>,
    },
    /// A step does not make sense.
    #[error("tests/conformance/scenarios/{name}.toml: {place}: {why}")]
    Step {
        /// Which.
        name: String,
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
}

/// Every scenario of the repository, in the order of their names.
pub fn all() -> Result<Vec<Scenario>, LoadError> {
    let root = repository().join("tests/conformance/scenarios");
    let mut paths = Vec::new();
    let read = |path: &Path| {
        let failed = |error| LoadError::Read { path: path.to_owned(), error };
        let entries = std::fs::read_dir(path).map_err(failed)?;
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)
    };
    for area in read(&root)? {
        if area.is_dir() {
            paths.extend(read(&area)?);
        }
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let load = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).map_err(|error| LoadError::Read { path: path.clone(), error })?;
        let name = path.strip_prefix(&root).unwrap_or(&path).with_extension("");
        parse(&name.display().to_string(), &text)
    };
    paths.into_iter().map(load).collect()
}

/// Reads one scenario.
pub fn parse(name: &str, text: &str) -> Result<Scenario, LoadError> {
    let file: raw::File =
        toml::from_str(text).map_err(|error| LoadError::Toml { name: name.to_owned(), error: Box::new(error) })?;
    let wrong = |(place, why)| LoadError::Step { name: name.to_owned(), place, why };
    let steps = file.step.into_iter().enumerate().map(|(n, raw)| step(&format!("step {}", n + 1), raw));
    Ok(Scenario {
        name: name.to_owned(),
        about: file.about,
        envoy_only: file.envoy_only,
        filter: file.filter,
        workers: file.workers.unwrap_or(2),
        edits: file.edit.into_iter().map(|edit| Edit::new(edit.old, edit.new)).collect(),
        aliases: file.alias,
        steps: steps.collect::<Result<_, _>>().map_err(wrong)?,
        end: file.end,
    })
}

type Wrong = (String, String);

fn step(place: &str, raw: raw::Step) -> Result<Step, Wrong> {
    let wrong = |why: &str| (place.to_owned(), why.to_owned());
    let kinds = [
        raw.request.is_some(),
        raw.charge.is_some(),
        raw.capture.is_some(),
        raw.refund.is_some(),
        raw.status.is_some(),
        raw.bin.is_some(),
        raw.control.is_some(),
        raw.clear_ledger.is_some(),
        raw.cache.is_some(),
        raw.wait_ms.is_some(),
        raw.check.is_some(),
        raw.together.is_some(),
    ];
    if kinds.into_iter().filter(|given| *given).count() != 1 {
        return Err(wrong(
            "say exactly one of request, charge, capture, refund, status, bin, control, clear_ledger, cache, wait_ms, \
             check, together",
        ));
    }
    let action = if let Some(control) = raw.control {
        let mut all = Vec::new();
        for (who, control) in control {
            let control = control.check().map_err(|error| wrong(&error.to_string()))?;
            all.extend(acquirers(&who).map_err(|why| wrong(&why))?.into_iter().map(|who| (who, control.clone())));
        }
        Action::Control(all)
    } else if let Some(who) = raw.clear_ledger {
        Action::ClearLedger(acquirers(&who).map_err(|why| wrong(&why))?)
    } else if let Some(word) = raw.cache {
        Action::Cache(match word.as_str() {
            "start" => Condition::Up,
            "stop" => Condition::Stopped,
            "freeze" => Condition::Frozen,
            _ => return Err(wrong("cache is \"stop\", \"freeze\" or \"start\"")),
        })
    } else if let Some(ms) = raw.wait_ms {
        Action::Wait(Duration::from_millis(ms))
    } else if let Some(check) = raw.check {
        Action::Check(Box::new(check), raw.within_ms.map(Duration::from_millis))
    } else if let Some(members) = raw.together {
        let member = |(n, raw): (usize, raw::Step)| {
            let at = Duration::from_millis(raw.at_ms.unwrap_or(0));
            let step = step(&format!("{place}.{}", n + 1), raw)?;
            match &step.action {
                Action::Control(_) | Action::Cache(_) => Ok((at, step)),
                Action::Send(send) if send.repeat == 1 && send.within.is_none() => Ok((at, step)),
                _ => Err((step.place, "together holds single requests, controls and cache".to_owned())),
            }
        };
        Action::Together(members.into_iter().enumerate().map(member).collect::<Result<_, _>>()?)
    } else {
        Action::Send(Box::new(send(raw).map_err(|why| wrong(&why))?))
    };
    Ok(Step { place: place.to_owned(), action })
}

fn acquirers(who: &str) -> Result<Vec<Acquirer>, String> {
    if who == "all" {
        return Ok(Acquirer::ALL.to_vec());
    }
    Acquirer::named(who).map(|one| vec![one]).ok_or(format!("{who} is no processor: acquirer-a, -b, -c or all"))
}

fn send(raw: raw::Step) -> Result<Send, String> {
    let given = [raw.json.is_some(), raw.text.is_some(), raw.hex.is_some(), raw.charge.is_some()];
    if given.into_iter().filter(|given| *given).count() > 1 {
        return Err("say at most one of charge, json, text, hex".to_owned());
    }
    let mut headers = vec![("authorization", SHOP.to_owned())];
    let follow_up = |id: &str, what: &str| ("POST".to_owned(), format!("/v1/payments/{id}/{what}"));
    let (method, path) = if let Some(line) = &raw.request {
        let (method, path) = line.split_once(' ').ok_or("request is a method and a path: \"GET /v1/bins/1\"")?;
        (method.to_owned(), path.to_owned())
    } else if let Some(id) = &raw.capture {
        follow_up(id, "capture")
    } else if let Some(id) = &raw.refund {
        follow_up(id, "refund")
    } else if let Some(id) = &raw.status {
        ("GET".to_owned(), format!("/v1/payments/{id}"))
    } else if let Some(bin) = &raw.bin {
        ("GET".to_owned(), format!("/v1/bins/{bin}"))
    } else {
        ("POST".to_owned(), "/v1/payments".to_owned())
    };
    let body = if let Some(charge) = &raw.charge {
        let form = charge.form;
        headers.push((
            "content-type",
            if form { "application/x-www-form-urlencoded" } else { "application/json" }.to_owned(),
        ));
        if form { Body::Text(form_of(charge)) } else { Body::Json(json_of(charge)) }
    } else if let Some(json) = raw.json {
        headers.push(("content-type", "application/json".to_owned()));
        Body::Json(serde_json::to_value(json).map_err(|error| error.to_string())?)
    } else if let Some(text) = raw.text {
        Body::Text(text)
    } else if let Some(hex) = raw.hex {
        let byte = |n: usize| hex.get(n..n + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        Body::Bytes((0..hex.len()).step_by(2).map(byte).collect::<Option<_>>().ok_or("hex is pairs of hex digits")?)
    } else {
        Body::Empty
    };
    headers.extend(raw.key.map(|key| ("idempotency-key", key)));
    // What is said of a header takes the place of what would stand there.
    headers.retain(|(name, _)| !raw.header.contains_key(*name) && !raw.without.iter().any(|gone| gone == name));
    let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (name, values) in raw.header {
        headers.extend(values.0.into_iter().map(|value| (name.clone(), value)));
    }
    let expect = raw.expect.unwrap_or_default();
    checked(&expect, raw.leave_ms, raw.repeat)?;
    Ok(Send {
        name: raw.name,
        method,
        path,
        headers,
        body,
        pace: Pace {
            chunk_bytes: raw.chunk_bytes,
            pause: Duration::from_millis(raw.pause_ms.unwrap_or(0)),
            unfinished: raw.unfinished,
        },
        leave: raw.leave_ms.map(Duration::from_millis),
        connection: raw.connection,
        repeat: raw.repeat.unwrap_or(1),
        in_flight: raw.in_flight.unwrap_or(1),
        within: raw.within_ms.map(Duration::from_millis),
        expect,
    })
}

/// No request may pass unread: each says which status it must get, or that its client leaves.
fn checked(expect: &Expect, leave_ms: Option<u64>, repeat: Option<u64>) -> Result<(), String> {
    let said = expect.status.is_some() || !expect.statuses.is_empty();
    match (said, leave_ms) {
        (true, Some(_)) => return Err("a client that leaves gets no answer to expect anything of".to_owned()),
        (false, None) => return Err("expect.status is missing".to_owned()),
        _ => {}
    }
    let of_many = !expect.statuses.is_empty()
        || !expect.processors.is_empty()
        || expect.distinct_processors.is_some()
        || expect.distinct_payments.is_some();
    if of_many && repeat.is_none() {
        return Err("statuses, processors and distinct_* are counted over a repeat".to_owned());
    }
    Ok(())
}

fn json_of(charge: &raw::Charge) -> serde_json::Value {
    serde_json::json!({
        "amount": charge.amount.unwrap_or(1200),
        "currency": charge.currency.as_deref().unwrap_or("EUR"),
        "merchant": charge.merchant.as_deref().unwrap_or("shop"),
        "reference": charge.reference.as_deref().unwrap_or("order-1"),
        "source": { "number": charge.card.as_deref().unwrap_or(ANY_CARD) },
    })
}

fn form_of(charge: &raw::Charge) -> String {
    let amount = charge.amount.unwrap_or(1200).to_string();
    form_urlencoded::Serializer::new(String::new())
        .append_pair("amount", &amount)
        .append_pair("currency", charge.currency.as_deref().unwrap_or("EUR"))
        .append_pair("merchant", charge.merchant.as_deref().unwrap_or("shop"))
        .append_pair("reference", charge.reference.as_deref().unwrap_or("order-1"))
        .append_pair("source[number]", charge.card.as_deref().unwrap_or(ANY_CARD))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse("area/name", text).unwrap_err().to_string()
    }

    #[test]
    fn shorthands_are_spelt_out() {
        let text = r#"
            about = "x"
            [[step]]
            charge = { amount = 5 }
            key = "k"
            header.x-note = ['\xff', "b"]
            without = ["authorization"]
            expect.status = 201
            [[step]]
            capture = "${paid.body.id}"
            repeat = 12
            expect = { status = [200, 409], processors = { acquirer-a = "2..", acquirer-b = "..3" } }
        "#;
        let scenario = parse("area/name", text).unwrap();
        let [Step { action: Action::Send(charge), .. }, Step { action: Action::Send(capture), .. }] =
            &scenario.steps[..]
        else {
            panic!("{scenario:?}")
        };
        let lines =
            [("content-type", "application/json"), ("idempotency-key", "k"), ("x-note", "\\xff"), ("x-note", "b")];
        assert_eq!(charge.headers, lines.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let Body::Json(body) = &charge.body else { panic!("{charge:?}") };
        assert_eq!((&body["amount"], &body["currency"]), (&5.into(), &"EUR".into()));
        assert_eq!((capture.path.as_str(), capture.repeat), ("/v1/payments/${paid.body.id}/capture", 12));
        assert!(capture.expect.processors["acquirer-a"].holds(2) && !capture.expect.processors["acquirer-b"].holds(4));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file_and_place() {
        for (text, why) in [
            ("abut = \"x\"\nstep = []", "unknown field `abut`"),
            ("about = \"x\"\nfilter = \"trp\"\nstep = []", "unknown variant `trp`"),
            ("about = \"x\"\n[[step]]\ncache = \"melt\"", "cache is \"stop\", \"freeze\" or \"start\""),
            ("about = \"x\"\n[[step]]\ntogether = [{ wait_ms = 1 }]", "step 1.1: together holds single requests"),
            ("about = \"x\"\n[[step]]\nchrge = {}", "unknown field `chrge`"),
            ("about = \"x\"\n[[step]]\ncharge = {}\nexpect.stats = 1", "unknown field `stats`"),
            ("about = \"x\"\n[[step]]\ncharge = {}\nexpect.status = 99", "99 is no status"),
            ("about = \"x\"\n[[step]]\ncharge = {}", "step 1: expect.status is missing"),
            ("about = \"x\"\n[[step]]\ncontrol.all.mode = \"aprove\"", "aprove"),
            ("about = \"x\"\n[[step]]\ncontrol.acquirer-d.mode = \"approve\"", "acquirer-d is no processor"),
            ("about = \"x\"\n[[step]]\nwait_ms = 1\n[[step]]\nwait_ms = 1\nbin = \"1\"", "step 2: say exactly one of"),
            ("about = \"x\"\n[[step]]\nbin = \"1\"\nexpect = { status = 200, distinct_payments = 1 }", "over a repeat"),
            ("about = \"x\"\n[[step]]\ncheck.metrics.a = \"1-2\"", "is no count"),
        ] {
            let refusal = refusal(text);
            assert!(
                refusal.starts_with("tests/conformance/scenarios/area/name.toml: ") && refusal.contains(why),
                "{refusal}"
            );
        }
    }
}
