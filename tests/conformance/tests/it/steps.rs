//! The same inputs through `decision` natively and in wasm: the same text, to the byte.
//!
//! The worker decides on a 32-bit machine without the native mathematics; what is tested natively holds there only if the
//! two agree. Run are all that is kept in `fuzz/corpus` for a pure target, and some hundred random inputs for each.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use e2e::stack::{find_wasm, repository};
use inputs::Target;
use proxy_wasm_host::abi::v0_2_1::types::LogLevel;
use proxy_wasm_host::abi::v0_2_1::{Guest, Host, LogContext, LogSink, PluginConfig, Started, VmServices};
use proxy_wasm_host::{Engine, Limits, Module};

/// Random inputs of one target.
const SEEDS: u64 = 300;
/// Bytes of one, at most.
const RANDOM_LEN_MAX: u64 = 1_000;
/// Bytes of it that a failure shows.
const SHOWN_MAX: usize = 4_096;
/// One input; far more than it takes, so that a loaded machine fails nothing.
const CPU_TIME: Duration = Duration::from_secs(60);

/// What a guest logs, in its order.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl LogSink for Said {
    fn log(&self, _: LogContext<'_>, _: LogLevel, message: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(message);
    }
}

/// A compiled plugin.
struct Plugin {
    host: Host,
    module: Module,
}

impl Plugin {
    fn new(variable: &str, file: &str) -> Self {
        let path = find_wasm(std::env::var_os(variable).map(Into::into), file).expect("the .wasm is built");
        let engine = Engine::new().expect("an engine");
        let module = Module::new(&engine, &fs::read(path).expect("it can be read")).expect("it is wasm");
        Self { host: Host::new(&engine).expect("a host"), module }
    }

    /// Starts it with a configuration, in a VM of its own: whether it took it, and what it logged.
    fn start(&self, configuration: &[u8]) -> (bool, Vec<u8>) {
        let said = Said::default();
        let limits = Limits::default().with_cpu_time(CPU_TIME);
        let services = VmServices::new(Arc::new(said.clone()));
        let mut guest = Guest::new(&self.host, &self.module, services, &limits).expect("a guest");
        let plugin = PluginConfig::new().with_configuration(configuration);
        let started = guest.start(plugin).unwrap_or_else(|error| {
            panic!("the VM trapped: {error}\nits configuration:\n{}", configuration.escape_ascii());
        });
        let said = std::mem::take(&mut *said.0.lock().unwrap_or_else(PoisonError::into_inner));
        (matches!(started, Started::Serving(_)), said)
    }
}

/// Every input of a target, with what to call it.
fn inputs_of(target: Target) -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder = repository().join("fuzz/corpus").join(target.name);
    let kept = fs::read_dir(folder).expect("a corpus").map(|entry| {
        let path = entry.expect("an entry").path();
        (format!("kept input {}", path.display()), fs::read(&path).expect("it can be read"))
    });
    kept.chain((0..SEEDS).map(|seed| (format!("seed {seed}"), inputs::bytes::random(seed, RANDOM_LEN_MAX))))
}

/// The first lines that differ, side by side.
fn difference(native: &str, wasm: &str) -> Option<String> {
    let (mut ours, mut theirs) = (native.lines(), wasm.lines());
    for line in 1.. {
        match (ours.next(), theirs.next()) {
            (None, None) => break,
            (ours, theirs) if ours == theirs => {}
            (ours, theirs) => return Some(format!("line {line}\n  native: {ours:?}\n  wasm:   {theirs:?}")),
        }
    }
    (native != wasm).then(|| "in a line end".to_owned())
}

#[test]
fn decision_gives_the_same_steps_natively_and_in_wasm() {
    let steps = Plugin::new("STEPS_WASM", "steps.wasm");
    let mut bytes_compared = 0;
    for target in inputs::PURE {
        for (name, input) in inputs_of(target) {
            let native = (target.run)(&input);
            let (ran, said) = steps.start(&[target.name.as_bytes(), b"\n", &input].concat());
            assert!(ran, "{} {name}: the plugin does not know the target", target.name);
            let wasm = String::from_utf8(said).expect("ASCII");
            if let Some(difference) = difference(&native, &wasm) {
                let shown = input[..input.len().min(SHOWN_MAX)].escape_ascii();
                panic!("{} differs for {name}: {difference}\nthe input, {} bytes:\n{shown}", target.name, input.len());
            }
            bytes_compared += native.len();
        }
    }
    println!("{bytes_compared} bytes agree");
    assert!(bytes_compared > 100_000, "next to nothing was compared");
}

/// A comparison that cannot fail proves nothing.
#[test]
fn a_difference_is_found_and_shown() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(difference("a\nb\n", "a\nc\n").as_deref(), Some("line 2\n  native: Some(\"b\")\n  wasm:   Some(\"c\")"));
    assert_eq!(difference("a\nb", "a").as_deref(), Some("line 2\n  native: Some(\"b\")\n  wasm:   None"));
    assert!(difference("a\n", "a").is_some());
}

/// What an operator writes is taken or refused with a reason: the VM lives on.
#[test]
fn no_configuration_traps_the_filter() {
    let filter = Plugin::new("FILTER_WASM", "filter.wasm");
    let target = inputs::PURE.into_iter().find(|target| target.name == "configuration").expect("a target");
    for (name, input) in inputs_of(target).take(100) {
        for configuration in [input.clone(), [br#"{"routing":"#, &input[..], b"}"].concat()] {
            let (taken, said) = filter.start(&configuration);
            let said = String::from_utf8_lossy(&said);
            assert!(taken || said.contains("configuration refused: "), "{name}: refused without a word: {said}");
        }
    }
}
