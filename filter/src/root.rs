//! Configuration, the worker's memory, and what waits for the tick.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use decision::breakers::Scope;
use decision::exchange::Headers;
use decision::fact::Fact;
use decision::lookup::{Answer, Question};
use decision::processor::ProcessorId;
use decision::router::{Heartbeat, Router};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

use crate::config::{self, CacheService};
use crate::host::{self, Buffer, Callee, Map};
use crate::http::Http;
use crate::metrics::{self, Metrics};

thread_local! {
    /// The worker of each plugin's last configuration in this VM: the next one goes on from what it learnt.
    static LAST: Cell<BTreeMap<Vec<u8>, Weak<Worker>>> = const { Cell::new(BTreeMap::new()) };
}

/// How often deferred writes are looked at.
const TICK: Duration = Duration::from_millis(500);
/// Deferred writes sent per tick, at most: the store that comes back is not met by a flood.
const DEFERRED_PER_TICK: usize = 32;

/// What one configuration gives a worker.
pub(crate) struct Worker {
    router: RefCell<Router>,
    cache_service: Option<CacheService>,
    metrics: Metrics,
    /// Bytes of a request body, and of an answer that is held.
    pub(crate) request_body_bytes: usize,
    pub(crate) answer_body_bytes: usize,
    /// Does any policy look at the caller's address?
    pub(crate) needs_source: bool,
    /// Which plugin it is of: several may share the VM.
    plugin: Vec<u8>,
    /// Has this VM served a stream? That of the proxy's main thread never does, and its calls go nowhere.
    served: Cell<bool>,
}

impl Worker {
    /// Sends a question to the cache-service; none: it cannot be asked.
    pub(crate) fn ask(&self, question: &Question) -> Option<u32> {
        let service = self.cache_service.as_ref()?;
        let timeout = match question {
            Question::Lookup { .. } | Question::Fill { .. } => service.lookup_timeout,
            Question::Invalidate { .. } | Question::Pin { .. } | Question::StorePin { .. } | Question::Claim { .. } => {
                service.record_timeout
            }
        };
        let callee = Callee {
            cluster: &service.cluster,
            authority: &service.authority,
            authorization: &service.authorization,
            timeout,
        };
        host::call(&callee, &question.request())
    }

    /// Takes over what the worker of an earlier configuration knows, and what it still owes the same cache-service.
    fn go_on_from(&self, last: &Self) {
        last.decide(|old| self.decide(|new| new.inherit(old)));
        self.take_writes_of(last);
    }

    fn take_writes_of(&self, last: &Self) {
        let place = |worker: &Self| worker.cache_service.as_ref().map(|s| (s.cluster.clone(), s.authority.clone()));
        if place(self) == place(last) {
            last.decide(|old| self.decide(|new| new.inherit_writes(old)));
        }
    }

    /// Has the worker's memory take an event. The closure calls neither the host nor this worker.
    #[expect(clippy::disallowed_methods, reason = "the one place: the borrow ends with the closure")]
    pub(crate) fn decide<T>(&self, event: impl FnOnce(&mut Router) -> T) -> T {
        event(&mut self.router.borrow_mut())
    }

    /// Counts what happened since the last time, and logs what an operator wants to see.
    pub(crate) fn drain_facts(&self) {
        while let Some(fact) = self.decide(Router::poll_fact) {
            let changed = match fact {
                Fact::Breaker(id, Scope::Processor, transition) => {
                    Some((format!("processor {}", self.metrics.processor(id)), transition))
                }
                Fact::Breaker(id, scope, transition) => {
                    Some((format!("processor {}, {scope}", self.metrics.processor(id)), transition))
                }
                Fact::Shadowed(id, went) => {
                    let (name, went) = (self.metrics.processor(id), went.as_str());
                    host::log(LogLevel::Info, &format!("switchyard: shadow: to processor {name}, went {went}"));
                    None
                }
                Fact::ShadowRefused(reason) => {
                    host::log(LogLevel::Info, &format!("switchyard: shadow: refused, {}", reason.code()));
                    None
                }
                Fact::Store(store, transition) => Some((format!("cache-service {}", store.as_str()), transition)),
                _ => None,
            };
            if let Some((whose, transition)) = changed {
                host::log(LogLevel::Warn, &format!("switchyard: {whose}: breaker {}", metrics::state(transition)));
            }
            self.metrics.count(fact);
        }
    }
}

impl Drop for Worker {
    /// Its last stream is over: what that still owed the cache-service is the business of the worker that came after.
    fn drop(&mut self) {
        if let Some(next) = LAST
            .try_with(|last| {
                let all = last.take();
                let next = all.get(&self.plugin).and_then(Weak::upgrade);
                last.set(all);
                next
            })
            .ok()
            .flatten()
        {
            next.take_writes_of(self);
        }
    }
}

