//! Ten thousand virtual seconds of four workers under faults: nobody is charged twice, and the same seed is the same world.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use conformance::artefacts::find;
use conformance::scenario::proxy::from_envoy_yaml;
use conformance::stage::Stage;
use conformance::stage::cache::Condition;
use conformance::stage::processor::ProcessorModel;
use e2e::processor::{Control, Idempotency, Mode, Recorded};
use e2e::stack::{Acquirer, ArtefactArgs, render};
use fastrand::Rng;
use serde_json::Value;
use world::{Ending, Filter, Request, StreamId, World};

const LENGTH: Duration = Duration::from_secs(10_000);
const WORKERS: usize = 4;
const TOKEN: &str = "a-token-of-the-world";
/// Between two requests at the mean.
const GAP_MS: u64 = 500;
/// Between two changes of the weather.
const WEATHER: Duration = Duration::from_secs(40);
/// How often answers are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    lines: u64,
    digest: u64,
    statuses: BTreeMap<u16, u32>,
    approved: [usize; 3],
}

/// Clients, and what they know.
struct Clients {
    draws: Rng,
    /// Requests under way: who was asked for money says so.
    open: Vec<StreamId>,
    /// Payments that a client was told have succeeded, and who told so.
    successes: BTreeSet<(String, String)>,
    paid: Vec<String>,
    statuses: BTreeMap<u16, u32>,
    keys: u32,
}

impl Clients {
    fn request(&mut self) -> Request {
        let shop = ("authorization", "Bearer shop");
        let payment = (!self.paid.is_empty()).then(|| self.paid[self.draws.usize(..self.paid.len())].clone());
        match (self.draws.u8(..100), payment) {
            (0..60, _) | (_, None) => {
                // Every fifth key was used before, maybe by a charge that is still under way.
                let old = self.keys > 0 && self.draws.u8(..5) == 0;
                let number = if old { self.keys - self.draws.u32(..self.keys.min(20)) } else { self.keys + 1 };
                self.keys = self.keys.max(number);
                let (key, body) = (format!("key-{number}"), charge(number));
                let mut headers = vec![shop, ("content-type", "application/json")];
                if self.draws.u8(..4) > 0 {
                    headers.push(("idempotency-key", key.as_str()));
                }
                let request = Request::new("POST", "/v1/payments", &headers, body.as_bytes());
                if self.draws.u8(..50) == 0 {
                    return request.disconnect(Duration::from_millis(self.draws.u64(..200)));
                }
                request
            }
            (60..80, Some(id)) => Request::new("GET", &format!("/v1/payments/{id}"), &[shop], b""),
            (80..90, Some(id)) => Request::new("POST", &format!("/v1/payments/{id}/capture"), &[shop], b""),
            (_, Some(_)) => Request::new("GET", "/v1/bins/424242", &[shop], b""),
        }
    }

    fn look(&mut self, world: &World) {
        let ended = |id: &StreamId| world.answer(*id).ending != Ending::Open;
        for id in self.open.extract_if(.., |id| ended(id)) {
            let answer = world.answer(id);
            *self.statuses.entry(answer.status()).or_default() += 1;
            let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { continue };
            if body["status"] == "succeeded"
                && let (Some(id), Some(who)) = (body["id"].as_str(), answer.header("x-switchyard-processor"))
            {
                let who = String::from_utf8_lossy(who).into_owned();
                if self.successes.insert((who, id.to_owned())) {
                    self.paid.push(id.to_owned());
                }
            }
        }
    }
}

fn charge(number: u32) -> String {
    let card = "4242424242424242";
    serde_json::json!({
        "amount": 1200, "currency": "EUR", "merchant": "shop", "reference": format!("order-{number}"),
        "source": {"number": card},
    })
    .to_string()
}

/// How a processor behaves for a while.
fn weather(draws: &mut Rng) -> Control {
    let recorded = [Recorded::Yes, Recorded::No, Recorded::Random][draws.usize(..3)];
    let mode = match draws.u8(..12) {
        0 => Mode::Http(503),
        1 => Mode::Hang,
        2 => Mode::ResetBefore,
        3 => Mode::ResetAfter,
        4 => Mode::Refuse,
        5 => Mode::Technical("96".to_owned()),
        6 => Mode::Decline("51".to_owned()),
        _ => Mode::Approve,
    };
    let rate = [0.2, 0.5, 1.0][draws.usize(..3)];
    Control {
        mode,
        latency_ms: draws.u64(5..400),
        rate,
        recorded,
        seed: draws.u64(..),
        idempotency: Idempotency::Replay,
    }
}

