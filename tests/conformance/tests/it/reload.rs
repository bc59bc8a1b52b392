//! Another configuration while the proxy runs: one that is refused changes nothing, one that is taken decides what comes
//! after it, and what is under way ends as it began.

use std::time::Duration;

use conformance::artefacts::find;
use conformance::scenario::proxy::from_envoy_yaml;
use conformance::stage::Stage;
use e2e::processor::{Control, Mode};
use e2e::stack::ArtefactArgs;
use serde_json::{Value, json};
use world::proxy::FailurePolicy;
use world::{Ending, Filter, Request, StreamId, World};

const TOKEN: &str = "a-token-of-the-world";

fn charge() -> Request {
    let body = json!({
        "amount": 1200, "currency": "EUR", "merchant": "shop", "reference": "order-1",
        "source": {"number": "4242424242424242"},
    });
    let headers = [("authorization", "Bearer shop"), ("content-type", "application/json")];
    Request::new("POST", "/v1/payments", &headers, body.to_string().as_bytes())
}

fn taker(world: &World, id: StreamId) -> (u16, String) {
    let answer = world.answer(id);
    assert_eq!(answer.ending, Ending::Whole);
    let who = answer.header("x-switchyard-processor").unwrap_or_default();
    (answer.status(), String::from_utf8_lossy(who).into_owned())
}

fn paid(world: &mut World, worker: usize) -> (u16, String) {
    let id = world.send(worker, Duration::ZERO, charge());
    world.run_for(Duration::from_secs(1));
    taker(world, id)
}

/// Ticks of the workers in the next minute.
fn ticks(world: &mut World) -> usize {
    let before = world.trace().len();
    world.run_for(Duration::from_secs(60));
    world.trace()[before..].iter().filter(|line| line.contains("worker-") && line.ends_with(" tick")).count()
}

#[test]
fn a_new_configuration_revives_a_worker_that_a_trap_has_closed() {
    let tried = find(ArtefactArgs::from_env()).unwrap();
    let filter = Filter::new(&std::fs::read(&tried.trap_wasm).unwrap()).unwrap();
    let yaml = std::fs::read_to_string(&tried.artefacts.envoy_yaml).unwrap();
    let mut proxy = from_envoy_yaml(&yaml, &[("SWITCHYARD_CACHE_TOKEN", TOKEN)]).unwrap();
    proxy.plugin.failure_policy = FailurePolicy::Closed;
    let configuration = proxy.plugin.configuration.clone();
    let Stage { mut world, .. } = Stage::start(filter, proxy, TOKEN, 2, 1).unwrap();
    let trap = world.send(0, Duration::ZERO, Request::new("GET", "/", &[("x-switchyard-test-trap", "request")], b""));
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.answer(trap).status(), 504, "as the shipped mapper says");
    // For ever, on that worker and on no other.
    assert_eq!((paid(&mut world, 0).0, paid(&mut world, 1).0), (504, 201));
    world.reconfigure(&configuration).unwrap();
    assert_eq!((paid(&mut world, 0).0, paid(&mut world, 1).0), (201, 201));
}

