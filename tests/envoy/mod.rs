//! The real Envoy with the real filter: what callers and processors see of it where data cannot say it (`tests/conformance/scenarios`
//! says the rest): networks, restarts, load, Redis, traps.
//!
//! Every suite here ends where money is: in the ledgers of the sample processors ([`assert_ledgers`]). Each test has a
//! stack of its own on free ports, so that all may run at once.

mod addressing;
mod breaker;
mod configuration;
mod failures;
mod follow_up;
mod lookups;
mod metrics;
mod outages;
mod refusals;
mod shadow;
mod trap;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use e2e::client::load::{self, Load, Report};
use e2e::client::{Answer, Client, Request};
use e2e::processor::{Mode, Row};
use e2e::stack::{Acquirer, ArtefactArgs, Edit, Plan, Stack, find_processor};
use serde_json::{Value, json};

/// A published test card that no rule of the shipped configuration names.
pub(crate) const ANY_CARD: &str = "4242424242424242";

/// The shipped configuration with what was built, on free ports.
pub(crate) fn plan() -> Plan {
    // Cargo built the sample processor for these tests; the cache-service lies beside it unless the environment says.
    let processor = Path::new(env!("CARGO_BIN_EXE_processor"));
    let programs = processor.parent().unwrap();
    let mut args = ArtefactArgs::from_env();
    args.processor_bin = Some(find_processor(args.processor_bin, programs).unwrap());
    Plan::new(args.find(programs).unwrap())
}

/// Starts the stack of `plan`.
pub(crate) async fn start(plan: Plan) -> Stack {
    Stack::start(plan).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A charge of 1200 EUR cents by `card`, of the usual shop, without a key.
pub(crate) fn charge_by(card: &str) -> Request {
    let body = json!({
        "amount": 1200, "currency": "EUR", "merchant": "shop", "reference": "order-1", "source": {"number": card},
    });
    shop(Request::post("/v1/payments")).json(&body)
}

/// A charge by a card that no rule names, without a key.
pub(crate) fn charge() -> Request {
    charge_by(ANY_CARD)
}

/// The same under an idempotency key.
pub(crate) fn keyed(key: impl AsRef<[u8]>) -> Request {
    charge().header("idempotency-key", key)
}

/// Makes `request` one of the usual shop, the tenant of every test that does not say otherwise.
pub(crate) fn shop(request: Request) -> Request {
    request.header("authorization", "Bearer shop")
}

/// A capture or refund (`what`) of `payment` by the usual shop.
pub(crate) fn follow_up(payment: &str, what: &str) -> Request {
    shop(Request::post(format!("/v1/payments/{payment}/{what}")))
}

/// Sends `request` through the proxy on a connection of its own, so that every worker gets its share.
pub(crate) async fn send(stack: &Stack, request: Request) -> Answer {
    Client::new().send(stack.proxy(), request).await.unwrap()
}

/// Which processor answered, by the proxy's word.
pub(crate) fn by(answer: &Answer) -> Option<Acquirer> {
    Acquirer::named(answer.header("x-switchyard-processor")?)
}

/// The id of the payment in an answer.
pub(crate) fn id(answer: &Answer) -> String {
    let body: Value = answer.json().unwrap();
    body["id"].as_str().unwrap_or_else(|| panic!("no payment in {body}")).to_owned()
}

/// `acquirer-a pay_1` if the answer says that a payment succeeded: what [`assert_ledgers`] looks for. Fits as the label
/// of a load.
pub(crate) fn success(answer: &Answer) -> Option<String> {
    let body: Value = answer.json().ok()?;
    let who = answer.header("x-switchyard-processor").unwrap_or("nobody");
    (body["status"] == "succeeded").then(|| format!("{who} {}", body["id"].as_str().unwrap_or("-")))
}

/// How many of `successes` each processor has.
pub(crate) fn spread<'a>(successes: impl IntoIterator<Item = &'a String>) -> [usize; 3] {
    let mut counts = [0; 3];
    for success in successes {
        let who = success.split(' ').next().and_then(Acquirer::named);
        counts[who.unwrap_or_else(|| panic!("who is {success}?")) as usize] += 1;
    }
    counts
}

/// Asserts that this is the problem+json of `code`, and nothing of a processor.
#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: u16, code: &str) {
    let body: Value = answer.json().unwrap_or_default();
    let seen = (answer.status, answer.header("content-type"), body["type"].as_str());
    let expected = format!("urn:switchyard:problem:{code}");
    assert_eq!(seen, (status, Some("application/problem+json"), Some(&*expected)), "{}", answer.text());
}

/// Tells every processor how to behave.
pub(crate) async fn set_all(stack: &Stack, mode: Mode) {
    for acquirer in Acquirer::ALL {
        stack.processor(acquirer).set(mode.clone()).await.unwrap();
    }
}

/// Every charge that arrived at any processor.
pub(crate) async fn ledgers(stack: &Stack) -> [Vec<Row>; 3] {
    let [a, b, c] = Acquirer::ALL.map(|acquirer| stack.processor(acquirer).ledger());
    [a.await.unwrap(), b.await.unwrap(), c.await.unwrap()]
}

/// Reads the ledgers, asserts the law and returns them: at most one approved execution per key over all processors, and
/// each of `successes` is one approved execution at the processor it names and nowhere else.
pub(crate) async fn assert_ledgers<'a>(
    stack: &Stack,
    successes: impl IntoIterator<Item = &'a String>,
) -> [Vec<Row>; 3] {
    let ledgers = ledgers(stack).await;
    let mut by_key = BTreeMap::<&str, u32>::new();
    let mut by_payment = BTreeMap::<&str, Vec<&str>>::new();
    for (acquirer, rows) in Acquirer::ALL.into_iter().zip(&ledgers) {
        for row in rows.iter().filter(|row| row.approved) {
            if let Some(key) = &row.key {
                *by_key.entry(key).or_default() += 1;
            }
            let payment = row.payment_id.as_deref().unwrap();
            by_payment.entry(payment).or_default().push(acquirer.name());
        }
    }
    by_key.retain(|_, times| *times > 1);
    assert!(by_key.is_empty(), "charged more than once: {by_key:?}");
    // The same answer may have been given more than once: a replay.
    for success in successes.into_iter().collect::<BTreeSet<_>>() {
        let (who, payment) = success.split_once(' ').unwrap();
        let at = by_payment.get(payment);
        assert_eq!(at, Some(&vec![who]), "{success} is not what was executed");
    }
    ledgers
}

/// Sends `requests` requests over `in_flight` connections that are kept, so that each stays with its worker. All are
/// answered, and the labels of the report are the successes.
pub(crate) async fn load(
    stack: &Stack,
    requests: u64,
    in_flight: usize,
    request: impl Fn(u64) -> Request + Send + Sync + 'static,
) -> Report {
    let client = Client::with_idle_connections(in_flight);
    let load = Load { requests, within: Duration::from_secs(60), in_flight };
    let report = load::run(&client, stack.proxy(), load, request, success).await.unwrap();
    assert!(report.errors.is_empty() && report.answered() == requests, "{:?}, {:?}", report.statuses, report.errors);
    report
}

/// The sum of Envoy's counters and gauges whose name matches the regular expression.
pub(crate) async fn stat(stack: &Stack, name: &str) -> u64 {
    stack.stats(name).await.unwrap().values().sum()
}

/// The shipped route with a time-out that a test can wait for.
pub(crate) fn short_timeout(timeout: &str) -> Edit {
    let route = |timeout: &str| format!("cluster_header: x-switchyard-cluster\n                  timeout: {timeout}\n");
    Edit::new(route("10s"), route(timeout))
}
