//! What a stack is made of: which files, which ports, which Redis.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::StackError;
use super::render::Edit;

/// The three sample processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acquirer {
    /// `acquirer-a`, weight 3.
    A,
    /// `acquirer-b`, weight 2.
    B,
    /// `acquirer-c`, weight 1.
    C,
}

impl Acquirer {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The name in the configuration, in answers and in `x-switchyard-processor`.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "acquirer-a",
            Self::B => "acquirer-b",
            Self::C => "acquirer-c",
        }
    }

    /// The acquirer of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|acquirer| acquirer.name() == name)
    }
}

/// The files a stack is started from. As arguments of a program each can be given by flag or environment.
#[derive(Args, Clone, Debug, Default)]
pub struct ArtefactArgs {
    /// The built filter [default: target/wasm/filter.wasm].
    #[arg(long, env = "FILTER_WASM")]
    pub filter_wasm: Option<PathBuf>,
    /// The built cache-service [default: beside this program].
    #[arg(long, env = "CACHE_SERVICE_BIN")]
    pub cache_service_bin: Option<PathBuf>,
    /// The built sample processor [default: beside this program].
    #[arg(long, env = "PROCESSOR_BIN")]
    pub processor_bin: Option<PathBuf>,
    /// Envoy's program [default: .tools/bin/envoy].
    #[arg(long, env = "ENVOY_BIN")]
    pub envoy_bin: Option<PathBuf>,
    /// The Envoy configuration [default: envoy/envoy.yaml of the repository].
    #[arg(long, env = "ENVOY_YAML")]
    pub envoy_yaml: Option<PathBuf>,
}

/// The same, found and known to exist.
#[derive(Clone, Debug)]
pub struct Artefacts {
    /// The filter.
    pub filter_wasm: PathBuf,
    /// The cache-service.
    pub cache_service: PathBuf,
    /// The sample processor.
    pub processor: PathBuf,
    /// Envoy.
    pub envoy: PathBuf,
    /// The Envoy configuration, with markers.
    pub envoy_yaml: PathBuf,
}

impl ArtefactArgs {
    /// What the environment says, for programs without arguments such as tests.
    pub fn from_env() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Self {
            filter_wasm: path("FILTER_WASM"),
            cache_service_bin: path("CACHE_SERVICE_BIN"),
            processor_bin: path("PROCESSOR_BIN"),
            envoy_bin: path("ENVOY_BIN"),
            envoy_yaml: path("ENVOY_YAML"),
        }
    }

    /// Finds every file, or says which is missing and how to get it. `programs` is the folder that the workspace's own
    /// programs were built to (`target/debug`).
    pub fn find(self, programs: &Path) -> Result<Artefacts, StackError> {
        Ok(Artefacts {
            filter_wasm: find_wasm(self.filter_wasm, "filter.wasm")?,
            cache_service: existing(
                self.cache_service_bin.unwrap_or_else(|| programs.join("cache-service")),
                "the cache-service",
                "build it with `cargo build -p cache-service`, or set CACHE_SERVICE_BIN",
            )?,
            processor: find_processor(self.processor_bin, programs)?,
            envoy: find_envoy(self.envoy_bin)?,
            envoy_yaml: existing(
                self.envoy_yaml.unwrap_or_else(|| repository().join("envoy/envoy.yaml")),
                "the Envoy configuration",
                "run from a checkout, or set ENVOY_YAML",
            )?,
        })
    }
}

/// The folder of the workspace this crate was built from.
pub fn repository() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The sample processor: as told, else beside the other programs.
pub fn find_processor(told: Option<PathBuf>, programs: &Path) -> Result<PathBuf, StackError> {
    existing(
        told.unwrap_or_else(|| programs.join("processor")),
        "the sample processor",
        "build it with `cargo build -p e2e --bin processor`, or set PROCESSOR_BIN",
    )
}

/// Envoy's program: as told, else where `scripts/setup.sh` puts it.
pub fn find_envoy(told: Option<PathBuf>) -> Result<PathBuf, StackError> {
    existing(
        told.unwrap_or_else(|| repository().join(".tools/bin/envoy")),
        "Envoy",
        "get it with `./just setup`, or set ENVOY_BIN",
    )
}

/// A built `.wasm`: as told, else where `scripts/wasm.sh` puts it under this file name.
pub fn find_wasm(told: Option<PathBuf>, file: &str) -> Result<PathBuf, StackError> {
    existing(
        told.unwrap_or_else(|| repository().join("target/wasm").join(file)),
        "a built filter",
        "build it with `./just build`, or set FILTER_WASM (for the null filter NULL_WASM)",
    )
}

