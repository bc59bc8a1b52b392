//! What an operator may choose of balancing.

use std::time::Duration;

/// How a pool spreads its payments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Each in turn, weights ignored.
    RoundRobin,
    /// In proportion to the weights, and evenly in time (NGINX's smooth weighted round robin).
    SmoothWeightedRoundRobin(Weights),
    /// Any, weights ignored.
    Random,
    /// Any, in proportion to the weights.
    WeightedRandom,
    /// The one with the fewest requests in flight for its weight.
    LeastConnections,
    /// The one that is expected to answer first: peak EWMA of latency times requests in flight.
    LeastResponseTime,
    /// By the caller's address, as NGINX's `ip_hash` does.
    IpHash,
    /// By a hash of the request, through Envoy's Maglev table.
    Maglev {
        /// Entries of the table, a prime.
        table_size: u32,
        /// What is hashed.
        hash_by: HashBy,
        /// Who has no room is passed over.
        bounded_load: Option<BoundedLoad>,
    },
    /// By a hash of the request, on NGINX's ketama ring.
    RingHash {
        /// What is hashed.
        hash_by: HashBy,
        /// Who has no room is passed over.
        bounded_load: Option<BoundedLoad>,
    },
    /// By a hash of the request, on Envoy's ring.
    EnvoyRingHash {
        /// What is hashed.
        hash_by: HashBy,
        /// Who has no room is passed over.
        bounded_load: Option<BoundedLoad>,
    },
    /// The one that reports the lowest load, with what is in flight.
    LoadBased,
    /// In proportion to weight times success.
    FailureBased,
    /// By a hash of the request, weighted, without a table.
    Rendezvous {
        /// What is hashed.
        hash_by: HashBy,
    },
    /// The one that is most often approved, with bounded exploration of the others.
    ApprovalRate {
        /// Percent of the payments that may go to another than the best known.
        explore_percent: u32,
    },
    /// The cheapest of those that are approved about as often as the best.
    LeastCost {
        /// How much lower an approval rate may be than the best one, in basis points.
        margin_bp: u32,
        /// Decided payments of a scheme before a rate is believed.
        min_volume: u32,
        /// Percent of the payments that may go to another than the cheapest.
        explore_percent: u32,
    },
}

impl Policy {
    /// As written in configuration and explanations.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::SmoothWeightedRoundRobin(_) => "smooth_weighted_round_robin",
            Self::Random => "random",
            Self::WeightedRandom => "weighted_random",
            Self::LeastConnections => "least_connections",
            Self::LeastResponseTime => "least_response_time",
            Self::IpHash => "ip_hash",
            Self::Maglev { .. } => "maglev",
            Self::RingHash { .. } => "ring_hash",
            Self::EnvoyRingHash { .. } => "envoy_ring_hash",
            Self::LoadBased => "load_based",
            Self::FailureBased => "failure_based",
            Self::Rendezvous { .. } => "rendezvous",
            Self::ApprovalRate { .. } => "approval_rate",
            Self::LeastCost { .. } => "least_cost",
        }
    }

    /// What of a request it hashes: the caller of [`super::Balancer::pick`] hands that over as its `input`.
    pub fn hash_by(&self) -> Option<&HashBy> {
        match self {
            Self::Maglev { hash_by, .. }
            | Self::RingHash { hash_by, .. }
            | Self::EnvoyRingHash { hash_by, .. }
            | Self::Rendezvous { hash_by } => Some(hash_by),
            _ => None,
        }
    }

    /// Does it judge by what traffic teaches? Then it heeds a `Retry-After`, too.
    pub(super) fn reads_traffic(&self) -> bool {
        matches!(
            self,
            Self::SmoothWeightedRoundRobin(Weights::ReportedLoad)
                | Self::LeastConnections
                | Self::LeastResponseTime
                | Self::LoadBased
                | Self::FailureBased
                | Self::ApprovalRate { .. }
                | Self::LeastCost { .. }
        )
    }
}

/// Where the weights of smooth weighted round robin come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// From the configuration.
    Configured,
    /// The configured weight divided by the load that the processor reports.
    ReportedLoad,
}

/// What of a request is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// Who calls.
    Tenant,
    /// For whom the payment is.
    Merchant,
    /// The leading digits of the card.
    Bin,
    /// The caller's address.
    SourceIp,
    /// The idempotency key.
    Key,
    /// A header (lower case).
    Header(String),
}

/// A member may have so much more in flight than its share before it is passed over, in percent, 100 or more
/// (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundedLoad(pub u32);

/// How a charge with an idempotency key finds its processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyed {
    /// By the key, whatever the policy: the same key meets the same processor, even where its claim was lost.
    #[default]
    Rendezvous,
    /// By the policy, as if it had no key.
    Policy,
}

/// How a pool balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How payments are spread.
    pub policy: Policy,
    /// How those with a key find their processor.
    pub keyed: Keyed,
    /// How long a processor's share grows after its breaker was open; zero: it has all of it at once.
    pub slow_start: Duration,
}

impl Settings {
    /// A policy and no more.
    pub fn of(policy: Policy) -> Self {
        Self { policy, keyed: Keyed::default(), slow_start: Duration::ZERO }
    }
}
