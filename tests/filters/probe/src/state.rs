//! What the probe remembers: its contexts with their names, the programs, and what numbers the host gave out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fmt::Write as _;
use std::rc::Rc;

use crate::{host, ops};

const REQUEST_HEADERS: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;
/// Operations of the VM's start, one a line: the programs are not there yet.
const START_VARIABLE: &str = "PROBE_VM_START";
/// The program of contexts that are no stream.
const ROOT: &str = "root";
/// The program of a stream that names none.
const DEFAULT: &str = "default";

/// Program, then callback, then operations.
type Programs = BTreeMap<String, BTreeMap<String, Vec<String>>>;

#[derive(Default)]
struct Context {
    label: String,
    program: String,
    /// How often each callback came.
    counts: BTreeMap<String, u32>,
}

/// A callout that is under way, or was.
pub(crate) struct Call {
    /// Its callback: `reply:NAME`.
    pub(crate) name: String,
    /// Who asked, or the root if that is gone.
    pub(crate) context: u32,
    /// Whether the host named the root, as the ABI says.
    pub(crate) asked_by_root_id: bool,
}

/// All of it. Never borrowed while the host is called: what the host calls in turn must not panic.
#[derive(Default)]
pub(crate) struct State {
    contexts: BTreeMap<u32, Context>,
    programs: Rc<Programs>,
    calls: BTreeMap<u32, (String, u32)>,
    /// Queues and metrics by the name the program gave them.
    pub(crate) ids: BTreeMap<String, u32>,
    /// The last number each shared value was read with.
    pub(crate) cas: BTreeMap<String, u32>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Looks at the state, and changes it.
pub(crate) fn with<T>(look: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(look)
}

/// A callback that came.
pub(crate) struct Event {
    id: u32,
    name: String,
    facts: String,
    end: bool,
}

impl Event {
    pub(crate) fn new(id: u32, name: &str) -> Self {
        Self { id, name: name.to_owned(), facts: String::new(), end: false }
    }

    /// Something the host said with it.
    pub(crate) fn fact(mut self, name: &str, value: impl Display) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.facts, " {name}={value}");
        self
    }

    /// Whether the host said that nothing follows.
    pub(crate) fn end(mut self, end: u32) -> Self {
        self.end = end == 1;
        match end {
            0 | 1 => self.fact("eos", end == 1),
            other => self.fact("eos", other),
        }
    }

    /// Writes it down, runs what the program says of it, and returns what is to be returned.
    pub(crate) fn run(self, unless_said: u32) -> u32 {
        let (label, operations) = with(|state| state.begin(&self));
        ops::say(&label, &format!("{}{}", self.name, self.facts));
        ops::run(self.id, &label, &operations).unwrap_or(unless_said)
    }
}

impl State {
    /// The label, and the operations: those for this occurrence, for the end, or for any.
    fn begin(&mut self, event: &Event) -> (String, Vec<String>) {
        let programs = Rc::clone(&self.programs);
        let Some(context) = self.contexts.get_mut(&event.id) else { return ("unknown".to_owned(), Vec::new()) };
        let count = context.counts.entry(event.name.clone()).or_default();
        *count += 1;
        let program = programs.get(&context.program).or_else(|| programs.get(DEFAULT));
        let nth = format!("{}#{count}", event.name);
        let last = if event.end { format!("{}@eos", event.name) } else { nth.clone() };
        let operations = program.and_then(|program| {
            program.get(&nth).or_else(|| program.get(&last)).or_else(|| program.get(&event.name)).cloned()
        });
        (context.label.clone(), operations.unwrap_or_default())
    }

    /// The context that carries a label.
    pub(crate) fn labelled(&self, label: &str) -> Option<u32> {
        self.contexts.iter().find(|(_, context)| context.label == label).map(|(id, _)| *id)
    }

    /// Remembers who asked for a callout, and under which name.
    pub(crate) fn called(&mut self, token: u32, name: &str, context: u32) {
        self.calls.insert(token, (name.to_owned(), context));
    }
}

/// A context begins. A stream has no name before its headers.
pub(crate) fn create(id: u32, parent: u32) {
    let name = if parent == 0 { ROOT } else { "-" };
    let context = Context { label: name.to_owned(), program: name.to_owned(), ..Context::default() };
    with(|state| state.contexts.insert(id, context));
}

/// A context is gone.
pub(crate) fn delete(id: u32) {
    with(|state| state.contexts.remove(&id));
}

/// Names a stream by its request's headers.
pub(crate) fn name_stream(id: u32) {
    let value = |key: &[u8]| {
        let (status, value) = host::header(REQUEST_HEADERS, key);
        (status == 0).then(|| String::from_utf8_lossy(&value).into_owned())
    };
    let label = value(b"x-case").unwrap_or_else(|| "ctx".to_owned());
    let program = value(b"x-probe").unwrap_or_else(|| DEFAULT.to_owned());
    with(|state| {
        if let Some(context) = state.contexts.get_mut(&id) {
            (context.label, context.program) = (label, program);
        }
    });
}

/// Who asked for the callout of this token: the stream, or the root if the stream is gone.
pub(crate) fn answered(root: u32, token: u32) -> Call {
    with(|state| {
        let (name, context) = state.calls.remove(&token).unwrap_or_else(|| ("unknown".to_owned(), root));
        let there = state.contexts.contains_key(&context);
        let asked_by_root_id = state.contexts.get(&root).is_some_and(|context| context.label == ROOT);
        let late = if there { "" } else { "!late" };
        Call { name: format!("reply:{name}{late}"), context: if there { context } else { root }, asked_by_root_id }
    })
}

/// The name under which a queue was registered or resolved here.
pub(crate) fn queue_name(id: u32) -> String {
    with(|state| {
        let named = state.ids.iter().find(|(name, known)| name.starts_with("queue ") && **known == id);
        named.map_or_else(|| "unknown".to_owned(), |(name, _)| name["queue ".len()..].to_owned())
    })
}

/// The operations of the VM's start.
pub(crate) fn load_from_environment() {
    let Ok(text) = std::env::var(START_VARIABLE) else { return };
    let start = text.lines().map(str::to_owned).collect();
    let root = BTreeMap::from([("vm_start".to_owned(), start)]);
    with(|state| state.programs = Rc::new(BTreeMap::from([(ROOT.to_owned(), root)])));
}

/// The programs. Says whether there were any.
pub(crate) fn load_from_configuration() -> bool {
    let (status, bytes) = host::buffer(PLUGIN_CONFIGURATION, 0, usize::MAX);
    let programs = (status == 0).then(|| serde_json::from_slice(&bytes).ok()).flatten();
    let loaded = programs.is_some();
    with(|state| state.programs = Rc::new(programs.unwrap_or_default()));
    loaded
}
