//! What the router makes of answers, of an operator's word, and of a new configuration.

use std::collections::BTreeMap;

use decision::breaker::{Mode, Settings, Span, Transition};
use decision::breakers::{Dimension, Traits};
use decision::config::Config;
use decision::exchange::Ending;
use decision::fact::Fact;
use decision::payment::{Outcome, Spoke};
use decision::router::Router;
use serde_json::{Value, json};

use crate::fixture::{CHARGE, Drive, REFUSED, at, document, forwarded, refused};

const APPROVED: &str = r#"{"id":"pay_1","status":"succeeded"}"#;

/// The fixture with this default pool and these processors' fields; no rules.
fn with(default: Value, processors: &[(usize, &str, Value)]) -> Config {
    let mut json = document();
    json["rules"] = json!([]);
    json["default"] = default;
    for (at, field, value) in processors {
        json["processors"][*at][*field] = value.clone();
    }
    Config::parse(json.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn pool(policy: &str) -> Value {
    json!({"processors": ["a", "b", "c"], "policy": policy})
}

/// One charge without a key; where it went, by cluster.
fn charge(drive: &mut Drive) -> String {
    forwarded(&drive.again().charge(CHARGE, None))
}

/// How many of so many charges went where, each answered by `answer`.
fn spread(drive: &mut Drive, charges: u32, answer: impl Fn(&mut Drive, &str)) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    for _ in 0..charges {
        let went = charge(drive);
        answer(drive, &went);
        *seen.entry(went).or_default() += 1;
    }
    seen
}

fn approve(drive: &mut Drive, _: &str) {
    drive.response(201, Spoke::Processor, Some(APPROVED));
}

/// Opens the breakers of these clusters.
fn break_all(drive: &mut Drive, down: &[&str]) {
    for _ in 0..60 {
        let went = charge(drive);
        let fails = down.contains(&went.as_str());
        drive.response(if fails { 503 } else { 201 }, if fails { REFUSED } else { Spoke::Processor }, Some(APPROVED));
    }
    drive.facts();
}

#[test]
fn a_pool_panics_below_its_share_and_not_onto_who_is_forced_open_or_drained() {
    // Weights 3, 2, 1. With a out half of the weight is left, with b out too a sixth.
    for (percent, down, want) in [
        (0, vec!["cluster-a", "b"], vec!["c"]),
        (10, vec!["cluster-a", "b"], vec!["c"]),
        (40, vec!["cluster-a"], vec!["b", "c"]),
        (40, vec!["cluster-a", "b"], vec!["b", "c", "cluster-a"]),
    ] {
        let default = json!({"processors": ["a", "b", "c"], "panic_percent": percent});
        let mut drive = Drive::of(with(default, &[]));
        break_all(&mut drive, &down);
        let seen = spread(&mut drive, 30, approve);
        assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), want, "{percent} % with {down:?} out");
        let panics = drive.facts().into_iter().filter(|fact| matches!(fact, Fact::Panicked(_))).count();
        assert_eq!(panics > 0, want.len() == 3, "{panics} panics");
    }
    for (field, value) in [("state", json!("drain")), ("breaker", json!({"mode": "forced_open"}))] {
        let default = json!({"processors": ["a", "b", "c"], "panic_percent": 100});
        let mut drive = Drive::of(with(default, &[(2, field, value)]));
        break_all(&mut drive, &["cluster-a", "b"]);
        let seen = spread(&mut drive, 30, approve);
        assert!(!seen.contains_key("c"), "{field}: {seen:?}");
    }
}

#[test]
fn a_pool_whose_processors_are_all_drained_takes_nothing() {
    let drain = || json!("drain");
    let config = with(pool("random"), &[(0, "state", drain()), (1, "state", drain()), (2, "state", drain())]);
    let mut drive = Drive::of(config);
    assert_eq!(refused(drive.charge(CHARGE, None)), (503, "no_processor"));
}

