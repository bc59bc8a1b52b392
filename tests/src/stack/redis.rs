//! A real Redis of the stack's own, on a Unix socket: no port is taken and no other Redis met.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::child::{Child, LOOK_EVERY, READY_WITHIN, Spec};
use super::error::StackError;

/// A Redis server; it forgets everything when it ends. Dropping it stops it.
pub struct RedisProcess {
    pub(super) child: Child,
    socket: PathBuf,
}

impl RedisProcess {
    /// Starts it; its log and its socket are in `dir`.
    pub async fn start(dir: &Path) -> Result<Self, StackError> {
        let socket = dir.join("redis.sock");
        let path = socket.display().to_string();
        let dir_path = dir.display().to_string();
        let args = [
            ("--port", "0"),
            ("--unixsocket", &path),
            ("--unixsocketperm", "700"),
            ("--dir", &dir_path),
            ("--save", ""),
            ("--appendonly", "no"),
            ("--daemonize", "no"),
        ];
        let child = Child::start(Spec {
            name: "redis".to_owned(),
            program: find_redis()?,
            // Debian's redis-tools holds the server under the name of a tool; it goes by what it is called.
            arg0: Some("redis-server".to_owned()),
            args: args.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect(),
            env: Vec::new(),
            secret_env: Vec::new(),
            dir: dir.to_owned(),
        })?;
        let mut redis = Self { child, socket };
        let until = Instant::now() + READY_WITHIN;
        while !redis.answers().await {
            if redis.child.has_ended().is_some() || Instant::now() >= until {
                return Err(redis.child.not_ready("no answer to PING"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(redis)
    }

    /// Its Unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its URL as the cache-service takes it.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    async fn answers(&self) -> bool {
        let ping = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            stream.write_all(b"PING\r\n").await?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await?;
            std::io::Result::Ok(answer == *b"+PONG")
        };
        matches!(tokio::time::timeout(READY_WITHIN, ping).await, Ok(Ok(true)))
    }
}

/// `REDIS_SERVER`, else `redis-server` or `redis-check-rdb`, which is the same program, on the `PATH`.
fn find_redis() -> Result<PathBuf, StackError> {
    if let Some(told) = std::env::var_os("REDIS_SERVER") {
        return Ok(told.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    ["redis-server", "redis-check-rdb"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
        .ok_or(StackError::Missing {
            what: "Redis",
            path: "redis-server".into(),
            remedy: "install redis-tools or redis-server, or set REDIS_SERVER",
        })
}
