//! What the service counts. Every name is registered here; labels are closed sets, so no caller can grow them.

mod labels;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::cache::Size;

pub use labels::{Class, Failure, Kind, Lookup, Operation, Record, Route, Store};

/// Every family on `/metrics`, as its `# TYPE` line names it.
pub const NAMES: [&str; 10] = [
    "cache_requests",
    "cache_request_duration_seconds",
    "cache_lookups",
    "cache_stores",
    "cache_records",
    "cache_evictions",
    "cache_memory_bytes",
    "cache_memory_entries",
    "cache_redis_failures",
    "cache_redis_up",
];

/// Upper bounds of the latency buckets, in seconds: a hit in memory takes microseconds, a record's deadline is 0.25 s.
const LATENCY_SECONDS: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Route,
    status: Class,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabels {
    namespace: String,
    result: Lookup,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    namespace: String,
    result: Store,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    kind: Kind,
    result: Record,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RedisLabels {
    operation: Operation,
    failure: Failure,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpaceLabels {
    namespace: String,
}

/// The service's counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Histogram,
    records: Family<RecordLabels, Counter>,
    redis_failures: Family<RedisLabels, Counter>,
    redis_up: Gauge,
    lookups: Family<LookupLabels, Counter>,
    stores: Family<StoreLabels, Counter>,
    evictions: Family<SpaceLabels, Counter>,
    bytes: Family<SpaceLabels, Gauge<u64, AtomicU64>>,
    entries: Family<SpaceLabels, Gauge<u64, AtomicU64>>,
}

/// The counters of one namespace, found once and not for every request.
pub struct SpaceMetrics {
    lookups: Vec<Counter>,
    stores: Vec<Counter>,
    evictions: Counter,
    bytes: Gauge<u64, AtomicU64>,
    entries: Gauge<u64, AtomicU64>,
}

impl Metrics {
    /// All counters at zero; every series is there from the start.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("cache");
        let metrics = Self {
            requests: Family::default(),
            latency: Histogram::new(LATENCY_SECONDS),
            records: Family::default(),
            redis_failures: Family::default(),
            redis_up: Gauge::default(),
            lookups: Family::default(),
            stores: Family::default(),
            evictions: Family::default(),
            bytes: Family::default(),
            entries: Family::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        let latency = "From a request's head to its answer";
        registry.register_with_unit("request_duration", latency, Unit::Seconds, metrics.latency.clone());
        registry.register("lookups", "Look-ups by where they ended", metrics.lookups.clone());
        registry.register("stores", "Values stored, refused and invalidated", metrics.stores.clone());
        registry.register("records", "Operations on pins and claims", metrics.records.clone());
        registry.register("evictions", "Values that left the memory for others", metrics.evictions.clone());
        registry.register("memory_bytes", "Bytes held in memory", metrics.bytes.clone());
        registry.register("memory_entries", "Values held in memory", metrics.entries.clone());
        registry.register("redis_failures", "Calls that Redis did not answer", metrics.redis_failures.clone());
        registry.register(
            "redis_up",
            "1 while Redis answers; 0 too where none is configured",
            metrics.redis_up.clone(),
        );
        for &route in Route::ALL {
            for &status in Class::ALL {
                let _ = metrics.requests.get_or_create(&RequestLabels { route, status });
            }
        }
        for &kind in Kind::ALL {
            for &result in Record::ALL {
                let _ = metrics.records.get_or_create(&RecordLabels { kind, result });
            }
        }
        for &operation in Operation::ALL {
            for &failure in Failure::ALL {
                let _ = metrics.redis_failures.get_or_create(&RedisLabels { operation, failure });
            }
        }
        Self { registry, ..metrics }
    }

    /// The counters of a namespace.
    pub fn space(&self, namespace: &str) -> SpaceMetrics {
        let label = || namespace.to_owned();
        let space = SpaceLabels { namespace: label() };
        let lookup = |&result| self.lookups.get_or_create_owned(&LookupLabels { namespace: label(), result });
        let store = |&result| self.stores.get_or_create_owned(&StoreLabels { namespace: label(), result });
        SpaceMetrics {
            lookups: Lookup::ALL.iter().map(lookup).collect(),
            stores: Store::ALL.iter().map(store).collect(),
            evictions: self.evictions.get_or_create_owned(&space),
            bytes: self.bytes.get_or_create_owned(&space),
            entries: self.entries.get_or_create_owned(&space),
        }
    }

    /// A request was answered.
    pub fn request(&self, route: Route, status: Class, took: Duration) {
        self.requests.get_or_create(&RequestLabels { route, status }).inc();
        self.latency.observe(took.as_secs_f64());
    }

    /// An operation on a record ended.
    pub fn record(&self, kind: Kind, result: Record) {
        self.records.get_or_create(&RecordLabels { kind, result }).inc();
    }

    /// Redis failed.
    pub fn redis_failure(&self, operation: Operation, failure: Failure) {
        self.redis_failures.get_or_create(&RedisLabels { operation, failure }).inc();
    }

    /// Redis answers (1) or does not (0).
    pub fn redis_up(&self, up: i64) {
        self.redis_up.set(up);
    }

    /// The OpenMetrics text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl SpaceMetrics {
    /// A look-up ended.
    pub fn lookup(&self, result: Lookup) {
        if let Some(counter) = self.lookups.get(result as usize) {
            counter.inc();
        }
    }

    /// A value was stored, refused or invalidated.
    pub fn store(&self, result: Store) {
        if let Some(counter) = self.stores.get(result as usize) {
            counter.inc();
        }
    }

    /// What the memory holds now.
    pub fn size(&self, size: Size) {
        self.bytes.set(size.bytes);
        self.entries.set(size.entries);
        // Scrapes may overlap: never count down.
        self.evictions.inner().fetch_max(size.evictions, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_listed_from_the_start_and_no_other() {
        let metrics = Metrics::new();
        let _space = metrics.space("bin");
        let text = metrics.encode().expect("encodes");
        let listed: Vec<_> = text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let sorted = |names: &[&str]| {
            let mut names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(sorted(&listed), sorted(&NAMES));
    }
}
