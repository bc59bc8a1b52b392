//! The whole stack as child processes: three sample processors, the cache-service, a Redis if asked for, and Envoy with
//! the filter.
//!
//! Everything is real: the programs as built, the shipped `envoy/envoy.yaml` with other ports in it (see [`render`]).
//! Every part binds a free port and says which, unless a port is asked for; a part that is restarted comes back on the
//! port it had, which is held for it meanwhile. Files are in a temporary folder that goes with the stack; after a failed
//! start or a panic it stays, and says where it is.
//!
//! Stopping a part blocks the thread until it has ended, at most five seconds: it must work in `Drop` too.

mod ask;
mod cache;
mod child;
mod envoy;
mod error;
mod plan;
mod processor;
mod redis;
mod render;
mod workdir;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use cache::CacheProcess;
pub use envoy::{EnvoyProcess, EnvoySpec};
pub use error::StackError;
pub use plan::{
    Acquirer, ArtefactArgs, Artefacts, Plan, PortArgs, Ports, Redis, find_envoy, find_processor, find_wasm, repository,
};
pub use processor::ProcessorProcess;
pub use redis::RedisProcess;
pub use render::{Edit, RenderError, render};
pub use workdir::Workdir;

use crate::port::HeldPort;
use crate::processor::Config;
use cache::{CacheSpec, RedisAccess};
use child::{Child, LOOK_EVERY};

/// Environment variable in which Envoy hands the filter the token of the cache-service.
const TOKEN_ENV: &str = "SWITCHYARD_CACHE_TOKEN";

/// The running stack. Dropping it stops every part; so does the end of this process, however it comes.
pub struct Stack {
    // In the order they are dropped: callers before those they call.
    envoy: Option<EnvoyProcess>,
    cache: Option<CacheProcess>,
    redis: Option<RedisProcess>,
    processors: [ProcessorProcess; 3],
    held: Vec<HeldPort>,
    plan: Plan,
    cache_spec: CacheSpec,
    proxy: SocketAddr,
    dir: Workdir,
}

impl Stack {
    /// Starts every part and waits until each is ready.
    pub async fn start(plan: Plan) -> Result<Self, StackError> {
        let mut dir = Workdir::new()?;
        match Self::start_in(plan, &dir).await {
            Ok(parts) => Ok(parts.assemble(dir)),
            Err(error) => Err(StackError::Start { error: Box::new(error), dir: dir.keep() }),
        }
    }

    async fn start_in(plan: Plan, dir: &Workdir) -> Result<Parts, StackError> {
        let processor = |index: usize| {
            let (port, control_port) = plan.ports.processors[index];
            let config = Config {
                port,
                control_port,
                id_prefix: plan.id_prefixes[index].clone(),
                ..Config::named(Acquirer::ALL[index].name())
            };
            ProcessorProcess::start(plan.artefacts.processor.clone(), config, dir.path())
        };
        let processors = [processor(0).await?, processor(1).await?, processor(2).await?];
        let redis = match plan.redis {
            Redis::Own => Some(RedisProcess::start(dir.path()).await?),
            Redis::None | Redis::At { .. } => None,
        };
        let own = || -> Result<_, StackError> {
            let Some(redis) = &redis else { return Ok(None) };
            Ok(Some(RedisAccess { url: redis.url(), key_secret: random_hex()? }))
        };
        let redis_access = match &plan.redis {
            Redis::None | Redis::Own => own()?,
            Redis::At { url, key_secret } => Some(RedisAccess { url: url.clone(), key_secret: key_secret.clone() }),
        };
        let mut cache_spec = CacheSpec {
            program: plan.artefacts.cache_service.clone(),
            port: plan.ports.cache,
            admin_port: plan.ports.cache_admin,
            token: random_hex()?,
            redis: redis_access,
            env: plan.cache_env.clone(),
        };
        let cache = CacheProcess::start(cache_spec.clone(), dir.path()).await?;
        // Envoy's configuration names the port, so the service must keep it.
        (cache_spec.port, cache_spec.admin_port) = (cache.listen().port(), cache.admin().port());
        let ports = EnvoyPorts {
            proxy: plan.ports.proxy,
            admin: plan.ports.envoy_admin,
            cache: cache_spec.port,
            processors: processors.each_ref().map(|processor| processor.api().port()),
        };
        let (envoy, proxy) = start_envoy(&plan, &ports, &cache_spec.token, dir).await?;
        Ok(Parts { envoy, cache, redis, processors, plan, cache_spec, proxy })
    }

