//! One VM: the guest of one worker (or of the main thread), its root contexts and its generations.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proxy_wasm_host::abi::v0_2_1::types::LogLevel;
use proxy_wasm_host::abi::v0_2_1::{
    CalloutId, Callouts, ContextId, Guest, GuestError, GuestId, Host, HttpCall, HttpCallRefusal, Invocation,
    LogContext, LogSink, PluginConfig, VmServices,
};
use proxy_wasm_host::{EngineConfig, Limits, Module};

use crate::clock::{Time, VmClock};
use crate::lent::RootLent;
use crate::module::{self, ModuleError};
use crate::proxy::Plugin;
use crate::shared::Shared;

/// A compiled filter. Cloning is cheap; a process compiles each once.
#[derive(Clone)]
pub struct Filter {
    host: Host,
    module: Module,
}

/// Why a filter cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It is no module.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] proxy_wasm_host::Error),
}

impl Filter {
    /// Compiles the bytes of a `.wasm` file.
    pub fn new(bytes: &[u8]) -> Result<Self, FilterError> {
        // Fuel bounds a callback the same on every machine; a clock would not. So nobody ticks.
        let engine = EngineConfig::new().with_external_ticks(true).with_fuel_enabled(true).build()?;
        let module = Module::new(&engine, &module::adapt(bytes)?)?;
        Ok(Self { host: Host::new(&engine)?, module })
    }
}

/// What one callback and one VM may use, at most. Envoy has no bound on the time of a callback.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Units of fuel of one callback: about one each instruction.
    pub fuel: u64,
    /// Bytes of a VM's memory. Envoy's is 1 GiB.
    pub memory: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { fuel: 1_000_000_000, memory: 256 << 20 }
    }
}

/// One line that a guest logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Duration,
    /// Which VM: `main`, `canary`, or `worker-N`.
    pub vm: String,
    /// Envoy's name of the level.
    pub level: LogLevel,
    /// What.
    pub text: String,
}

/// All lines, oldest first.
pub(crate) type Log = Arc<Mutex<Vec<LogLine>>>;

/// A call that a guest opened.
pub(crate) struct Opened {
    pub(crate) guest: GuestId,
    pub(crate) context: ContextId,
    pub(crate) callout: CalloutId,
    pub(crate) call: HttpCall<'static>,
}

/// How a call to a cluster fares at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Open,
    /// It has no host.
    Closed,
}

/// The calls that guests open: taken here, made by the world once the callback has returned.
#[derive(Default)]
pub(crate) struct Calls(Mutex<CallBook>);

#[derive(Default)]
struct CallBook {
    clusters: Vec<(String, Reach)>,
    opened: Vec<Opened>,
}

impl Calls {
    fn book(&self) -> std::sync::MutexGuard<'_, CallBook> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_clusters(&self, clusters: Vec<(String, Reach)>) {
        self.book().clusters = clusters;
    }

    pub(crate) fn take_opened(&self) -> Vec<Opened> {
        std::mem::take(&mut self.book().opened)
    }
}

impl Callouts for Calls {
    fn http_call(&self, call: Invocation, callout: CalloutId, request: HttpCall<'_>) -> Result<(), HttpCallRefusal> {
        let mut book = self.book();
        let reach = book.clusters.iter().find(|(name, _)| name.as_bytes() == request.upstream.as_ref());
        match reach.map(|(_, reach)| *reach) {
            None => Err(HttpCallRefusal::UnknownUpstream),
            Some(Reach::Closed) => Err(HttpCallRefusal::Failed),
            Some(Reach::Open) => {
                let opened = Opened { guest: call.guest, context: call.context, callout, call: request.into_owned() };
                book.opened.push(opened);
                Ok(())
            }
        }
    }
}

/// Where one VM's lines go. Two empty ones are signals (see `module.rs`).
struct Sink {
    vm: String,
    time: Time,
    clock: Arc<VmClock>,
    logged: Arc<AtomicBool>,
    log: Log,
}

