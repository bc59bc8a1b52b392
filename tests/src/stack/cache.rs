//! The cache-service in a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::ask::ask;
use super::child::{Child, Spec};
use super::error::StackError;
use super::processor::unexpected;
use crate::client::Request;

/// How to start a cache-service.
#[derive(Clone)]
pub(super) struct CacheSpec {
    pub(super) program: PathBuf,
    pub(super) port: u16,
    pub(super) admin_port: u16,
    /// What callers must show.
    pub(super) token: String,
    /// Redis and the key that what is stored there is hashed with, if there is one.
    pub(super) redis: Option<RedisAccess>,
    pub(super) env: Vec<(String, String)>,
}

/// How the cache-service reaches Redis.
#[derive(Clone)]
pub(super) struct RedisAccess {
    pub(super) url: String,
    pub(super) key_secret: String,
}

/// The cache-service in a process of its own. Dropping it stops it.
pub struct CacheProcess {
    pub(super) child: Child,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl CacheProcess {
    /// Starts one of its own on free ports, without Redis, in `dir`; callers must show `token`.
    pub async fn alone(program: PathBuf, token: &str, dir: &Path) -> Result<Self, StackError> {
        let token = token.to_owned();
        Self::start(CacheSpec { program, port: 0, admin_port: 0, token, redis: None, env: Vec::new() }, dir).await
    }

    /// Starts it; its log goes to `dir`, its data to `dir/cache`.
    pub(super) async fn start(spec: CacheSpec, dir: &Path) -> Result<Self, StackError> {
        let data = dir.join("cache");
        std::fs::create_dir_all(&data).map_err(StackError::io("make the cache's folder"))?;
        let mut env = vec![
            ("CACHE_PORT".to_owned(), spec.port.to_string()),
            ("CACHE_ADMIN_PORT".to_owned(), spec.admin_port.to_string()),
            ("CACHE_DATA_DIR".to_owned(), data.display().to_string()),
        ];
        env.extend(spec.env);
        let mut secret_env = vec![("CACHE_TOKEN".to_owned(), spec.token)];
        if let Some(redis) = spec.redis {
            // The URL may hold a password.
            secret_env.push(("REDIS_URL".to_owned(), redis.url));
            secret_env.push(("CACHE_KEY_SECRET".to_owned(), redis.key_secret));
        }
        let spec = Spec {
            name: "cache-service".to_owned(),
            program: spec.program,
            arg0: None,
            args: Vec::new(),
            env,
            secret_env,
            dir: dir.to_owned(),
        };
        let (child, ready) = Child::start_until_ready(spec).await?;
        let address = |field: &str| ready[field].as_str().and_then(|text| text.parse().ok());
        let (Some(listen), Some(admin)) = (address("listen"), address("admin")) else {
            return Err(unexpected(child, &ready));
        };
        Ok(Self { child, listen, admin })
    }

    /// Where the filter asks it.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its metrics, as text.
    pub async fn metrics(&self) -> Result<String, StackError> {
        Ok(ask("read the cache-service's metrics", self.admin, Request::get("/metrics")).await?.text())
    }
}