/// Notes the worker of a plugin's configuration; the one before it.
fn succeed(plugin: Vec<u8>, worker: Weak<Worker>) -> Weak<Worker> {
    LAST.with(|last| {
        let mut all = last.take();
        let before = all.insert(plugin, worker);
        last.set(all);
        before.unwrap_or_default()
    })
}

/// The answer to a question, as it stands in the host's call buffers.
pub(crate) fn read_answer(question: &Question, body_size: usize) -> Answer {
    let headers = host::headers(Map::CallResponse);
    let headers = Headers::new(&headers);
    let status = status(headers);
    question.read(status, headers, &host::buffer(Buffer::CallResponseBody, body_size))
}

/// The status of a call's answer; none where there was none.
fn call_status() -> Option<u16> {
    status(Headers::new(&host::headers(Map::CallResponse)))
}

fn status(headers: Headers<'_>) -> Option<u16> {
    headers.one(b":status").and_then(|s| std::str::from_utf8(s).ok()?.parse().ok())
}

impl Root {
    /// Those of an earlier configuration of this root: nobody will hear their answers.
    fn forget_heartbeats(&mut self) {
        let now = host::now();
        for (_, beat) in std::mem::take(&mut self.heartbeats) {
            if let Some(worker) = &self.worker {
                worker.decide(|router| router.release_heartbeat(beat, now));
            }
        }
    }

    fn send_heartbeats(worker: &Worker, on_their_way: &mut BTreeMap<u32, Heartbeat>) {
        for _ in 0..ProcessorId::COUNT_MAX {
            let now = host::now();
            let Some(beat) = worker.decide(|router| router.take_heartbeat(now)) else { return };
            let place = worker.decide(|router| {
                let of = router.config().processor(beat.processor())?;
                let settings = of.heartbeat.clone()?;
                Some((of.cluster.clone(), of.authority.clone().unwrap_or_else(|| of.cluster.clone()), settings))
            });
            let sent = place.and_then(|(cluster, authority, settings)| {
                host::get(&cluster, &authority, &settings.path, settings.timeout)
            });
            match sent {
                Some(token) => drop(on_their_way.insert(token, beat)),
                None => worker.decide(|router| router.settle_heartbeat(beat, None, now)),
            }
        }
    }
}

/// The root context.
#[derive(Default)]
pub(crate) struct Root {
    worker: Option<Rc<Worker>>,
    /// Deferred writes on their way, by token.
    deferred: BTreeMap<u32, (u64, Question)>,
    /// Heartbeats on their way, by token.
    heartbeats: BTreeMap<u32, Heartbeat>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_size: usize, _: usize) {
        let Some(worker) = &self.worker else { return };
        if let Some(beat) = self.heartbeats.remove(&token) {
            let (status, now) = (call_status(), host::now());
            worker.decide(|router| router.settle_heartbeat(beat, status, now));
            return worker.drain_facts();
        }
        let Some((id, question)) = self.deferred.remove(&token) else { return };
        let answer = read_answer(&question, body_size);
        worker.decide(|router| router.settle_deferred(id, &answer));
        worker.drain_facts();
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match config::parse(&host::buffer(Buffer::PluginConfiguration, size)) {
            Ok((cache_service, routing)) => {
                for warning in &routing.warnings {
                    host::log(LogLevel::Warn, &format!("switchyard: configuration: routing.{warning}"));
                }
                let metrics = Metrics::define(&routing);
                let (request_body_bytes, answer_body_bytes) = (routing.request_body_bytes, routing.answer_body_bytes);
                let needs_source = routing.needs_source();
                let router = RefCell::new(Router::sharing(routing, host::seed(), host::shared_memory()));
                let served = Cell::new(false);
                let worker = Worker {
                    router,
                    cache_service,
                    metrics,
                    request_body_bytes,
                    answer_body_bytes,
                    needs_source,
                    plugin: host::plugin(),
                    served,
                };
                let worker = Rc::new(worker);
                if let Some(last) = succeed(worker.plugin.clone(), Rc::downgrade(&worker)).upgrade() {
                    worker.go_on_from(&last);
                }
                self.deferred.clear();
                self.forget_heartbeats();
                self.worker = Some(worker);
                host::tick_every(TICK);
                true
            }
            Err(error) => {
                host::log(LogLevel::Error, &format!("switchyard: configuration refused: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some(worker) = &self.worker else { return };
        let now = host::now();
        worker.decide(|router| router.tick(now));
        if worker.served.get() {
            Self::send_heartbeats(worker, &mut self.heartbeats);
        }
        worker.drain_facts();
        for _ in 0..DEFERRED_PER_TICK {
            let now = host::now();
            let Some((id, question)) = worker.decide(|router| router.take_due(now)) else { break };
            if let Some(token) = worker.ask(&question) {
                self.deferred.insert(token, (id, question));
            }
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        if let Some(worker) = &self.worker {
            worker.served.set(true);
        }
        self.worker.as_ref().map(|worker| Box::new(Http::new(Rc::clone(worker))) as Box<dyn HttpContext>)
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
