//! The memory of a proxy's workers, in which one of them can be faster than another: between a worker's reading and its
//! writing stands a charge of another worker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use decision::breaker::{LocalMemory, Memory};
use decision::exchange::{Body, Exchange, Step};
use decision::router::Router;
use decision::time::Now;

/// Does a write look whether somebody wrote since the reading?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    Checked,
    /// What the laws must catch.
    Careless,
}

/// A charge of another worker that is ready to be routed.
pub(super) struct Racer {
    pub(super) x: usize,
    pub(super) router: Rc<RefCell<Router>>,
    pub(super) exchange: Exchange,
    pub(super) body: Vec<u8>,
    pub(super) now: Now,
    pub(super) step: Option<Step>,
}

impl Racer {
    pub(super) fn run(&mut self) {
        let mut router = self.router.borrow_mut();
        self.step = Some(self.exchange.on_request_body(&mut router, Body::Whole(&self.body), self.now));
    }
}

/// The one that waits for its moment; its step says whether it came.
pub(super) type Race = Rc<RefCell<Option<Racer>>>;

#[derive(Clone)]
pub(super) struct Shared {
    inner: LocalMemory,
    writes: Writes,
    pub(super) race: Race,
    /// Writes that came too late.
    pub(super) late: Rc<Cell<u64>>,
}

impl Shared {
    pub(super) fn new(writes: Writes) -> Self {
        Self { inner: LocalMemory::default(), writes, race: Race::default(), late: Rc::default() }
    }
}

impl Memory for Shared {
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        self.inner.read(name)
    }

    fn swap(&mut self, name: &str, value: &[u8], version: u32) -> bool {
        if version != 0 {
            // Taken out first: the racer writes, too, and must not meet itself.
            let racer = self.race.borrow_mut().take_if(|racer| racer.step.is_none());
            if let Some(mut racer) = racer {
                racer.run();
                *self.race.borrow_mut() = Some(racer);
            }
        }
        let written = self.inner.swap(name, value, if self.writes == Writes::Checked { version } else { 0 });
        self.late.set(self.late.get() + u64::from(!written));
        written
    }
}
