//! Every way a charge can fail on its way to a processor: what the filter makes of it, and what it holds for proven.
//!
//! One table, one Envoy. Each row is a processor of its own with a cluster of its own, and the charge's merchant names it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use e2e::client::Client;
use e2e::port::HeldPort;
use e2e::stack::{Edit, Plan, Stack, eventually};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Longer than the route's time-out below.
const HANG: Duration = Duration::from_secs(60);

/// What stands at the other end.
#[derive(Clone, Copy)]
enum End {
    /// A port that is held and does not listen.
    Closed,
    /// A port whose queue is full: nobody answers.
    Silent,
    /// No endpoint.
    None,
    /// No cluster.
    Unknown,
    /// A listener.
    Talks(Talk),
}

/// What a listener does with a connection.
#[derive(Clone, Copy)]
enum Talk {
    /// Says that it speaks no TLS.
    Plain,
    /// Resets it at once, before it reads.
    ResetsUnread,
    /// Reads the request, then closes.
    Closes,
    /// Reads the request, then resets.
    Resets,
    /// The same, and is gone from then on.
    ResetsAndLeaves,
    /// Speaks HTTP/2, and refuses the stream.
    RefusesStream,
    /// Reads the request and says no more.
    Hangs,
    /// Reads the request and says this; the connection then ends.
    Says(&'static str),
    /// Reads the request, says this, and no more.
    Begins(&'static str),
}

/// One row: the processor, what it stands for in its cluster, and what the client and the counters must show.
struct Row {
    name: &'static str,
    end: End,
    /// More of its cluster, in YAML.
    cluster: &'static str,
    status: u16,
    outcome: &'static str,
    evidence: &'static str,
}

const TLS: &str = "    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config: {\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext}
";
const HTTP2: &str = "    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
";
/// Frames of HTTP/2 (RFC 9113): our settings, that theirs were seen, and that stream 1 was not processed.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const SETTINGS_SEEN: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
const REFUSED_STREAM: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
const FULL: &str = "    circuit_breakers: {thresholds: [{max_pending_requests: 0, max_requests: 0}]}\n";

fn row(name: &'static str, end: End, status: u16, outcome: &'static str, evidence: &'static str) -> Row {
    Row { name, end, cluster: "", status, outcome, evidence }
}

fn table() -> Vec<Row> {
    use End::{Closed, None, Silent, Talks, Unknown};
    use Talk::{Begins, Closes, Hangs, Plain, RefusesStream, Resets, ResetsUnread, Says};
    const HEAD: &str = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"id\"";
    vec![
        row("refused", Closed, 503, "failed", "not_sent"),
        row("connect-timeout", Silent, 503, "failed", "not_sent"),
        Row { cluster: TLS, ..row("tls", Talks(Plain), 503, "failed", "not_sent") },
        row("no-endpoint", None, 503, "failed", "not_sent"),
        row("no-cluster", Unknown, 503, "unsent", "not_sent"),
        Row { cluster: FULL, ..row("overflow", Talks(Hangs), 503, "unsent", "not_sent") },
        Row { cluster: HTTP2, ..row("refused-stream", Talks(RefusesStream), 504, "failed", "not_sent") },
        row("reset-unread", Talks(ResetsUnread), 504, "failed", "unknown"),
        row("closed", Talks(Closes), 504, "failed", "unknown"),
        row("reset", Talks(Resets), 504, "failed", "unknown"),
        row("hang", Talks(Hangs), 504, "timed_out", "unknown"),
        row("half-an-answer", Talks(Says(HEAD)), 504, "failed", "unknown"),
        row("hang-in-the-answer", Talks(Begins(HEAD)), 504, "timed_out", "unknown"),
        row("no-http", Talks(Says("220 mail.test ESMTP\r\n")), 504, "failed", "unknown"),
        row(
            "unavailable",
            Talks(Says("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")),
            503,
            "failed",
            "unknown",
        ),
        row(
            "decline",
            Talks(Says(
                "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: 42\r\n\r\n\
                 {\"status\":\"declined\",\"response_code\":\"51\"}",
            )),
            201,
            "declined_soft",
            "processed",
        ),
        row(
            "encoded",
            Talks(Says(
                "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
            )),
            201,
            "unread",
            "unknown",
        ),
        row(
            "conflict",
            Talks(Says("HTTP/1.1 409 Conflict\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")),
            409,
            "in_flight",
            "unknown",
        ),
        row(
            "limited",
            Talks(Says("HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")),
            429,
            "rate_limited",
            "unknown",
        ),
        row(
            "locked-out",
            Talks(Says("HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")),
            401,
            "misconfigured",
            "unknown",
        ),
        row(
            "invalid",
            Talks(Says("HTTP/1.1 422 Unprocessable Content\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")),
            422,
            "invalid_request",
            "unknown",
        ),
        row(
            "says-nothing",
            Talks(Says("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")),
            200,
            "unclear",
            "unknown",
        ),
        // The client leaves: no status.
        row("client-left", Talks(Hangs), 0, "abandoned", "unknown"),
    ]
}

/// What must be kept while the test runs.
#[derive(Default)]
struct Kept {
    ports: Vec<HeldPort>,
    silent: Vec<(Socket, Vec<TcpStream>)>,
}

impl Kept {
    /// Where a row's processor is; none for those that are nowhere.
    async fn start(&mut self, end: End) -> Option<SocketAddr> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        match end {
            End::None | End::Unknown => None,
            End::Closed => {
                let port = HeldPort::bind(any).unwrap();
                let address = port.address().unwrap();
                self.ports.push(port);
                Some(address)
            }
            End::Silent => {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.bind(&any.into()).unwrap();
                socket.listen(0).unwrap();
                let address = socket.local_addr().unwrap().as_socket().unwrap();
                let mut fillers = Vec::new();
                // Until the queue is full, a connection is made at once.
                while let Ok(filler) =
                    tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
                {
                    fillers.push(filler.unwrap());
                }
                self.silent.push((socket, fillers));
                Some(address)
            }
            End::Talks(talk) => {
                let listener = TcpListener::bind(any).await.unwrap();
                let address = listener.local_addr().unwrap();
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        if matches!(talk, Talk::ResetsAndLeaves) {
                            drop(listener);
                            return talks(stream, talk).await;
                        }
                        tokio::spawn(talks(stream, talk));
                    }
                });
                Some(address)
            }
        }
    }
}

