//! Two observations of one scenario beside each other, field by field.
//!
//! What may differ rightly is taken out here, each rule with its reason, and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::host::{Outcome, Seen};
use super::play::{Answered, Observation};
use e2e::processor::{Counts, Row};
use e2e::stack::Acquirer;

/// Headers that are not compared.
const APART: [&str; 6] = [
    // The clock's and the proxy's own name.
    "date",
    "server",
    // Framing: whether a length is known when the head leaves depends on how the bytes arrived.
    "content-length",
    "transfer-encoding",
    // Of the connection, not of the answer.
    "connection",
    // Drawn anew for each request.
    "x-request-id",
];
/// How much later than the world Envoy may answer: the machine is busy, and virtual time is not.
const LATER: Duration = Duration::from_millis(400);
/// How much sooner. Whoever does not wait for a time-out that the other waits for shows here.
const SOONER: Duration = Duration::from_millis(50);
/// What the place of a difference in time ends with.
const TOOK: &str = ": took";
/// Characters that are shown of a text that differs, and how many of those before the difference.
const SHOWN: usize = 400;
const SHOWN_BEFORE: usize = 120;

/// One field in which two observations are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: `step 3 (paid): status`.
    pub place: String,
    /// What the world said.
    pub world: String,
    /// What Envoy said.
    pub envoy: String,
}

impl Difference {
    /// Whether it is about when, not about what.
    pub(super) fn is_of_time(&self) -> bool {
        self.place.ends_with(TOOK)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of long texts what stands around the first difference is enough.
        let same = self.world.chars().zip(self.envoy.chars()).take_while(|(ours, theirs)| ours == theirs).count();
        let from = same.saturating_sub(SHOWN_BEFORE);
        let shown = |text: &str| {
            let part: String = text.chars().skip(from).take(SHOWN).collect();
            let cut = |cut| if cut { "..." } else { "" };
            format!("{}{part}{}", cut(from > 0), cut(text.chars().count() > from + SHOWN))
        };
        write!(f, "{}\n    world: {}\n    envoy: {}", self.place, shown(&self.world), shown(&self.envoy))
    }
}

/// Every difference between what was seen in the world and at Envoy.
pub fn compare(world: &Observation, envoy: &Observation) -> Vec<Difference> {
    let mut fields = (fields(world), fields(envoy));
    let mut found = Vec::new();
    // Times are compared with slack, so apart from the texts.
    for (ours, theirs) in world.answers.iter().zip(&envoy.answers) {
        if let ([Outcome::Answer(ours_seen)], [Outcome::Answer(theirs_seen)]) =
            (&ours.outcomes[..], &theirs.outcomes[..])
            && ours.send.within.is_none()
            && (theirs_seen.took > ours_seen.took + LATER || theirs_seen.took + SOONER < ours_seen.took)
        {
            let text = |seen: &Seen| format!("{:?}", seen.took);
            found.push(Difference {
                place: format!("{}{TOOK}", ours.place),
                world: text(ours_seen),
                envoy: text(theirs_seen),
            });
        }
    }
    let mut differ = |place: String, world: Option<String>, envoy: Option<String>| {
        if world != envoy {
            let text = |side: Option<String>| side.unwrap_or("(nothing)".to_owned());
            found.push(Difference { place, world: text(world), envoy: text(envoy) });
        }
    };
    for (place, world) in std::mem::take(&mut fields.0) {
        let envoy = fields.1.remove(&place);
        differ(place, Some(world), envoy);
    }
    for (place, envoy) in fields.1 {
        differ(place, None, Some(envoy));
    }
    found
}

