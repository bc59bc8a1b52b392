//! A real Redis of our own, on a Unix socket in a directory of its own.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub(crate) struct RedisServer {
    dir: TempDir,
    child: Child,
    /// Where callers find it; the Unix socket if it is not said.
    path: Option<SocketAddr>,
}

/// The program: `REDIS_SERVER`, `redis-server`, or the same program under the name that Debian's redis-tools has it by.
fn program() -> PathBuf {
    if let Some(given) = std::env::var_os("REDIS_SERVER") {
        return given.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = ["redis-server", "redis-check-rdb"]
        .iter()
        .find_map(|name| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()));
    found.expect("these tests need a Redis server: run `apt-get install redis-tools`, or set REDIS_SERVER")
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let child = spawn(&dir);
        let server = Self { dir, child, path: None };
        server.wait();
        server
    }

    pub(crate) fn url(&self) -> String {
        match self.path {
            Some(path) => format!("redis://{path}"),
            None => format!("unix://{}", self.socket().display()),
        }
    }

    /// Lets callers come over TCP.
    pub(crate) fn over(mut self, path: SocketAddr) -> Self {
        self.path = Some(path);
        self
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < deadline, "redis did not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL: nothing is flushed, the socket file stays.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Starts it again on the same socket and the same append-only file.
    pub(crate) fn start_again(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        self.child = spawn(&self.dir);
        self.wait();
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("signalled");
    }

    /// Everything it holds: every key and every value, as bytes.
    pub(crate) fn dump(&self) -> Vec<Vec<u8>> {
        let client = redis::Client::open(self.url()).expect("client");
        let mut connection = client.get_connection().expect("connection");
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("keys");
        let value = |key: &Vec<u8>| -> Vec<u8> { redis::cmd("GET").arg(key).query(&mut connection).expect("value") };
        let values: Vec<_> = keys.iter().map(value).collect();
        keys.into_iter().chain(values).collect()
    }
}

fn spawn(dir: &TempDir) -> Child {
    let mut command = Command::new(program());
    // Asked for under this name, Debian's checker is the server.
    command.arg0("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    command.arg("--dir").arg(dir.path()).arg("--unixsocket").arg(dir.path().join("redis.sock"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis starts")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // SIGKILL ends a frozen process too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
