//! A processor of the tests' own: it keeps what it is sent byte for byte, and answers with whatever bytes a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::stack::{Edit, Plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A published test card that the shipped configuration sends to `acquirer-c`: there this processor stands.
pub(super) const OWN_CARD: &str = "5555555555554444";
/// Between two pieces of an answer: long enough for the proxy to see them apart.
const BETWEEN_PIECES: Duration = Duration::from_millis(20);

/// The bytes of an answer, in pieces that are written apart. The connection is closed after the last.
pub(super) type Pieces = Vec<Vec<u8>>;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen(pub(super) Vec<u8>);

impl Seen {
    /// Method, target and version.
    pub(super) fn line(&self) -> String {
        let line = self.0.split(|b| *b == b'\r').next().unwrap_or_default();
        String::from_utf8_lossy(line).into_owned()
    }

    /// The values of every header line of this lower-case name.
    pub(super) fn header(&self, name: &str) -> Vec<&[u8]> {
        let lines = self.head().split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
        let named = lines.filter_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
        });
        named.collect()
    }

    /// The body, still in chunks if it came so.
    pub(super) fn body(&self) -> &[u8] {
        &self.0[self.head().len()..]
    }

    fn head(&self) -> &[u8] {
        let end = self.0.windows(4).position(|w| w == b"\r\n\r\n");
        &self.0[..end.map_or(self.0.len(), |at| at + 4)]
    }

    fn is_whole(&self) -> bool {
        let length = || std::str::from_utf8(self.header("content-length").first()?).ok()?.parse().ok();
        if !self.head().ends_with(b"\r\n\r\n") {
            false
        } else if self.header("transfer-encoding").is_empty() {
            self.body().len() >= length().unwrap_or(0)
        } else {
            self.body().ends_with(b"0\r\n\r\n")
        }
    }
}

/// The processor. It serves until the test's runtime ends.
pub(super) struct Upstream {
    at: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    /// Starts one that answers as `script` says.
    pub(super) async fn start(script: fn(&Seen) -> Pieces) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (at, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Seen>>>::default());
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script, Arc::clone(&all)));
            }
        });
        Self { at, seen }
    }

    /// Puts it in the place of `acquirer-c`.
    pub(super) fn stand_in(&self, plan: &mut Plan) {
        let cluster = format!(
            "  clusters:
  - name: own
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: own
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}}}}}]}}]
  - name: acquirer-a
    type: STATIC
",
            self.at.port()
        );
        plan.edits.extend([
            Edit::new(r#""name": "acquirer-c", "#, r#""name": "acquirer-c", "cluster": "own", "#),
            Edit::new("  clusters:\n  - name: acquirer-a\n    type: STATIC\n", cluster),
        ]);
    }

    /// How many requests came so far.
    pub(super) fn count(&self) -> u64 {
        self.seen.lock().unwrap().len().try_into().unwrap()
    }

    /// Every request so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, script: fn(&Seen) -> Pieces, all: Arc<Mutex<Vec<Seen>>>) {
    let mut seen = Seen(Vec::new());
    while !seen.is_whole() {
        match stream.read_buf(&mut seen.0).await {
            Ok(1..) => {}
            _ => return,
        }
    }
    let pieces = script(&seen);
    all.lock().unwrap().push(seen);
    for piece in pieces {
        // The proxy may have left; what it then says is the test's business.
        if stream.write_all(&piece).await.is_err() {
            return;
        }
        tokio::time::sleep(BETWEEN_PIECES).await;
    }
}

/// An answer in one piece with a `content-length`; `headers` are whole lines.
pub(super) fn whole(status: &str, headers: &str, body: &[u8]) -> Pieces {
    let mut bytes = head(status, headers, &format!("content-length: {}", body.len()));
    bytes.extend_from_slice(body);
    vec![bytes]
}

/// An answer whose body comes in chunks of `size` bytes, each written apart.
pub(super) fn chunked(status: &str, headers: &str, body: &[u8], size: usize) -> Pieces {
    let mut pieces = vec![head(status, headers, "transfer-encoding: chunked")];
    for chunk in body.chunks(size) {
        let mut piece = format!("{:x}\r\n", chunk.len()).into_bytes();
        piece.extend_from_slice(chunk);
        piece.extend_from_slice(b"\r\n");
        pieces.push(piece);
    }
    pieces.push(b"0\r\n\r\n".to_vec());
    pieces
}

/// An answer whose body ends with the connection.
pub(super) fn until_closed(status: &str, headers: &str, body: &[u8]) -> Pieces {
    vec![head(status, headers, "x-framing: none"), body.to_vec()]
}

/// An answer that can have no body.
pub(super) fn no_content() -> Pieces {
    vec![b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec()]
}

/// A JSON answer of about `len` bytes, of which no two parts are alike.
pub(super) fn long(len: usize) -> Vec<u8> {
    let filler: String = (0..len / 8).map(|n| format!("{n:08}")).collect();
    serde_json::json!({"id": "own-long-answer", "status": "succeeded", "filler": filler}).to_string().into_bytes()
}

fn head(status: &str, headers: &str, framing: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n{framing}\r\n{headers}\r\n")
        .into_bytes()
}
