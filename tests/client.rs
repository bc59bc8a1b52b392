//! The client: what it sends is what arrives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::any;
use e2e::client::load::{self, Load};
use e2e::client::raw::{self, End};
use e2e::client::{Client, ClientError, Request};
use tokio::net::TcpListener;

/// A server that answers with the length and framing of what it got.
async fn echo() -> SocketAddr {
    let handler = async |headers: HeaderMap, body: Bytes| {
        let value = |name: &str| headers.get(name).map_or(Vec::new(), |v| v.as_bytes().to_vec());
        [value("x-bytes"), value("transfer-encoding"), body.len().to_string().into_bytes()].join(&b'|')
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, Router::new().fallback(any(handler))).into_future());
    address
}

#[tokio::test]
async fn headers_travel_as_bytes_and_bodies_as_framed() {
    let (to, client) = (echo().await, Client::new());
    let request = Request::post("/x?y=1").header("X-Bytes", b"\xff\xfe");
    let whole = client.send(to, request.clone().body("text/plain", "twelve bytes")).await.unwrap();
    assert_eq!(&whole.body[..], b"\xff\xfe||12");
    let chunked = request.body("text/plain", "twelve bytes").chunked(5);
    let chunked = client.send(to, chunked).await.unwrap();
    assert_eq!(&chunked.body[..], b"\xff\xfe|chunked|12");
}

#[tokio::test]
async fn nobody_there_and_nothing_said_are_told_apart() {
    let client = Client::new().deadline(Duration::from_millis(200));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let error = client.send(address, Request::get("/")).await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline(_)), "{error}");
    drop(silent);
    let error = client.send(address, Request::get("/")).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect(_)), "{error}");
}

#[tokio::test]
async fn raw_bytes_arrive_as_they_are() {
    let to = echo().await;
    let bad = raw::exchange(to, b"NOT HTTP\r\n\r\n", Duration::from_secs(5)).await.unwrap();
    assert_eq!((bad.status(), bad.end), (Some(400), End::Closed));
    let kept = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let kept = raw::exchange(to, kept, Duration::from_millis(300)).await.unwrap();
    assert_eq!((kept.status(), kept.end), (Some(200), End::Open));
}

#[tokio::test]
async fn a_load_sends_what_it_was_told_and_no_more() {
    let to = echo().await;
    let client = Client::with_idle_connections(4);
    let load = Load { requests: 100, within: Duration::from_secs(30), in_flight: 4 };
    let report = load::run(&client, to, load, |n| Request::get(format!("/{n}")), |a| Some(a.text())).await.unwrap();
    assert_eq!(report.statuses, BTreeMap::from([(200, 100)]));
    assert_eq!(report.labels, BTreeMap::from([("||0".to_owned(), 100)]));
    assert_eq!((report.answered(), report.latency_us.len()), (100, 100));
    assert!(report.errors.is_empty() && report.per_second() > 0.0);
}