impl LogSink for Sink {
    fn log(&self, _: LogContext<'_>, level: LogLevel, message: &[u8]) {
        match (level, message) {
            (LogLevel::Trace, []) => return self.clock.arm(),
            (LogLevel::Debug, []) => return self.logged.store(true, Ordering::Relaxed),
            _ => {}
        }
        let text = String::from_utf8_lossy(message).into_owned();
        let line = LogLine { at: self.time.now(), vm: self.vm.clone(), level, text };
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// What every VM of a world is made from.
pub(crate) struct VmSpec {
    pub(crate) filter: Filter,
    pub(crate) bounds: Bounds,
    pub(crate) time: Time,
    pub(crate) log: Log,
    pub(crate) shared: Arc<Shared>,
    pub(crate) calls: Arc<Calls>,
}

/// Why a VM does not serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `proxy_on_vm_start` or `proxy_on_configure` said no.
    #[error("{0} refused the configuration")]
    Refused(&'static str),
    /// It failed.
    #[error(transparent)]
    Guest(#[from] GuestError),
}

/// One VM.
pub(crate) struct Vm {
    pub(crate) label: String,
    pub(crate) generation: u32,
    pub(crate) guest: Guest,
    /// The root context that new streams belong to.
    pub(crate) root: ContextId,
    pub(crate) loaded: Duration,
    logged: Arc<AtomicBool>,
}

impl Vm {
    pub(crate) fn start(
        spec: &VmSpec,
        label: &str,
        generation: u32,
        seed: u64,
        plugin: &Plugin,
    ) -> Result<Self, StartError> {
        let clock = Arc::new(VmClock::new(spec.time.clone(), seed));
        let logged = Arc::<AtomicBool>::default();
        let sink = Sink {
            vm: label.to_owned(),
            time: spec.time.clone(),
            clock: Arc::clone(&clock),
            logged: Arc::clone(&logged),
            log: Arc::clone(&spec.log),
        };
        let environment = plugin.environment.iter().map(|(name, value)| (name.clone().into(), value.clone().into()));
        let services = VmServices::new(Arc::new(sink))
            .with_clock(clock)
            .with_vm_id(plugin.vm_id.clone())
            .with_environment(environment.collect())
            .with_shared(Arc::clone(&spec.shared) as _)
            .with_callouts(Arc::clone(&spec.calls) as _);
        let limits = Limits::new()
            .with_fuel(spec.bounds.fuel)
            .with_memory_bytes(spec.bounds.memory)
            // Envoy bounds neither, and a bound that only the world has would be a difference.
            .with_max_open_callouts(1 << 20)
            .with_max_shared_names(1 << 20);
        let mut guest = Guest::new(&spec.filter.host, &spec.filter.module, services, &limits)?;
        let root = root(&mut guest, plugin)?;
        Ok(Self { label: label.to_owned(), generation, guest, root, loaded: spec.time.now(), logged })
    }

    /// Gives the VM another configuration: a root context of its own, beside the old one. The old one is returned, to be ended once it has drained.
    pub(crate) fn reconfigure(&mut self, plugin: &Plugin) -> Result<ContextId, StartError> {
        let root = root(&mut self.guest, plugin)?;
        Ok(std::mem::replace(&mut self.root, root))
    }

    /// Whether the guest has logged the stream whose end it is told: not yet.
    pub(crate) fn logged(&self) -> Arc<AtomicBool> {
        self.logged.store(false, Ordering::Relaxed);
        Arc::clone(&self.logged)
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.guest.is_serving()
    }
}

/// Creates and configures a root context. Envoy starts the VM for each.
fn root(guest: &mut Guest, plugin: &Plugin) -> Result<ContextId, StartError> {
    let config = PluginConfig::new().with_name(plugin.name.clone()).with_configuration(plugin.configuration.clone());
    let (started, _) = guest.with(RootLent, |scope| {
        let root = scope.on_context_create(None)?;
        if !scope.on_vm_start(root)? {
            return Err(StartError::Refused("proxy_on_vm_start"));
        }
        if !scope.on_configure(root, config)? {
            return Err(StartError::Refused("proxy_on_configure"));
        }
        Ok(root)
    });
    started
}
