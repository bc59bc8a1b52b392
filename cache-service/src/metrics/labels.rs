//! The labels' values: closed sets, so no caller can grow them.

use std::fmt;

use prometheus_client::encoding::EncodeLabelValue;

/// A label whose values are few and known.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$each])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &[$name] = &[$($name::$variant),+];
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> fmt::Result {
                let word = match self { $($name::$variant => $word),+ };
                EncodeLabelValue::encode(&word, encoder)
            }
        }
    };
}

label! {
    /// What was asked for.
    Route {
        /// A look-up.
        Lookup = "lookup",
        /// A pin.
        Pin = "pin",
        /// A claim.
        Claim = "claim",
        /// No known path.
        Other = "other",
    }
}

label! {
    /// The first digit of the status.
    Class {
        /// 200 to 299.
        Success = "2xx",
        /// 400 to 499; a miss is one.
        Client = "4xx",
        /// 500 to 599.
        Server = "5xx",
    }
}

label! {
    /// Where a look-up ended.
    Lookup {
        /// In this node's memory.
        HitMemory = "hit_memory",
        /// In Redis.
        HitRedis = "hit_redis",
        /// Nowhere.
        Miss = "miss",
    }
}

label! {
    /// How storing or invalidating a value ended.
    Store {
        /// Stored.
        Stored = "stored",
        /// Stored in memory only, as Redis did not answer.
        MemoryOnly = "memory_only",
        /// Refused: its fence was outdated.
        Outdated = "outdated",
        /// Refused: it holds a card number.
        CardNumber = "card_number",
        /// Invalidated.
        Invalidated = "invalidated",
        /// Invalidated on this node only, as Redis did not answer.
        InvalidatedHere = "invalidated_here",
    }
}

label! {
    /// A kind of record.
    Kind {
        /// Which processor holds a payment.
        Pin = "pin",
        /// Which processor an idempotency key belongs to.
        Claim = "claim",
    }
}

label! {
    /// How an operation on a record ended.
    Record {
        /// Written.
        Created = "created",
        /// It was there, with the same processor.
        Same = "same",
        /// It was there, with another processor.
        Other = "other",
        /// Read.
        Found = "found",
        /// Not there.
        Absent = "absent",
        /// The store did not answer.
        Unavailable = "unavailable",
    }
}

label! {
    /// What was asked of Redis.
    Operation {
        /// Read a value.
        Find = "find",
        /// Store a value.
        Store = "store",
        /// Invalidate an entity.
        Invalidate = "invalidate",
        /// Read or write a record.
        Record = "record",
        /// See whether it may be used; see `redis::probe`.
        Ping = "ping",
    }
}

label! {
    /// How Redis failed.
    Failure {
        /// It did not answer in time.
        Timeout = "timeout",
        /// It answered with an error, or could not be reached.
        Error = "error",
        /// It was not asked, as it had failed repeatedly just before.
        Skipped = "skipped",
    }
}
