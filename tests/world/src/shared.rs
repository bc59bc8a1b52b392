//! What all VMs share: data, queues and metrics, with Envoy's answers.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proxy_wasm_host::abi::v0_2_1::types::{MetricType, Status};
use proxy_wasm_host::abi::v0_2_1::{Invocation, MetricId, QueueId, SharedServices, SharedValue};

type Name = (Vec<u8>, Vec<u8>);

/// The store of one world.
#[derive(Default)]
pub(crate) struct Shared(Mutex<Store>);

#[derive(Default)]
struct Store {
    data: BTreeMap<Name, (Vec<u8>, u32)>,
    /// One counter for all keys, as in Envoy.
    cas: u32,
    queues: Vec<(Name, VecDeque<Vec<u8>>)>,
    /// Queues that got an item since the world last asked.
    ready: Vec<QueueId>,
    metrics: Vec<Metric>,
    /// The metric behind each identifier: every definition gets one of its own.
    defined: Vec<usize>,
}

struct Metric {
    name: Name,
    kind: MetricType,
    /// The value of a counter or a gauge; of a histogram the number of recordings.
    value: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counters and gauges by name.
    pub(crate) fn metrics(&self) -> BTreeMap<String, u64> {
        let name = |metric: &Metric| String::from_utf8_lossy(&metric.name.1).into_owned();
        self.lock().metrics.iter().map(|metric| (name(metric), metric.value)).collect()
    }

    pub(crate) fn take_ready(&self) -> Vec<QueueId> {
        std::mem::take(&mut self.lock().ready)
    }
}

/// The place of an identifier in its list; identifiers begin at 1.
fn place(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX).wrapping_sub(1)
}

fn id<T: TryFrom<u32>>(place: usize) -> Result<T, Status> {
    let number = u32::try_from(place + 1).map_err(|_| Status::InternalFailure)?;
    T::try_from(number).map_err(|_| Status::InternalFailure)
}

impl Store {
    fn queue(&mut self, queue: QueueId) -> Result<&mut VecDeque<Vec<u8>>, Status> {
        self.queues.get_mut(place(queue.get())).map(|(_, items)| items).ok_or(Status::NotFound)
    }

    fn metric(&mut self, metric: MetricId) -> Result<&mut Metric, Status> {
        let at = self.defined.get(place(metric.get())).copied().ok_or(Status::NotFound)?;
        self.metrics.get_mut(at).ok_or(Status::NotFound)
    }
}

impl SharedServices for Shared {
    fn get_shared_data(&self, _: Invocation, vm_id: &[u8], key: &[u8]) -> Result<SharedValue, Status> {
        let store = self.lock();
        let (bytes, cas) = store.data.get(&(vm_id.to_vec(), key.to_vec())).ok_or(Status::NotFound)?;
        Ok(SharedValue::new(bytes.clone(), NonZeroU32::new(*cas).ok_or(Status::InternalFailure)?))
    }

    /// A key that is not there takes any number.
    fn set_shared_data(
        &self,
        _: Invocation,
        vm_id: &[u8],
        key: &[u8],
        value: &[u8],
        cas: Option<u32>,
    ) -> Result<(), Status> {
        let mut store = self.lock();
        let name = (vm_id.to_vec(), key.to_vec());
        if let (Some((_, held)), Some(cas)) = (store.data.get(&name), cas)
            && *held != cas
        {
            return Err(Status::CasMismatch);
        }
        store.cas = store.cas.wrapping_add(1).max(1);
        let cas = store.cas;
        store.data.insert(name, (value.to_vec(), cas));
        Ok(())
    }

    fn register_shared_queue(&self, _: Invocation, vm_id: &[u8], name: &[u8]) -> Result<QueueId, Status> {
        let mut store = self.lock();
        let name = (vm_id.to_vec(), name.to_vec());
        let found = store.queues.iter().position(|(held, _)| *held == name);
        let place = found.unwrap_or_else(|| {
            store.queues.push((name, VecDeque::new()));
            store.queues.len() - 1
        });
        id(place)
    }

    fn resolve_shared_queue(&self, _: Invocation, vm_id: &[u8], name: &[u8]) -> Result<QueueId, Status> {
        let name = (vm_id.to_vec(), name.to_vec());
        id(self.lock().queues.iter().position(|(held, _)| *held == name).ok_or(Status::NotFound)?)
    }

    fn enqueue_shared_queue(&self, _: Invocation, queue: QueueId, value: &[u8]) -> Result<(), Status> {
        let mut store = self.lock();
        store.queue(queue)?.push_back(value.to_vec());
        store.ready.push(queue);
        Ok(())
    }

    fn dequeue_shared_queue(&self, _: Invocation, queue: QueueId) -> Result<Vec<u8>, Status> {
        self.lock().queue(queue)?.pop_front().ok_or(Status::Empty)
    }

    fn define_metric(&self, _: Invocation, vm_id: &[u8], kind: MetricType, name: &[u8]) -> Result<MetricId, Status> {
        let mut store = self.lock();
        let name = (vm_id.to_vec(), name.to_vec());
        let found = store.metrics.iter().position(|metric| metric.kind == kind && metric.name == name);
        let place = found.unwrap_or_else(|| {
            store.metrics.push(Metric { name, kind, value: 0 });
            store.metrics.len() - 1
        });
        store.defined.push(place);
        id(store.defined.len() - 1)
    }

    fn record_metric(&self, _: Invocation, metric: MetricId, value: u64) -> Result<(), Status> {
        let mut store = self.lock();
        let metric = store.metric(metric)?;
        metric.value = match metric.kind {
            MetricType::Gauge => value,
            // A recording on a counter adds.
            MetricType::Counter => metric.value.wrapping_add(value),
            MetricType::Histogram => metric.value.wrapping_add(1),
        };
        Ok(())
    }

    fn increment_metric(&self, _: Invocation, metric: MetricId, delta: i64) -> Result<(), Status> {
        let mut store = self.lock();
        let metric = store.metric(metric)?;
        match metric.kind {
            MetricType::Counter if delta > 0 => metric.value = metric.value.wrapping_add(delta.unsigned_abs()),
            // Below zero it wraps.
            MetricType::Gauge => metric.value = metric.value.wrapping_add_signed(delta),
            MetricType::Counter | MetricType::Histogram => return Err(Status::BadArgument),
        }
        Ok(())
    }

    fn get_metric(&self, _: Invocation, metric: MetricId) -> Result<u64, Status> {
        let mut store = self.lock();
        let metric = store.metric(metric)?;
        match metric.kind {
            MetricType::Counter | MetricType::Gauge => Ok(metric.value),
            MetricType::Histogram => Err(Status::BadArgument),
        }
    }
}