/// An observation as named texts, with what may differ taken out.
fn fields(seen: &Observation) -> BTreeMap<String, String> {
    let names = Names::of(seen);
    let mut fields = BTreeMap::new();
    for answered in &seen.answers {
        match &answered.outcomes[..] {
            [outcome] => of_answer(answered, outcome, &names, &mut fields),
            many => of_many(answered, many, &names, &mut fields),
        }
    }
    let rows: Vec<_> = Acquirer::ALL.into_iter().zip(&seen.end.ledgers).collect();
    let mut all: Vec<String> =
        rows.iter().flat_map(|(who, rows)| rows.iter().map(|row| names.row(*who, row))).collect();
    all.sort();
    fields.insert("end: ledgers".to_owned(), format!("{} rows: {}", all.len(), tally(&all)));
    // How often something was tried until it was so depends on the machine, and each try counts.
    if seen.answers.iter().any(|answered| answered.send.within.is_some()) {
        return fields;
    }
    // Who took it may be drawn; that it arrived once may not.
    let sum = |of: fn(&Counts) -> u64| seen.end.arrived.iter().map(of).sum::<u64>();
    for (route, count) in [
        ("charges", sum(|counts| counts.charges)),
        ("payments", sum(|counts| counts.payments)),
        ("captures", sum(|counts| counts.captures)),
        ("refunds", sum(|counts| counts.refunds)),
        ("bins", sum(|counts| counts.bins)),
    ] {
        // Which of several workers has a look-up itself is drawn, too.
        if seen.workers == 1 || !["payments", "bins"].contains(&route) {
            fields.insert(format!("end: arrived {route}"), count.to_string());
        }
    }
    // By processor where one failed is a matter of whom it met; the sum over processors is not.
    let mut metrics = BTreeMap::<String, u64>::new();
    for (name, value) in seen.end.metrics.iter().filter(|(_, value)| **value > 0) {
        let labels = name.split('.').filter(|label| !label.starts_with("processor="));
        let mut name = labels.collect::<Vec<_>>().join(".");
        // Which of several workers a connection meets is drawn, and so is whether that one has the value itself.
        if seen.workers > 1
            && matches!(name.strip_prefix("switchyard_lookups_total.result="), Some("hit_local" | "hit_service"))
        {
            name = "switchyard_lookups_total.result=hit_*".to_owned();
        }
        *metrics.entry(name).or_default() += value;
    }
    fields.extend(metrics.into_iter().map(|(name, value)| (format!("end: metric {name}"), value.to_string())));
    fields
}

fn of_answer(answered: &Answered, outcome: &Outcome, names: &Names, fields: &mut BTreeMap<String, String>) {
    let mut field = |name: &str, text: String| fields.insert(format!("{}: {name}", answered.place), text);
    let seen = match outcome {
        Outcome::Answer(seen) => seen,
        Outcome::Left => return drop(field("outcome", "the client left".to_owned())),
        // How a connection ends is told in the words of whoever reads it.
        Outcome::Broken(_) => return drop(field("outcome", "no answer".to_owned())),
    };
    field("status", seen.status.to_string());
    let mut headers: Vec<_> = seen.headers.iter().filter(|(name, _)| !APART.contains(&name.as_str())).collect();
    headers.sort();
    for (name, value) in headers {
        // How long a breaker stays open is drawn.
        let drawn = name == "retry-after" && answered.details[..] == [Some("no_processor".to_owned())];
        let text = if drawn { "some time".to_owned() } else { names.tell(&String::from_utf8_lossy(value)) };
        field(&format!("header {name}"), text);
    }
    field("body", names.tell(&String::from_utf8_lossy(&seen.body)));
    if let [Some(details)] = &answered.details[..] {
        field("details", details.clone());
    }
}

/// Of many alike requests only how many met what: which of them did is a matter of their order.
fn of_many(answered: &Answered, many: &[Outcome], names: &Names, fields: &mut BTreeMap<String, String>) {
    // Where the file grants a span, both sides were held to it already.
    if answered.send.expect.statuses.values().any(|span| !span.is_exact()) {
        return;
    }
    let text = |outcome: &Outcome| match outcome {
        Outcome::Answer(seen) => {
            let kind = seen.json().and_then(|body| body["type"].as_str().map(str::to_owned));
            format!("{} {}", seen.status, names.tell(&kind.unwrap_or_default()))
        }
        Outcome::Left => "left".to_owned(),
        Outcome::Broken(_) => "no answer".to_owned(),
    };
    let mut all: Vec<String> = many.iter().map(text).collect();
    all.sort();
    fields.insert(format!("{}: answers", answered.place), tally(&all));
}

/// How often each text comes, for texts in order.
fn tally(all: &[String]) -> String {
    let mut counts = BTreeMap::<&str, u32>::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts.into_iter().map(|(text, times)| format!("{times} x {text}")).collect::<Vec<_>>().join("; ")
}