fn existing(path: PathBuf, what: &'static str, remedy: &'static str) -> Result<PathBuf, StackError> {
    // Absolute, because children run in a folder of their own.
    match std::path::absolute(&path) {
        Ok(absolute) if absolute.is_file() => Ok(absolute),
        _ => Err(StackError::Missing { what, path, remedy }),
    }
}

/// The ports of a stack on 127.0.0.1, as arguments of a program. 0 takes a free one.
#[derive(Args, Clone, Debug)]
pub struct PortArgs {
    /// Where the proxy takes requests.
    #[arg(long, env = "PROXY_PORT", default_value_t = 10000)]
    pub proxy_port: u16,
    /// Envoy's admin interface.
    #[arg(long, env = "ENVOY_ADMIN_PORT", default_value_t = 9901)]
    pub envoy_admin_port: u16,
    /// The cache-service.
    #[arg(long, env = "CACHE_PORT", default_value_t = 8081)]
    pub cache_port: u16,
    /// The cache-service's admin interface.
    #[arg(long, env = "CACHE_ADMIN_PORT", default_value_t = 8082)]
    pub cache_admin_port: u16,
    /// `acquirer-a`.
    #[arg(long, env = "PROCESSOR_A_PORT", default_value_t = 9101)]
    pub processor_a_port: u16,
    /// `acquirer-b`.
    #[arg(long, env = "PROCESSOR_B_PORT", default_value_t = 9102)]
    pub processor_b_port: u16,
    /// `acquirer-c`.
    #[arg(long, env = "PROCESSOR_C_PORT", default_value_t = 9103)]
    pub processor_c_port: u16,
    /// The control listener of `acquirer-a` [default: its port + 100].
    #[arg(long, env = "PROCESSOR_A_CONTROL_PORT")]
    pub processor_a_control_port: Option<u16>,
    /// The control listener of `acquirer-b` [default: its port + 100].
    #[arg(long, env = "PROCESSOR_B_CONTROL_PORT")]
    pub processor_b_control_port: Option<u16>,
    /// The control listener of `acquirer-c` [default: its port + 100].
    #[arg(long, env = "PROCESSOR_C_CONTROL_PORT")]
    pub processor_c_control_port: Option<u16>,
}

/// The ports of a stack. The default is free ones everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Where the proxy takes requests.
    pub proxy: u16,
    /// Envoy's admin interface.
    pub envoy_admin: u16,
    /// The cache-service.
    pub cache: u16,
    /// The cache-service's admin interface.
    pub cache_admin: u16,
    /// API and control listener of each [`Acquirer`], in order.
    pub processors: [(u16, u16); 3],
}

impl From<PortArgs> for Ports {
    fn from(args: PortArgs) -> Self {
        let with_control = |port: u16, control: Option<u16>| {
            let beside = if port == 0 { 0 } else { port.saturating_add(100) };
            (port, control.unwrap_or(beside))
        };
        Self {
            proxy: args.proxy_port,
            envoy_admin: args.envoy_admin_port,
            cache: args.cache_port,
            cache_admin: args.cache_admin_port,
            processors: [
                with_control(args.processor_a_port, args.processor_a_control_port),
                with_control(args.processor_b_port, args.processor_b_control_port),
                with_control(args.processor_c_port, args.processor_c_control_port),
            ],
        }
    }
}

/// Where the cache-service keeps what must outlive it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Redis {
    /// In its own files.
    #[default]
    None,
    /// In a Redis of the stack's own, on a Unix socket.
    Own,
    /// In a Redis that the stack neither starts nor stops.
    At {
        /// Its URL.
        url: String,
        /// What the names of all that is stored there are hashed with; another one finds nothing again.
        key_secret: String,
    },
}

/// What a stack is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The files.
    pub artefacts: Artefacts,
    /// The ports.
    pub ports: Ports,
    /// Envoy's workers (`--concurrency`), at least 1.
    pub workers: u16,
    /// What backs the cache-service.
    pub redis: Redis,
    /// More environment for the cache-service.
    pub cache_env: Vec<(String, String)>,
    /// What every id of a payment starts with, per [`Acquirer`] in order.
    pub id_prefixes: [String; 3],
    /// Changes to the Envoy configuration, each matching exactly once.
    pub edits: Vec<Edit>,
}

impl Plan {
    /// Free ports, two workers, no Redis, the shipped configuration.
    pub fn new(artefacts: Artefacts) -> Self {
        Self {
            artefacts,
            ports: Ports::default(),
            workers: 2,
            redis: Redis::None,
            cache_env: Vec::new(),
            id_prefixes: std::array::from_fn(|_| "pay_".to_owned()),
            edits: Vec::new(),
        }
    }
}
