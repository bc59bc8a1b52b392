//! The way of single requests: which step follows which event.

use std::time::Duration;

use decision::exchange::{Body, Edit, Ends, Step};
use decision::fact::{Fact, LookupResult, WriteResult};
use decision::lookup::{Answer, Claim, Question, Value};
use decision::payment::{Evidence, Outcome, Spoke};

use crate::fixture::{CHARGE, Drive, TIMED_OUT, at, forwarded, refused, set};

const APPROVED: &str = r#"{"id":"pay_1","status":"succeeded"}"#;

#[test]
fn a_charge_is_read_sent_and_pinned_before_its_answer_leaves() {
    let mut drive = Drive::new();
    let step = drive.charge(CHARGE, None);
    let cluster = forwarded(&step);
    let Step::Ask(Question::StorePin { processor, .. }) = drive.response(201, Spoke::Processor, Some(APPROVED)) else {
        panic!("no pin");
    };
    assert!(cluster.ends_with(&processor));
    let Step::Pass(edits) = drive.answer(Answer::Stored) else { panic!("still held") };
    assert_eq!(set(&edits, "x-switchyard-processor"), Some(processor));
    assert_eq!(set(&edits, "x-switchyard-attempts").as_deref(), Some("1"));
    let facts = drive.facts();
    let [settled, proven, written] = facts[..] else { panic!("{facts:?}") };
    assert!(matches!(settled, Fact::Settled { outcome: Outcome::Approved, .. }), "{settled:?}");
    assert!(matches!(proven, Fact::Evidence(_, Evidence::Processed)), "{proven:?}");
    assert_eq!(written, Fact::Write(WriteResult::Stored));
}

#[test]
fn a_pin_that_is_not_acknowledged_is_written_again() {
    let mut drive = Drive::new();
    drive.charge(CHARGE, None);
    let Step::Ask(pin) = drive.response(201, Spoke::Processor, Some(APPROVED)) else { panic!("no pin") };
    assert!(matches!(drive.answer(Answer::Unavailable), Step::Pass(_)), "the answer leaves all the same");
    assert!(drive.router.take_due(drive.now).is_none());
    let (id, again) = drive.router.take_due(at(60_000)).expect("the write waits");
    assert_eq!(again, pin);
    drive.router.settle_deferred(id, &Answer::Stored);
    assert!(drive.router.take_due(at(600_000)).is_none());
    // So it is when the client leaves while the answer is held.
    drive.again().charge(CHARGE, None);
    drive.response(201, Spoke::Processor, Some(APPROVED));
    drive.again();
    assert!(drive.router.take_due(at(600_000)).is_some());
}