    /// Where the proxy takes requests.
    pub fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// One of the sample processors.
    pub fn processor(&self, acquirer: Acquirer) -> &ProcessorProcess {
        let [a, b, c] = &self.processors;
        match acquirer {
            Acquirer::A => a,
            Acquirer::B => b,
            Acquirer::C => c,
        }
    }

    /// Envoy, unless its restart failed.
    pub fn envoy(&self) -> Result<&EnvoyProcess, StackError> {
        self.envoy.as_ref().ok_or(StackError::NotRunning("Envoy"))
    }

    /// The cache-service, unless it was stopped.
    pub fn cache_service(&self) -> Result<&CacheProcess, StackError> {
        self.cache.as_ref().ok_or(StackError::NotRunning("the cache-service"))
    }

    /// The stack's own Redis, unless there is none or it was stopped.
    pub fn redis(&self) -> Result<&RedisProcess, StackError> {
        self.redis.as_ref().ok_or(StackError::NotRunning("Redis"))
    }

    /// What callers of the cache-service must show; not to be printed.
    pub fn cache_token(&self) -> &str {
        &self.cache_spec.token
    }

    /// The folder with the logs, the rendered configuration and the data of the cache-service.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Envoy's counters and gauges whose name matches the regular expression `filter`.
    pub async fn stats(&self, filter: &str) -> Result<BTreeMap<String, u64>, StackError> {
        self.envoy()?.stats(filter).await
    }

    /// Stops Envoy and starts it again with the same configuration on the same ports. What its filter remembered is gone.
    pub async fn restart_envoy(&mut self) -> Result<(), StackError> {
        let ports = EnvoyPorts {
            proxy: self.proxy.port(),
            admin: self.envoy()?.admin().port(),
            cache: self.cache_spec.port,
            processors: self.processors.each_ref().map(|processor| processor.api().port()),
        };
        let addresses = [self.proxy, self.envoy()?.admin()];
        self.envoy = None;
        let held = hold(&addresses)?;
        let (envoy, proxy) = start_envoy(&self.plan, &ports, &self.cache_spec.token, &self.dir).await?;
        drop(held);
        (self.envoy, self.proxy) = (Some(envoy), proxy);
        Ok(())
    }

    /// Stops the cache-service. Its port refuses connections until it is started again.
    pub fn stop_cache_service(&mut self) -> Result<(), StackError> {
        let cache = self.cache.take().ok_or(StackError::NotRunning("the cache-service"))?;
        let addresses = [cache.listen(), cache.admin()];
        drop(cache);
        self.held = hold(&addresses)?;
        Ok(())
    }

    /// Stops the cache-service, unless it is stopped already, and starts it again on the same ports and data.
    pub async fn restart_cache_service(&mut self) -> Result<(), StackError> {
        if self.cache.is_some() {
            self.stop_cache_service()?;
        }
        self.cache = Some(CacheProcess::start(self.cache_spec.clone(), self.dir.path()).await?);
        self.held.clear();
        Ok(())
    }

    /// Holds the cache-service where it stands: its port takes connections, and nothing is answered.
    pub fn freeze_cache_service(&mut self) -> Result<(), StackError> {
        let cache = self.cache.as_mut().ok_or(StackError::NotRunning("the cache-service"))?;
        cache.child.freeze();
        Ok(())
    }

    /// Lets the cache-service go on, with what it was asked in between.
    pub fn thaw_cache_service(&mut self) -> Result<(), StackError> {
        let cache = self.cache.as_mut().ok_or(StackError::NotRunning("the cache-service"))?;
        cache.child.thaw();
        Ok(())
    }

    /// Stops the stack's own Redis; what it held is gone.
    pub fn stop_redis(&mut self) -> Result<(), StackError> {
        self.redis.take().map(drop).ok_or(StackError::NotRunning("Redis"))
    }

    /// Stops the stack's own Redis, unless it is stopped already, and starts an empty one on the same socket.
    pub async fn restart_redis(&mut self) -> Result<(), StackError> {
        self.redis = None;
        self.redis = Some(RedisProcess::start(self.dir.path()).await?);
        Ok(())
    }

    /// The end of every log, without secrets, to be shown when something failed.
    pub fn log_tails(&self) -> String {
        let tails = self.children().map(|child| format!("--- the end of {}.log:\n{}", child.name(), child.tail()));
        tails.collect::<Vec<_>>().join("\n")
    }

