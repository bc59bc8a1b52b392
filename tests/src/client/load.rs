//! Many requests at once, bounded in number, in time and in flight.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::{Answer, Client, ClientError, Request};

/// Longest latency that is told apart, in microseconds: one minute. Longer ones count as this.
const LATENCY_US_MAX: u64 = 60_000_000;

/// How much load there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Requests sent in all, at most.
    pub requests: u64,
    /// No request starts later than this after the first.
    pub within: Duration,
    /// Requests in flight at any time, at most.
    pub in_flight: usize,
}

/// What came of a load.
#[derive(Clone, Debug)]
pub struct Report {
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers by what the caller's `label` made of them.
    pub labels: BTreeMap<String, u64>,
    /// Requests without an answer, by reason.
    pub errors: BTreeMap<String, u64>,
    /// Latency of the answers in microseconds.
    pub latency_us: Histogram<u64>,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// Why a load has no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The histogram of the latencies could not be made.
    #[error("no histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
    /// Making a request or a label panicked.
    #[error("a worker of the load ended: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

impl Report {
    /// Requests that were answered.
    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Answers with this status.
    pub fn with_status(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Answers per second.
    pub fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.answered()).unwrap_or(u32::MAX)) / self.took.as_secs_f64()
    }

    fn new() -> Result<Self, LoadError> {
        Ok(Self {
            statuses: BTreeMap::new(),
            labels: BTreeMap::new(),
            errors: BTreeMap::new(),
            latency_us: Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)?,
            took: Duration::ZERO,
        })
    }

    fn count(&mut self, result: Result<Answer, ClientError>, label: fn(&Answer) -> Option<String>) {
        match result {
            Ok(answer) => {
                *self.statuses.entry(answer.status).or_default() += 1;
                let latency_us = u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX);
                self.latency_us.saturating_record(latency_us);
                if let Some(label) = label(&answer) {
                    *self.labels.entry(label).or_default() += 1;
                }
            }
            Err(error) => *self.errors.entry(error.to_string()).or_default() += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        let sum = |into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>| {
            for (name, count) in from {
                *into.entry(name.clone()).or_default() += count;
            }
        };
        sum(&mut self.labels, &other.labels);
        sum(&mut self.errors, &other.errors);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.latency_us += &other.latency_us;
    }
}

/// Sends the load to `to`. `request` makes the n-th request, from 0; `label` may sort its answer under a name.
pub async fn run(
    client: &Client,
    to: SocketAddr,
    load: Load,
    request: impl Fn(u64) -> Request + Send + Sync + 'static,
    label: fn(&Answer) -> Option<String>,
) -> Result<Report, LoadError> {
    let request = Arc::new(request);
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..load.in_flight {
        let (client, request, next) = (client.clone(), Arc::clone(&request), Arc::clone(&next));
        workers.spawn(async move {
            let mut report = Report::new()?;
            while began.elapsed() < load.within {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= load.requests {
                    break;
                }
                report.count(client.send(to, request(n)).await, label);
            }
            Ok::<_, LoadError>(report)
        });
    }
    let mut report = Report::new()?;
    while let Some(part) = workers.join_next().await {
        report.add(&part??);
    }
    report.took = began.elapsed();
    Ok(report)
}
