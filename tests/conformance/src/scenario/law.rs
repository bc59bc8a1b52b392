//! The law that every scenario ends with, asked for or not: a key takes money once, and a success is where it says it is.

use std::collections::{BTreeMap, BTreeSet};

use e2e::processor::Row;
use e2e::stack::Acquirer;

use super::host::{Call, Outcome, Seen};

/// What the clients did and saw of money.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness {
    /// Who sent each idempotency key: two callers may spell two keys alike.
    callers: BTreeMap<String, BTreeSet<Vec<u8>>>,
    /// Payments that were said to have succeeded, each with who said so.
    successes: BTreeSet<(String, String)>,
    /// Names that an edit of the configuration leads to another's cluster.
    aliases: BTreeMap<String, String>,
}

impl Witness {
    /// One that has seen nothing yet.
    pub(super) fn new(aliases: BTreeMap<String, String>) -> Self {
        Self { aliases, ..Self::default() }
    }

    /// A request went out, and this came of it.
    pub(super) fn saw(&mut self, call: &Call, outcome: &Outcome) {
        let value = |name: &[u8]| call.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value);
        if let Some(key) = value(b"idempotency-key") {
            // A key may be sent in quotes; a processor sees it without.
            let key = String::from_utf8_lossy(key).trim_matches('"').to_owned();
            self.callers.entry(key).or_default().insert(value(b"authorization").cloned().unwrap_or_default());
        }
        if let Outcome::Answer(seen) = outcome {
            self.successes.extend(success(seen));
        }
    }

    /// What of the law the ledgers break.
    pub(super) fn judge(&self, ledgers: &[Vec<Row>; 3]) -> Vec<String> {
        let mut by_key = BTreeMap::<&str, Vec<&str>>::new();
        let mut by_payment = BTreeMap::<&str, Vec<&str>>::new();
        for (who, rows) in Acquirer::ALL.into_iter().zip(ledgers) {
            for row in rows.iter().filter(|row| row.approved) {
                if let Some(key) = &row.key {
                    by_key.entry(key).or_default().push(who.name());
                }
                by_payment.entry(row.payment_id.as_deref().unwrap_or_default()).or_default().push(who.name());
            }
        }
        let mut found = Vec::new();
        for (key, takers) in by_key {
            if takers.len() > self.callers.get(key).map_or(1, BTreeSet::len) {
                found.push(format!("the key {key} was charged more than once: {takers:?}"));
            }
        }
        for (who, payment) in &self.successes {
            let taker = self.aliases.get(who).unwrap_or(who);
            if by_payment.get(payment.as_str()) != Some(&vec![taker.as_str()]) {
                let at = by_payment.get(payment.as_str());
                found.push(format!("{who} is said to have taken {payment}; the ledgers have it at {at:?}"));
            }
        }
        found
    }
}

/// Processor and payment of an answer that says that the payment succeeded.
fn success(seen: &Seen) -> Option<(String, String)> {
    let body = seen.json()?;
    let who = seen.header("x-switchyard-processor").unwrap_or("nobody");
    (body["status"] == "succeeded").then(|| (who.to_owned(), body["id"].as_str().unwrap_or("-").to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::script::Pace;

    fn saw(witness: &mut Witness, caller: &str, key: &str, who: &str, payment: &str) {
        let header = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let call = Call {
            method: "POST".to_owned(),
            path: "/v1/payments".to_owned(),
            headers: vec![header("authorization", caller), header("idempotency-key", key)],
            body: None,
            pace: Pace::default(),
            leave: None,
            connection: None,
        };
        let headers = vec![("x-switchyard-processor".to_owned(), who.as_bytes().to_vec())];
        let body = serde_json::json!({"id": payment, "status": "succeeded"}).to_string().into_bytes();
        witness.saw(&call, &Outcome::Answer(Seen { status: 201, headers, body, took: Duration::ZERO }));
    }

    fn row(key: &str, payment: &str) -> Row {
        let (key, payment_id) = (Some(key.to_owned()), Some(payment.to_owned()));
        Row { key, payment_id, amount: None, currency: None, at: 0, executed: true, approved: true }
    }

    #[test]
    fn a_key_that_is_charged_twice_and_a_success_that_is_nowhere_are_found() {
        let mut witness = Witness::default();
        saw(&mut witness, "one", "\"k\"", "acquirer-a", "pay_1");
        assert_eq!(witness.judge(&[vec![row("k", "pay_1")], vec![], vec![]]), Vec::<String>::new());
        assert_eq!(witness.judge(&[vec![row("k", "pay_1")], vec![row("k", "pay_2")], vec![]]).len(), 1);
        assert_eq!(witness.judge(&[vec![], vec![row("k", "pay_1")], vec![]]).len(), 1, "at another processor");
        assert_eq!(witness.judge(&[vec![], vec![], vec![]]).len(), 1, "nowhere");
        // Another caller's key is another key.
        saw(&mut witness, "two", "k", "acquirer-b", "pay_2");
        assert_eq!(witness.judge(&[vec![row("k", "pay_1")], vec![row("k", "pay_2")], vec![]]), Vec::<String>::new());
    }
}
