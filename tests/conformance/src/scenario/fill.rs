//! What a text of a scenario may hold beside itself.
//!
//! `${paid.body.id}`, `${paid.header.location}`, `${paid.status}`: a part of the answer that a step called `paid` got;
//! `${paid.processor}` is short for the header `x-switchyard-processor`. Of a repeated request that is the last answer;
//! `${paid[2].body.id}` is of the third, `${paid[n].body.id}` of the one whose number this request has. `${n}`: which of a repeated request this is, from
//! 0. `${x*300}`: the text `x` three hundred times. `\xff`: this byte, in headers.

use std::collections::BTreeMap;

use super::host::Seen;

/// The answers that have a name.
pub type Known = BTreeMap<String, Seen>;

/// `text` with every `${...}` filled in.
pub fn fill(text: &str, known: &Known, n: u64) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inner, after) = after.split_once('}').ok_or(format!("{text:?} opens ${{ and does not close it"))?;
        filled.push_str(before);
        filled.push_str(&part(inner, known, n)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// `text` filled in, with every `\xNN` read as the byte it stands for.
pub fn fill_bytes(text: &str, known: &Known, n: u64) -> Result<Vec<u8>, String> {
    let filled = fill(text, known, n)?;
    let mut bytes = Vec::new();
    let mut rest = filled.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = rest.strip_prefix(b"\\x").and_then(|tail| {
            let (digits, tail) = tail.split_at_checked(2)?;
            Some((u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, tail))
        });
        let (byte, tail) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = tail;
    }
    Ok(bytes)
}

/// `json` with every text in it filled in.
pub fn fill_json(json: &serde_json::Value, known: &Known, n: u64) -> Result<serde_json::Value, String> {
    use serde_json::Value;
    Ok(match json {
        Value::String(text) => Value::String(fill(text, known, n)?),
        Value::Array(all) => Value::Array(all.iter().map(|one| fill_json(one, known, n)).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| Ok((name.clone(), fill_json(value, known, n)?));
            Value::Object(fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

fn part(inner: &str, known: &Known, n: u64) -> Result<String, String> {
    if inner == "n" {
        return Ok(n.to_string());
    }
    if let Some((text, times)) = inner.rsplit_once('*') {
        let times = times.parse::<usize>().map_err(|_| format!("${{{inner}}}: {times} is no number of times"))?;
        return Ok(text.repeat(times));
    }
    let inner = inner.replace("[n]", &format!("[{n}]"));
    let (name, path) = inner.split_once('.').ok_or(format!("${{{inner}}} names no part of an answer"))?;
    let seen = known.get(name).ok_or(format!("${{{inner}}}: no step before this one is called {name}"))?;
    let missing = || format!("${{{inner}}} is not in the answer: status {} {}", seen.status, seen.text());
    match path.split_once('.') {
        None if path == "status" => Ok(seen.status.to_string()),
        None if path == "processor" => seen.header("x-switchyard-processor").map(str::to_owned).ok_or_else(missing),
        Some(("header", header)) => seen.header(header).map(str::to_owned).ok_or_else(missing),
        Some(("body", field)) => {
            let body = seen.json().ok_or_else(missing)?;
            match body.pointer(&format!("/{}", field.replace('.', "/"))).ok_or_else(missing)? {
                serde_json::Value::String(text) => Ok(text.clone()),
                other => Ok(other.to_string()),
            }
        }
        _ => Err(format!("${{{inner}}}: an answer has status, processor, header.NAME and body.FIELD")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn parts_of_answers_numbers_and_repetitions_are_filled_in() {
        let headers = vec![("x-switchyard-processor".to_owned(), b"acquirer-a".to_vec())];
        let body = br#"{"id":"pay_1","source":{"n":7}}"#.to_vec();
        let seen = Seen { status: 201, headers, body, took: Duration::ZERO };
        let known = Known::from([("paid".to_owned(), seen)]);
        let filled = fill("${paid.body.id}/${paid.body.source.n} ${paid.processor} ${n} ${ab*2}$", &known, 3);
        assert_eq!(filled.as_deref(), Ok("pay_1/7 acquirer-a 3 abab$"));
        assert_eq!(fill_bytes(r"a\xff\x0g", &known, 0).as_deref(), Ok(&b"a\xff\\x0g"[..]));
        for wrong in ["${paid", "${nobody.status}", "${paid.body.no}", "${paid.trailer.x}", "${x*y}"] {
            assert!(fill(wrong, &known, 0).is_err(), "{wrong}");
        }
    }
}
