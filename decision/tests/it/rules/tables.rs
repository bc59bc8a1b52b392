//! What each condition means, by example.

use super::{BODY, Charge, HEADER, QUERY, decide, naive, parse, rules, with};
use crate::fixture::{Drive, document, forwarded};
use decision::lookup::{Answer, Claim};
use decision::payment::{Funding, Scheme};
use serde_json::{Value, json};

#[track_caller]
fn check(when: Value, charge: Charge, holds: bool) {
    let lists = json!({"vip": ["gold", "@@silver"], "eu-bins": ["400000-400099", "400101"]});
    let rules = rules(std::slice::from_ref(&when));
    let config = parse(&with(&rules, &lists));
    assert_eq!(decide(&config, &charge).rule, holds.then_some(0), "{when} of {charge:?}");
    if !when.to_string().contains("@@") && !lists_need_unescaping(&when) {
        assert_eq!(naive::holds(&when, &lists, &charge), holds, "the plain meaning of {when} of {charge:?}");
    }
}

fn lists_need_unescaping(when: &Value) -> bool {
    when.to_string().contains("vip\"]") && when.to_string().contains('@')
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn amounts_and_currencies() {
    let of = |minor, currency: &str| Charge { minor, currency: currency.to_owned(), ..Charge::default() };
    let one = json!({"amount": {"currency": "EUR", "min": 100, "max": 200}});
    let two = json!({"amount": [{"currency": "EUR", "max": 10}, {"currency": "JPY", "min": 5}]});
    for (when, minor, currency, holds) in [
        (&one, 99, "EUR", false),
        (&one, 100, "EUR", true),
        (&one, 200, "EUR", true),
        (&one, 201, "EUR", false),
        (&one, 150, "USD", false),
        (&two, 10, "EUR", true),
        (&two, 11, "EUR", false),
        (&two, 999_999_999_999_999, "JPY", true),
        (&two, 4, "JPY", false),
        (&json!({"currency": ["EUR", "JPY"]}), 0, "JPY", true),
        (&json!({"currency": ["EUR", "JPY"]}), 0, "USD", false),
        (&json!({"not": {"currency": ["EUR"]}}), 0, "USD", true),
    ] {
        check(when.clone(), of(minor, currency), holds);
    }
}

#[test]
fn bins_of_every_length() {
    for (values, bin, holds) in [
        (json!(["424242"]), "424242", true),
        (json!(["424242"]), "42424299", true),
        (json!(["424242"]), "42424312", false),
        (json!(["4242-4243"]), "42439999", true),
        (json!(["4242-4243"]), "42440000", false),
        (json!([{"prefix": "4"}]), "49999999", true),
        (json!(["42424242"]), "424242", false),
        (json!(["51000000000-51999999999"]), "515151", true),
        (json!(["51000000000-51999999998"]), "51999999", false),
        (json!(["51000000000-51999999998"]), "51999998", true),
        (json!(["51000000000-51999999998"]), "51999999998", true),
        (json!(["51000000000-51999999998"]), "51999999999", false),
        (json!(["424242421"]), "42424242", false),
        (json!(["424242421"]), "424242421", true),
        (json!(["42424242000-42424242499", "42424242500-42424242999"]), "42424242", true),
        (json!(["42424242000-42424242499", "42424242501-42424242999"]), "42424242", false),
        (json!(["@eu-bins"]), "40005012", true),
        (json!([{"list": "eu-bins"}]), "400100", false),
        (json!(["@eu-bins", "400100"]), "400100", true),
    ] {
        check(json!({"bin": values}), Charge { bin: text(bin), ..Charge::default() }, holds);
        check(json!({"not": {"bin": values}}), Charge { bin: text(bin), ..Charge::default() }, !holds);
    }
    check(json!({"bin": [{"prefix": "4"}]}), Charge::default(), false);
    check(json!({"not": {"bin": [{"prefix": "4"}]}}), Charge::default(), true);
    check(json!({"bin_prefix": ["4", "55"]}), Charge { bin: text("555555"), ..Charge::default() }, true);
}

#[test]
fn what_is_known_of_card_merchant_and_request() {
    let vip = |header: &str| Charge { header: text(header), ..Charge::default() };
    let path = |path: &str| Charge { path: path.to_owned(), ..Charge::default() };
    let of = Charge::default;
    let table = [
        (json!({"scheme": ["visa", "amex"]}), Charge { scheme: Some(Scheme::Amex), ..of() }, true),
        (json!({"scheme": ["visa"]}), Charge { scheme: Some(Scheme::Amex), ..of() }, false),
        (json!({"issuer_country": ["DE"]}), Charge { country: text("DE"), ..of() }, true),
        (json!({"issuer_country": ["DE"]}), of(), false),
        (json!({"funding": ["prepaid"]}), Charge { funding: Some(Funding::Prepaid), ..of() }, true),
        (json!({"merchant": ["a"]}), Charge { merchant: text("a"), ..of() }, true),
        (json!({"merchant": ["a"]}), Charge { merchant: text("A"), ..of() }, false),
        (json!({"method": ["ideal"]}), Charge { method: text("ideal"), ..of() }, true),
        (json!({"http_method": ["PUT"]}), of(), false),
        (json!({"http_method": ["POST"]}), of(), true),
        (json!({"path": ["/v1/payments"]}), path("/v1/payments"), true),
        (json!({"path": ["/v1/payments"]}), path("/v1/payments/"), false),
        (json!({"path": [{"prefix": "/v1/"}]}), path("/v1/"), true),
        (json!({"path": [{"prefix": "/v1/"}]}), path("/v1"), false),
        (json!({"path": [{"prefix": "/v1/"}]}), path("/v10/x"), false),
        (json!({"header": {HEADER: ["@vip"]}}), vip("gold"), true),
        (json!({"header": {HEADER: ["@vip"]}}), vip("@silver"), true),
        (json!({"header": {HEADER: ["@@gold"]}}), vip("@gold"), true),
        (json!({"header": {HEADER: ["@@gold"]}}), vip("gold"), false),
        (json!({"header": {HEADER: [1, true]}}), vip("true"), true),
        (json!({"query": {QUERY: ["web"]}}), Charge { query: text("web"), ..of() }, true),
        (json!({"body": {BODY: ["pro"]}}), Charge { body: text("pro"), ..of() }, true),
        (json!({"body": {BODY: ["pro"]}}), of(), false),
        (json!({"any": [{"merchant": ["a"]}, {"method": ["card"]}]}), Charge { method: text("card"), ..of() }, true),
        (json!({"all": [{"merchant": ["a"]}, {"method": ["card"]}]}), Charge { method: text("card"), ..of() }, false),
        (json!({"not": {"merchant": ["a"], "currency": ["EUR"]}}), Charge { merchant: text("a"), ..of() }, false),
        (json!({"not": {"merchant": ["a"], "currency": ["USD"]}}), Charge { merchant: text("a"), ..of() }, true),
        (json!({}), of(), true),
    ];
    for (when, charge, holds) in table {
        // The plain meaning knows values that are texts only.
        if when.to_string().contains("true") {
            let config = parse(&with(&rules(&[when]), &json!({})));
            assert_eq!(decide(&config, &charge).rule, Some(0));
        } else {
            check(when, charge, holds);
        }
    }
}

#[test]
fn times_are_judged_by_the_wall_clock() {
    // 2026-11-21 is a Saturday; 15:16 UTC.
    let at = |seconds| Charge { at: seconds, ..Charge::default() };
    let noon = 1_795_274_160;
    let hour = 3_600;
    for (window, when, holds) in [
        (json!({"days": ["sat"]}), noon, true),
        (json!({"days": ["sun"]}), noon, false),
        (json!({"from": "15:16", "to": "15:17"}), noon, true),
        (json!({"from": "15:16", "to": "15:17"}), noon + 60, false),
        (json!({"from": "20:46", "to": "20:47", "offset": "+05:30"}), noon, true),
        (json!({"days": ["sat"], "from": "22:00", "to": "06:00"}), noon + 10 * hour, true),
        (json!({"days": ["sun"], "from": "22:00", "to": "06:00"}), noon + 10 * hour, false),
        (json!({"days": ["sun"], "from": "22:00", "to": "06:00"}), noon + 34 * hour, true),
        (json!({"not_after": "2026-11-21"}), noon + 8 * hour, true),
        (json!({"not_after": "2026-11-21"}), noon + 9 * hour, false),
        (json!({"not_after": "2026-11-21T15:16"}), noon + 59, true),
        (json!({"not_after": "2026-11-21T15:16"}), noon + 60, false),
        (json!({"not_before": "2026-11-22", "offset": "+09:00"}), noon, true),
        (json!({"not_before": "2026-11-22"}), noon, false),
        (json!([{"days": ["mon"]}, {"days": ["sat"], "not_before": "2026-01-01"}]), noon, true),
    ] {
        check(json!({"time": window}), at(when), holds);
    }
}

/// From the proxy's headers and the body's bytes to the processor.
#[test]
fn a_request_tells_its_rules_everything() {
    let mut json = document();
    json["operations"][0]["path"] = json!("/v1/payments/{x}");
    for index in 1..4 {
        json["operations"][index]["path"] = json!(format!("/v1/other/{{x}}/{index}"));
    }
    let drive = |when: &Value, body: &str| {
        let mut json = json.clone();
        json["rules"] = rules(std::slice::from_ref(when));
        let mut drive = Drive::of(parse(&json));
        let headers: [(&str, &[u8]); 4] =
            [("authorization", b"t1"), ("content-type", b"application/json"), ("x-vip", b"1"), ("x-vip", b"2")];
        let step = drive.request(
            "POST",
            "/v1/payments/abc?channel=a%20b&channel=c",
            &headers,
            decision::exchange::Ends::Later,
        );
        assert!(matches!(step, decision::exchange::Step::ReadBody), "{step:?}");
        let body = decision::exchange::Body::Whole(body.as_bytes());
        let step = drive.exchange.on_request_body(&mut drive.router, body, drive.now);
        let step = match step {
            decision::exchange::Step::Ask(_) => drive.answer(Answer::Claimed(Claim::Fresh, "c".to_owned())),
            step => step,
        };
        forwarded(&step) == "c"
    };
    let body = r#"{"amount":5,"currency":"EUR","source":{"number":"4242424242424242"},
                   "metadata":{"plan":"pro","tries":3,"new":true,"card":"4242 4242 4242 4242","pan":4242424242424242}}"#;
    for (when, holds) in [
        (json!({"http_method": ["POST"]}), true),
        (json!({"http_method": ["PUT"]}), false),
        (json!({"path": ["/v1/payments/abc"]}), true),
        (json!({"path": [{"prefix": "/v1/payments/"}]}), true),
        (json!({"query": {"channel": ["a b"]}}), true),
        (json!({"query": {"channel": ["c"]}}), false),
        (json!({"query": {"other": ["c"]}}), false),
        (json!({"header": {"X-Vip": ["1"]}}), true),
        (json!({"header": {"X-Vip": ["2"]}}), false),
        (json!({"body": {"/metadata/plan": ["pro"]}}), true),
        (json!({"body": {"/metadata/tries": [3]}}), true),
        (json!({"body": {"/metadata/new": [true]}}), true),
        (json!({"body": {"/metadata/none": ["pro"]}}), false),
        (json!({"body": {"/metadata/card": ["4242 4242 4242 4242"]}}), false),
        (json!({"body": {"/metadata/pan": ["4242424242424242"]}}), false),
        (json!({"bin": ["42424242"]}), true),
        (json!({"bin": ["424242421"]}), false),
        (json!({"scheme": ["visa"]}), true),
        (json!({"time": {"days": ["thu"]}}), true),
        (json!({"time": {"days": ["fri"]}}), false),
    ] {
        // The rule's pool is processor c alone; the default would take a first.
        assert_eq!(drive(&when, body), holds, "{when}");
    }
}
