//! A cache-service that mostly keeps its word, and sometimes answers anything.

use std::collections::BTreeMap;

use decision::exchange::Headers;
use decision::lookup::{Answer, Question};

use crate::bytes::Bytes;
use crate::text::Lines;

/// What it holds, by path.
#[derive(Default)]
pub(super) struct Cache {
    /// Pins and claims; an empty holder is an ambiguous pin.
    records: BTreeMap<String, String>,
    /// Look-ups.
    values: BTreeMap<String, (Lines, Vec<u8>)>,
}

/// An answer before it is read.
type Raw = (Option<u16>, Lines, Vec<u8>);

impl Cache {
    /// What the question is answered, as the filter reads it.
    pub(super) fn answer(&mut self, question: &Question, bytes: &mut Bytes<'_>) -> Answer {
        let (status, headers, body) = if bytes.once_in(8) { anything(bytes) } else { self.honest(question) };
        question.read(status, Headers::new(&headers), &body)
    }

    fn honest(&mut self, question: &Question) -> Raw {
        let asked = question.request();
        let record = |holder: &str| format!(r#"{{"processor":"{holder}"}}"#).into_bytes();
        let bare = |status| (Some(status), Lines::new(), Vec::new());
        match question {
            Question::Lookup { .. } => match self.values.get(&asked.path) {
                Some((headers, body)) => (Some(200), headers.clone(), body.clone()),
                None => (Some(404), vec![(b"switchyard-fence".to_vec(), b"m0.1".to_vec())], Vec::new()),
            },
            Question::Fill { .. } => {
                let lines = asked.headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.clone().into()));
                self.values.insert(asked.path, (lines.collect(), asked.body));
                bare(204)
            }
            Question::Invalidate { .. } => {
                self.values.clear();
                bare(204)
            }
            Question::Pin { .. } => match self.records.get(&asked.path).map(String::as_str) {
                None => bare(404),
                Some("") => bare(409),
                Some(holder) => (Some(200), Lines::new(), record(holder)),
            },
            Question::StorePin { processor, .. } => {
                let held = self.records.entry(asked.path).or_insert_with(|| processor.clone());
                if held != processor {
                    held.clear();
                    return bare(409);
                }
                bare(201)
            }
            Question::Claim { processor, .. } => match self.records.get(&asked.path) {
                Some(holder) => (Some(200), Lines::new(), record(holder)),
                None => {
                    self.records.insert(asked.path, processor.clone());
                    (Some(201), Lines::new(), record(processor))
                }
            },
        }
    }
}

const HEADERS: [(&str, &str); 12] = [
    ("switchyard-status", "200"),
    ("switchyard-status", "199"),
    ("switchyard-status", "65736"),
    ("switchyard-ttl-ms", "60000"),
    ("switchyard-ttl-ms", "18446744073709551615"),
    ("switchyard-ttl-ms", "4294967296"),
    ("switchyard-ttl-ms", "0"),
    ("switchyard-ttl-ms", "+5"),
    ("switchyard-processor", "a"),
    ("switchyard-processor", ""),
    ("switchyard-fence", "m0.2"),
    ("content-type", "application/json"),
];

const BODIES: [&str; 9] = [
    r#"{"processor":"a"}"#,
    r#"{"processor":"b"}"#,
    r#"{"processor":"p0"}"#,
    r#"{"processor":"acquirer-a"}"#,
    r#"{"processor":"gone"}"#,
    r#"{"processor":""}"#,
    r#"{"processor":"a","more":1}"#,
    r#"{"id":"pay_1","status":"succeeded"}"#,
    "",
];

fn anything(bytes: &mut Bytes<'_>) -> Raw {
    let status = *bytes.pick(&[
        None,
        Some(200),
        Some(201),
        Some(204),
        Some(299),
        Some(400),
        Some(404),
        Some(409),
        Some(412),
        Some(503),
        Some(0),
    ]);
    let mut headers = Lines::new();
    for _ in 0..bytes.below(4) {
        let (name, value) = *bytes.pick(&HEADERS);
        headers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    }
    let body = if bytes.once_in(4) { bytes.text().to_vec() } else { bytes.pick(&BODIES).as_bytes().to_vec() };
    (status, headers, body)
}
