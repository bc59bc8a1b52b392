//! What all workers of a proxy can see: lent to `decision` as a value, so that a test lends a map.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Named values, each with a version that a writer must know.
pub trait Memory {
    /// The value and its version; none where there is no such name.
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)>;
    /// Writes the value if its version is still `version`; 0 writes in any case. False: nothing was written.
    fn swap(&mut self, name: &str, value: &[u8], version: u32) -> bool;
}

/// A map: the memory of one worker alone, or of all that hold a clone of it.
#[derive(Clone, Debug, Default)]
pub struct LocalMemory(Rc<RefCell<BTreeMap<String, Versioned>>>);

type Versioned = (Vec<u8>, u32);

impl Memory for LocalMemory {
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        self.0.try_borrow().ok()?.get(name).cloned()
    }

    fn swap(&mut self, name: &str, value: &[u8], version: u32) -> bool {
        let Ok(mut map) = self.0.try_borrow_mut() else { return false };
        let now = map.get(name).map_or(0, |(_, version)| *version);
        if version != 0 && version != now {
            return false;
        }
        map.insert(name.to_owned(), (value.to_vec(), now.wrapping_add(1).max(1)));
        true
    }
}