#[test]
fn a_configuration_that_is_refused_changes_nothing_and_one_that_is_taken_decides_from_then_on() {
    let artefacts = find(ArtefactArgs::from_env()).unwrap().artefacts;
    let filter = Filter::new(&std::fs::read(&artefacts.filter_wasm).unwrap()).unwrap();
    let yaml = std::fs::read_to_string(&artefacts.envoy_yaml).unwrap();
    let proxy = from_envoy_yaml(&yaml, &[("SWITCHYARD_CACHE_TOKEN", TOKEN)]).unwrap();
    let mut configuration: Value = serde_json::from_slice(&proxy.plugin.configuration).unwrap();
    let drain = proxy.drain_time;
    let Stage { mut world, processors, .. } = Stage::start(filter, proxy, TOKEN, 2, 1).unwrap();
    world.keep_trace();
    assert_eq!(paid(&mut world, 0).0, 201);
    let each = ticks(&mut world);
    assert!(each > 100, "{each} ticks of two workers in a minute");

    // The whole fleet keeps what it had, and the reason is in the log.
    assert!(world.reconfigure(b"{}").is_err());
    assert!(world.log().iter().any(|line| line.text.contains("configuration refused")), "{:?}", world.log());
    assert_eq!((paid(&mut world, 0).0, paid(&mut world, 1).0), (201, 201));
    assert_eq!(ticks(&mut world), each, "a refused configuration has no root of its own");

    // One charge is under way at a slow processor when the new configuration comes.
    for model in &processors {
        let slow = Control { latency_ms: 3_000, ..Control::from(Mode::Approve) };
        model.borrow_mut().set(slow).unwrap();
    }
    let under_way = world.send(0, Duration::ZERO, charge());
    world.run_for(Duration::from_secs(1));
    configuration["routing"]["default"]["processors"] = json!(["acquirer-b"]);
    world.reconfigure(configuration.to_string().as_bytes()).unwrap();
    for model in &processors {
        model.borrow_mut().set(Control::from(Mode::Approve)).unwrap();
    }
    for worker in [0, 1, 0, 1] {
        assert_eq!(paid(&mut world, worker), (201, "acquirer-b".to_owned()));
    }
    assert_eq!(taker(&world, under_way).0, 201);
    // Both roots tick until the old one has drained.
    assert_eq!(ticks(&mut world), 2 * each);
    world.run_for(drain);
    assert_eq!(ticks(&mut world), each);
    assert_eq!(paid(&mut world, 0), (201, "acquirer-b".to_owned()));
}

#[test]
fn processors_are_added_drained_and_removed_and_those_that_stay_are_known() {
    let artefacts = find(ArtefactArgs::from_env()).unwrap().artefacts;
    let filter = Filter::new(&std::fs::read(&artefacts.filter_wasm).unwrap()).unwrap();
    let yaml = std::fs::read_to_string(&artefacts.envoy_yaml).unwrap();
    let mut proxy = from_envoy_yaml(&yaml, &[("SWITCHYARD_CACHE_TOKEN", TOKEN)]).unwrap();
    let mut configuration: Value = serde_json::from_slice(&proxy.plugin.configuration).unwrap();
    configuration["routing"]["default"]["processors"] = json!(["acquirer-a", "acquirer-b"]);
    proxy.plugin.configuration = configuration.to_string().into_bytes();
    let Stage { mut world, processors, .. } = Stage::start(filter, proxy, TOKEN, 2, 1).unwrap();
    let all_at_once = |world: &mut World, charges: usize| {
        let sent: Vec<_> = (0..charges).map(|n| world.send(n % 2, Duration::ZERO, charge())).collect();
        world.run_for(Duration::from_millis(300));
        let mut takers: Vec<_> = sent.into_iter().map(|id| taker(world, id).1).collect();
        takers.sort();
        takers.dedup();
        takers
    };
    assert_eq!(all_at_once(&mut world, 10), ["acquirer-a", "acquirer-b"]);
    // Its breaker opens, and stays open for a second at least.
    processors[0].borrow_mut().set(Control::from(Mode::Http(503))).unwrap();
    all_at_once(&mut world, 20);
    processors[0].borrow_mut().set(Control::from(Mode::Approve)).unwrap();

    configuration["routing"]["default"]["processors"] = json!(["acquirer-a", "acquirer-b", "acquirer-c"]);
    configuration["routing"]["processors"][1]["state"] = json!("drain");
    world.reconfigure(configuration.to_string().as_bytes()).unwrap();
    assert_eq!(all_at_once(&mut world, 20), ["acquirer-c"], "a is still out, b takes no new charge");
    world.run_for(Duration::from_secs(3));
    all_at_once(&mut world, 1);
    assert_eq!(all_at_once(&mut world, 20), ["acquirer-a", "acquirer-c"], "the probe brought a back");

    configuration["routing"]["default"]["processors"] = json!(["acquirer-c"]);
    world.reconfigure(configuration.to_string().as_bytes()).unwrap();
    assert_eq!(all_at_once(&mut world, 20), ["acquirer-c"]);
    assert_eq!(world.fatal(), [] as [&str; 0], "{:?}", world.fatal());
}