async fn talks(mut stream: TcpStream, talk: Talk) {
    if matches!(talk, Talk::ResetsUnread) {
        return reset(stream);
    }
    let mut seen = Vec::new();
    // The end of every charge of this suite, whatever comes before it.
    while !matches!(talk, Talk::Plain) && !seen.ends_with(b"}}") {
        match stream.read_buf(&mut seen).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    match talk {
        Talk::Plain => drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await),
        Talk::Says(text) => drop(stream.write_all(text.as_bytes()).await),
        Talk::Begins(text) => {
            drop(stream.write_all(text.as_bytes()).await);
            tokio::time::sleep(HANG).await;
        }
        Talk::RefusesStream => {
            drop(stream.write_all(&[SETTINGS.as_slice(), &SETTINGS_SEEN, &REFUSED_STREAM].concat()).await);
            tokio::time::sleep(HANG).await;
        }
        Talk::Hangs => tokio::time::sleep(HANG).await,
        Talk::Resets | Talk::ResetsAndLeaves | Talk::ResetsUnread => reset(stream),
        Talk::Closes => {}
    }
}

/// Ends a connection with a reset rather than a good-bye.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// The shipped configuration with a processor for each row.
async fn plan_of(rows: &[Row], kept: &mut Kept) -> Plan {
    let (mut processors, mut rules, mut clusters) = (String::new(), String::new(), String::new());
    for row in rows {
        let name = row.name;
        let _ = write!(processors, r#"{{"name": "{name}", "profile": "sample"}}, "#);
        let _ = write!(
            rules,
            r#"{{"name": "{name}", "when": {{"merchant": ["{name}"]}}, "use": {{"processors": ["{name}"]}}}}, "#
        );
        if matches!(row.end, End::Unknown) {
            continue;
        }
        let endpoint = kept.start(row.end).await.map(|at| {
            format!(
                "{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}}}]}}",
                at.port()
            )
        });
        let _ = write!(
            clusters,
            "  - name: {name}\n    type: STATIC\n    connect_timeout: 0.3s\n{}    load_assignment: {{cluster_name: {name}, endpoints: [{}]}}\n",
            row.cluster,
            endpoint.unwrap_or_default()
        );
    }
    let mut plan = plan();
    let first = r#"{"name": "acquirer-a", "#;
    let rule = r#"{"name": "sample-range-to-c", "#;
    let cluster = "  clusters:\n";
    plan.edits.extend([
        Edit::new(first, format!("{processors}{first}")),
        Edit::new(rule, format!("{rules}{rule}")),
        Edit::new(cluster, format!("{cluster}{clusters}")),
        short_timeout("1s"),
    ]);
    plan
}

/// The counters of one processor that are not zero, without what is the same in all.
async fn counted(stack: &Stack, name: &str) -> Vec<String> {
    let all = stack.stats(&format!(r"switchyard_(requests|evidence)_total\.processor={name}\.")).await.unwrap();
    let word = |stat: &str| stat.rsplit_once('.').map(|(_, last)| last.to_owned()).unwrap_or_default();
    all.iter().filter(|(_, count)| **count > 0).map(|(stat, count)| format!("{} {count}", word(stat))).collect()
}

#[tokio::test]
async fn every_way_to_fail_and_what_it_proves() {
    let (rows, mut kept) = (table(), Kept::default());
    let stack = start(plan_of(&rows, &mut kept).await).await;
    each_fails_as_it_should(&stack, &rows).await;
}

/// The proxy's flags are those of the last attempt. A route that retries, against the advice of the shipped one, reads a
/// refused connection last, of a charge that a processor has read: that proves nothing.
#[tokio::test]
async fn a_retry_that_finds_nobody_does_not_prove_that_nothing_was_sent() {
    let rows = vec![row("gone", End::Talks(Talk::ResetsAndLeaves), 504, "failed", "unknown")];
    let mut kept = Kept::default();
    let mut plan = plan_of(&rows, &mut kept).await;
    let route = "cluster_header: x-switchyard-cluster\n                  timeout: 1s\n";
    let retries = "                  retry_policy: {retry_on: \"connect-failure,reset\", num_retries: 1}\n";
    plan.edits.push(Edit::new(route, format!("{route}{retries}")));
    let stack = start(plan).await;
    each_fails_as_it_should(&stack, &rows).await;
    assert_eq!(stat(&stack, r"cluster\.gone\.upstream_rq_retry$").await, 1);
}

/// Time-outs that the shipped route does not have: of one attempt, and of a stream on which nothing moves.
#[tokio::test]
async fn other_time_outs_prove_nothing_either() {
    let route = "cluster_header: x-switchyard-cluster\n                  timeout: 1s\n";
    for more in [
        "                  retry_policy: {num_retries: 0, per_try_timeout: 0.3s}\n",
        "                  idle_timeout: 0.3s\n",
    ] {
        let rows = vec![row("hang", End::Talks(Talk::Hangs), 504, "timed_out", "unknown")];
        let mut kept = Kept::default();
        let mut plan = plan_of(&rows, &mut kept).await;
        plan.edits.push(Edit::new(route, format!("{route}{more}")));
        let stack = start(plan).await;
        each_fails_as_it_should(&stack, &rows).await;
    }
}

async fn each_fails_as_it_should(stack: &Stack, rows: &[Row]) {
    let mut wrong = BTreeMap::new();
    for row in rows {
        let body = json!({
            "amount": 1200, "currency": "EUR", "merchant": row.name, "reference": "order-1", "source": {"number": ANY_CARD},
        });
        let charge = shop(Request::post("/v1/payments")).json(&body);
        let client = match row.status {
            0 => Client::new().deadline(Duration::from_millis(300)),
            _ => Client::new(),
        };
        let status = client.send(stack.proxy(), charge).await.map_or(0, |answer| answer.status);
        let want = vec![format!("evidence={} 1", row.evidence), format!("outcome={} 1", row.outcome)];
        let seen = eventually("the charge is counted", Duration::from_secs(5), async || {
            let seen = counted(stack, row.name).await;
            (seen.len() >= want.len()).then_some(seen)
        });
        let seen = seen.await.unwrap_or_default();
        if (status, &seen) != (row.status, &want) {
            wrong.insert(row.name, (status, seen, "instead of", row.status, want));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the proxy refuses before the filter has read it was counted in nowhere.
#[tokio::test]
async fn a_body_over_the_proxys_limit_is_no_charge() {
    let mut plan = plan();
    let limit = "per_connection_buffer_limit_bytes: ";
    plan.edits.push(Edit::new(format!("{limit}1048576"), format!("{limit}16384")));
    let stack = start(plan).await;
    let body = json!({"amount": 1200, "currency": "EUR", "filler": "x".repeat(200_000)});
    let answer = send(&stack, shop(Request::post("/v1/payments")).json(&body)).await;
    assert_problem(&answer, 413, "body_too_large");
    assert_eq!(stat(&stack, r"switchyard_(requests|evidence)_total\.").await, 0);
}
