//! Schedules that once went wrong, or nearly.

use std::time::Duration;

use decision::breaker::Transition;
use decision::config::Config;
use decision::exchange::{Ending, Ends, Headers, ResponseHead, Step};
use decision::fact::{Fact, LookupResult, WriteResult};
use decision::lookup::{Answer, Claim, Question, Value};
use decision::payment::{Evidence, Outcome, Spoke};
use serde_json::{Value as Json, json};

use crate::fixture::{CHARGE, Drive, OVERFLOW, at, document, forwarded, lines, set};

const APPROVED: &str = r#"{"id":"pay_1","status":"succeeded"}"#;
const TENANT: &[(&str, &[u8])] = &[("authorization", b"t1")];

fn with(edit: impl FnOnce(&mut Json)) -> Drive {
    let mut json = document();
    edit(&mut json);
    Drive::of(Config::parse(json.to_string().as_bytes()).unwrap())
}

fn get_status(drive: &mut Drive) -> Step {
    drive.again().request("GET", "/v1/payments/pay_1", TENANT, Ends::Here)
}

/// A capture, answered by its processor; the step is the invalidation.
fn capture(drive: &mut Drive) -> Step {
    drive.again().request("POST", "/v1/payments/pay_1/capture", TENANT, Ends::Here);
    forwarded(&drive.answer(Answer::Pinned("b".to_owned())));
    drive.response(200, Spoke::Processor, None)
}

/// A status look-up up to the fill of the cache-service.
fn fill(drive: &mut Drive) {
    get_status(drive);
    drive.answer(Answer::Pinned("b".to_owned()));
    drive.answer(Answer::Miss(Some(b"f".to_vec())));
    assert!(matches!(drive.response(200, Spoke::Processor, Some(APPROVED)), Step::Ask(Question::Fill { .. })));
}

#[test]
fn a_worker_forgets_what_it_read_before_its_own_capture() {
    let mut drive = Drive::new();
    fill(&mut drive);
    drive.answer(Answer::Stored);
    assert!(matches!(get_status(&mut drive), Step::Reply(_)));
    capture(&mut drive);
    drive.answer(Answer::Stored);
    assert!(!matches!(get_status(&mut drive), Step::Reply(_)));
}

#[test]
fn a_value_that_the_fence_refused_is_not_served_by_the_worker_either() {
    let mut drive = Drive::new();
    fill(&mut drive);
    drive.answer(Answer::Refused);
    assert!(!matches!(get_status(&mut drive), Step::Reply(_)));
}

#[test]
fn a_client_that_leaves_a_capture_leaves_an_invalidation() {
    let mut drive = Drive::new();
    drive.request("POST", "/v1/payments/pay_1/capture", TENANT, Ends::Here);
    forwarded(&drive.answer(Answer::Pinned("b".to_owned())));
    drive.again();
    assert!(matches!(drive.router.take_due(at(600_000)), Some((_, Question::Invalidate { .. }))));
}

#[test]
fn while_an_invalidation_waits_the_cache_is_not_asked() {
    let mut drive = Drive::new();
    capture(&mut drive);
    assert!(matches!(drive.answer(Answer::Unavailable), Step::Pass(_)));
    get_status(&mut drive);
    assert_eq!(forwarded(&drive.answer(Answer::Pinned("b".to_owned()))), "b");
    assert!(drive.facts().contains(&Fact::Lookup(LookupResult::Uncached)));
}

#[test]
fn giving_up_waiting_says_nothing_of_the_cache_service() {
    let mut drive = Drive::new();
    for _ in 0..10 {
        assert!(matches!(capture(&mut drive), Step::Ask(_)));
        assert!(matches!(drive.exchange.on_gave_up(&mut drive.router, drive.now), Step::Pass(_)));
    }
    assert!(matches!(drive.again().charge(CHARGE, Some("k")), Step::Ask(Question::Claim { .. })));
}

#[test]
fn an_answer_that_breaks_off_blames_the_processor_and_a_client_that_leaves_does_not() {
    for (ending, opens) in [(Ending::Quiet, false), (Ending::Broken, true), (Ending::TimedOut, true)] {
        let mut drive = Drive::new();
        for _ in 0..30 {
            if !matches!(drive.charge(CHARGE, None), Step::Forward(_)) {
                break;
            }
            let head = ResponseHead { status: 201, spoke: Spoke::Processor, headers: Headers::new(&[]), cluster: None };
            let step = drive.exchange.on_response_headers(&mut drive.router, head, Ends::Later, drive.now);
            assert_eq!(step, Step::HoldResponse);
            drive.exchange.on_done(&mut drive.router, ending, drive.now);
            drive.exchange = Default::default();
        }
        assert_eq!(drive.facts().iter().any(|fact| matches!(fact, Fact::Breaker(..))), opens, "{ending:?}");
    }
}

#[test]
fn one_key_has_one_spelling_at_the_processor() {
    for (spelling, want) in [("bare", "k1"), ("quoted", "\"k1\"")] {
        let mut drive = with(|json| json["operations"][0]["key"]["spelling"] = json!(spelling));
        for written in ["k1", "\"k1\"", " k1 "] {
            drive.again().charge(CHARGE, Some(written));
            let Step::Forward(edits) = drive.answer(Answer::Claimed(Claim::Existing, "a".to_owned())) else { panic!() };
            assert_eq!(set(&edits, "idempotency-key").as_deref(), Some(want), "{written}");
        }
    }
}

