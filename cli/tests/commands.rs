//! What `switchyard` says: a table of configurations, requests, and what must be among its words.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const ROUTING: &str = "cli/tests/routing.json";
const SHIPPED: &str = "envoy/envoy.yaml";

/// A test card, as the samples name it; and what no output may hold.
const CARD: &str = "4242424242424242";
const SECRET: &str = "Bearer of-no-one";

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace").to_path_buf()
}

fn switchyard(args: &[&str], stdin: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_switchyard"))
        .args(args)
        .current_dir(repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // One that reads none of it may have ended.
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    let ended = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: ended.status.code(), out: text(ended.stdout), err: text(ended.stderr) }
}

#[track_caller]
fn check(args: &[&str], stdin: &str, code: i32, parts: &[&str]) -> Said {
    let said = switchyard(args, stdin);
    let all = format!("{}{}", said.out, said.err);
    assert_eq!(said.code, Some(code), "{args:?}: {all}");
    for part in parts {
        assert!(all.contains(part), "{args:?}: no {part:?} in {all}");
    }
    // What went wrong stands on one stream, what was asked for on the other.
    assert_eq!((said.out.is_empty(), said.err.is_empty()), (code != 0, code == 0), "{args:?}: {all}");
    for secret in [CARD, SECRET] {
        assert!(!all.contains(secret), "{args:?}: {all}");
    }
    said
}

fn routing() -> Value {
    let text = fs::read_to_string(repository().join(ROUTING)).expect("the file is there");
    serde_json::from_str(&text).expect("JSON")
}

fn edited(path: &str, value: Value) -> Value {
    let mut routing = routing();
    *routing.pointer_mut(path).expect("the path is there") = value;
    routing
}

/// A file of the tests' own, by its path.
fn written(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).expect("it can be written");
    path.to_str().expect("UTF-8").to_owned()
}

fn document(routing: Value) -> Value {
    json!({"cache_service": {"cluster": "cache", "token_env": "TOKEN"}, "routing": routing})
}

fn wasm(name: &str, configuration: &str) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {"configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration,
            }},
        },
    })
}

fn envoy(filters: &[Value]) -> String {
    json!({"static_resources": {"listeners": [{"filter_chains": [{"http_filters": filters}]}]}}).to_string()
}

#[test]
fn the_shipped_configuration_is_fine() {
    let said = check(&["check", SHIPPED], "", 0, &[]);
    assert_eq!(said.out, "envoy/envoy.yaml: filter switchyard: ok: 3 processors, 5 operations, 1 rule, 2 pools\n");
    check(&["check", "--filter", "switchyard", SHIPPED], "", 0, &["ok"]);
    check(&["check", ROUTING], "", 0, &["cli/tests/routing.json: ok: 3 processors"]);
}

