//! Heads and bodies that the bytes choose: mostly such as a client or a processor sends, now and then any bytes.

use decision::exchange::{Ending, Ends};
use decision::payment::{ProxyReply, Spoke};

use crate::bytes::Bytes;
use crate::text::Lines;

const PAYMENTS: [&str; 12] =
    ["pay_1", "pay_2", "pay_1", "pay_2", "pay_1", "pay_2", "pay_1", "pay_2", "..", "", "a%2Fb", "4242424242424242"];
const AMOUNTS: [&str; 12] = [
    "1000",
    "0",
    "999999999999999",
    "1000000000000000",
    "99999",
    "100000",
    "-1",
    "1e3",
    "1.0",
    "\"1000\"",
    "\"+1\"",
    "null",
];

/// Header lines of a request that mean something to us.
const REQUEST_HEADERS: [(&str, &[u8]); 34] = [
    ("authorization", b"t1"),
    ("authorization", b"t2"),
    ("authorization", b""),
    ("x-merchant-account", b"m1"),
    ("x-merchant-account", b"m2"),
    ("content-type", b"application/json"),
    ("content-type", b"application/x-www-form-urlencoded"),
    ("content-type", b"application/vnd.x+json; charset=utf-8"),
    ("content-type", b"text/plain"),
    ("idempotency-key", b"k1"),
    ("idempotency-key", b"\"k1\""),
    ("idempotency-key", b"k2"),
    ("idempotency-key", b" k3 "),
    ("idempotency-key", b"k,4"),
    ("idempotency-key", b"\xff\xfe"),
    ("accept", b"application/json"),
    ("accept", b"text/html"),
    ("x-vip", b"1"),
    ("x-vip", b"\xff"),
    ("content-length", b"0"),
    ("content-length", b"150"),
    ("content-length", b"4294967296"),
    ("content-length", b"18446744073709551616"),
    ("content-length", b"-1"),
    ("content-encoding", b"gzip"),
    ("content-encoding", b"Identity"),
    ("x-switchyard-cluster", b"evil"),
    ("x-route", b"evil"),
    ("x-envoy-max-retries", b"9"),
    ("x-envoy-internal", b"true"),
    ("switchyard-fence", b"m0.0"),
    ("cookie", b"a=b"),
    ("range", b"bytes=0-1"),
    ("cache-control", b"no-cache"),
];

/// Header lines of a response that mean something to us.
const RESPONSE_HEADERS: [(&str, &[u8]); 14] = [
    ("content-type", b"application/json"),
    ("content-type", b"application/problem+json"),
    ("content-type", b"text/html"),
    ("content-length", b"149"),
    ("content-length", b"4294967297"),
    ("content-length", b"x"),
    ("content-encoding", b"gzip"),
    ("content-encoding", b""),
    ("vary", b"Accept-Encoding, Origin"),
    ("vary", b"*"),
    ("vary", b"accept, x-vip"),
    ("set-cookie", b"a=b"),
    ("cache-control", b"max-age=60, private=\"x\""),
    ("cache-control", b"no-store"),
];

const RESPONSE_BODIES: [&str; 14] = [
    r#"{"id":"pay_1","status":"succeeded"}"#,
    r#"{"id":"pay_2","status":"succeeded"}"#,
    r#"{"id":"pay_1","status":"pending"}"#,
    r#"{"id":"pay_2","status":"declined","response_code":"51"}"#,
    r#"{"status":"declined","response_code":"96"}"#,
    r#"{"id":"p","status":"x","response_code":1.5}"#,
    r#"{"id":1e400,"status":true}"#,
    r#"{"id":0.1,"status":0.1}"#,
    r#"{"data":[{"id":"pay_1"}],"result":{"code":1e21}}"#,
    r#"{"id":"..","status":-5}"#,
    r#"{"status":"a","status":"b"}"#,
    r#"{"name":"bank","number":"4242424242424242"}"#,
    "<html>",
    "",
];