    /// The name of a part that ended by itself, if one did.
    pub fn ended(&mut self) -> Option<String> {
        let mut ended = self.children_mut().filter_map(|child| child.has_ended().map(|_| child.name().to_owned()));
        ended.next()
    }

    fn children(&self) -> impl Iterator<Item = &Child> {
        let envoy = self.envoy.iter().map(|part| &part.child);
        let cache = self.cache.iter().map(|part| &part.child);
        let redis = self.redis.iter().map(|part| &part.child);
        envoy.chain(cache).chain(redis).chain(self.processors.iter().map(|part| &part.child))
    }

    fn children_mut(&mut self) -> impl Iterator<Item = &mut Child> {
        let envoy = self.envoy.iter_mut().map(|part| &mut part.child);
        let cache = self.cache.iter_mut().map(|part| &mut part.child);
        let redis = self.redis.iter_mut().map(|part| &mut part.child);
        envoy.chain(cache).chain(redis).chain(self.processors.iter_mut().map(|part| &mut part.child))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n--- all logs are in {}", self.log_tails(), self.dir.keep().display());
        }
        // All at once; each is waited for as its part is dropped.
        self.children_mut().for_each(Child::terminate);
    }
}

/// Everything that was started, before it owns its folder.
struct Parts {
    envoy: EnvoyProcess,
    cache: CacheProcess,
    redis: Option<RedisProcess>,
    processors: [ProcessorProcess; 3],
    plan: Plan,
    cache_spec: CacheSpec,
    proxy: SocketAddr,
}

impl Parts {
    fn assemble(self, dir: Workdir) -> Stack {
        Stack {
            envoy: Some(self.envoy),
            cache: Some(self.cache),
            redis: self.redis,
            processors: self.processors,
            held: Vec::new(),
            plan: self.plan,
            cache_spec: self.cache_spec,
            proxy: self.proxy,
            dir,
        }
    }
}

/// The ports that Envoy's configuration names.
struct EnvoyPorts {
    proxy: u16,
    admin: u16,
    cache: u16,
    processors: [u16; 3],
}

async fn start_envoy(
    plan: &Plan,
    ports: &EnvoyPorts,
    token: &str,
    dir: &Workdir,
) -> Result<(EnvoyProcess, SocketAddr), StackError> {
    let yaml = &plan.artefacts.envoy_yaml;
    let template = std::fs::read_to_string(yaml).map_err(StackError::io(format!("read {}", yaml.display())))?;
    let [a, b, c] = ports.processors.map(|port| port.to_string());
    let values = [
        ("PROXY_PORT", ports.proxy.to_string()),
        ("ENVOY_ADMIN_PORT", ports.admin.to_string()),
        ("CACHE_PORT", ports.cache.to_string()),
        ("PROCESSOR_A_PORT", a),
        ("PROCESSOR_B_PORT", b),
        ("PROCESSOR_C_PORT", c),
        ("FILTER_WASM", plan.artefacts.filter_wasm.display().to_string()),
    ];
    let spec = EnvoySpec {
        name: "envoy".to_owned(),
        program: plan.artefacts.envoy.clone(),
        config: render(&template, &values, &plan.edits)?,
        workers: plan.workers,
        secret_env: vec![(TOKEN_ENV.to_owned(), token.to_owned())],
    };
    let envoy = EnvoyProcess::start(spec, dir.path()).await?;
    let proxy = envoy.listeners().values().next().copied();
    let proxy = proxy.ok_or(StackError::NotRunning("a listener of Envoy"))?;
    Ok((envoy, proxy))
}

/// Keeps the ports of a part that was stopped, for itself.
fn hold(addresses: &[SocketAddr]) -> Result<Vec<HeldPort>, StackError> {
    let hold = |address: &SocketAddr| HeldPort::bind(*address).map_err(StackError::io(format!("hold {address}")));
    addresses.iter().map(hold).collect()
}

/// 32 random bytes as hex.
fn random_hex() -> Result<String, StackError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| StackError::Io {
        what: "draw a secret".to_owned(),
        error: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Waits until `check` gives a value, looking every 20 ms; `what` says in the error what did not come.
pub async fn eventually<T, F>(what: &str, within: Duration, mut check: impl FnMut() -> F) -> Result<T, StackError>
where
    F: Future<Output = Option<T>>,
{
    let until = Instant::now() + within;
    loop {
        if let Some(value) = check().await {
            return Ok(value);
        }
        if Instant::now() >= until {
            return Err(StackError::TooLate { what: what.to_owned(), within });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