#[test]
fn the_load_that_answers_report_moves_payments() {
    let sources = [(1, "load", json!({"header": "x-load"})), (2, "load", json!({"pointer": "/load"}))];
    let mut drive = Drive::of(with(pool("load_based"), &sources));
    let report = |drive: &mut Drive, went: &str| {
        let (orca, own): (&[u8], &[u8]) = (b"TEXT cpu_utilization=0.9", b"0.2");
        match went {
            "cluster-a" => {
                drive.response_with(&[("endpoint-load-metrics", orca)], 201, Spoke::Processor, Some(APPROVED))
            }
            "b" => drive.response_with(&[("x-load", own)], 201, Spoke::Processor, Some(APPROVED)),
            _ => drive.response(201, Spoke::Processor, Some(r#"{"id":"p","status":"succeeded","load":0.8}"#)),
        };
    };
    spread(&mut drive, 30, report);
    assert_eq!(spread(&mut drive, 30, report).get("b"), Some(&30), "the one with the least");
}

#[test]
fn who_asks_to_be_left_alone_is() {
    let mut drive = Drive::of(with(pool("least_response_time"), &[]));
    let later = |drive: &Drive| at(drive.now.mono.0 / 1_000 + 20);
    let refuse_none = |drive: &mut Drive, went: &str| {
        drive.now = later(drive);
        approve(drive, went);
    };
    let refuse_a = |drive: &mut Drive, went: &str| {
        drive.now = later(drive);
        let busy = went == "cluster-a";
        let wait: &[(&str, &[u8])] = if busy { &[("retry-after", b"60")] } else { &[] };
        drive.response_with(wait, if busy { 429 } else { 201 }, Spoke::Processor, Some(APPROVED));
    };
    spread(&mut drive, 30, refuse_a);
    assert!(!spread(&mut drive, 60, refuse_a).contains_key("cluster-a"));
    drive.now = at(65_000);
    assert!(spread(&mut drive, 400, refuse_none).contains_key("cluster-a"), "its time is over");
}

#[test]
fn a_new_configuration_goes_on_from_what_was_learnt() {
    let config = || with(pool("least_response_time"), &[]);
    let mut drive = Drive::of(config());
    let slow_a = |drive: &mut Drive, went: &str| {
        drive.now = at(drive.now.mono.0 / 1_000 + if went == "cluster-a" { 900 } else { 20 });
        approve(drive, went);
    };
    spread(&mut drive, 40, slow_a);
    let under_way = charge(&mut drive);
    // Another order of the same processors, and one that is new.
    let mut json = document();
    json["rules"] = json!([]);
    json["processors"] = json!([
        {"name": "c", "profile": "forgetful"},
        {"name": "new", "profile": "sample"},
        {"name": "a", "cluster": "cluster-a", "profile": "sample"}
    ]);
    json["default"] = json!({"processors": ["c", "new", "a"], "policy": "least_response_time"});
    let mut next = Router::new(Config::parse(json.to_string().as_bytes()).unwrap(), 9);
    next.inherit(&drive.router);
    let old = std::mem::replace(&mut drive.router, next);
    let mut last = std::mem::take(&mut drive.exchange);
    let (mut old, now) = (old, drive.now);
    last.on_done(&mut old, Ending::Quiet, now);
    let a = drive.router.config().processor_named("a").unwrap();
    assert_eq!(drive.router.in_flight(a), 0, "{under_way} is counted out where it was counted in");
    let seen = spread(&mut drive, 40, slow_a);
    assert!(seen.get("cluster-a").is_none_or(|n| *n <= 2), "a is still known to be slow: {seen:?}");
    assert!(seen.contains_key("new"), "{seen:?}");
}

#[test]
fn a_processor_whose_breaker_closes_grows_into_its_share() {
    let default = |slow_start| json!({"processors": ["a", "b", "c"], "policy": "random", "slow_start_ms": slow_start});
    for (slow_start, grows) in [(0, false), (60_000, true)] {
        let mut drive = Drive::of(with(default(slow_start), &[]));
        break_all(&mut drive, &["cluster-a"]);
        drive.now = at(10_000);
        // The probe, then what it gets in the first tenth of its slow start, and in the last.
        while !drive.facts().iter().any(|fact| matches!(fact, Fact::Breaker(_, _, Transition::Closed))) {
            spread(&mut drive, 1, approve);
        }
        let early = spread(&mut drive, 600, approve).get("cluster-a").copied().unwrap_or(0);
        drive.now = at(69_000);
        let late = spread(&mut drive, 600, approve).get("cluster-a").copied().unwrap_or(0);
        assert_eq!(early < 60, grows, "{early} of 600 with {slow_start} ms");
        assert!((150..250).contains(&late), "{late} of 600 with {slow_start} ms");
    }
}

#[test]
fn every_field_of_a_breaker_is_read() {
    let read = |own: Value| with(pool("random"), &[(1, "breaker", own)]).processors[1].clone();
    let processor = read(json!({
        "mode": "observe", "consecutive_failures": 7, "window_calls": 50, "calls_min": 8, "failure_percent": 0,
        "slow_call_ms": 900, "slow_percent": 30, "issuers": 2, "open_ms": 300, "open_ms_max": 400, "probes": 3,
        "probe_timeout_ms": 1_000, "per": ["issuer_country", "scheme", "scheme"]
    }));
    let millis = std::time::Duration::from_millis;
    let Settings { mode, consecutive_failures, span, calls_min, failure_percent, slow_call, .. } = processor.breaker;
    assert_eq!((mode, consecutive_failures, span), (Mode::Observe, 7, Span::Calls(50)));
    assert_eq!((calls_min, failure_percent, slow_call), (8, None, millis(900)));
    let Settings { slow_percent, issuers, open, open_max, probes, probe_timeout, .. } = processor.breaker;
    assert_eq!((slow_percent, issuers, open, open_max), (Some(30), 2, millis(300), millis(400)));
    assert_eq!((probes, probe_timeout), (3, millis(1_000)));
    assert_eq!(processor.per, [Dimension::Scheme, Dimension::IssuerCountry]);
    let common = with(pool("random"), &[]).processors[1].clone();
    assert_eq!((common.breaker.consecutive_failures, common.breaker.failure_percent), (3, Some(50)));
    assert_eq!((common.breaker.span, common.per), (Span::Time(millis(10_000)), vec![]));
}

#[test]
fn errors_of_breakers_and_heartbeats_say_where() {
    for (field, value, want) in [
        ("breaker", json!({"window_ms": 1_000, "window_calls": 20}), "processors[1].breaker.window_calls: either"),
        ("breaker", json!({"window_calls": 9}), "processors[1].breaker.window_calls: 9 is not within 10 to"),
        ("breaker", json!({"probes": 17}), "processors[1].breaker.probes: 17 is not within 1 to 16"),
        ("breaker", json!({"failure_percent": 101}), "processors[1].breaker.failure_percent: 101 is not within"),
        ("breaker", json!({"per": ["bin"]}), "processors[1].breaker.per[0]: unknown variant `bin`"),
        ("breaker", json!({"mode": "off"}), "processors[1].breaker.mode: unknown variant `off`"),
        ("heartbeat", json!({"path": "health"}), "processors[1].heartbeat.path: a path that starts with /"),
        ("heartbeat", json!({"path": "/", "interval_ms": 1}), "processors[1].heartbeat.interval_ms: 1 is not within"),
        ("load", json!({"header": ""}), "processors[1].load.header: a header name"),
        ("load", json!({"pointer": "load"}), "processors[1].load.pointer: a JSON pointer starts with /"),
    ] {
        let mut json = document();
        json["processors"][1][field] = value;
        let error = Config::parse(json.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error} is not {want}");
    }
}

/// Bad heartbeats open a breaker in a row of their own, which a good one ends.
#[test]
fn heartbeats_open_a_breaker_in_a_row_and_not_over_a_night() {
    let beats = [(0, "heartbeat", json!({"path": "/health", "interval_ms": 1_000, "timeout_ms": 500}))];
    let mut drive = Drive::of(with(pool("random"), &beats));
    let beat = |drive: &mut Drive, status: Option<u16>| {
        drive.now = at(drive.now.mono.0 / 1_000 + 1_000);
        let beat = drive.router.take_heartbeat(drive.now).expect("it is due");
        assert!(drive.router.take_heartbeat(drive.now).is_none(), "once each interval");
        drive.router.settle_heartbeat(beat, status, drive.now);
        drive.facts().iter().any(|fact| matches!(fact, Fact::Breaker(_, _, Transition::Opened)))
    };
    for _ in 0..20 {
        assert!(!beat(&mut drive, None) && !beat(&mut drive, Some(503)) && !beat(&mut drive, Some(200)));
    }
    assert!(!beat(&mut drive, None) && !beat(&mut drive, Some(503)) && beat(&mut drive, None), "three in a row");
    // The next one, once the wait is over, is the probe; charges wait for what it says.
    drive.now = at(drive.now.mono.0 / 1_000 + 1_000);
    let a = drive.router.config().processor_named("a").unwrap();
    assert!(!drive.router.admits(a, drive.now));
    let probe = drive.router.take_heartbeat(drive.now).expect("the wait is over");
    drive.router.settle_heartbeat(probe, Some(204), drive.now);
    assert!(drive.router.admits(a, drive.now));
}

/// The weight of those whom the operator took out is not missed.
#[test]
fn drained_weight_makes_nobody_panic() {
    let drain = [(1, "state", json!("drain"))];
    let default = json!({"processors": ["a", "b", "c"], "panic_percent": 25});
    // Of a, 3, and c, 1, a quarter is left; of all three, a sixth would be.
    let mut drive = Drive::of(with(default, &drain));
    break_all(&mut drive, &["cluster-a"]);
    assert_eq!(spread(&mut drive, 30, approve).keys().collect::<Vec<_>>(), ["c"]);
}

/// What somebody else's requests teach opens a breaker and closes it again; stragglers do neither.
#[test]
fn what_is_learnt_of_watched_charges_opens_and_closes_a_breaker() {
    let mut drive = Drive::of(with(pool("random"), &[]));
    let a = drive.router.config().processor_named("a").unwrap();
    let learn = |drive: &mut Drive, sent: u64, now: u64, outcome| {
        drive.now = at(now);
        drive.router.learn(a, Traits::default(), outcome, at(sent).mono, drive.now);
        drive
            .facts()
            .into_iter()
            .filter_map(|fact| match fact {
                Fact::Breaker(_, _, transition) => Some(transition),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(learn(&mut drive, 1_000, 1_100, Outcome::Failed), []);
    }
    assert_eq!(learn(&mut drive, 1_000, 1_200, Outcome::Failed), [Transition::Opened]);
    assert_eq!(learn(&mut drive, 1_100, 60_000, Outcome::Approved), [], "a straggler");
    let back = [Transition::HalfOpened, Transition::Closed];
    assert_eq!(learn(&mut drive, 59_900, 60_100, Outcome::Approved), back, "sent once the wait was over");
    for _ in 0..3 {
        assert_eq!(learn(&mut drive, 1_100, 60_200, Outcome::Failed), [], "stragglers");
    }
    assert!(drive.router.admits(a, drive.now));
    assert_eq!(drive.router.in_flight(a), 0);
}
