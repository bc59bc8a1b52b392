//! Version 1 of the protocol: paths, header names and the body of a record.

use serde::{Deserialize, Serialize};

use super::{Key, Namespace};

/// The status the processor answered with; on a stored value and on a hit. Absent on a PUT: 200.
pub const STATUS: &str = "switchyard-status";
/// On a PUT how long the value may be served, on a hit how long it still may be; in milliseconds.
pub const TTL_MS: &str = "switchyard-ttl-ms";
/// On a hit: how long ago the value was stored; in milliseconds.
pub const AGE_MS: &str = "switchyard-age-ms";
/// The key of the thing the value describes, where several keys describe one thing; on GET and PUT.
/// Deleting the entity's key invalidates every value stored under it.
pub const ENTITY: &str = "switchyard-entity";
/// Opaque, at most [`FENCE_LEN_MAX`] bytes of visible ASCII. A miss carries it; the PUT that follows returns it, and is
/// refused with 412 when the entity was invalidated in between: a slow load never overwrites newer truth.
pub const FENCE: &str = "switchyard-fence";
/// The name of the processor that gave the value; on PUT and on a hit.
pub const PROCESSOR: &str = "switchyard-processor";
/// The longest fence, in bytes.
pub const FENCE_LEN_MAX: usize = 64;
/// The longest processor name, in bytes.
pub const PROCESSOR_LEN_MAX: usize = 64;

/// `GET`, `PUT` and `DELETE` of a look-up.
pub fn lookup_path(namespace: &Namespace, key: &Key) -> String {
    format!("/v1/lookup/{namespace}/{key}")
}

/// `GET` and `PUT` of a pin: which processor holds a payment.
pub fn pin_path(key: &Key) -> String {
    format!("/v1/pins/{key}")
}

/// `PUT` of a claim: which processor an idempotency key belongs to. The first writer wins.
pub fn claim_path(key: &Key) -> String {
    format!("/v1/claims/{key}")
}

/// The body of a pin or a claim, both ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The processor's configured name, at most [`PROCESSOR_LEN_MAX`] bytes.
    pub processor: String,
}
