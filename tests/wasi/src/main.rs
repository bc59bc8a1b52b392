//! Runs a wasm32-wasip1 program: `wasi-runner PROGRAM [ARGUMENT...]`. Cargo's runner for the tests of `decision`.
//!
//! Why not a whole WASI: the tests are pure. A program that has arguments, an environment, a clock, randomness, one
//! stream to read and two to write to has all it may want, and nothing else is there to be used by mistake: every other
//! call of the host ends the run. `wasmtime` is in the tree already, under the tests' proxy.

use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Engine, Extern, Linker, Memory, Module, Result, Store, bail};

/// WASI's numbers for success, for a file that is not open, and for an argument that is none.
const SUCCESS: i32 = 0;
const BAD_FILE: i32 = 8;
const INVALID: i32 = 28;
/// The module that the calls are imported from.
const WASI: &str = "wasi_snapshot_preview1";
/// Lists of buffers in one write, at most.
const BUFFERS_MAX: u32 = 1_024;
/// Bytes of a buffer's place in a list: where it begins, and how long it is.
const BUFFER_LEN: usize = 8;

/// What the program is given, and what it leaves.
struct Host {
    arguments: Vec<String>,
    environment: Vec<String>,
    began: Instant,
    random: u64,
    exit: Option<i32>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(program) = arguments.first().cloned() else {
        eprintln!("usage: wasi-runner PROGRAM [ARGUMENT...]");
        return ExitCode::from(2);
    };
    match run(&program, arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("wasi-runner: {program}: {error:?}");
            ExitCode::from(101)
        }
    }
}

/// The code the program exits with; an error when it traps.
fn run(program: &str, arguments: Vec<String>) -> Result<i32> {
    let engine = Engine::default();
    let module = Module::from_file(&engine, program)?;
    let mut linker = Linker::new(&engine);
    link(&mut linker)?;
    linker.define_unknown_imports_as_traps(&module)?;
    let environment =
        std::env::vars().filter(|(name, _)| passed_on(name)).map(|(name, value)| format!("{name}={value}"));
    let host = Host {
        arguments,
        environment: environment.collect(),
        began: Instant::now(),
        random: u64::try_from(since_1970().as_nanos() & u128::from(u64::MAX))?,
        exit: None,
    };
    let mut store = Store::new(&engine, host);
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let ended = start.call(&mut store, ());
    match store.data().exit {
        Some(code) => Ok(code),
        None => ended.map(|()| 0),
    }
}

/// What tells a test how to run; the rest of the environment is nobody's concern in there.
fn passed_on(name: &str) -> bool {
    ["RUST_", "PROPTEST_", "SIM_"].iter().any(|prefix| name.starts_with(prefix))
}

fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker.func_wrap(WASI, "args_sizes_get", |mut caller: Caller<'_, Host>, count: u32, bytes: u32| {
        let texts = caller.data().arguments.clone();
        sizes(&mut caller, &texts, count, bytes)
    })?;
    linker.func_wrap(WASI, "args_get", |mut caller: Caller<'_, Host>, list: u32, buffer: u32| {
        let texts = caller.data().arguments.clone();
        hand_over(&mut caller, &texts, list, buffer)
    })?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Caller<'_, Host>, count: u32, bytes: u32| {
        let texts = caller.data().environment.clone();
        sizes(&mut caller, &texts, count, bytes)
    })?;
    linker.func_wrap(WASI, "environ_get", |mut caller: Caller<'_, Host>, list: u32, buffer: u32| {
        let texts = caller.data().environment.clone();
        hand_over(&mut caller, &texts, list, buffer)
    })?;
    linker.func_wrap(WASI, "clock_time_get", |mut caller: Caller<'_, Host>, clock: u32, _: u64, at: u32| {
        let time = if clock == 0 { since_1970() } else { caller.data().began.elapsed() };
        let nanos = u64::try_from(time.as_nanos())?;
        memory(&mut caller)?.write(&mut caller, offset(at)?, &nanos.to_le_bytes())?;
        Ok(SUCCESS)
    })?;
    linker.func_wrap(WASI, "random_get", random_get)?;
    linker.func_wrap(WASI, "fd_read", fd_read)?;
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    // No folder is open, so no file can be.
    linker.func_wrap(WASI, "fd_prestat_get", |_: Caller<'_, Host>, _: u32, _: u32| BAD_FILE)?;
    linker.func_wrap(WASI, "fd_fdstat_get", |_: Caller<'_, Host>, _: u32, _: u32| BAD_FILE)?;
    linker.func_wrap(WASI, "fd_close", |_: Caller<'_, Host>, _: u32| SUCCESS)?;
    linker.func_wrap(WASI, "sched_yield", |_: Caller<'_, Host>| SUCCESS)?;
    linker.func_wrap(WASI, "proc_exit", |mut caller: Caller<'_, Host>, code: i32| -> Result<()> {
        caller.data_mut().exit = Some(code);
        bail!("the program exited")
    })?;
    Ok(())
}

fn memory(caller: &mut Caller<'_, Host>) -> Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => bail!("the program exports no memory"),
    }
}

fn offset(pointer: u32) -> Result<usize> {
    Ok(usize::try_from(pointer)?)
}

/// How many texts there are, and how many bytes with a zero after each.
fn sizes(caller: &mut Caller<'_, Host>, texts: &[String], count: u32, bytes: u32) -> Result<i32> {
    let all: usize = texts.iter().map(|text| text.len() + 1).sum();
    let memory = memory(caller)?;
    memory.write(&mut *caller, offset(count)?, &u32::try_from(texts.len())?.to_le_bytes())?;
    memory.write(&mut *caller, offset(bytes)?, &u32::try_from(all)?.to_le_bytes())?;
    Ok(SUCCESS)
}

/// Writes the texts, and where each of them begins.
fn hand_over(caller: &mut Caller<'_, Host>, texts: &[String], list: u32, buffer: u32) -> Result<i32> {
    let memory = memory(caller)?;
    let (mut list, mut at) = (offset(list)?, buffer);
    for text in texts {
        memory.write(&mut *caller, list, &at.to_le_bytes())?;
        memory.write(&mut *caller, offset(at)?, &[text.as_bytes(), b"\0"].concat())?;
        list += size_of::<u32>();
        at += u32::try_from(text.len())? + 1;
    }
    Ok(SUCCESS)
}

/// Not for secrets: a test's hasher and its own random cases ask for it. SplitMix64, as in `decision::rng`.
fn random_get(mut caller: Caller<'_, Host>, at: u32, len: u32) -> Result<i32> {
    let memory = memory(&mut caller)?;
    for place in 0..offset(len)? {
        let host = caller.data_mut();
        host.random = host.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = host.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [byte, ..] = (z ^ (z >> 31)).to_le_bytes();
        memory.write(&mut caller, offset(at)? + place, &[byte])?;
    }
    Ok(SUCCESS)
}

/// Reads from the runner's own standard input: as much as there is, into the first buffer of a list.
fn fd_read(mut caller: Caller<'_, Host>, file: u32, list: u32, count: u32, read: u32) -> Result<i32> {
    if file != 0 {
        return Ok(BAD_FILE);
    }
    let memory = memory(&mut caller)?;
    let mut done = 0;
    if count > 0 {
        let range = buffer(&caller, memory, offset(list)?)?;
        let Some(into) = memory.data_mut(&mut caller).get_mut(range) else { return Ok(INVALID) };
        done = std::io::stdin().read(into)?;
    }
    memory.write(&mut caller, offset(read)?, &u32::try_from(done)?.to_le_bytes())?;
    Ok(SUCCESS)
}

/// Where the buffer lies that stands at a place of a list.
fn buffer(caller: &Caller<'_, Host>, memory: Memory, place: usize) -> Result<Range<usize>> {
    let mut pair = [0; BUFFER_LEN];
    memory.read(caller, place, &mut pair)?;
    let [a, b, c, d, e, f, g, h] = pair;
    let (at, len) = (offset(u32::from_le_bytes([a, b, c, d]))?, offset(u32::from_le_bytes([e, f, g, h]))?);
    Ok(at..at.saturating_add(len))
}

/// Writes a list of buffers to the runner's own standard output or error.
fn fd_write(mut caller: Caller<'_, Host>, file: u32, list: u32, count: u32, written: u32) -> Result<i32> {
    if count > BUFFERS_MAX {
        return Ok(INVALID);
    }
    let memory = memory(&mut caller)?;
    let mut bytes = Vec::new();
    for n in 0..offset(count)? {
        let range = buffer(&caller, memory, offset(list)? + n * BUFFER_LEN)?;
        match memory.data(&caller).get(range) {
            Some(part) => bytes.extend_from_slice(part),
            None => return Ok(INVALID),
        }
    }
    let done = match file {
        1 => std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush()),
        2 => std::io::stderr().write_all(&bytes),
        _ => return Ok(BAD_FILE),
    };
    if done.is_err() {
        bail!("the runner's own output is closed");
    }
    memory.write(&mut caller, offset(written)?, &u32::try_from(bytes.len())?.to_le_bytes())?;
    Ok(SUCCESS)
}