#[test]
fn what_cannot_be_one_key_is_not_cached() {
    let mut drive = with(|json| json["operations"][3]["lookup"]["vary"] = json!(["stripe-account"]));
    let twice: &[(&str, &[u8])] = &[TENANT[0], ("stripe-account", b"acct_1"), ("stripe-account", b"acct_2")];
    drive.request("GET", "/v1/payments/pay_1", twice, Ends::Here);
    assert_eq!(forwarded(&drive.answer(Answer::Pinned("b".to_owned()))), "b");
    for path in
        ["/v1/bins/424242?card=4242424242424242", "/v1/bins/4242-4242-4242-4242", "/v1/bins/4?4242+4242+4242%204242"]
    {
        forwarded(&drive.again().request("GET", path, &[], Ends::Here));
    }
    // The same path at another host may be another's answer.
    let key = |drive: &mut Drive, host: &[u8]| {
        let head = lines(&[(":method", b"GET"), (":path", b"/v1/bins/424242"), (":authority", host)]);
        drive.again();
        match drive.exchange.on_request_headers(&mut drive.router, Headers::new(&head), Ends::Here, drive.now) {
            Step::Ask(Question::Lookup { key, .. }) => key,
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(key(&mut drive, b"one.test"), key(&mut drive, b"two.test"));
}

#[test]
fn an_answer_meant_for_one_caller_is_not_kept_for_all() {
    let json: (&str, &[u8]) = ("content-type", b"application/json");
    type Case<'a> = (&'a [(&'a str, &'a [u8])], bool);
    let cases: [Case<'_>; 9] = [
        (&[json], true),
        (&[json, ("cache-control", b"max-age=60")], true),
        (&[json, ("vary", b"Accept-Encoding, Origin")], true),
        (&[json, ("cache-control", b"no-store")], false),
        (&[json, ("cache-control", b"max-age=60, private=\"x\"")], false),
        (&[json, ("set-cookie", b"a=b")], false),
        (&[json, ("vary", b"*")], false),
        (&[json, ("vary", b"authorization")], false),
        (&[("content-type", b"text/html")], false),
    ];
    for (headers, kept) in cases {
        let mut drive = Drive::new();
        drive.request("GET", "/v1/bins/424242", &[], Ends::Here);
        forwarded(&drive.answer(Answer::Miss(None)));
        let lines = lines(headers);
        let head = ResponseHead { status: 200, spoke: Spoke::Processor, headers: Headers::new(&lines), cluster: None };
        let step = drive.exchange.on_response_headers(&mut drive.router, head, Ends::Later, drive.now);
        assert_eq!(step == Step::HoldResponse, kept, "{headers:?}");
    }
}

#[test]
fn a_probe_that_was_answered_closes_even_when_it_could_not_be_read() {
    let mut drive = with(|json| json["default"]["processors"] = json!(["a"]));
    for _ in 0..3 {
        drive.again().charge(CHARGE, None);
        drive.response(503, Spoke::Processor, Some("{}"));
    }
    drive.now = at(10_000);
    drive.again().charge(CHARGE, None);
    let encoded = lines(&[("content-encoding", b"gzip")]);
    let head = ResponseHead { status: 201, spoke: Spoke::Processor, headers: Headers::new(&encoded), cluster: None };
    let step = drive.exchange.on_response_headers(&mut drive.router, head, Ends::Later, drive.now);
    assert!(matches!(step, Step::Pass(_)));
    let facts = drive.facts();
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Breaker(_, _, Transition::Closed))), "{facts:?}");
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Unpinned(_))), "a payment nobody can follow up is counted");
}

#[test]
fn what_the_proxy_did_not_even_try_blames_nobody() {
    let mut drive = Drive::new();
    for _ in 0..50 {
        drive.again().charge(CHARGE, None);
        drive.response(503, OVERFLOW, None);
    }
    let facts = drive.facts();
    let blameless = |fact: &Fact| {
        matches!(fact, Fact::Settled { outcome: Outcome::Unsent, .. } | Fact::Evidence(_, Evidence::NotSent))
    };
    assert!(facts.iter().all(blameless), "{facts:?}");
}

#[test]
fn an_ambiguous_pin_is_not_remembered() {
    let mut drive = Drive::new();
    drive.charge(CHARGE, None);
    drive.response(201, Spoke::Processor, Some(APPROVED));
    drive.answer(Answer::Ambiguous);
    assert!(drive.facts().contains(&Fact::Write(WriteResult::Ambiguous)));
    assert!(matches!(get_status(&mut drive), Step::Ask(Question::Pin { .. })));
}

#[test]
fn a_hit_that_was_asked_before_a_capture_is_not_kept_after_it() {
    let mut drive = Drive::new();
    get_status(&mut drive);
    drive.answer(Answer::Pinned("b".to_owned()));
    let asking = std::mem::take(&mut drive.exchange);
    capture(&mut drive);
    drive.answer(Answer::Stored);
    drive.again();
    drive.exchange = asking;
    let old = Value { status: 200, content_type: Vec::new(), body: b"old".to_vec(), processor: None };
    drive.answer(Answer::Hit(old, Duration::from_secs(50)));
    assert!(!matches!(get_status(&mut drive), Step::Reply(_)));
}

#[test]
fn a_malformed_parameter_does_not_hide_an_operation_of_that_very_path() {
    let path = "/v1/payments/a%2Bb/capture";
    let mut drive = with(|json| {
        let operation = json!({"name": "x", "kind": "charge", "method": "POST", "path": path});
        json["operations"].as_array_mut().unwrap().push(operation);
    });
    let step = drive.request("POST", path, &[("content-type", b"application/json")], Ends::Later);
    assert_eq!(step, Step::ReadBody);
}
