//! The folder of a stack.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::StackError;

/// A temporary folder that goes when this is dropped, unless it was kept.
pub struct Workdir(TempDir);

impl Workdir {
    /// Makes one.
    pub fn new() -> Result<Self, StackError> {
        let dir = tempfile::Builder::new().prefix("switchyard-").tempdir();
        dir.map(Self).map_err(StackError::io("make a temporary folder"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Keeps it for whoever wants to read the logs.
    pub fn keep(&mut self) -> PathBuf {
        self.0.disable_cleanup(true);
        self.0.path().to_owned()
    }
}
