//! Every input has a bound, and no client can hold the service up.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Api, TOKEN, bin_path};
use crate::world::{World, until};

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.node.at).await.expect("connected")
}

/// What the service sends until it closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    let _ = read.expect("closed in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until the service asks for the body of a request that said `expect: 100-continue`: it is in flight now.
pub(crate) async fn go_on(stream: &mut TcpStream) {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut told = [0; CONTINUE.len()];
    stream.read_exact(&mut told).await.expect("told to go on");
    assert_eq!(told, CONTINUE);
}

#[tokio::test]
async fn too_large_a_head_is_refused() {
    let world = World::embedded("").await;
    let big = "x".repeat(20 << 10);
    for head in [
        format!("GET /{big} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\nbig: {big}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(100)),
    ] {
        let mut stream = connect(&world).await;
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 414"), "{answer}");
    }
    assert_eq!(world.api().get(&bin_path("a")).await.status, 404, "it goes on");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_first_head_is_cut_off() {
    let world = World::embedded("[limits]\nhead_timeout_ms = 300").await;
    // Nothing at all, the beginning of the HTTP/2 preface, and half a head.
    for beginning in ["", "PRI * HTT", "GET / HTTP/1.1\r\nhost: a\r\nx: "] {
        let mut stream = connect(&world).await;
        stream.write_all(beginning.as_bytes()).await.expect("sent");
        let began = Instant::now();
        rest(&mut stream).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{beginning:?}");
    }
}

#[tokio::test]
async fn an_authorised_connection_outlives_the_trial() {
    let world = World::embedded("[limits]\nhead_timeout_ms = 200").await;
    let mut stream = connect(&world).await;
    let request = format!("GET {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\r\n", bin_path("a"));
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut buffer = [0; 4_096];
        let len = stream.read(&mut buffer).await.expect("answered");
        assert!(buffer[..len].starts_with(b"HTTP/1.1 404"));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::embedded("[limits]\nbody_timeout_ms = 200").await;
    let mut stream = connect(&world).await;
    let head = format!(
        "PUT {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\nswitchyard-ttl-ms: 1\r\ncontent-length: 5\r\n\r\nab",
        bin_path("a"),
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
}

#[tokio::test]
async fn more_requests_than_allowed_are_turned_away() {
    let world = World::embedded("[limits]\nin_flight = 1\nbody_timeout_ms = 10000").await;
    let mut slow = connect(&world).await;
    let head = format!(
        "PUT {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\nswitchyard-ttl-ms: 60000\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n",
        bin_path("a"),
    );
    slow.write_all(head.as_bytes()).await.expect("sent");
    let api = Api::new(world.node.at);
    go_on(&mut slow).await;
    let reply = api.get(&bin_path("b")).await;
    assert_eq!((reply.problem().as_str(), reply.header("retry-after")), ("overloaded", "1"));
    slow.write_all(b"x").await.expect("sent");
    until("the place is free", async || api.get(&bin_path("a")).await.status == 200).await;
}

#[tokio::test]
async fn silent_connections_do_not_starve_the_admin_listener() {
    let world = World::embedded("[limits]\nhead_timeout_ms = 60000\nidle_timeout_ms = 60000").await;
    let at = world.node.admin_at;
    let mut silent = Vec::new();
    // One more than there are places waits, and all of them are silent.
    for _ in 0..65 {
        silent.push(TcpStream::connect(at).await.expect("connected"));
    }
    let began = Instant::now();
    assert_eq!(Api::new(at).get("/healthz").await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut_off() {
    let world = World::embedded("[limits]\nwrite_timeout_ms = 300\nin_flight = 1").await;
    assert_eq!(world.api().put(&bin_path("a"), &vec![b'x'; 65_536]).await.status, 204);
    let mut stream = connect(&world).await;
    let request = format!("GET {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\r\n", bin_path("a"));
    // 64 MiB of answers: more than the sockets hold. Then it is cut off, and writing more fails.
    let flood = async {
        while stream.write_all(request.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), flood).await.expect("cut off");
    until("its place is free", async || world.api().get(&bin_path("a")).await.status == 200).await;
}

#[tokio::test]
async fn an_http2_client_that_opens_no_window_is_cut_off_and_holds_its_place_until_then() {
    let world = World::embedded("[limits]\nwrite_timeout_ms = 1000\nin_flight = 1").await;
    assert_eq!(world.api().put(&bin_path("a"), b"x").await.status, 204);
    let (mut sender, connection) = http2(&world, 0).await;
    let ended = tokio::spawn(connection);
    let answer = sender.send_request(get("a")).await.expect("a head");
    assert_eq!(answer.status(), 200);
    assert_eq!(world.api().get(&bin_path("a")).await.problem(), "overloaded");
    let _ = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("cut off");
    until("its place is free", async || world.api().get(&bin_path("a")).await.status == 200).await;
}

#[tokio::test]
async fn an_unused_http2_connection_is_closed() {
    let world = World::embedded("[limits]\nidle_timeout_ms = 300").await;
    let (mut sender, connection) = http2(&world, 65_535).await;
    let ended = tokio::spawn(connection);
    for _ in 0..2 {
        assert_eq!(sender.send_request(get("a")).await.expect("an answer").status(), 404);
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("closed").expect("no panic");
    ended.expect("in order");
}

type Http2 = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

/// An HTTP/2 connection whose streams have this window.
async fn http2(world: &World, window: u32) -> (Http2, impl Future<Output = hyper::Result<()>> + Send + use<>) {
    let stream = TokioIo::new(connect(world).await);
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    builder.handshake(stream).await.expect("spoken")
}

fn get(name: &str) -> Request<Empty<Bytes>> {
    let request = Request::get(format!("http://a{}", bin_path(name)));
    request.header("authorization", format!("Bearer {TOKEN}")).body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let world = World::embedded("[limits]\nconnections = 2").await;
    // Each takes its place when it is served; these two keep theirs until they are dropped.
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&world).await;
        ask(&mut stream).await;
        answered(&mut stream).await;
        held.push(stream);
    }
    let mut third = connect(&world).await;
    ask(&mut third).await;
    let early = tokio::time::timeout(Duration::from_millis(500), answered(&mut third)).await;
    assert!(early.is_err(), "served beside the two that are allowed");
    held.pop();
    tokio::time::timeout(Duration::from_secs(10), answered(&mut third)).await.expect("served once a place is free");
}

async fn ask(stream: &mut TcpStream) {
    let request = format!("GET {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\r\n", bin_path("a"));
    stream.write_all(request.as_bytes()).await.expect("sent");
}

async fn answered(stream: &mut TcpStream) {
    let mut buffer = [0; 4_096];
    let len = stream.read(&mut buffer).await.expect("answered");
    assert!(buffer[..len].starts_with(b"HTTP/1.1 404"));
}