#[test]
fn refusals_before_anything_is_sent() {
    let post = "POST";
    let json: (&str, &[u8]) = ("content-type", b"application/json");
    type Case<'a> = (&'a [(&'a str, &'a [u8])], Ends, (u16, &'a str));
    let cases: [Case<'_>; 12] = [
        (&[json], Ends::Here, (400, "body_missing")),
        (&[], Ends::Later, (415, "media_type_unknown")),
        (&[("content-type", b"text/plain")], Ends::Later, (415, "media_type_unknown")),
        (&[json, ("content-type", b"text/plain")], Ends::Later, (415, "media_type_unknown")),
        (&[json, ("content-encoding", b"gzip")], Ends::Later, (415, "body_encoded")),
        (&[json, ("content-length", b"4097")], Ends::Later, (413, "body_too_large")),
        (&[json, ("content-length", b"99999999999999999999")], Ends::Later, (413, "body_too_large")),
        (&[json, ("idempotency-key", b"\xff\xfe")], Ends::Later, (400, "key_malformed")),
        (&[json, ("idempotency-key", b"")], Ends::Later, (400, "key_malformed")),
        (&[json, ("idempotency-key", b"a"), ("idempotency-key", b"a")], Ends::Later, (400, "key_malformed")),
        (&[json, ("authorization", b"a"), ("authorization", b"b")], Ends::Later, (400, "tenant_malformed")),
        (&[json, ("authorization", &[b'x'; 9000])], Ends::Later, (400, "tenant_malformed")),
    ];
    for (headers, ends, want) in cases {
        let mut drive = Drive::new();
        assert_eq!(refused(drive.request(post, "/v1/payments", headers, ends)), want, "{headers:?}");
    }
    for (body, want) in [
        ("", "body_missing"),
        ("{", "body_malformed"),
        (r#"{"amount":1,"amount":2,"currency":"EUR"}"#, "body_malformed"),
        (r#"{"currency":"EUR"}"#, "amount_missing"),
        (r#"{"amount":null,"currency":"EUR"}"#, "amount_missing"),
        (r#"{"amount":-1,"currency":"EUR"}"#, "amount_malformed"),
        (r#"{"amount":1.5,"currency":"EUR"}"#, "amount_malformed"),
        (r#"{"amount":1e3,"currency":"EUR"}"#, "amount_malformed"),
        (r#"{"amount":1000000000000000,"currency":"EUR"}"#, "amount_malformed"),
        (r#"{"amount":"+1","currency":"EUR"}"#, "amount_malformed"),
        (r#"{"amount":true,"currency":"EUR"}"#, "amount_malformed"),
        (r#"{"amount":1}"#, "currency_missing"),
        (r#"{"amount":1,"currency":"EU"}"#, "currency_malformed"),
        (r#"{"amount":1,"currency":"EUR","merchant":5}"#, "merchant_malformed"),
    ] {
        assert_eq!(refused(Drive::new().charge(body, None)).1, want, "{body}");
    }
    let mut drive = Drive::new();
    drive.request(post, "/v1/payments", &[json], Ends::Later);
    let step = drive.exchange.on_request_body(&mut drive.router, Body::TooLarge, drive.now);
    assert_eq!(refused(step), (413, "body_too_large"));
    for path in ["/v1/payments//capture", "/v1/payments/a%2fb/capture", "/v1/payments/../capture"] {
        assert_eq!(refused(Drive::new().request(post, path, &[], Ends::Here)), (400, "payment_id_malformed"));
    }
}

#[test]
fn forms_and_json_read_alike() {
    let mut drive = Drive::new();
    let form: (&str, &[u8]) = ("content-type", b"application/x-www-form-urlencoded; charset=utf-8");
    assert_eq!(drive.request("POST", "/v1/payments", &[form], Ends::Later), Step::ReadBody);
    let body = Body::Whole(b"amount=1000&currency=eur&source[number]=5555555555554444");
    let step = drive.exchange.on_request_body(&mut drive.router, body, drive.now);
    assert_eq!(forwarded(&step), "c", "the rule for this range reads the form");
}

#[test]
fn control_headers_are_stripped_and_the_processor_is_addressed() {
    let mut drive = Drive::new();
    let headers: &[(&str, &[u8])] = &[
        ("content-type", b"application/json"),
        ("x-switchyard-cluster", b"evil"),
        ("x-envoy-upstream-rq-timeout-alt-response", b"1"),
        ("x-envoy-max-retries", b"9"),
        ("x-custom", b"\xff\xfe"),
    ];
    // Nothing here is ours, yet it is stripped.
    let Step::Pass(edits) = drive.request("GET", "/other", headers, Ends::Here) else { panic!("not ours") };
    assert_eq!(edits.len(), 3);
    let mut drive = Drive::new();
    loop {
        drive.again().request("POST", "/v1/payments?x=1", headers, Ends::Later);
        let body = Body::Whole(CHARGE.as_bytes());
        let step = drive.exchange.on_request_body(&mut drive.router, body, drive.now);
        let Step::Forward(edits) = &step else { panic!("{step:?}") };
        assert!(edits.contains(&Edit::Remove(b"x-envoy-max-retries".to_vec())));
        assert!(!edits.contains(&Edit::Remove(b"x-custom".to_vec())));
        if forwarded(&step) == "b" {
            assert_eq!(set(edits, ":authority").as_deref(), Some("b.test"));
            assert_eq!(set(edits, ":path").as_deref(), Some("/api/v1/payments?x=1"));
            assert_eq!(set(edits, "accept-encoding").as_deref(), Some("identity"));
            break;
        }
        assert_eq!(set(edits, ":authority"), None);
    }
}

#[test]
fn a_keyed_charge_is_claimed_first_and_a_retry_goes_where_the_claim_says() {
    let mut drive = Drive::new();
    let Step::Ask(Question::Claim { key, processor: first }) = drive.charge(CHARGE, Some("k1")) else { panic!() };
    assert!(forwarded(&drive.answer(Answer::Claimed(Claim::Fresh, first.clone()))).ends_with(&first));
    // Quoted or bare, the key and its first choice are the same; another tenant's is another key.
    let Step::Ask(Question::Claim { key: again, processor }) = drive.again().charge(CHARGE, Some("\"k1\"")) else {
        panic!()
    };
    assert_eq!((again, processor), (key, first));
    // Somebody else holds it, and replays: there it goes.
    assert_eq!(forwarded(&drive.answer(Answer::Claimed(Claim::Existing, "b".to_owned()))), "b");
    // One that charges again on the same key must not see it twice; one that left must not be guessed.
    for holder in ["c", "gone"] {
        drive.again().charge(CHARGE, Some("k1"));
        let step = drive.answer(Answer::Claimed(Claim::Existing, holder.to_owned()));
        assert_eq!(refused(step), (409, "key_unresolved"), "{holder}");
    }
    for lost in [Answer::Unavailable, Answer::Refused, Answer::Stored] {
        drive.again().charge(CHARGE, Some("k1"));
        assert_eq!(refused(drive.answer(lost)), (503, "key_state_unknown"));
    }
    drive.again();
    let in_flight: u32 =
        (0..3).filter_map(decision::processor::ProcessorId::new).map(|id| drive.router.in_flight(id)).sum();
    assert_eq!(in_flight, 0);
}

#[test]
fn a_claim_whose_processor_is_out_waits_for_it() {
    let mut drive = Drive::new();
    // Open a's breaker: three failures in a row.
    let mut failures = 0;
    while failures < 3 {
        if forwarded(&drive.again().charge(CHARGE, None)).ends_with('a') {
            drive.response(503, Spoke::Processor, Some("{}"));
            failures += 1;
        }
    }
    for n in 0..50 {
        let step = drive.again().charge(CHARGE, Some(&format!("key-{n}")));
        let Step::Ask(Question::Claim { processor, .. }) = step else { panic!("{step:?}") };
        assert_ne!(processor, "a", "a new key goes elsewhere");
        let step = drive.answer(Answer::Claimed(Claim::Existing, "a".to_owned()));
        assert_eq!(refused(step), (409, "key_unresolved"), "a key that a has does not");
    }
}

#[test]
fn every_candidate_out_is_an_honest_503() {
    let mut drive = Drive::new();
    let mut tries = 0;
    let step = loop {
        let step = drive.again().charge(CHARGE, None);
        if !matches!(step, Step::Forward(_)) {
            break step;
        }
        drive.response(504, TIMED_OUT, None);
        tries += 1;
    };
    assert_eq!(tries, 9, "three failures each");
    let Step::Reply(reply) = &step else { panic!("{step:?}") };
    assert!(reply.headers.iter().any(|(n, v)| n == "retry-after" && v == b"1"), "{reply:?}");
    assert_eq!(refused(step), (503, "no_processor"));
}

#[test]
fn declines_and_unread_answers_never_open_a_breaker() {
    let declined = r#"{"id":"p","status":"declined","response_code":"51"}"#;
    let mut drive = Drive::new();
    for _ in 0..1_000 {
        drive.again().charge(CHARGE, None);
        drive.response(201, Spoke::Processor, Some(declined));
        drive.again().charge(CHARGE, None);
        drive.response(429, Spoke::Processor, Some("{}"));
        drive.again().charge(CHARGE, None);
        drive.response(422, Spoke::Processor, Some("{}"));
        // The client leaves.
        drive.again().charge(CHARGE, None);
        drive.again();
        let facts = drive.facts();
        assert!(!facts.is_empty() && facts.iter().all(|fact| !matches!(fact, Fact::Breaker(..))), "{facts:?}");
    }
}

#[test]
fn a_follow_up_goes_to_the_pinned_processor_and_nowhere_else() {
    let tenant: &[(&str, &[u8])] = &[("authorization", b"t1")];
    let path = "/v1/payments/pay_1/capture";
    let mut drive = Drive::new();
    let step = drive.request("POST", path, tenant, Ends::Later);
    let Step::Ask(Question::Pin { key }) = step else { panic!("{step:?}") };
    assert_eq!(forwarded(&drive.answer(Answer::Pinned("b".to_owned()))), "b");
    let step = drive.response(200, Spoke::Processor, Some("{}"));
    assert!(matches!(step, Step::Ask(Question::Invalidate { .. })), "{step:?}");
    assert!(matches!(drive.answer(Answer::Stored), Step::Pass(_)));
    for (answer, want) in [
        (Answer::NoPin, (409, "pin_missing")),
        (Answer::Ambiguous, (409, "pin_ambiguous")),
        (Answer::Unavailable, (503, "pin_state_unknown")),
        (Answer::Pinned("gone".to_owned()), (409, "pin_missing")),
    ] {
        drive.again().request("POST", path, tenant, Ends::Here);
        assert_eq!(refused(drive.answer(answer)), want);
    }
    let step = drive.again().request("POST", path, &[("authorization", b"t2")], Ends::Here);
    assert!(matches!(step, Step::Ask(Question::Pin { key: other }) if other != key), "tenants are apart");
}

fn stored(body: &str) -> Value {
    Value {
        status: 200,
        content_type: b"application/json".to_vec(),
        body: body.as_bytes().to_vec(),
        processor: Some("b".to_owned()),
    }
}

#[test]
fn a_status_is_asked_cached_and_served_again() {
    let tenant: &[(&str, &[u8])] = &[("authorization", b"t1")];
    let get = |drive: &mut Drive| drive.again().request("GET", "/v1/payments/pay_1", tenant, Ends::Here);
    let mut drive = Drive::new();
    assert!(matches!(get(&mut drive), Step::Ask(Question::Pin { .. })));
    let step = drive.answer(Answer::Pinned("b".to_owned()));
    let Step::Ask(Question::Lookup { key, entity: Some(entity), .. }) = step else { panic!("{step:?}") };
    assert_eq!(forwarded(&drive.answer(Answer::Miss(Some(b"f1".to_vec())))), "b");
    let step = drive.response(200, Spoke::Processor, Some(APPROVED));
    let Step::Ask(Question::Fill { key: filled, entity: of, fence, value, .. }) = step else { panic!("{step:?}") };
    assert_eq!((filled, of, fence.as_deref()), (key, Some(entity), Some(&b"f1"[..])));
    assert_eq!(value, stored(APPROVED));
    let Step::Pass(edits) = drive.answer(Answer::Stored) else { panic!("held") };
    assert_eq!(set(&edits, "x-cache").as_deref(), Some("miss"));
    // From this worker's memory, for at most a second.
    let Step::Reply(reply) = get(&mut drive) else { panic!("not a hit") };
    assert_eq!((reply.status, reply.body.as_slice()), (200, APPROVED.as_bytes()));
    assert!(reply.headers.contains(&("x-cache".to_owned(), b"hit".to_vec())));
    drive.now = at(2_001);
    let step = get(&mut drive);
    assert!(matches!(&step, Step::Ask(Question::Lookup { key: k, .. }) if *k == key), "{step:?}");
    assert!(matches!(drive.answer(Answer::Hit(stored(APPROVED), Duration::from_secs(50))), Step::Reply(_)));
    // Nobody else's answer, and no answer without a caller.
    let step = drive.again().request("GET", "/v1/payments/pay_1", &[("authorization", b"t2")], Ends::Here);
    assert!(matches!(step, Step::Ask(Question::Pin { .. })));
    let step = drive.answer(Answer::Pinned("b".to_owned()));
    assert!(matches!(&step, Step::Ask(Question::Lookup { key: k, .. }) if *k != key));
    drive.again().request("GET", "/v1/payments/pay_1", &[("authorization", b"t3")], Ends::Here);
    let Step::Reply(reply) = drive.answer(Answer::NoPin) else { panic!("asked somebody") };
    assert!(reply.headers.contains(&("x-cache".to_owned(), b"miss".to_vec())) && reply.status == 409);
    drive.again().request("GET", "/v1/payments/pay_1", &[], Ends::Here);
    assert_eq!(forwarded(&drive.answer(Answer::Pinned("b".to_owned()))), "b", "uncached");
    assert!(drive.facts().contains(&Fact::Lookup(LookupResult::Uncached)));
}

#[test]
fn what_is_not_final_or_not_good_is_not_kept() {
    let tenant: &[(&str, &[u8])] = &[("authorization", b"t1")];
    for (status, body) in [
        (200, r#"{"id":"pay_1","status":"pending"}"#),
        (200, r#"{"id":"pay_1","status":"declined","response_code":"96"}"#),
        (200, "<html>"),
        (404, "{}"),
        (500, APPROVED),
    ] {
        let mut drive = Drive::new();
        drive.request("GET", "/v1/payments/pay_1", tenant, Ends::Here);
        drive.answer(Answer::Pinned("b".to_owned()));
        drive.answer(Answer::Miss(None));
        let step = drive.response(status, Spoke::Processor, Some(body));
        assert!(matches!(step, Step::Pass(_)), "{status} {body}: {step:?}");
    }
}

#[test]
fn a_public_look_up_needs_no_caller_and_survives_a_silent_cache() {
    let mut drive = Drive::new();
    let step = drive.request("GET", "/v1/bins/424242", &[], Ends::Here);
    assert!(matches!(step, Step::Ask(Question::Lookup { entity: None, .. })), "{step:?}");
    forwarded(&drive.answer(Answer::Unavailable));
    let step = drive.response(200, Spoke::Processor, Some("{}"));
    assert!(matches!(step, Step::Pass(_)), "nobody to fill");
    let step = drive.again().request("GET", "/v1/bins/424242", &[("authorization", b"x")], Ends::Here);
    assert!(matches!(step, Step::Reply(_)), "but this worker remembers");
    // A whole card number is no key.
    let step = drive.again().request("GET", "/v1/bins/4242424242424242", &[], Ends::Here);
    forwarded(&step);
}

#[test]
fn a_silent_cache_service_is_left_alone_for_a_moment() {
    let mut drive = Drive::new();
    let mut asked = 0;
    for _ in 0..50 {
        drive.again().charge(CHARGE, None);
        if let Step::Ask(_) = drive.response(201, Spoke::Processor, Some(APPROVED)) {
            asked += 1;
            drive.answer(Answer::Unavailable);
        }
    }
    assert_eq!(asked, 3, "the others went on at once");
    // A key still never goes unclaimed.
    assert_eq!(refused(drive.again().charge(CHARGE, Some("k"))), (503, "key_state_unknown"));
    // Look-ups are judged apart.
    assert!(matches!(drive.again().request("GET", "/v1/bins/424242", &[], Ends::Here), Step::Ask(_)));
    // One question tries again, and its answer opens the way.
    drive.now = at(10_000);
    assert!(matches!(drive.again().charge(CHARGE, Some("k")), Step::Ask(_)));
    drive.answer(Answer::Claimed(Claim::Fresh, "a".to_owned()));
    assert!(matches!(drive.again().charge(CHARGE, Some("l")), Step::Ask(_)));
}

#[test]
fn where_a_caller_must_be_named_nobody_is_let_in() {
    let mut json = crate::fixture::document();
    json["tenant"] = serde_json::json!({"header": "Authorization"});
    let config = decision::config::Config::parse(json.to_string().as_bytes()).unwrap();
    let mut drive = Drive::of(config);
    for (method, path) in [("POST", "/v1/payments"), ("POST", "/v1/payments/p/capture"), ("GET", "/v1/payments/p")] {
        for headers in [&[("content-type", &b"application/json"[..])][..], &[("authorization", b"")]] {
            assert_eq!(refused(drive.again().request(method, path, headers, Ends::Later)), (401, "tenant_missing"));
        }
    }
    assert!(matches!(drive.again().request("GET", "/other", &[], Ends::Here), Step::Pass(_)), "not ours");
}