#[test]
fn every_form_of_a_configuration_is_read_and_says_where_it_is_wrong() {
    let weightless = || edited("/processors/1/weight", json!(0));
    let ours = document(routing()).to_string();
    let other = document(edited("/processors/1/weight", json!(7))).to_string();
    let two = |second: &str| envoy(&[wasm("one", &ours), wasm("two", second)]);
    let by_path = ["--filter", "static_resources.listeners[0].filter_chains[0].http_filters[1]"];
    let shipped = fs::read_to_string(repository().join(SHIPPED)).expect("the file is there");
    // Nine lists, each of ten times the one before.
    let aliases = (1..10).fold("l0: &l0 [x]\n".to_owned(), |text, n| {
        format!("{text}l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "))
    });
    let odd = edited("/rules/0/when", json!({}));
    let table: Vec<(String, &[&str], i32, &[&str])> = vec![
        (routing().to_string(), &[], 0, &["standard input: ok: 3 processors, 4 operations, 3 rules, 5 pools"]),
        (ours.clone(), &[], 0, &["standard input: ok: "]),
        (format!("\u{feff}\r\n{ours}"), &[], 0, &["standard input: ok: "]),
        (shipped.replace('\n', "\r\n"), &[], 0, &["filter switchyard: ok: "]),
        (odd.to_string(), &[], 0, &["ok", "standard input: warning: rules[1]"]),
        (odd.to_string(), &["--deny-warnings"], 1, &["warnings are denied", "standard input: warning: rules[1]"]),
        (routing().to_string(), &["--deny-warnings"], 0, &["standard input: ok: "]),
        (document(odd).to_string(), &[], 0, &["ok", "standard input: warning: routing.rules[1]"]),
        (weightless().to_string(), &[], 1, &["standard input: processors[1].weight: 0 is not within 1 to 1000\n"]),
        (document(weightless()).to_string(), &[], 1, &["standard input: routing.processors[1].weight: 0 is not"]),
        (json!({"routing": routing()}).to_string(), &[], 1, &["routing.operations[0]: needs cache_service"]),
        (json!({"cache_service": {}}).to_string(), &[], 1, &["cache_service: missing field `cluster`"]),
        ("{\"routing\": {},}".to_owned(), &[], 1, &["standard input: is no JSON: trailing comma at line 1"]),
        ("{".to_owned(), &[], 1, &["is no JSON: EOF"]),
        ("{}".to_owned(), &[], 1, &["standard input: missing field `fields`"]),
        (ours.clone(), &["--filter", "a"], 1, &["this is no Envoy configuration"]),
        (String::new(), &[], 1, &["what is no Envoy configuration is JSON and begins with {"]),
        ("a: [".to_owned(), &[], 1, &["is no YAML: "]),
        (aliases, &[], 1, &["is no YAML: "]),
        ("[".repeat(100_000), &[], 1, &["is no YAML: "]),
        ("{\"a\":".repeat(100_000), &[], 1, &["is no JSON: recursion limit"]),
        ("just text".to_owned(), &[], 1, &["no http filter of type envoy.extensions.filters.http.wasm.v3.Wasm"]),
        (" ".repeat(17 << 20), &[], 1, &["standard input: is over 16777216 bytes"]),
        (shipped.replace("\"weight\": 2", "\"weight\": 0"), &[], 1, &["input: routing.processors[1].weight: 0 is not"]),
        (shipped.replace("\"weight\": 2", "\"weight\":"), &[], 1, &["standard input: expected value at line"]),
        (shipped.replace("v3.Wasm", "v3.Lua"), &[], 1, &["no http filter of type"]),
        (envoy(&[]), &[], 1, &["no http filter of type"]),
        (wasm("alone", &ours).to_string(), &[], 0, &["filter alone: ok"]),
        (two("{\"tags\": []}"), &[], 0, &["filter one: ok"]),
        (two(&ours), &[], 0, &["filter one: ok"]),
        (two(&other), &[], 1, &["several Wasm filters: choose one", "one (static_resources.", "two ("]),
        (two(&other), &["--filter", "two"], 0, &["filter two: ok"]),
        (two(&other), &by_path, 0, &["filter two: ok"]),
        (two(&other), &["--filter", "three"], 1, &["is called three; there is one (", "two ("]),
        (two("{"), &["--filter", "two"], 1, &["standard input: EOF while parsing an object"]),
        (envoy(&[wasm("one", "{"), wasm("two", "x")]), &[], 1, &["several Wasm filters"]),
    ];
    for (stdin, options, code, parts) in table {
        let args: Vec<&str> = ["check"].iter().chain(options).chain(&["-"]).copied().collect();
        check(&args, &stdin, code, parts);
    }
    check(&["check", "cli/no-such-file.json"], "", 1, &["cli/no-such-file.json: cannot be read: "]);
    check(&["check", "cli"], "", 1, &["cli: cannot be read: "]);
    check(&["check", &written("bytes.json", b"{\xff}")], "", 1, &["bytes.json: is not UTF-8 text"]);
}

/// A charge, with more said of it.
fn charge(more: Value) -> String {
    let mut request = json!({
        "method": "POST",
        "path": "/v1/payments",
        "headers": {"authorization": SECRET},
        "body": {"amount": 1200, "currency": "EUR", "source": {"number": CARD}},
        "at": "2026-11-11T00:00:00Z",
    });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request.to_string()
}

