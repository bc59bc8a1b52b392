//! Where the programs and the `.wasm` files are that are tried.

use std::path::{Path, PathBuf};

use crate::scenario::raw::Build;
use e2e::stack::{ArtefactArgs, Artefacts, StackError, find_wasm};

/// Everything that is tried, found and known to exist.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What a stack is started from.
    pub artefacts: Artefacts,
    /// The probe filter.
    pub probe_wasm: PathBuf,
    /// The build of the filter that traps where a header says so.
    pub trap_wasm: PathBuf,
}

impl Tried {
    /// The file of a build of the filter.
    pub fn filter_wasm(&self, build: Build) -> &Path {
        match build {
            Build::Shipped => &self.artefacts.filter_wasm,
            Build::Trap => &self.trap_wasm,
        }
    }
}

/// Finds it, by `args` or beside the running program.
///
/// # Errors
/// Which file is missing, and how to get it.
pub fn find(args: ArtefactArgs) -> Result<Tried, StackError> {
    let told = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let program = std::env::current_exe().unwrap_or_default();
    // A test lies one folder below the programs.
    let beside = program.parent().unwrap_or(Path::new("."));
    let programs = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
    Ok(Tried {
        artefacts: args.find(programs)?,
        probe_wasm: find_wasm(told("PROBE_WASM"), "probe.wasm")?,
        trap_wasm: find_wasm(told("FILTER_TRAP_WASM"), "filter-trap.wasm")?,
    })
}