/// What stands for the names that differ from run to run.
struct Names {
    /// Payments, by the order they were first spoken of: their ids are drawn.
    payments: BTreeMap<String, usize>,
}

impl Names {
    fn of(seen: &Observation) -> Self {
        let mut payments = BTreeMap::new();
        for outcome in seen.answers.iter().flat_map(|answered| &answered.outcomes) {
            let id = match outcome {
                Outcome::Answer(seen) => seen.json().and_then(|body| body["id"].as_str().map(str::to_owned)),
                _ => None,
            };
            let next = payments.len() + 1;
            if let Some(id) = id.filter(|id| !id.is_empty()) {
                payments.entry(id).or_insert(next);
            }
        }
        Self { payments }
    }

    /// A text with every payment by its number, and no processor's name: a worker's turns begin where its seed says.
    fn tell(&self, text: &str) -> String {
        let mut told = String::with_capacity(text.len());
        // Word by word: thousands of payments in thousands of texts would be tried one against the other.
        let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            let end = rest[word..].find(in_word).map_or(rest.len(), |gap| word + gap);
            match self.payments.get(&rest[..word]) {
                Some(n) => told.push_str(&format!("payment {n}")),
                None => told.push_str(&rest[..word]),
            }
            told.push_str(&rest[word..end]);
            rest = &rest[end..];
        }
        Acquirer::ALL.into_iter().fold(told, |told, who| told.replace(who.name(), "a processor"))
    }

    /// A row without its time. A key's processor is a matter of its hash alone, so that is told.
    fn row(&self, who: Acquirer, row: &Row) -> String {
        let key = row.key.as_ref().map_or("no key".to_owned(), |key| format!("key {key} at {}", who.name()));
        let said = (row.amount, row.currency.as_deref(), row.executed, row.approved);
        format!("{key} {said:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::check::Standing;
    use crate::scenario::load::parse;
    use crate::scenario::script::Action;

    fn observed(status: u16, id: &str, by: &str, took: u64) -> Observation {
        let text = "about = \"x\"\n[[step]]\ncharge = {}\nname = \"paid\"\nexpect.status = 201";
        let step = parse("a/b", text).unwrap().steps.remove(0);
        let Action::Send(send) = step.action else { panic!("{step:?}") };
        let headers = [("date", id), ("x-switchyard-processor", by), ("x-switchyard-attempts", "1")];
        let seen = Seen {
            status,
            headers: headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec(),
            body: format!(r#"{{"id":"{id}"}}"#).into_bytes(),
            took: Duration::from_millis(took),
        };
        let answered = Answered {
            place: "step 1 (paid)".to_owned(),
            send,
            outcomes: vec![Outcome::Answer(seen)],
            details: vec![Some("via_upstream".to_owned())],
        };
        Observation { workers: 1, answers: vec![answered], end: Standing::default() }
    }

    #[test]
    fn names_that_are_drawn_may_differ_and_nothing_else() {
        let world = observed(201, "pay_1", "acquirer-a", 10);
        assert_eq!(compare(&world, &observed(201, "pay_2", "acquirer-b", 300)), Vec::new());
        let found = compare(&world, &observed(504, "pay_2", "acquirer-b", 3_000));
        let places: Vec<_> = found.iter().map(|difference| difference.place.as_str()).collect();
        assert_eq!(places, ["step 1 (paid): took", "step 1 (paid): status"]);
        assert_eq!(found[1].to_string(), "step 1 (paid): status\n    world: 201\n    envoy: 504");
        let text = |end: &str| format!("{}{end}", "x".repeat(300));
        let long = Difference { place: "p".to_owned(), world: text("a"), envoy: text("b") };
        let shown = format!("...{}", "x".repeat(SHOWN_BEFORE));
        assert_eq!(long.to_string(), format!("p\n    world: {shown}a\n    envoy: {shown}b"));
        let mut more = world.clone();
        more.end.metrics.insert("switchyard_requests_total.processor=acquirer-a.kind=charge".to_owned(), 1);
        let found = compare(&more, &world);
        assert_eq!((found.len(), found[0].envoy.as_str()), (1, "(nothing)"));
    }
}