fn keyed(state: Value) -> String {
    charge(json!({"headers": {"authorization": SECRET, "Idempotency-Key": "k-1"}, "state": state}))
}

#[test]
fn a_request_is_explained() {
    let to = |method: &str, path: &str| json!({"method": method, "path": path}).to_string();
    let body = |body: Value| charge(json!({"body": body}));
    let state = |state: Value| charge(json!({"state": state}));
    let all = |past: Value| json!({"acquirer-a": past, "acquirer-b": past, "acquirer-c": past});
    let open = || json!({"breaker": "open"});
    let form =
        |body: &str| charge(json!({"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": body}));
    let large = "x".repeat(300_000);
    let dollars = json!({"amount": 1, "currency": "USD", "merchant": "shop"});
    let table: Vec<(String, &[&str])> = vec![
        (to("GET", "/health"), &["operation  none has this method and path: the request passes"]),
        (to("POST", "/v1/payments/pay_1/capture"), &["operation  capture", "goes to    the processor that has the"]),
        (to("GET", "/v1/payments/pay_1"), &["operation  status", "the tenant's cache; else the processor that has"]),
        (to("GET", "/v1/bins/555555"), &["operation  bin", "the cache that everybody shares; else any processor"]),
        (to("POST", "/v1/payments"), &["operation  charge", "refused    400 body_missing. A charge needs a body."]),
        (to("POST", "/v1/payments/a%2Fb/capture"), &["operation  not told", "refused    400 payment_id_malformed."]),
        (body(json!({"currency": "EUR"})), &["refused    400 amount_missing. The charge has no amount."]),
        (body(json!("{")), &["refused    415 media_type_unknown."]),
        (body(json!({"x": large})), &["refused    413 body_too_large."]),
        (form("amount=1&currency=EUR"), &["rule       none holds: the default", "picked     acquirer-"]),
        (charge(json!({"headers": {"Idempotency-Key": ["a", "b"]}})), &["refused    400 key_malformed."]),
        (charge(json!({"headers": {"content-encoding": "gzip"}})), &["refused    415 body_encoded."]),
        (body(json!({"amount": 1, "currency": "GBP"})), &["rule       pounds-to-c", "acquirer-c: nobody else is in"]),
        (body(dollars), &["rule       dollars", "part       ", " of 2", "policy     round_robin"]),
        (charge(json!({})), &["rule       none holds", "by the highest credit; what is equal", "seed 1"]),
        (keyed(json!({})), &["policy     rendezvous of the key", "the key decides", "claimed before", "draw"]),
        (state(json!({"acquirer-a": open()})), &["acquirer-a  no: open", "out=acquirer-a:open"]),
        (state(all(open())), &["picked     nobody: 503 no_processor, retry-after ", "Keep the key and try"]),
        (keyed(all(open())), &["picked     nobody: 503 no_processor, retry-after ", "to=nobody"]),
        (state(json!({"acquirer-a": {"breaker": "closed", "failures": 2}})), &["acquirer-a  yes "]),
        (state(json!({"acquirer-a": {"failures": 3}})), &["acquirer-a  no: open"]),
    ];
    for (request, parts) in table {
        check(&["explain", ROUTING, "-"], &request, 0, parts);
        let said = check(&["explain", "--json", ROUTING, "-"], &request, 0, &[]);
        assert!(serde_json::from_str::<Value>(&said.out).is_ok_and(|said| said.is_object()), "{}", said.out);
    }
}

