//! Whether Redis may be trusted with records, asked by the watchdog every second, by `/readyz`, and by the first record
//! after a connection broke.
//!
//! A PING proves too little. Redis must take a write, as a replica, a full memory or a failed disk refuse those only. Its
//! keys must be hashed under our secret: under another we would find no claim and grant each twice. And it must not
//! evict: an evicted claim is granted twice, and an evicted generation lets a stale value be served.

use redis::aio::ConnectionManager;

use super::{Failing, PREFIX, Redis};
use crate::metrics::Operation;
use crate::records::Unready;

/// Writes the secret's fingerprint if none stands there, and a mark that is soon forgotten. Returns the fingerprint.
/// Keys: fingerprint, mark. Arguments: our fingerprint.
pub(super) const PROBE: &str = r"
redis.call('SET', KEYS[1], ARGV[1], 'NX')
redis.call('SET', KEYS[2], '1', 'PX', 60000)
return redis.call('GET', KEYS[1])
";

/// What the last probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// There was none yet, or the connection broke since: another server may answer now.
    Unproven,
    /// Records may stand here.
    Proven,
    /// Redis answers and may not be used.
    Refused(Unready),
}

impl Redis {
    /// Whether Redis may be used for records now. What keeps it from taking writes counts as a record's failure.
    pub async fn prove(&self) -> Result<(), Unready> {
        let run = async |mut connection: ConnectionManager| {
            let mut beside = connection.clone();
            let mut script = self.scripts.probe.prepare_invoke();
            script.key(format!("{PREFIX}{{node}}:secret")).key(format!("{PREFIX}{{node}}:probe"));
            script.arg(&self.fingerprint);
            let mut info = redis::cmd("INFO");
            info.arg("memory");
            tokio::try_join!(
                script.invoke_async::<String>(&mut connection),
                info.query_async::<redis::Value>(&mut beside)
            )
        };
        let standing = match self.ask(Operation::Ping, self.record_deadline, run).await {
            Ok((fingerprint, info)) => {
                self.records.succeeded();
                if fingerprint != self.fingerprint {
                    Standing::Refused(Unready::ForeignSecret)
                } else if evicts(&info) {
                    Standing::Refused(Unready::Evicts)
                } else {
                    Standing::Proven
                }
            }
            Err(failing) => {
                self.records.failed();
                let unready = if failing == Failing::Said { Unready::NoWrites } else { Unready::Silent };
                return Err(unready);
            }
        };
        self.stand(standing);
        match standing {
            Standing::Refused(unready) => Err(unready),
            Standing::Proven | Standing::Unproven => Ok(()),
        }
    }

    fn stand(&self, standing: Standing) {
        let mut held = self.standing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Standing::Refused(unready) = standing
            && *held != standing
        {
            tracing::error!(reason = unready.reason(), "redis is not used");
        }
        *held = standing;
    }
}

/// Whether keys may leave for others. An answer that does not say so is taken for yes.
fn evicts(info: &redis::Value) -> bool {
    let text = match info {
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        redis::Value::VerbatimString { text, .. } | redis::Value::SimpleString(text) => text.clone(),
        _ => return true,
    };
    let field = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    field("maxmemory") != Some("0") && field("maxmemory_policy") != Some("noeviction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bounded_memory_with_another_policy_evicts() {
        let said = |text: &str| evicts(&redis::Value::BulkString(text.replace(' ', "\r\n").into_bytes()));
        assert!(!said("maxmemory:0 maxmemory_policy:allkeys-lru"));
        assert!(!said("maxmemory:1048576 maxmemory_policy:noeviction"));
        assert!(said("maxmemory:1048576 maxmemory_policy:volatile-ttl"));
        assert!(said("used_memory:1"));
    }
}
