//! A bad configuration is refused, and the error says where and why.

use decision::config::{Config, Document};
use serde_json::{Value, json};

use crate::fixture::document;

fn error(edit: impl FnOnce(&mut Value)) -> String {
    let mut json = document();
    edit(&mut json);
    match Config::parse(json.to_string().as_bytes()) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn errors_name_the_path_and_the_expectation() {
    type Edit = fn(&mut Value);
    let table: [(Edit, &str); 52] = [
        (|j| j["processors"][1]["weight"] = json!(0), "processors[1].weight: 0 is not within 1 to 1000"),
        (|j| j["processors"][1]["weight"] = json!(-1), "processors[1].weight: invalid value: integer `-1`"),
        (|j| j["processors"][1]["wieght"] = json!(1), "processors[1].wieght: unknown field `wieght`"),
        (|j| j["processors"][1]["name"] = json!("a"), "processors[1].name: \"a\" is there already"),
        (|j| j["processors"][0]["name"] = json!("a b"), "processors[0].name: a name is"),
        (|j| j["processors"][0]["profile"] = json!("x"), "processors[0].profile: no profile is called \"x\""),
        (|j| j["processors"][0]["path_prefix"] = json!("api/"), "processors[0].path_prefix: starts with /"),
        (|j| j["processors"] = json!([]), "processors: 1 to 64 processors"),
        (|j| j["default"]["processors"] = json!(["z"]), "default.processors[0]: no processor is called \"z\""),
        (|j| j["default"]["processors"] = json!([]), "default.processors: at least one value"),
        (|j| j["default"]["policy"] = json!("fastest"), "default.policy: unknown variant `fastest`"),
        (|j| j["rules"][0]["when"]["bin_prefix"] = json!(["12345x"]), "rules[0].when.bin_prefix[0]: 1 to 8 digits"),
        (|j| j["rules"][0]["when"] = json!({"amount": {"currency": "EUR", "min": 5, "max": 4}}), "no amount fits"),
        (|j| j["rules"][0]["when"] = json!({"currency": ["EURO"]}), "rules[0].when.currency[0]: a currency is three"),
        (|j| j["breaker"]["open_ms_max"] = json!(10), "open_ms_max: at least open_ms, which is 1000"),
        (|j| j["operations"][0]["path"] = json!("v1"), "operations[0].path: a path template starts with /"),
        (|j| j["operations"][0]["method"] = json!("post"), "operations[0].method: an HTTP method in upper case"),
        (|j| j["operations"][1]["path"] = json!("/v1/capture"), "operations[1].path: a follow_up has the payment's id"),
        (|j| j["operations"][1]["key"] = json!({"header": "k"}), "operations[1].key: only for kind charge"),
        (|j| j["operations"][3]["lookup"]["local_ttl_ms"] = json!(1001), "local_ttl_ms: 1001 is not within 0 to 1000"),
        (|j| j["operations"][3]["lookup"]["namespace"] = json!("A"), "namespace: a namespace is"),
        (
            |j| j["operations"][1]["invalidates"] = json!("payment_statuses"),
            "operations[1].invalidates: no look-up of a tenant is kept in payment_statuses",
        ),
        (
            |j| j["operations"][3]["lookup"]["shared"] = json!("public"),
            "operations[1].invalidates: no look-up of a tenant is kept",
        ),
        (
            |j| j["operations"][1]["invalidates"] = json!(null),
            "operations[1].invalidates: status would stay what it was: say payment_status",
        ),
        (
            |j| j["operations"][2]["path"] = j["operations"][1]["path"].clone(),
            "operations[2].path: capture has the same",
        ),
        (|j| j["tenant"] = json!(null), "operations[3].lookup.shared: tenant needs tenant.header"),
        (|j| j["fields"]["card_number"] = json!([]), "rules[0].when: it can never hold: fields.card_number"),
        (|j| j["rules"][0]["when"] = json!({"merchant": []}), "rules[0].when.merchant: at least one value"),
        (|j| j["rules"] = json!([j["rules"][0], j["rules"][0]]), "rules[1].name: \"to-c\" is there already"),
        (|j| j["limits"]["answer_body_bytes"] = json!(1 << 30), "limits.answer_body_bytes: 1073741824 is not within"),
        (|j| j["fields"]["amount"] = json!(["amount"]), "fields.amount[0]: a JSON pointer starts with /"),
        (
            |j| j["profiles"]["sample"]["declined"] = json!(["succeeded"]),
            "profiles.sample: status \"succeeded\" stands in two",
        ),
        (
            |j| j["profiles"]["sample"]["statuses"] = json!({"unclear": ["pending"]}),
            "profiles.sample: status \"pending\" stands in two",
        ),
        (|j| j["profiles"]["sample"]["statuses"] = json!({"unsent": ["x"]}), "unknown variant `unsent`"),
        (|j| j["profiles"]["sample"]["approved"] = json!([]), "profiles.sample.approved: at least one value"),
        (|j| j["profiles"]["sample"]["same_key"] = json!(null), "profiles.sample.same_key: replays or charges_again"),
        (|j| j["profiles"]["sample"]["iso8583"] = json!(true), "profiles.sample.iso8583: needs network_code"),
        (
            |j| j["profiles"]["sample"]["codes"] = json!({"failed": ["1*"], "declined": ["1*"]}),
            "profiles.sample.codes: code \"1*\" has two meanings",
        ),
        (
            |j| j["profiles"]["sample"]["rules"] = json!([{"outcome": "failed"}]),
            "profiles.sample.rules[0]: http or when",
        ),
        (
            |j| j["profiles"]["sample"]["rules"] = json!([{"http": ["4x"], "outcome": "failed"}]),
            "profiles.sample.rules[0].http[0]: a status such as 422",
        ),
        (
            |j| j["profiles"]["sample"]["rules"] = json!([{"http": ["500-400"], "outcome": "failed"}]),
            "profiles.sample.rules[0].http[0]: a status such as 422",
        ),
        (
            |j| j["profiles"]["sample"]["rules"] = json!([{"when": {"state": ["x"]}, "outcome": "failed"}]),
            "profiles.sample.rules[0].when.state: a JSON pointer, or status",
        ),
        (
            |j| j["profiles"]["sample"]["rules"] = json!([{"when": {"/x": []}, "outcome": "failed"}]),
            "profiles.sample.rules[0].when./x: at least one value",
        ),
        (
            |j| {
                j["profiles"]["sample"]["rules"] =
                    json!([{"http": ["200"], "outcome": "approved", "evidence": "not_processed"}])
            },
            "profiles.sample.rules[0].evidence: the outcome says that the processor has the payment",
        ),
        (
            |j| {
                j["profiles"]["sample"]["rules"] =
                    json!([{"http": ["500"], "outcome": "failed", "evidence": "not_sent"}])
            },
            "unknown variant `not_sent`",
        ),
        (|j| j["profiles"]["sample"]["preset"] = json!("stripes"), "profiles.sample.preset: no preset is called"),
        (|j| j["fields"] = json!({"preset": "x"}), "fields.preset: no preset is called \"x\": adyen, braintree"),
        (|j| j["fields"]["amount"] = json!(null), "fields.amount: at least one value"),
        (|j| j["fields"]["currency"] = json!(null), "fields.currency: at least one value"),
        (|j| j["fields"]["fixed_currency"] = json!("EUR"), "fields.fixed_currency: either this or currency"),
        (
            |j| {
                j["fields"]["currency"] = json!(null);
                j["fields"]["fixed_currency"] = json!("EURO");
            },
            "fields.fixed_currency: a currency is three letters",
        ),
        (|j| j["fields"]["amount_format"] = json!("float"), "fields.amount_format: unknown variant `float`"),
    ];
    for (edit, want) in table {
        let got = error(edit);
        assert!(got.contains(want), "{got:?} should contain {want:?}");
    }
    assert_eq!(error(|_| {}), "accepted");
}

/// Found by the fuzzer: the path of a name that is empty was empty, too.
#[test]
fn an_error_about_a_nameless_field_says_where() {
    assert!(error(|j| j[""] = json!(1)).starts_with(".: unknown field ``"));
    assert!(error(|j| j["processors"][0][""] = json!(1)).starts_with("processors[0].: unknown field ``"));
}

#[test]
fn what_is_not_json_is_refused() {
    for bad in [&b""[..], b"{", b"null", b"[]", b"\xff", b"{} {}"] {
        assert!(Config::parse(bad).is_err(), "{bad:?}");
    }
    let trailing = format!("{} x", document());
    assert!(Config::parse(trailing.as_bytes()).is_err());
    assert!(Config::parse(&vec![b' '; 9 * 1024 * 1024]).is_err());
}

#[test]
fn the_whole_document_says_where_it_is_wrong() {
    let service = || json!({"cluster": "cache", "token_env": "TOKEN"});
    let with = |field: &str, value: Value| {
        let mut service = service();
        service[field] = value;
        json!({"cache_service": service, "routing": document()})
    };
    let routing = |path: &str, value: Value| {
        let mut routing = document();
        *routing.pointer_mut(path).unwrap() = value;
        json!({"cache_service": service(), "routing": routing})
    };
    for (json, want) in [
        (with("authority", json!("cache.internal")), "accepted"),
        (json!({"routing": document()}), "routing.operations[0]: needs cache_service: it claims or pins"),
        (json!({"cache_service": service()}), ".: missing field `routing`"),
        (json!({"routing": 1}), "routing: invalid type: integer `1`"),
        (json!({"routing": document(), "rules": []}), "rules: unknown field `rules`"),
        (with("cluster", json!("")), "cache_service.cluster: the name of a cluster"),
        (with("cluster", json!(1)), "cache_service.cluster: invalid type: integer `1`"),
        (with("token", json!("t")), "cache_service.token: unknown field `token`"),
        (with("lookup_timeout_ms", json!(0)), "cache_service.lookup_timeout_ms: 0 is not within 1 to 10000"),
        (with("record_timeout_ms", json!(10_001)), "cache_service.record_timeout_ms: 10001 is not within 1 to 10000"),
        (routing("/processors/1/weight", json!(0)), "routing.processors[1].weight: 0 is not within 1 to 1000"),
    ] {
        let said = match Document::parse(json.to_string().as_bytes()) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(want), "wanted {want}, got {said}");
    }
    for (json, want) in [("{", ".: EOF"), (r#"{"routing": {}} x"#, ".: trailing characters"), ("", ".: EOF")] {
        let error = Document::parse(json.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(want), "{json}: {error}");
    }
}

#[test]
fn what_is_not_said_of_the_cache_service_is_its_default() {
    let json = json!({"cache_service": {"cluster": "cache", "token_env": "TOKEN"}, "routing": document()});
    let service = Document::parse(json.to_string().as_bytes()).unwrap().cache_service.unwrap();
    assert_eq!((service.cluster.as_str(), service.authority.as_str()), ("cache", "cache"));
    assert_eq!((service.lookup_timeout.as_millis(), service.record_timeout.as_millis()), (100, 500));
}
