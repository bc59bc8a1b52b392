//! The service in this process, with what it stands on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use cache_service::config::{Config, Overrides, Secrets};
use cache_service::server::Listeners;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Api, TOKEN};
use crate::redis_server::RedisServer;

pub(crate) const KEY_SECRET: &str = "canary-key-secret-91c2";

/// Deadlines that a busy test machine keeps; the tests of deadlines set their own.
const SLOW: &str = "[redis]\nlookup_deadline_ms = 5000\nrecord_deadline_ms = 5000\n";

/// A running service. Nodes of one world share its Redis.
pub(crate) struct Node {
    pub(crate) api: Api,
    pub(crate) admin: Api,
    pub(crate) at: SocketAddr,
    pub(crate) admin_at: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<()>,
}

impl Node {
    pub(crate) async fn start(toml: &str, data_dir: &Path, redis: Option<&RedisServer>) -> Self {
        Self::start_with(toml, data_dir, redis, KEY_SECRET).await
    }

    /// With another secret where there is a Redis.
    pub(crate) async fn start_with(toml: &str, data_dir: &Path, redis: Option<&RedisServer>, secret: &str) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), toml).expect("written");
        let overrides =
            Overrides { port: Some(0), admin_port: Some(0), data_dir: Some(data_dir.to_owned()), ..Default::default() };
        let secrets = Secrets {
            token: Some(TOKEN.to_owned()),
            key_secret: redis.map(|_| secret.to_owned()),
            redis_url: redis.map(RedisServer::url),
        };
        let config = Config::load(Some(file.path()), overrides, secrets).expect("a configuration");
        let listeners = Listeners::bind(config.listen, config.admin_listen).await.expect("bound");
        let at = listeners.data.local_addr().expect("an address");
        let admin = listeners.admin.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let done = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            cache_service::run(listeners, config, stopped).await.expect("started");
        });
        Self { api: Api::new(at), admin: Api::new(admin), at, admin_at: admin, stop: Some(stop), done }
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.done.await.expect("ended in order");
    }

    /// A gauge or counter on `/metrics`, by its line's beginning.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let text = self.admin.get("/metrics").await.body;
        let text = std::str::from_utf8(&text).expect("text").to_owned();
        let found = text.lines().find_map(|l| l.strip_prefix(line)).map(|n| n.trim().to_owned());
        found.unwrap_or_else(|| panic!("no {line} in {text}")).parse().expect("a number")
    }
}

/// One node and what it stands on.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) dir: TempDir,
    pub(crate) redis: Option<RedisServer>,
    toml: String,
}

impl World {
    pub(crate) async fn embedded(toml: &str) -> Self {
        Self::new(format!("{toml}\n{SLOW}"), None).await
    }

    pub(crate) async fn redis(toml: &str) -> Self {
        Self::new(format!("{toml}\n{SLOW}"), Some(RedisServer::start())).await
    }

    /// With Redis, and the deadlines as given.
    pub(crate) async fn redis_as_is(toml: &str) -> Self {
        Self::new(toml.to_owned(), Some(RedisServer::start())).await
    }

    /// With this Redis, and the deadlines as given.
    pub(crate) async fn on(redis: RedisServer, toml: &str) -> Self {
        Self::new(toml.to_owned(), Some(redis)).await
    }

    async fn new(toml: String, redis: Option<RedisServer>) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let node = Node::start(&toml, dir.path(), redis.as_ref()).await;
        let world = Self { node, dir, redis, toml };
        // The first use of a connection makes it.
        until("the service is ready", async || world.node.admin.get("/readyz").await.status == 200).await;
        world
    }

    pub(crate) fn api(&self) -> &Api {
        &self.node.api
    }

    pub(crate) fn redis_mut(&mut self) -> &mut RedisServer {
        self.redis.as_mut().expect("this world has a Redis")
    }

    /// Another node on the same Redis.
    pub(crate) async fn second_node(&self) -> Node {
        Node::start(&self.toml, self.dir.path(), self.redis.as_ref()).await
    }

    /// Another node on the same Redis that was given the wrong secret.
    pub(crate) async fn foreign_node(&self) -> Node {
        Node::start_with(&self.toml, self.dir.path(), self.redis.as_ref(), "another-key-secret").await
    }

    /// The same node after an orderly end.
    pub(crate) async fn restart(self) -> Self {
        let Self { node, dir, redis, toml } = self;
        node.stop().await;
        let node = Node::start(&toml, dir.path(), redis.as_ref()).await;
        Self { node, dir, redis, toml }
    }
}

/// Asks until it is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Each promise, over both stores.
macro_rules! both {
    ($($promise:ident),+ $(,)?) => {
        mod without_redis {
            $(#[tokio::test] async fn $promise() { super::$promise(crate::world::World::embedded("").await).await })+
        }
        mod with_redis {
            $(#[tokio::test] async fn $promise() { super::$promise(crate::world::World::redis("").await).await })+
        }
    };
}
pub(crate) use both;
