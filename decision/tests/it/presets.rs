//! Every preset reads, and reads what its processor documents.

use decision::config::Config;
use decision::config::presets::PRESETS;
use decision::operation::Kind;
use decision::payment::{Answer, Asked, Encoding, Profile, Spoke, parse};
use serde_json::{Value, json};

use crate::fixture::document;

fn with(edit: impl FnOnce(&mut Value)) -> Config {
    let mut json = document();
    json["rules"] = json!([]);
    edit(&mut json);
    Config::parse(json.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn profile(preset: &str) -> Profile {
    with(|json| json["profiles"]["sample"] = json!({"preset": preset})).processors.remove(0).profile
}

#[test]
fn every_preset_reads_by_name_and_as_a_copy() {
    for (name, text) in PRESETS {
        let copy: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(copy["about"].as_str().is_some_and(|about| about.len() > 60), "{name} says what it is about");
        let request = copy["request"].clone();
        let named = with(|json| {
            json["profiles"]["sample"] = json!({"preset": name});
            json["fields"] = json!({"preset": name});
        });
        let copied = with(|json| {
            json["profiles"]["sample"] = copy;
            json["fields"] = request;
        });
        assert_eq!(format!("{named:?}"), format!("{copied:?}"), "{name}");
    }
}

#[test]
fn what_is_written_beside_a_preset_replaces_that_field_alone() {
    let config = with(|json| {
        json["profiles"]["sample"] = json!({"preset": "stripe", "approved": ["fine"], "same_key": "charges_again"});
        json["fields"] = json!({"preset": "braintree", "fixed_currency": "EUR"});
    });
    let profile = &config.processors[0].profile;
    assert_eq!(told(profile, 200, r#"{"status":"fine"}"#), "approved processed");
    assert_eq!(told(profile, 200, r#"{"status":"succeeded"}"#), "unclear unknown");
    assert_eq!(told(profile, 200, r#"{"status":"processing"}"#), "pending processed");
    let body = br#"{"query":"q","variables":{"input":{"transaction":{"amount":"10.50"}}}}"#;
    let payment = parse(Encoding::Json, body, &config.fields).unwrap();
    assert_eq!(format!("{:?}", payment.amount), "Amount { minor: 1050, currency: EUR }");
}

fn told(profile: &Profile, status: u16, body: &str) -> String {
    let answer = Answer { status, spoke: Spoke::Processor, body: Some(body.as_bytes()), asked: Asked::default() };
    let reading = profile.read(Kind::Charge, answer);
    let id = reading.payment_id.map(|id| format!(" {id}")).unwrap_or_default();
    format!("{} {}{id}", reading.outcome.as_str(), reading.evidence.as_str())
}

fn check(preset: &str, table: &[(u16, &str, &str)]) {
    let profile = profile(preset);
    for (status, body, want) in table {
        assert_eq!(told(&profile, *status, body), *want, "{preset}: {status} {body}");
    }
    // What every processor may answer.
    for (status, body, want) in [
        (200, "<html>", "unclear unknown"),
        (200, "{\"", "unclear unknown"),
        (200, "{}", "unclear unknown"),
        (500, "", "failed unknown"),
        (502, "<html>", "failed unknown"),
        (503, "{}", "failed unknown"),
    ] {
        assert_eq!(told(&profile, status, body), want, "{preset}: {status} {body}");
    }
    for status in [401, 403] {
        assert!(told(&profile, status, "{}").starts_with("misconfigured"), "{preset}: {status}");
    }
    assert!(told(&profile, 429, "{}").starts_with("rate_limited"), "{preset}");
    assert!(told(&profile, 409, "{}").starts_with("in_flight"), "{preset}");
    assert!(told(&profile, 400, "{}").starts_with("invalid_request"), "{preset}");
}

#[test]
fn stripe() {
    let card = |code: &str, more: &str| {
        format!(
            r#"{{"error":{{"type":"card_error","code":"card_declined","decline_code":"{code}",{more}
                "message":"Your card was declined.","payment_intent":{{"id":"pi_1","status":"requires_payment_method"}}}}}}"#
        )
    };
    check(
        "stripe",
        &[
            (
                200,
                r#"{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":1200}"#,
                "approved processed pi_1",
            ),
            (200, r#"{"id":"pi_1","status":"requires_capture"}"#, "approved processed pi_1"),
            (200, r#"{"id":"pi_1","status":"processing"}"#, "pending processed pi_1"),
            (
                200,
                r#"{"id":"pi_1","status":"requires_action","next_action":{"type":"redirect_to_url"}}"#,
                "action_required processed pi_1",
            ),
            (200, r#"{"id":"pi_1","status":"requires_payment_method"}"#, "action_required processed pi_1"),
            (
                200,
                r#"{"id":"pi_1","status":"requires_payment_method","last_payment_error":{"code":"card_declined","decline_code":"lost_card"}}"#,
                "declined_hard processed pi_1",
            ),
            (200, r#"{"id":"pi_1","status":"canceled"}"#, "declined_soft processed pi_1"),
            (200, r#"{"id":"pi_1","status":"teleported"}"#, "unclear unknown pi_1"),
            (402, &card("insufficient_funds", ""), "declined_soft processed pi_1"),
            (402, &card("stolen_card", ""), "declined_hard processed pi_1"),
            (402, &card("issuer_not_available", ""), "issuer_failed unknown pi_1"),
            (402, &card("processing_error", ""), "failed unknown pi_1"),
            (402, &card("duplicate_transaction", ""), "unclear unknown pi_1"),
            (402, &card("a_new_word", ""), "declined_soft processed pi_1"),
            (402, &card("a_new_word", r#""network_decline_code":"41","#), "declined_hard processed pi_1"),
            (
                402,
                r#"{"error":{"type":"card_error","code":"card_declined","network_decline_code":"04"}}"#,
                "declined_hard processed",
            ),
            (402, r#"{"error":{"type":"card_error","code":"expired_card"}}"#, "declined_soft processed"),
            (400, r#"{"error":{"type":"invalid_request_error","param":"amount"}}"#, "invalid_request unknown"),
            (400, r#"{"error":{"type":"idempotency_error"}}"#, "invalid_request unknown"),
            (401, r#"{"error":{"type":"invalid_request_error"}}"#, "misconfigured not_processed"),
            (409, r#"{"error":{"type":"idempotency_error"}}"#, "in_flight unknown"),
            (424, r#"{"error":{"type":"api_error"}}"#, "failed unknown"),
            (429, r#"{"error":{"type":"invalid_request_error","code":"rate_limit"}}"#, "rate_limited not_processed"),
            (429, r#"{"error":{"type":"invalid_request_error","code":"lock_timeout"}}"#, "in_flight unknown"),
            (500, r#"{"error":{"type":"api_error"}}"#, "failed unknown"),
        ],
    );
}

#[test]
fn adyen() {
    let refused = |code: &str, more: &str| {
        format!(
            r#"{{"pspReference":"P1","resultCode":"Refused","refusalReason":"x","refusalReasonCode":"{code}"{more}}}"#
        )
    };
    check(
        "adyen",
        &[
            (
                200,
                r#"{"pspReference":"P1","resultCode":"Authorised","merchantReference":"o1"}"#,
                "approved processed P1",
            ),
            (
                200,
                r#"{"pspReference":"P1","resultCode":"Authorised","refusalReasonCode":"0"}"#,
                "approved processed P1",
            ),
            (200, r#"{"pspReference":"P1","resultCode":"PartiallyAuthorised"}"#, "approved processed P1"),
            (200, &refused("12", ""), "declined_soft processed P1"),
            (200, &refused("5", ""), "declined_hard processed P1"),
            (200, &refused("2", ""), "declined_soft processed P1"),
            (
                200,
                &refused("2", r#","additionalData":{"refusalReasonRaw":"04 : Capture card"}"#),
                "declined_hard processed P1",
            ),
            (
                200,
                &refused(
                    "27",
                    r#","additionalData":{"refusalReasonRaw":"79 : Lifecycle","paymentMethod":"mc","merchantAdviceCode":"03 : Do not try again"}"#,
                ),
                "declined_hard processed P1",
            ),
            (200, &refused("9", ""), "issuer_failed unknown P1"),
            (200, &refused("4", ""), "failed unknown P1"),
            (200, r#"{"pspReference":"P1","resultCode":"Cancelled"}"#, "declined_soft processed P1"),
            (
                200,
                r#"{"pspReference":"P1","resultCode":"Error","refusalReason":"Acquirer Error"}"#,
                "failed unknown P1",
            ),
            (200, r#"{"pspReference":"P1","resultCode":"Pending"}"#, "pending processed P1"),
            (200, r#"{"pspReference":"P1","resultCode":"Received"}"#, "pending processed P1"),
            (200, r#"{"resultCode":"RedirectShopper","action":{"type":"redirect"}}"#, "action_required processed"),
            (200, r#"{"resultCode":"ChallengeShopper"}"#, "action_required processed"),
            (200, r#"{"resultCode":"Sideways"}"#, "unclear unknown"),
            (
                422,
                r#"{"status":422,"errorCode":"704","message":"request already processed or in progress"}"#,
                "in_flight unknown",
            ),
            (409, r#"{"status":409,"errorCode":704}"#, "in_flight unknown"),
            (422, r#"{"status":422,"errorCode":"101","errorType":"validation"}"#, "invalid_request unknown"),
            (401, r#"{"status":401,"errorCode":"000","errorType":"security"}"#, "misconfigured unknown"),
        ],
    );
}

#[test]
fn checkout_com() {
    let payment = |status: &str, approved: bool, code: &str| {
        format!(r#"{{"id":"pay_1","approved":{approved},"status":"{status}","response_code":"{code}"}}"#)
    };
    check(
        "checkout_com",
        &[
            (201, &payment("Authorized", true, "10000"), "approved processed pay_1"),
            (201, &payment("Captured", true, "10000"), "approved processed pay_1"),
            (201, &payment("Declined", false, "20051"), "declined_soft processed pay_1"),
            (201, &payment("Declined", false, "20014"), "declined_hard processed pay_1"),
            (201, &payment("Declined", false, "30004"), "declined_hard processed pay_1"),
            (201, &payment("Declined", false, "40101"), "declined_hard processed pay_1"),
            (201, &payment("Declined", false, "20096"), "failed unknown pay_1"),
            (201, &payment("Declined", false, "20091"), "issuer_failed unknown pay_1"),
            (201, &payment("Declined", false, "20068"), "unclear unknown pay_1"),
            (201, &payment("Declined", false, "20003"), "misconfigured processed pay_1"),
            (201, &payment("Authorized", true, "20051"), "unclear unknown pay_1"),
            (
                201,
                r#"{"id":"pay_1","status":"Declined","processing":{"partner_response_code":"43"}}"#,
                "declined_hard processed pay_1",
            ),
            (
                202,
                r#"{"id":"pay_1","status":"Pending","_links":{"redirect":{"href":"https://3ds.test/x"}}}"#,
                "action_required processed pay_1",
            ),
            (202, r#"{"id":"pay_1","status":"Pending"}"#, "pending processed pay_1"),
            (201, &payment("Floating", true, "10000"), "unclear unknown pay_1"),
            (
                422,
                r#"{"request_id":"r","error_type":"request_invalid","error_codes":["amount_invalid"]}"#,
                "invalid_request unknown",
            ),
            (429, r#"{"error_type":"too_many_requests"}"#, "rate_limited unknown"),
        ],
    );
}

#[test]
fn paypal() {
    let captured = |status: &str| {
        format!(
            r#"{{"id":"5O1","status":"COMPLETED","purchase_units":[{{"payments":{{"captures":[{{"id":"3C6","status":"{status}"}}]}}}}]}}"#
        )
    };
    let issue =
        |issue: &str| format!(r#"{{"name":"UNPROCESSABLE_ENTITY","debug_id":"d","details":[{{"issue":"{issue}"}}]}}"#);
    check(
        "paypal",
        &[
            (201, &captured("COMPLETED"), "approved processed 5O1"),
            (201, &captured("PENDING"), "pending processed 5O1"),
            (201, &captured("DECLINED"), "declined_soft processed 5O1"),
            (201, &captured("FAILED"), "declined_soft processed 5O1"),
            (201, &captured("UNHEARD_OF"), "unclear unknown 5O1"),
            (
                201,
                r#"{"id":"5O1","status":"COMPLETED","purchase_units":[{"payments":{"authorizations":[{"status":"CREATED"}]}}]}"#,
                "approved processed 5O1",
            ),
            (
                201,
                r#"{"id":"5O1","status":"COMPLETED","purchase_units":[{"payments":{"authorizations":[{"status":"DENIED"}]}}]}"#,
                "declined_soft processed 5O1",
            ),
            (201, r#"{"id":"5O1","status":"CREATED"}"#, "action_required processed 5O1"),
            (200, r#"{"id":"5O1","status":"PAYER_ACTION_REQUIRED"}"#, "action_required processed 5O1"),
            (422, &issue("INSTRUMENT_DECLINED"), "declined_soft processed"),
            (422, &issue("CARD_CLOSED"), "declined_hard processed"),
            (422, &issue("MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED"), "declined_hard processed"),
            (422, &issue("PAYER_ACTION_REQUIRED"), "action_required processed"),
            (422, &issue("DUPLICATE_INVOICE_ID"), "unclear unknown"),
            (422, &issue("ORDER_ALREADY_CAPTURED"), "in_flight unknown"),
            (422, &issue("CURRENCY_NOT_SUPPORTED"), "invalid_request unknown"),
            (
                400,
                r#"{"name":"INVALID_REQUEST","details":[{"issue":"MISSING_REQUIRED_PARAMETER"}]}"#,
                "invalid_request unknown",
            ),
            (429, r#"{"name":"RATE_LIMIT_REACHED"}"#, "rate_limited unknown"),
        ],
    );
}

#[test]
fn braintree() {
    let charged = |status: &str, response: &str| {
        format!(
            r#"{{"data":{{"chargeCreditCard":{{"transaction":{{"id":"dHJh","status":"{status}",
                "statusHistory":[{{"processorResponse":{response}}}]}}}}}}}}"#
        )
    };
    let error = |class: &str| {
        format!(
            r#"{{"data":{{"chargeCreditCard":null}},"errors":[{{"message":"m","extensions":{{"errorClass":"{class}"}}}}]}}"#
        )
    };
    check(
        "braintree",
        &[
            (200, &charged("SUBMITTED_FOR_SETTLEMENT", r#"{"legacyCode":"1000"}"#), "approved processed dHJh"),
            (
                200,
                r#"{"data":{"authorizeCreditCard":{"transaction":{"id":"dHJh","status":"AUTHORIZED"}}}}"#,
                "approved processed dHJh",
            ),
            (200, &charged("PROCESSOR_DECLINED", r#"{"legacyCode":"2000"}"#), "declined_soft processed dHJh"),
            (200, &charged("PROCESSOR_DECLINED", r#"{"legacyCode":"2014"}"#), "declined_hard processed dHJh"),
            (
                200,
                &charged("PROCESSOR_DECLINED", r#"{"legacyCode":"2999","declineType":"HARD"}"#),
                "declined_hard processed dHJh",
            ),
            (200, &charged("PROCESSOR_DECLINED", r#"{"legacyCode":"3000"}"#), "failed unknown dHJh"),
            (200, &charged("PROCESSOR_DECLINED", "null"), "declined_soft processed dHJh"),
            (200, &charged("GATEWAY_REJECTED", "null"), "declined_soft processed dHJh"),
            (200, &charged("FAILED", "null"), "failed unknown dHJh"),
            (200, &charged("AUTHORIZING", "null"), "pending processed dHJh"),
            (200, &charged("DANCING", "null"), "unclear unknown dHJh"),
            (200, &error("AUTHENTICATION"), "misconfigured processed"),
            (200, &error("VALIDATION"), "invalid_request processed"),
            (200, &error("RESOURCE_LIMIT"), "rate_limited unknown"),
            (200, &error("SERVICE_AVAILABILITY"), "failed unknown"),
            (200, &error("NEW"), "unclear unknown"),
        ],
    );
}

#[test]
fn worldpay() {
    check(
        "worldpay",
        &[
            (
                201,
                r#"{"outcome":"authorized","transactionReference":"o-1","paymentId":"payA"}"#,
                "approved processed payA",
            ),
            (201, r#"{"outcome":"sentForSettlement","transactionReference":"o-1"}"#, "approved processed o-1"),
            (
                201,
                r#"{"outcome":"refused","refusalCode":"5","refusalDescription":"Do not honor"}"#,
                "declined_soft processed",
            ),
            (201, r#"{"outcome":"refused","refusalCode":"43"}"#, "declined_hard processed"),
            (201, r#"{"outcome":"refused","refusalCode":"91"}"#, "issuer_failed unknown"),
            (
                201,
                r#"{"outcome":"refused","refusalCode":"78","paymentInstrument":{"cardBrand":"mastercard"}}"#,
                "declined_hard processed",
            ),
            (201, r#"{"outcome":"refused","refusalCode":"78"}"#, "unclear unknown"),
            (201, r#"{"outcome":"fraudHighRisk"}"#, "declined_soft processed"),
            (202, r#"{"outcome":"3dsDeviceDataRequired"}"#, "action_required processed"),
            (202, r#"{"outcome":"3dsChallenged"}"#, "action_required processed"),
            (201, r#"{"outcome":"3dsAuthenticationFailed"}"#, "declined_soft processed"),
            (201, r#"{"outcome":"elsewhere"}"#, "unclear unknown"),
            (400, r#"{"errorName":"bodyDoesNotMatchSchema"}"#, "invalid_request unknown"),
        ],
    );
}

#[test]
fn square() {
    let error = |category: &str, code: &str| format!(r#"{{"errors":[{{"category":"{category}","code":"{code}"}}]}}"#);
    check(
        "square",
        &[
            (200, r#"{"payment":{"id":"R2B3","status":"COMPLETED"}}"#, "approved processed R2B3"),
            (200, r#"{"payment":{"id":"R2B3","status":"APPROVED"}}"#, "approved processed R2B3"),
            (200, r#"{"payment":{"id":"R2B3","status":"PENDING"}}"#, "pending processed R2B3"),
            (200, r#"{"payment":{"id":"R2B3","status":"CANCELED"}}"#, "declined_soft processed R2B3"),
            (200, r#"{"payment":{"id":"R2B3","status":"UPSIDE_DOWN"}}"#, "unclear unknown R2B3"),
            (402, &error("PAYMENT_METHOD_ERROR", "GENERIC_DECLINE"), "declined_soft processed"),
            (402, &error("PAYMENT_METHOD_ERROR", "CARD_NOT_SUPPORTED"), "declined_hard processed"),
            (
                400,
                r#"{"errors":[{"category":"PAYMENT_METHOD_ERROR","code":"CVV_FAILURE"}],"payment":{"id":"R2B3","status":"FAILED"}}"#,
                "declined_soft processed R2B3",
            ),
            (400, &error("INVALID_REQUEST_ERROR", "IDEMPOTENCY_KEY_REUSED"), "invalid_request unknown"),
            (401, &error("AUTHENTICATION_ERROR", "UNAUTHORIZED"), "misconfigured unknown"),
            (429, &error("RATE_LIMIT_ERROR", "RATE_LIMITED"), "rate_limited unknown"),
            (400, &error("API_ERROR", "TEMPORARY_ERROR"), "failed unknown"),
            (500, &error("API_ERROR", "INTERNAL_SERVER_ERROR"), "failed unknown"),
            (502, &error("EXTERNAL_VENDOR_ERROR", "X"), "failed unknown"),
        ],
    );
}

#[test]
fn generic() {
    check(
        "generic",
        &[
            (201, r#"{"id":"p1","status":"approved","response_code":"00"}"#, "approved processed p1"),
            (201, r#"{"id":"p1","status":"declined","response_code":"51"}"#, "declined_soft processed p1"),
            (201, r#"{"id":"p1","status":"declined","response_code":"41"}"#, "declined_hard processed p1"),
            (201, r#"{"id":"p1","status":"declined","response_code":"96"}"#, "failed unknown p1"),
            (201, r#"{"id":"p1","status":"declined","response_code":"91"}"#, "issuer_failed unknown p1"),
            (201, r#"{"id":"p1","status":"declined","response_code":"09"}"#, "unclear unknown p1"),
            (201, r#"{"id":"p1","status":"requires_action"}"#, "action_required processed p1"),
            (202, r#"{"id":"p1","status":"pending"}"#, "pending processed p1"),
            (402, r#"{"id":"p1"}"#, "declined_soft processed p1"),
            (201, r#"{"id":"p1","status":"maybe"}"#, "unclear unknown p1"),
        ],
    );
}

/// Requests as they are documented, under the fields of each preset.
#[test]
fn requests() {
    let form =
        "amount=1200&currency=eur&payment_method_data[type]=card&payment_method_data[card][number]=4242424242424242";
    for (preset, encoding, body, want) in [
        ("stripe", Encoding::Form, form.to_owned(), "1200 EUR None Some(42424242) Some(Visa) Some(\"card\")"),
        (
            "adyen",
            Encoding::Json,
            r#"{"amount":{"value":1200,"currency":"EUR"},"reference":"o1","merchantAccount":"Shop",
                "paymentMethod":{"type":"scheme","brand":"mc","encryptedCardNumber":"adyenjs_x"}}"#
                .to_owned(),
            "1200 EUR Some(\"Shop\") None Some(Mastercard) Some(\"scheme\")",
        ),
        (
            "checkout_com",
            Encoding::Json,
            r#"{"amount":1200,"currency":"JPY","processing_channel_id":"pc_1","source":{"type":"token","token":"tok_1"}}"#
                .to_owned(),
            "1200 JPY Some(\"pc_1\") None None Some(\"token\")",
        ),
        (
            "paypal",
            Encoding::Json,
            r#"{"intent":"CAPTURE","purchase_units":[{"amount":{"currency_code":"USD","value":"12.00"}}]}"#.to_owned(),
            "1200 USD None None None None",
        ),
        (
            "braintree",
            Encoding::Json,
            r#"{"query":"q","variables":{"input":{"transaction":{"amount":12.5,"merchantAccountId":"m_usd"}}}}"#.to_owned(),
            "1250 USD Some(\"m_usd\") None None None",
        ),
        (
            "worldpay",
            Encoding::Json,
            r#"{"transactionReference":"o1","merchant":{"entity":"default"},"instruction":{"method":"card",
                "paymentInstrument":{"type":"plain","cardNumber":"5555555555554444"},"value":{"currency":"GBP","amount":42}}}"#
                .to_owned(),
            "42 GBP Some(\"default\") Some(55555555) Some(Mastercard) Some(\"card\")",
        ),
        (
            "square",
            Encoding::Json,
            r#"{"source_id":"cnon:x","idempotency_key":"k","amount_money":{"amount":1000,"currency":"USD"},"location_id":"L1"}"#
                .to_owned(),
            "1000 USD Some(\"L1\") None None None",
        ),
        (
            "generic",
            Encoding::Json,
            r#"{"amount":1,"currency":"EUR","card":{"bin":"42424242","brand":"visa","funding":"debit","country":"FR"}}"#.to_owned(),
            "1 EUR None Some(42424242) Some(Visa) None",
        ),
    ] {
        let fields = with(|json| json["fields"] = json!({"preset": preset})).fields;
        let p = parse(encoding, body.as_bytes(), &fields).unwrap_or_else(|reason| panic!("{preset}: {reason:?}"));
        let (minor, currency) = (p.amount.minor, p.amount.currency);
        let got = format!("{minor} {currency:?} {:?} {:?} {:?} {:?}", p.merchant, p.bin, p.scheme, p.method);
        assert_eq!(got, want, "{preset}");
    }
}
