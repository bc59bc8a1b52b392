//! What must not reach a processor does not: every refusal is an answer of ours, leaves no row in any ledger, and harms
//! nobody who comes after.

use std::time::{Duration, Instant};

use e2e::client::{Client, Request};
use e2e::stack::{Acquirer, Edit, Stack};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::upstream::{OWN_CARD, Upstream, whole};
use super::{charge_by, keyed, ledgers, plan, send, start};

const JSON: &str = "content-type: application/json\r\n";
const GOOD: &str = r#"{"amount":1200,"currency":"EUR","source":{"number":"4242424242424242"}}"#;
/// How long any refusal may take, the one of a client that sends slowly included.
const WAIT: Duration = Duration::from_secs(8);

/// A charge as bytes: header lines, the body, and how it is framed.
fn post(headers: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = format!("content-length: {}\r\n\r\n", body.len());
    [HEAD.as_bytes(), headers.as_ref(), length.as_bytes(), body].concat()
}

fn post_chunked(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{HEAD}{headers}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(32 * 1024) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

const HEAD: &str = "POST /v1/payments HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer shop\r\nconnection: close\r\n";

/// Sends `bytes` 32 KiB at a time with a pause after each, and reads meanwhile until one whole answer is there.
async fn exchange(stack: &Stack, bytes: &[u8], pause: Duration) -> String {
    let mut stream = TcpStream::connect(stack.proxy()).await.unwrap();
    let (mut reads, mut writes) = stream.split();
    let send = async {
        for piece in bytes.chunks(32 * 1024) {
            // The answer may come, and the connection end, before everything is sent.
            if writes.write_all(piece).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        std::future::pending().await
    };
    let receive = async {
        let mut received = Vec::new();
        while !is_whole(&received) && reads.read_buf(&mut received).await.is_ok_and(|n| n > 0) {}
        String::from_utf8_lossy(&received).into_owned()
    };
    let talk = async {
        tokio::select! { received = receive => received, () = send => String::new() }
    };
    tokio::time::timeout(WAIT, talk).await.expect("an answer in bounded time")
}

fn status(text: &str) -> Option<u16> {
    text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

fn is_whole(received: &[u8]) -> bool {
    let text = String::from_utf8_lossy(received).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

/// Everything that arrived at any processor, whatever it was.
async fn arrived(stack: &Stack) -> u64 {
    let mut all = 0;
    for acquirer in Acquirer::ALL {
        let counts = stack.processor(acquirer).status().await.unwrap().counts;
        all += counts.charges + counts.payments + counts.captures + counts.refunds + counts.bins;
    }
    let rows: usize = ledgers(stack).await.iter().map(Vec::len).sum();
    assert!(u64::try_from(rows).unwrap() <= all);
    all
}

#[track_caller]
fn assert_refused(what: &str, text: &str, status: u16, code: &str) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{what}: no answer but {text:?}"));
    let head = head.to_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{what}: {text}");
    assert!(head.contains("content-type: application/problem+json"), "{what}: {text}");
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{what}: {text}"));
    assert_eq!(problem["type"], format!("urn:switchyard:problem:{code}"), "{what}");
    assert_eq!(problem["status"], status, "{what}");
}

#[tokio::test]
async fn what_is_not_spelled_as_an_operation_reaches_nobody() {
    let own = Upstream::start(|_| whole("201 Created", "", br#"{"id":"own-1","status":"succeeded"}"#)).await;
    let mut plan = plan();
    own.stand_in(&mut plan);
    let stack = start(plan).await;
    // A status: nothing arrives. None: Envoy's normalisation makes it a charge like any other.
    let targets = [
        ("POST", "/v1/payments/", Some(404)),
        ("POST", "/V1/payments", Some(404)),
        ("POST", "/v1/payments;v=1", Some(404)),
        ("POST", "/v1/payments/%2e%2e/x", Some(404)),
        ("POST", "/v1/payments/a%2fb/capture", Some(400)),
        ("POST", "/v1/payments%5c..%5cpayments", Some(400)),
        ("POST", "/v1/payments/a%00b/capture", Some(400)),
        ("PUT", "/v1/payments", Some(404)),
        ("GET", "/v1/payments", Some(404)),
        ("HEAD", "/v1/payments", Some(404)),
        ("POST", "//v1/payments", None),
        ("POST", "/v1/payments?x=1", None),
        ("POST", "/v1/x/../payments", None),
        ("POST", "/v1/%2e%2e/v1/payments", None),
    ];
    for (method, target, refused) in targets {
        let before = arrived(&stack).await + own.count();
        // The client names a processor itself, which must change nothing.
        let forged = "x-switchyard-cluster: acquirer-a\r\n";
        let mut bytes =
            format!("{method} {target} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer shop\r\n").into_bytes();
        bytes.extend(format!("connection: close\r\n{forged}{JSON}content-length: {}\r\n\r\n", GOOD.len()).into_bytes());
        bytes.extend(GOOD.as_bytes());
        let text = exchange(&stack, &bytes, Duration::ZERO).await;
        let (status, came) = (status(&text), arrived(&stack).await + own.count() - before);
        match refused {
            Some(expected) => assert_eq!((status, came), (Some(expected), 0), "{method} {target}"),
            None => assert_eq!((status, came), (Some(201), 1), "{method} {target}"),
        }
    }

    // Whose end is told in two ways: what is one request to Envoy must not be two to a processor.
    for framing in ["transfer-encoding: chunked\r\n", "content-length: 5\r\n"] {
        let before = arrived(&stack).await + own.count();
        let text = exchange(&stack, &post(format!("{JSON}{framing}"), GOOD), Duration::ZERO).await;
        let came = arrived(&stack).await + own.count() - before;
        assert_eq!((status(&text), came), (Some(400), 0), "{framing}");
    }

    // Bytes that are no text pass where they mean nothing to us, and our own headers do not pass at all.
    let before = own.seen().len();
    let noted = charge_by(OWN_CARD).header("x-note", b"\xff\xfe").header("x-switchyard-cluster", "acquirer-a");
    let answer = send(&stack, noted.header("x-switchyard-anything", "1").header("x-envoy-max-retries", "9")).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let seen = own.seen().split_off(before);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("x-note"), [b"\xff\xfe"]);
    assert_eq!(seen[0].header("authorization"), [b"Bearer shop"]);
    for stripped in ["x-switchyard-cluster", "x-switchyard-anything", "x-envoy-max-retries"] {
        assert!(seen[0].header(stripped).is_empty(), "{stripped}");
    }
    assert_eq!(seen[0].body(), payload(&charge_by(OWN_CARD)), "the body is the client's, byte for byte");
}

fn payload(request: &Request) -> Vec<u8> {
    match &request.payload {
        e2e::client::Payload::Whole(body) => body.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Sends a charge with trailers over HTTP/2, where Envoy always hands them on; status and body of the answer.
async fn with_trailers(stack: &Stack, key: Option<&str>, body: String) -> (u16, String) {
    let stream = TcpStream::connect(stack.proxy()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    let body = Full::new(Bytes::from(body)).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut request = hyper::Request::builder()
        .method(Method::POST)
        .uri("http://shop/v1/payments")
        .header("authorization", "Bearer shop")
        .header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let exchange = async {
        let answer = sender.send_request(request.body(body).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    tokio::time::timeout(WAIT, exchange).await.expect("an answer in bounded time")
}

#[tokio::test]
async fn trailers_end_a_body_and_a_client_that_stops_is_not_waited_for() {
    let mut plan = plan();
    plan.edits.push(Edit::new("request_timeout: 30s", "request_timeout: 2s"));
    let stack = start(plan).await;
    let padded = |n: usize| GOOD.replace("\"EUR\"", &format!(r#""EUR","note":"{}""#, "x".repeat(n)));
    for (what, key, body) in [
        ("plain", None, GOOD.to_owned()),
        ("keyed", Some("k-trailers"), GOOD.to_owned()),
        ("long", None, padded(60_000)),
    ] {
        let before = arrived(&stack).await;
        let (status, text) = with_trailers(&stack, key, body).await;
        assert_eq!((status, arrived(&stack).await), (201, before + 1), "{what}: {text}");
        assert!(text.contains("succeeded"), "{text}");
    }
    let before = arrived(&stack).await;
    for (body, expected, code) in [
        (r#"{"currency":"EUR"}"#.to_owned(), 400, "amount_missing"),
        (GOOD[..20].to_owned(), 400, "body_malformed"),
        (padded(300_000), 413, "body_too_large"),
    ] {
        let (status, text) = with_trailers(&stack, Some("k-refused"), body).await;
        assert!(status == expected && text.contains(code), "{status} {text}");
    }
    let mut with_trailer = post_chunked(JSON, br#"{"currency":"EUR"}"#);
    with_trailer.truncate(with_trailer.len() - 2);
    with_trailer.extend(b"x-checksum: 1\r\n\r\n");
    let text = exchange(&stack, &with_trailer, Duration::ZERO).await;
    assert_refused("a trailer of HTTP/1.1", &text, 400, "amount_missing");

    let mut stalled = post(JSON, GOOD);
    stalled.truncate(stalled.len() - 10);
    let began = Instant::now();
    let text = exchange(&stack, &stalled, Duration::ZERO).await;
    assert_eq!(status(&text), Some(408), "{text}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(arrived(&stack).await, before, "something refused reached a processor");
    assert_eq!(Client::new().send(stack.proxy(), keyed("k-after")).await.unwrap().status, 201);
}
