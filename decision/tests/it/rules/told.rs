//! What an operator is told of rules that are wrong, and of those that look wrong.

use super::{parse, rules, with};
use decision::config::Config;
use serde_json::{Value, json};

fn error(json: &Value) -> String {
    Config::parse(json.to_string().as_bytes()).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

#[test]
fn errors_name_the_path_and_the_expectation() {
    let deep = (0..9).fold(json!({"currency": ["EUR"]}), |inner, _| json!({"not": inner}));
    for (when, want) in [
        (json!({"bin": ["42424"]}), "rules[0].when.bin[0]: a BIN of 6 to 11 digits"),
        (json!({"any": [{"bin": ["424242", "4243-4242"]}]}), "rules[0].when.any[0].bin[1]: a BIN of 6"),
        (json!({"bin": [{"prefix": ""}]}), "rules[0].when.bin[0]: a prefix of 1 to 11 digits"),
        (json!({"bin": [{"prefix": "4", "list": "x"}]}), "rules[0].when.bin[0]: invalid length 2"),
        (json!({"bin": [{"prefx": "4"}]}), "rules[0].when.bin[0]: unknown field `prefx`, expected `list` or `prefix`"),
        (json!({"bin": [null]}), "rules[0].when.bin[0]: invalid type: null, expected a value, \"@list\""),
        (json!({"bin_prefix": ["123456789"]}), "rules[0].when.bin_prefix[0]: 1 to 8 digits"),
        (json!({"bin": ["@none"]}), "rules[0].when.bin[0]: no list is called \"none\""),
        (json!({"bin": ["@words"]}), "lists.words[1]: a BIN of 6 to 11 digits"),
        (
            json!({"amount": [{"currency": "EUR"}, {"currency": "E"}]}),
            "rules[0].when.amount[1].currency: a currency is",
        ),
        (json!({"amount": [{"currency": "EUR", "min": 2, "max": 1}]}), "rules[0].when.amount[0]: min 2 is over max 1"),
        (json!({"amount": {"currency": "EUR", "mim": 2}}), "rules[0].when.amount.mim: unknown field"),
        (json!({"amount": []}), "rules[0].when.amount: at least one value"),
        (json!({"scheme": ["VISA"]}), "rules[0].when.scheme[0]: \"VISA\" is none of visa, mastercard"),
        (json!({"funding": ["gift"]}), "rules[0].when.funding[0]: \"gift\" is none of credit, debit, prepaid"),
        (json!({"issuer_country": ["DEU"]}), "rules[0].when.issuer_country[0]: a country is two letters"),
        (json!({"merchant": [{"prefix": "a"}]}), "rules[0].when.merchant[0]: a value: only bin and path"),
        (json!({"merchant": ["m".repeat(129)]}), "rules[0].when.merchant[0]: a merchant is at most 128"),
        (json!({"http_method": ["post"]}), "rules[0].when.http_method[0]: an HTTP method in upper case"),
        (json!({"path": ["v1"]}), "rules[0].when.path[0]: a path that starts with /"),
        (json!({"path": ["/v1?x=1"]}), "rules[0].when.path[0]: a path that starts with /, without a query"),
        (json!({"header": {"a b": ["1"]}}), "rules[0].when.header.a b: a header name"),
        (json!({"header": {"a": ["x".repeat(1_025)]}}), "rules[0].when.header.a[0]: a value is at most 1024 bytes"),
        (json!({"query": {"": ["1"]}}), "rules[0].when.query.: a parameter's name"),
        (json!({"body": {"x": ["1"]}}), "rules[0].when.body.x: a JSON pointer starts with /"),
        (json!({"body": {"/source/number": ["1"]}}), "rules[0].when.body./source/number: the card number stands here"),
        (json!({"body": {"/source/numbe~72": ["1"]}}), "accepted"),
        (json!({"time": {}}), "rules[0].when.time: at least one of days"),
        (json!({"time": {"days": ["Monday"]}}), "rules[0].when.time.days[0]: \"Monday\" is none of mon"),
        (json!({"time": [{"from": "9:00"}]}), "rules[0].when.time.from: a time of day"),
        (json!({"time": {"from": "09:00", "to": "09:00"}}), "rules[0].when.time: from and to are the same"),
        (json!({"time": {"from": "09:00", "offset": "CET"}}), "rules[0].when.time.offset: Z, +05:30"),
        (json!({"time": {"not_before": "2026-02-30"}}), "rules[0].when.time.not_before: a date such as"),
        (json!({"time": {"not_before": "2026-02-02", "not_after": "2026-02-01"}}), "not_after is before not_before"),
        (json!({"all": []}), "rules[0].when.all: at least one condition"),
        (json!({"any": [{"currency": ["EUR"]}, {}]}), "rules[0].when.any[1]: at least one condition"),
        (json!({"not": {}}), "rules[0].when.not: at least one condition"),
        (json!({"any": [{"merchent": []}]}), "rules[0].when.any[0].merchent: unknown field"),
        (deep, "not.not.not.not: all, any and not nest at most 8 deep"),
    ] {
        let got = error(&with(&rules(std::slice::from_ref(&when)), &json!({"words": ["424242", "no"]})));
        assert!(got.contains(want), "{when}: {got:?} should contain {want:?}");
    }
}

#[test]
fn errors_of_lists_splits_and_absent_fields() {
    type Edit = fn(&mut Value);
    let split = json!({"split": {"by": "key", "parts": [{"share": 1, "use": {"processors": ["a"]}}]}});
    let table: [(Edit, &str); 18] = [
        (|j| j["lists"]["a b"] = json!(["x"]), "lists.a b: a name is"),
        (|j| j["lists"]["x"] = json!([]), "lists.x: at least one value"),
        (|j| j["lists"]["x"] = json!(["a", "@y"]), "lists.x[1]: a list holds values, not lists"),
        (|j| j["rules"][0]["use"]["split"]["by"] = json!("random"), "rules[0].use.split.by: unknown variant `random`"),
        (|j| j["rules"][0]["use"]["split"]["by"] = json!({"body": "x"}), "rules[0].use.split.by: a JSON pointer"),
        (
            |j| j["rules"][0]["use"]["split"]["by"] = json!({"body": "/source/number"}),
            "rules[0].use.split.by: the card number stands here",
        ),
        (|j| j["rules"][0]["use"]["split"]["parts"] = json!([]), "rules[0].use.split.parts: 1 to 16 parts"),
        (|j| j["rules"][0]["use"]["split"]["parts"][0]["share"] = json!(0), "split.parts: at least one share over 0"),
        (|j| j["rules"][0]["use"]["split"]["parts"][0]["share"] = json!(10_001), "parts[0].share: 10001 is not within"),
        (|j| j["rules"][0]["use"]["split"]["parts"][0]["share"] = json!(0.5), "split.parts[0].share: invalid type"),
        (
            |j| j["rules"][0]["use"]["split"]["parts"][0]["use"]["processors"] = json!(["z"]),
            "parts[0].use.processors[0]: no processor",
        ),
        (|j| j["rules"][0]["use"]["split"]["part"] = json!(1), "rules[0].use.split.part: unknown field"),
        (|j| j["rules"][0]["use"]["zz"] = json!(1), "rules[0].use: unknown field `zz`, split stands alone"),
        (|j| j["rules"][0]["use"] = json!({}), "rules[0].use: missing field `processors`"),
        (
            |j| (j["fields"]["merchant"], j["rules"][0]["use"]["split"]["by"]) = (json!([]), json!("merchant")),
            "rules[0].use.split.by: no charge can have it: fields.merchant is not given",
        ),
        (
            |j| j["operations"][0].as_object_mut().unwrap().retain(|name, _| name != "key"),
            "rules[0].use.split.by: no charge can have it: an operation with key.header is not given",
        ),
        (
            |j| (j["fields"]["merchant"], j["rules"][0]["when"]) = (json!([]), json!({"merchant": ["a"]})),
            "rules[0].when: it can never hold: fields.merchant is not given",
        ),
        (
            |j| {
                (j["fields"]["card_number"], j["rules"][0]["when"]) =
                    (json!([]), json!({"all": [{"any": [{"bin": ["424242"]}]}]}))
            },
            "rules[0].when: it can never hold: fields.card_number is not given",
        ),
    ];
    for (edit, want) in table {
        let mut json = with(&json!([{"name": "r", "use": split}]), &json!({}));
        assert_eq!(error(&json), "accepted");
        edit(&mut json);
        let got = error(&json);
        assert!(got.contains(want), "{got:?} should contain {want:?}");
    }
}

#[test]
fn rules_read_a_bounded_number_of_names() {
    let whens: Vec<Value> = (0..65).map(|n| json!({"header": {format!("x-{n}"): ["1"]}})).collect();
    assert_eq!(error(&with(&rules(&whens[..64]), &json!({}))), "accepted");
    let got = error(&with(&rules(&whens), &json!({})));
    assert_eq!(got, "rules[64].when.header.x-64: rules read at most 64 different ones of these");
}

/// What the last of these rules is told; nothing may be said of the others.
#[track_caller]
fn check(whens: &[Value], want: Option<&str>) {
    let lists = json!({"wide": ["400000-499999"], "narrow": ["424242", "43000000"]});
    let told = parse(&with(&rules(whens), &lists)).warnings;
    let told: Vec<String> = told.iter().map(ToString::to_string).filter(|text| text.starts_with("rules")).collect();
    match want {
        None => assert!(told.is_empty(), "{whens:?}: {told:?}"),
        Some(want) => {
            assert_eq!(told.len(), 1, "{whens:?}: {told:?}");
            let path = format!("rules[{}].when: ", whens.len() - 1);
            assert!(told[0].starts_with(&path) && told[0].contains(want), "{told:?} should say {want:?}");
        }
    }
}

#[test]
fn rules_that_never_get_their_turn_are_told() {
    let hidden = Some("it never gets its turn: rules[0] (\"r0\") takes every charge");
    for (earlier, later, want) in [
        (json!({}), json!({"currency": ["EUR"]}), hidden),
        (json!({}), json!({}), hidden),
        (json!({"currency": ["EUR"]}), json!({"currency": ["EUR"]}), hidden),
        (json!({"currency": ["EUR", "USD"]}), json!({"currency": ["USD"]}), hidden),
        (json!({"currency": ["EUR"]}), json!({"currency": ["USD", "EUR"]}), None),
        (json!({"currency": ["EUR"]}), json!({"currency": ["EUR"], "merchant": ["a"]}), hidden),
        (json!({"currency": ["EUR"], "merchant": ["a"]}), json!({"currency": ["EUR"]}), None),
        (json!({"amount": {"currency": "EUR"}}), json!({"amount": {"currency": "EUR", "min": 5}}), hidden),
        (json!({"amount": {"currency": "EUR", "min": 5}}), json!({"amount": {"currency": "EUR"}}), None),
        (json!({"currency": ["EUR"]}), json!({"amount": {"currency": "EUR", "min": 5}}), hidden),
        (json!({"bin": ["@wide"]}), json!({"bin": ["@narrow"]}), hidden),
        (json!({"bin": ["@narrow"]}), json!({"bin": ["@wide"]}), None),
        (json!({"bin": [{"prefix": "4"}]}), json!({"bin_prefix": ["42"]}), hidden),
        (json!({"path": [{"prefix": "/v1/"}]}), json!({"path": ["/v1/x"]}), hidden),
        (json!({"time": {"days": ["mon", "tue"]}}), json!({"time": {"days": ["mon"], "from": "09:00"}}), hidden),
        (json!({"not": {"merchant": ["a"]}}), json!({"merchant": ["b"]}), hidden),
        (json!({"not": {"merchant": ["a"]}}), json!({"not": {"merchant": ["a", "b"]}}), hidden),
        (json!({"not": {"merchant": ["a", "b"]}}), json!({"not": {"merchant": ["a"]}}), None),
        (
            json!({"any": [{"merchant": ["a"]}, {"method": ["x"]}]}),
            json!({"merchant": ["a"], "scheme": ["visa"]}),
            hidden,
        ),
        (json!({"merchant": ["a", "b"]}), json!({"any": [{"merchant": ["a"]}, {"merchant": ["b"]}]}), hidden),
        (json!({"merchant": ["a"]}), json!({"any": [{"merchant": ["a"]}, {"merchant": ["b"]}]}), None),
    ] {
        check(&[earlier, later], want);
    }
    // Another rule takes the charge that was made up, too.
    check(
        &[json!({"currency": ["EUR"]}), json!({"method": ["m"]}), json!({"currency": ["EUR"], "method": ["m"]})],
        hidden,
    );
}

#[test]
fn rules_that_can_never_hold_are_told() {
    let never = Some("it can never hold: its conditions contradict each other");
    for (when, want) in [
        (json!({"all": [{"currency": ["EUR"]}, {"currency": ["USD"]}]}), never),
        (json!({"all": [{"currency": ["EUR", "USD"]}, {"currency": ["USD"]}]}), None),
        (json!({"currency": ["EUR"], "not": {"currency": ["EUR"]}}), never),
        (json!({"currency": ["EUR"], "not": {"currency": ["EUR", "USD"]}}), never),
        (json!({"currency": ["EUR", "JPY"], "not": {"currency": ["EUR", "USD"]}}), None),
        (json!({"amount": {"currency": "EUR"}, "currency": ["USD"]}), never),
        (json!({"amount": {"currency": "EUR"}, "not": {"currency": ["EUR"]}}), never),
        (json!({"amount": [{"currency": "EUR"}, {"currency": "USD"}], "currency": ["USD"]}), None),
        (json!({"all": [{"amount": {"currency": "EUR", "min": 5}}, {"amount": {"currency": "EUR", "max": 4}}]}), never),
        (json!({"all": [{"bin": [{"prefix": "4"}]}, {"bin": [{"prefix": "5"}]}]}), never),
        (json!({"bin": ["@narrow"], "not": {"bin": ["@wide"]}}), never),
        (json!({"bin": ["@wide"], "not": {"bin": ["@narrow"]}}), None),
        (json!({"path": ["/v1/x"], "not": {"path": [{"prefix": "/v1"}]}}), never),
        (json!({"time": {"days": ["mon"]}, "not": {"time": {"days": ["mon", "sun"]}}}), never),
        (json!({"any": [{"currency": ["EUR"], "not": {"currency": ["EUR"]}}, {"merchant": ["a"]}]}), None),
    ] {
        check(&[when], want);
    }
}

#[test]
fn other_oddities_are_told_and_not_all_of_many() {
    let mut json = with(&rules(&[json!({"any": [{"merchant": ["a"]}, {"currency": ["EUR"]}]})]), &json!({"x": ["1"]}));
    json["fields"]["merchant"] = json!([]);
    let told: Vec<String> = parse(&json).warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["rules[0].when: a part of it can never hold: fields.merchant is not given", "lists.x: no rule uses it",]
    );
    let config = parse(&with(&rules(&vec![json!({}); 301]), &json!({})));
    assert_eq!(config.warnings.len(), 101);
    assert_eq!(config.warnings.last().unwrap().to_string(), "rules: and 200 more warnings");
}
