//! What stands around the filter, modelled for the test world: the sample processors and the cache-service in virtual time.
//!
//! A model that drifts from the program proves nothing. So the processor's is the program itself less its sockets
//! (`processor::desk`), and the cache-service's twin is put beside the running service by a test, question by question.

pub mod cache;
pub mod processor;

use std::cell::RefCell;
use std::rc::Rc;

use e2e::stack::Acquirer;
use fastrand::Rng;
use world::http::Message;
use world::proxy::Proxy;
use world::upstream::Upstream;
use world::{Bounds, Filter, NotStarted, Setup, Upstreams, World};

use cache::CacheModel;
use processor::ProcessorModel;

/// A world with the three sample processors and the cache-service in it.
pub struct Stage {
    /// The world.
    pub world: World,
    /// `acquirer-a`, `-b` and `-c`.
    pub processors: [Rc<RefCell<ProcessorModel>>; 3],
    /// The cache-service.
    pub cache: Rc<RefCell<CacheModel>>,
}

impl Stage {
    /// Starts it; whatever is drawn in it follows from `seed`. `token` is what the cache-service asks for.
    ///
    /// # Errors
    /// When the filter refuses its configuration.
    pub fn start(
        filter: Filter,
        proxy: Proxy,
        token: &str,
        workers: usize,
        seed: u64,
    ) -> Result<Self, Box<NotStarted>> {
        let mut draws = Rng::with_seed(seed);
        let processors =
            Acquirer::ALL.map(|who| Rc::new(RefCell::new(ProcessorModel::new(who.name(), "pay_", draws.u64(..)))));
        let cache = Rc::new(RefCell::new(CacheModel::new(token, draws.u32(..))));
        let mut upstreams = Upstreams::new();
        for (who, model) in Acquirer::ALL.into_iter().zip(&processors) {
            upstreams.insert(who.name().to_owned(), Rc::clone(model) as Rc<RefCell<dyn Upstream>>);
        }
        upstreams.insert("cache-service".to_owned(), Rc::clone(&cache) as _);
        let setup = Setup { filter, proxy, upstreams, workers, seed, bounds: Bounds::default() };
        Ok(Self { world: World::new(setup)?, processors, cache })
    }
}

/// The path of a request without its query.
fn path_of(request: &Message) -> String {
    let path = String::from_utf8_lossy(request.header(":path").unwrap_or_default()).into_owned();
    path.split('?').next().unwrap_or_default().to_owned()
}

/// A header as text; bytes that are no UTF-8 become replacement characters, as in the program.
fn text_of(request: &Message, name: &str) -> Option<String> {
    request.header(name).map(|value| String::from_utf8_lossy(value).into_owned())
}
