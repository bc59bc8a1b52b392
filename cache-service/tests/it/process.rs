//! The built program: arguments, the ready line, errors at start, signals.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Api, TOKEN, bin_path, pin_path};
use crate::limits::go_on;
use crate::world::until;

/// The program on free ports, with nothing else in its environment.
pub(crate) fn program(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cache-service"));
    command.env_clear().env("CACHE_PORT", "0").env("CACHE_ADMIN_PORT", "0");
    command.env("CACHE_DATA_DIR", data_dir).env("CACHE_TOKEN", TOKEN);
    command
}

/// A running program; ended with its test.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) at: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        assert_eq!(ready["ready"], true);
        let at = |name: &str| ready[name].as_str().expect("an address").parse().expect("an address");
        Self { at: at("listen"), admin: at("admin"), child, stdout }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("an id")), signal).expect("signalled");
    }

    /// Waits for its end: whether it ended well, what else it wrote to standard output, what it logged.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("waited") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let (mut out, mut log) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).expect("text");
        self.child.stderr.take().expect("piped").read_to_string(&mut log).expect("text");
        (status.code(), out, log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn output(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, stdout } = command.output().expect("ran");
    // A line for the supervisor, or the verdict of --check: only where all is well.
    let said = String::from_utf8(stdout).expect("text");
    assert_eq!(said.ends_with("cache-service.toml: valid\n"), status.success(), "{said}");
    let log = String::from_utf8(stderr).expect("text");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    (status.code(), log)
}

#[tokio::test]
async fn it_says_when_it_is_ready_and_ends_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let dir = tempfile::tempdir().expect("tempdir");
        let running = Running::start(program(dir.path()));
        assert_ne!(running.at.port(), 0);
        assert_eq!(Api::new(running.at).put(&bin_path("a"), b"x").await.status, 204);
        assert_eq!(Api::new(running.admin).get("/readyz").await.status, 200);
        running.signal(signal);
        let (code, out, log) = running.end();
        assert_eq!((code, out.as_str()), (Some(0), ""), "{log}");
        assert!(!log.is_empty());
        for line in log.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }
}

#[tokio::test]
async fn a_request_in_flight_ends_before_it_does() {
    let dir = tempfile::tempdir().expect("tempdir");
    let running = Running::start(program(dir.path()));
    let mut stream = TcpStream::connect(running.at).await.expect("connected");
    let head = format!(
        "PUT {} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 26\r\nexpect: 100-continue\r\n\r\n",
        pin_path("a"),
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // It is told to go on when its body is asked for. A connection whose head was not read yet is closed at the signal,
    // as an idle one is.
    go_on(&mut stream).await;
    stream.write_all(br#"{"processor":"#).await.expect("sent");
    let admin = Api::new(running.admin);
    running.signal(Signal::SIGTERM);
    until("it is no longer ready", async || admin.get("/readyz").await.status == 503).await;
    until("it no longer accepts", async || TcpStream::connect(running.at).await.is_err()).await;
    stream.write_all(br#""acquirer-a"}"#).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(running.end().0, Some(0));
    let again = Running::start(program(dir.path()));
    assert_eq!(Api::new(again.at).get(&pin_path("a")).await.processor(), "acquirer-a");
    let mode = std::fs::metadata(dir.path().join("records.redb")).expect("file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
}

#[tokio::test]
async fn records_outlive_a_kill() {
    let dir = tempfile::tempdir().expect("tempdir");
    let running = Running::start(program(dir.path()));
    assert_eq!(Api::new(running.at).record(&pin_path("a"), "acquirer-a").await.status, 201);
    running.signal(Signal::SIGKILL);
    assert_eq!(running.end().0, None);
    let again = Running::start(program(dir.path()));
    assert_eq!(Api::new(again.at).get(&pin_path("a")).await.processor(), "acquirer-a");
}

#[test]
fn what_is_wrong_at_start_is_said() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (code, error) = output(program(dir.path()).env_remove("CACHE_TOKEN"));
    assert!(code == Some(1) && error.contains("CACHE_TOKEN"), "{error}");
    let (code, error) = output(program(dir.path()).env("REDIS_URL", "redis://:hunter2@127.0.0.1:1"));
    assert!(code == Some(1) && error.contains("CACHE_KEY_SECRET") && !error.contains("hunter2"), "{error}");
    let file = dir.path().join("wrong.toml");
    std::fs::write(&file, "[limits]\nin_flights = 1").expect("written");
    let (code, error) = output(program(dir.path()).arg("--config").arg(&file));
    assert!(code == Some(1) && error.contains("in_flights") && error.contains("wrong.toml"), "{error}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (code, error) = output(program(dir.path()).env("CACHE_PORT", &port));
    assert!(code == Some(1) && error.contains(&port), "{error}");
}

#[test]
fn two_programs_do_not_share_a_directory() {
    let dir = tempfile::tempdir().expect("tempdir");
    let _first = Running::start(program(dir.path()));
    let (code, error) = output(&mut program(dir.path()));
    assert!(code == Some(1) && error.contains("in use by another process"), "{error}");
}

#[tokio::test]
async fn records_are_not_used_under_another_secret() {
    let dir = tempfile::tempdir().expect("tempdir");
    let running = Running::start(program(dir.path()));
    assert_eq!(Api::new(running.at).record(&pin_path("a"), "acquirer-a").await.status, 201);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));
    let (code, error) = output(program(dir.path()).env("CACHE_KEY_SECRET", "another-key-secret"));
    assert!(code == Some(1) && error.contains("another key secret") && error.contains("records.redb"), "{error}");
    // One that is lost is not made anew, nor is one that is cut off taken.
    let (kept, aside) = (dir.path().join("key-secret"), dir.path().join("aside"));
    std::fs::rename(&kept, &aside).expect("moved");
    let (code, error) = output(&mut program(dir.path()));
    assert!(code == Some(1) && error.contains("key-secret") && error.contains("records.redb"), "{error}");
    assert!(!kept.exists());
    std::fs::write(&kept, "").expect("written");
    let (code, error) = output(&mut program(dir.path()));
    assert!(code == Some(1) && error.contains("key-secret"), "{error}");
    std::fs::rename(&aside, &kept).expect("moved");
    let again = Running::start(program(dir.path()));
    assert_eq!(Api::new(again.at).get(&pin_path("a")).await.processor(), "acquirer-a");
}

#[test]
fn check_reads_the_shipped_file_and_ends() {
    let dir = tempfile::tempdir().expect("tempdir");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/cache-service.toml");
    let (code, error) = output(program(dir.path()).args(["--check", "--config", shipped]));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0, "it leaves nothing behind");
}

#[tokio::test]
async fn tokens_from_a_file_are_all_accepted() {
    let dir = tempfile::tempdir().expect("tempdir");
    std::fs::write(dir.path().join("tokens"), "old\nnew\n").expect("written");
    let file = dir.path().join("c.toml");
    std::fs::write(&file, format!("token_file = {:?}", dir.path().join("tokens"))).expect("written");
    let mut command = program(dir.path());
    command.env_remove("CACHE_TOKEN").arg("--config").arg(&file);
    let running = Running::start(command);
    let api = Api::new(running.at);
    for (token, status) in [("old", 404), ("new", 404), (TOKEN, 401)] {
        let value = format!("Bearer {token}");
        let reply = api.raw(hyper::Method::GET, &bin_path("a"), &[("authorization", &value)], b"").await;
        assert_eq!(reply.status, status, "{token}");
    }
}