/// Each policy that judges by traffic sees the state that was told.
#[test]
fn a_state_is_brought_about() {
    // What was seen of a and b, what is compared of a, and who is picked.
    let table = [
        ("least_connections", json!({"in_flight": 6}), json!({}), "in_flight_by_weight", 2.0, "acquirer-b"),
        (
            "least_response_time",
            json!({"latency_ms": 250, "in_flight": 3}),
            json!({"latency_ms": 900}),
            "expected_seconds",
            1.0,
            "acquirer-b",
        ),
        ("load_based", json!({"load": 0.7}), json!({"load": 0.2}), "load", 0.7, "acquirer-b"),
        // Weight 3, and two failures of ten.
        ("failure_based", json!({"failures": 2, "approved": 8}), json!({}), "weight", 3.0 * 9.0 / 11.0, "acquirer-a"),
        (
            "approval_rate",
            json!({"approved": 900, "declined": 100}),
            json!({"approved": 5_000, "declined": 5_000}),
            "approval_rate",
            0.896,
            "acquirer-a",
        ),
    ];
    let pool = |policy: &str| {
        let pool = json!({"processors": ["acquirer-a", "acquirer-b"], "policy": policy});
        written(&format!("{policy}.json"), edited("/default", pool).to_string())
    };
    for (policy, a, b, measure, value, picked) in table {
        let request = charge(json!({"state": {"acquirer-a": a, "acquirer-b": b}}));
        let said = check(&["explain", "--json", &pool(policy), "-"], &request, 0, &[]);
        let said: Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(said["picked"], picked, "{policy}: {said:#}");
        let shown = said["explanation"]["processors"][0]["compared"][measure].as_f64().expect("a number");
        assert!((shown - value).abs() < 0.001, "{policy}: {shown}, not {value}");
    }
    let by_address = charge(json!({"source": "192.0.2.1"}));
    check(&["explain", &pool("ip_hash"), "-"], &by_address, 0, &["what the policy hashes decides", "home"]);
    let asks = charge(json!({"state": {"acquirer-a": {"retry_after_ms": 1000}}}));
    check(
        &["explain", &pool("least_connections"), "-"],
        &asks,
        0,
        &["acquirer-a  no: asked_to_wait", "nobody else is in"],
    );
}

#[test]
fn a_request_that_is_wrong_is_refused_with_its_path() {
    let state = |of: &str, past: Value| charge(json!({"state": {of: past}}));
    let with = |field: &str, value: Value| charge(json!({field: value}));
    let header = |name: &str, value: Value| charge(json!({"headers": {name: value}}));
    let table: Vec<(String, &str)> = vec![
        ("{}".to_owned(), "standard input: missing field `method`"),
        ("[".to_owned(), "standard input: EOF"),
        (format!("\"{CARD}\""), "standard input: a text stands here, expected struct"),
        (format!("{} x", charge(json!({}))), "standard input: trailing characters"),
        (with("amount", json!(1)), "standard input: amount: unknown field `amount`"),
        (with("method", json!("")), "method: an HTTP method"),
        (with("path", json!("v1")), "path: a path that starts with /"),
        (with("headers", json!(SECRET)), "headers: a text stands here, expected a map"),
        (header("a", json!(1)), "headers.a: a text or a list of texts"),
        (header("a b", json!("1")), "headers.a b: this is no name of a header"),
        (header(":path", json!("1")), "headers.:path: this is no name of a header"),
        (header("a", json!("1\n2")), "headers.a: a header's value has no control characters"),
        (with("source", json!("host")), "source: invalid IP address"),
        (with("at", json!("yesterday")), "at: a time such as 2026-11-11T00:00:00Z"),
        (state("acquirer-x", json!({})), "state.acquirer-x: no such processor: there is acquirer-a, acquirer-b"),
        (state("acquirer-a", json!({"up": 1})), "state.acquirer-a.up: unknown field `up`"),
        (state("acquirer-a", json!({"breaker": "ajar"})), "state.acquirer-a.breaker: unknown variant `ajar`"),
        (state("acquirer-a", json!({"in_flight": -1})), "state.acquirer-a.in_flight: invalid value"),
        (state("acquirer-a", json!({"in_flight": 100_001})), "in_flight: 100001 is not within 0 to 100000"),
        (state("acquirer-a", json!({"latency_ms": 600_001})), "latency_ms: 600001 is not within 0 to 600000"),
        (state("acquirer-a", json!({"load": -0.5})), "state.acquirer-a.load: -0.5 is not within 0 to 1000"),
        (
            state("acquirer-a", json!({"breaker": "closed", "failures": 3})),
            "state.acquirer-a.breaker: what is told of this processor opens its breaker",
        ),
        (state("acquirer-b", json!({"breaker": "open"})), "state.acquirer-b.breaker: this breaker keeps nothing out"),
        (
            state("acquirer-c", json!({"breaker": "closed"})),
            "state.acquirer-c.breaker: the configuration forces this breaker open",
        ),
    ];
    let mut routing = routing();
    routing["processors"][1]["breaker"] = json!({"mode": "observe"});
    routing["processors"][2]["breaker"] = json!({"mode": "forced_open"});
    let file = written("modes.json", routing.to_string());
    for (request, part) in table {
        check(&["explain", &file, "-"], &request, 1, &[part]);
    }
    check(
        &["explain", &file, "-"],
        &state("acquirer-c", json!({"breaker": "open"})),
        0,
        &["acquirer-c  no: forced_open"],
    );
    check(&["explain", "-", "-"], "", 1, &["not both"]);
    check(&["explain", ROUTING, "cli/no-such-file.json"], "", 1, &["cli/no-such-file.json: cannot be read"]);
}