fn run(filter: &Filter, yaml: &str, seed: u64) -> Summary {
    let mut draws = Rng::with_seed(seed);
    let text = render(yaml, &[], &[]).unwrap();
    let proxy = from_envoy_yaml(&text, &[("SWITCHYARD_CACHE_TOKEN", TOKEN)]).unwrap();
    let Stage { mut world, processors, cache } = Stage::start(filter.clone(), proxy, TOKEN, WORKERS, seed).unwrap();
    let mut clients = Clients {
        draws: draws.fork(),
        open: Vec::new(),
        successes: BTreeSet::new(),
        paid: Vec::new(),
        statuses: BTreeMap::new(),
        keys: 0,
    };
    let (mut next, mut change) = (Duration::ZERO, WEATHER);
    while world.now() < LENGTH {
        let until = world.now() + LOOK;
        while next < until {
            let worker = clients.draws.usize(..WORKERS);
            let request = clients.request();
            clients.open.push(world.send(worker, next, request));
            next += Duration::from_millis(clients.draws.u64(..2 * GAP_MS));
        }
        world.run_until(until);
        clients.look(&world);
        world.forget_ended();
        if world.now() >= change {
            change += WEATHER;
            for model in &processors {
                model.borrow_mut().set(weather(&mut draws)).unwrap();
            }
            let bad = draws.u8(..10) == 0;
            cache.borrow_mut().set(if bad { Condition::Stopped } else { Condition::Up });
        }
    }
    // What is under way may end.
    world.run_for(Duration::from_secs(60));
    clients.look(&world);
    assert!(clients.open.is_empty(), "{} requests never ended", clients.open.len());
    assert_eq!(world.fatal(), &[] as &[&str], "the real Envoy would have ended");
    judge(&processors, &clients);
    let (lines, digest) = world.digest();
    let approved = processors.each_ref().map(|model| {
        model.borrow().ledger().expect("the ledger holds them all").iter().filter(|row| row.approved).count()
    });
    Summary { lines, digest, statuses: clients.statuses, approved }
}

/// At most one approved execution of a key over all processors, and each success where it was said to be.
fn judge(models: &[Rc<RefCell<ProcessorModel>>; 3], clients: &Clients) {
    let (mut by_key, mut by_payment) = (BTreeMap::<String, u32>::new(), BTreeMap::<String, Vec<&str>>::new());
    for (who, model) in Acquirer::ALL.into_iter().zip(models) {
        for row in model.borrow().ledger().expect("the ledger holds them all").into_iter().filter(|row| row.approved) {
            by_payment.entry(row.payment_id.unwrap()).or_default().push(who.name());
            if let Some(key) = row.key {
                *by_key.entry(key).or_default() += 1;
            }
        }
    }
    by_key.retain(|_, times| *times > 1);
    assert!(by_key.is_empty(), "charged more than once: {by_key:?}");
    for (who, payment) in &clients.successes {
        assert_eq!(by_payment.get(payment), Some(&vec![who.as_str()]), "{payment} is not where it was said to be");
    }
}

#[test]
fn ten_thousand_seconds_of_four_workers_are_the_same_twice_and_charge_nobody_twice() {
    let artefacts = find(ArtefactArgs::from_env()).unwrap().artefacts;
    let filter = Filter::new(&std::fs::read(&artefacts.filter_wasm).unwrap()).unwrap();
    let yaml = std::fs::read_to_string(&artefacts.envoy_yaml).unwrap();
    let began = Instant::now();
    let first = run(&filter, &yaml, 1);
    println!("10,000 s of virtual time in {:?}: {first:?}", began.elapsed());
    assert_eq!(run(&filter, &yaml, 1), first, "the same seed is the same world");
    assert_ne!(run(&filter, &yaml, 2).digest, first.digest, "another seed is another world");
    let answered: u32 = first.statuses.values().sum();
    assert!(answered > 15_000 && first.approved.iter().all(|taken| *taken > 500), "{first:?}");
}
