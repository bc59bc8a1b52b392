//! Another configuration while the proxy runs.

use super::Router;
use crate::config::Pool;
use crate::processor::ProcessorId;

impl Router {
    /// Takes over what the worker of an earlier configuration learnt of the processors that stay, told by their names:
    /// statistics, and the turns of pools that are as they were. Breakers are shared and need no handing over. What is in
    /// flight is counted out where it was counted in.
    pub fn inherit(&mut self, old: &Self) {
        let was = |id: ProcessorId| {
            let name = &self.config.processor(id)?.name;
            old.config.processor_named(name)
        };
        for (id, stats) in (0..).map_while(ProcessorId::new).zip(&mut self.stats) {
            if let Some(known) = was(id).and_then(|id| old.stats.get(id.index())) {
                *stats = known.handed_over();
                self.kept_out.set(id, was(id).is_some_and(|id| old.kept_out.contains(id)));
            }
        }
        for (pool, balancer) in self.config.pools.iter().zip(&mut self.balancers) {
            let mut pools = old.config.pools.iter().zip(&old.balancers);
            if let Some((_, had)) = pools.find(|(had, _)| alike(pool, had, was)) {
                balancer.inherit(had, was);
            }
        }
    }

    /// Takes over the writes that an earlier configuration's worker still owes the cache-service, where that is the same.
    pub fn inherit_writes(&mut self, old: &mut Self) {
        self.outbox.append(&mut old.outbox);
    }
}

/// Do two pools balance alike, over some of the same processors?
fn alike(new: &Pool, old: &Pool, was: impl Fn(ProcessorId) -> Option<ProcessorId>) -> bool {
    let stays = |id| was(id).is_some_and(|id| old.members.iter().any(|m| m.id == id));
    new.balance == old.balance && new.members.iter().any(|m| stays(m.id))
}