#[test]
fn what_the_operation_and_the_tenant_are_is_told() {
    let watched = written("shadow.json", edited("/operations/0/mode", json!("shadow")).to_string());
    let parts = ["operation  charge; it is only watched", "the key decides"];
    check(&["explain", &watched, "-"], &keyed(json!({})), 0, &parts);
    check(&["explain", "--json", &watched, "-"], &keyed(json!({})), 0, &["\"mode\": \"shadow\""]);

    let strict = written("strict.json", edited("/tenant/presence", json!("required")).to_string());
    let capture = r#"{"method": "POST", "path": "/v1/payments/pay_1/capture"}"#;
    check(&["explain", &strict, "-"], capture, 0, &["operation  capture", "refused    401 tenant_missing"]);
    check(&["explain", "--json", &strict, "-"], capture, 0, &["\"goes_to\": null", "\"reason\": \"tenant_missing\""]);
}

/// The words as a whole, as an operator reads them: `cli/tests/golden` is what the README's samples say.
#[test]
fn the_samples_say_what_is_kept() {
    for name in ["card", "keyed"] {
        let said = check(&["explain", SHIPPED, &format!("cli/samples/{name}.json")], "", 0, &[]);
        let kept = fs::read_to_string(repository().join(format!("cli/tests/golden/{name}.txt"))).expect("it is kept");
        let keep = format!("./just explain {SHIPPED} cli/samples/{name}.json > cli/tests/golden/{name}.txt");
        assert_eq!(said.out, kept, "if this is meant, keep it: {keep}");
    }
}

#[test]
fn the_command_line_explains_itself() {
    for (args, code, parts) in [
        (&["--help"][..], 0, &["check", "explain", "Exit codes: 0 fine"][..]),
        (&["check", "--help"], 0, &["switchyard check envoy/envoy.yaml", "Exit codes", "--filter"]),
        (&["explain", "--help"], 0, &["\"retry_after_ms\": 1000", "cli/samples/card.json", "Exit codes", "--seed"]),
        (&[], 2, &["Usage: switchyard"]),
        (&["check"], 2, &["CONFIG"]),
        (&["explain", ROUTING], 2, &["REQUEST"]),
        (&["explain", "--seed", "x", ROUTING, "-"], 2, &["invalid value 'x'"]),
        (&["mend", ROUTING], 2, &["unrecognized subcommand 'mend'"]),
    ] {
        check(args, "", code, parts);
    }
}

/// Every line of the help's own sample is one that is read.
#[test]
fn the_sample_of_the_help_is_read() {
    let help = switchyard(&["explain", "--help"], "").out;
    let sample = help.split("left out:\n").nth(1).and_then(|rest| rest.split("\n\nExamples").next()).expect("a sample");
    let comment =
        |line: &str| line.split("    ").map(str::trim).find(|part| !part.is_empty()).unwrap_or_default().to_owned();
    let sample: Vec<String> = sample.lines().map(comment).collect();
    check(&["explain", SHIPPED, "-"], &sample.join("\n"), 0, &["acquirer-a  no: open", "the key decides"]);
}