/// A request's head, and whether it is all.
pub(super) fn request_head(bytes: &mut Bytes<'_>) -> (Lines, Ends) {
    if bytes.once_in(64) {
        // What the host could not read.
        return (Lines::new(), ends(bytes));
    }
    // Mostly a request as it should be: others do not get past their head.
    let payment = *bytes.pick(&PAYMENTS);
    let (method, mut path, ends) = match bytes.below(16) {
        0..=7 => ("POST", "/v1/payments".to_owned(), Ends::Later),
        8 => ("PUT", "/v1/payments".to_owned(), Ends::Later),
        9 => ("POST", format!("/v1/payments/{payment}/capture"), Ends::Later),
        10 => ("POST", format!("/v1/payments/{payment}/void"), Ends::Here),
        11 | 12 => ("GET", format!("/v1/payments/{payment}"), Ends::Here),
        13 => ("GET", format!("/v1/bins/{}", bytes.pick(&["424242", "555555", "4242424242424242"])), Ends::Here),
        14 => ("GET", "/v1/rates".to_owned(), Ends::Here),
        _ => ("GET", "/other".to_owned(), self::ends(bytes)),
    };
    let ends = if bytes.once_in(16) { self::ends(bytes) } else { ends };
    let method = if bytes.once_in(32) { *bytes.pick(&["DELETE", "GET", "POST", ""]) } else { method };
    if bytes.once_in(16) {
        path.push_str(bytes.pick(&["?x=1", "?", "/", "?card=4242+4242+4242+4242", "%2F", "//"]));
    }
    let mut path = path.into_bytes();
    if bytes.once_in(32) {
        path.extend_from_slice(bytes.text());
    }
    let mut lines = Lines::new();
    let mut add = |name: &str, value: &[u8]| lines.push((name.as_bytes().to_vec(), value.to_vec()));
    add(":method", method.as_bytes());
    add(":path", &path);
    add(":authority", bytes.pick(&["pay.test", "pay.test", "other.test", ""]).as_bytes());
    if !bytes.once_in(16) {
        add("content-type", b"application/json");
    }
    if !bytes.once_in(8) {
        add("idempotency-key", bytes.pick(&["k1", "k2", "k3", "k4", "k5", "\"k1\""]).as_bytes());
    }
    if !bytes.once_in(16) {
        let tenant = *bytes.pick(&["t1", "t1", "t2"]);
        add("authorization", tenant.as_bytes());
        add("x-merchant-account", tenant.as_bytes());
    }
    some_of(&REQUEST_HEADERS, bytes, &mut lines);
    (lines, ends)
}

fn some_of(known: &[(&str, &[u8])], bytes: &mut Bytes<'_>, lines: &mut Lines) {
    while bytes.once_in(8) {
        let (name, value) = *bytes.pick(known);
        lines.push((name.as_bytes().to_vec(), value.to_vec()));
    }
    if bytes.once_in(64) {
        lines.push((bytes.text().to_ascii_lowercase(), bytes.text().to_vec()));
    }
}

/// A request's body.
pub(super) fn request_body(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let amount = if bytes.once_in(8) { *bytes.pick(&AMOUNTS) } else { *bytes.pick(&["1000", "0", "99999", "100000"]) };
    let currency = *bytes.pick(&["EUR", "eur", "JPY", "USD", "EUR", "eur", "JPY", "EU"]);
    let card = *bytes.pick(&["4242424242424242", "5555555555554444", "4242 4242 4242 4242", "token"]);
    let merchant = *bytes.pick(&["shop", "other"]);
    match bytes.below(16) {
        0..=12 => format!(
            r#"{{"amount":{amount},"currency":"{currency}","merchant":"{merchant}","source":{{"number":"{card}"}}}}"#
        )
        .into_bytes(),
        13 => format!(r#"{{"amount":{{"value":{amount},"currency":"{currency}"}},"card":["{card}"]}}"#).into_bytes(),
        14 => format!("amount={amount}&currency={currency}&source[number]={card}").into_bytes(),
        _ => bytes.text().to_vec(),
    }
}

/// Whether a message ends with its head.
pub(super) fn ends(bytes: &mut Bytes<'_>) -> Ends {
    *bytes.pick(&[Ends::Later, Ends::Later, Ends::Here])
}

/// How a stream ends.
pub(super) fn ending(bytes: &mut Bytes<'_>) -> Ending {
    *bytes.pick(&[Ending::Quiet, Ending::Quiet, Ending::Broken, Ending::TimedOut])
}

/// A response's status, who made it, and its headers.
pub(super) fn response_head(bytes: &mut Bytes<'_>) -> (u16, Spoke, Lines) {
    let usual = !bytes.once_in(2);
    let statuses = [201, 500, 503, 202, 204, 0, 402, 404, 422, 429, 500, 503, 599, u16::MAX];
    let status = if usual { 200 } else { *bytes.pick(&statuses) };
    let proxy: [(&[u8], u64); 3] =
        [(b"upstream_reset_before_response_started", 64), (b"response_timeout", 4), (b"cluster_not_found", 1 << 24)];
    let spoke = if usual || !bytes.once_in(4) {
        Spoke::Processor
    } else {
        let (details, flags) = *bytes.pick(&proxy);
        Spoke::Proxy(ProxyReply::of(details, flags, Some(1)))
    };
    let mut lines = Lines::new();
    if !bytes.once_in(16) {
        lines.push((b"content-type".to_vec(), b"application/json".to_vec()));
    }
    some_of(&RESPONSE_HEADERS, bytes, &mut lines);
    (status, spoke, lines)
}

/// A response's body.
pub(super) fn response_body(bytes: &mut Bytes<'_>) -> Vec<u8> {
    match bytes.below(8) {
        0..=3 => RESPONSE_BODIES[bytes.below(2)].as_bytes().to_vec(),
        4..=6 => bytes.pick(&RESPONSE_BODIES).as_bytes().to_vec(),
        _ => bytes.text().to_vec(),
    }
}
