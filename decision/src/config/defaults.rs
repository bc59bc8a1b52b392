//! Every default and bound of the configuration, with its unit and where it comes from.

use std::ops::RangeInclusive;

/// The header Envoy's `cluster_header` route reads.
pub const ROUTE_HEADER: &str = "x-switchyard-cluster";

/// Bytes of a request body: payment requests are below 10 KiB; a quarter of Envoy's buffer leaves room for its own.
pub const REQUEST_BODY_BYTES: u64 = 256 * 1024;
/// Bytes: Envoy buffers 1 MiB by default and answers 413 itself beyond.
pub const REQUEST_BODY_BYTES_RANGE: RangeInclusive<u64> = 1..=768 * 1024;
/// Bytes of an answer that is held to be read; longer ones pass unread.
pub const ANSWER_BODY_BYTES: u64 = 64 * 1024;
/// Bytes: Envoy cuts a held answer off at its buffer limit, 1 MiB by default.
pub const ANSWER_BODY_BYTES_RANGE: RangeInclusive<u64> = 1..=512 * 1024;

/// Failures in a row: Envoy's outlier detection, Finagle and gRPC all take 5.
pub const CONSECUTIVE_FAILURES: u64 = 5;
/// Failures in a row.
pub const CONSECUTIVE_FAILURES_RANGE: RangeInclusive<u64> = 1..=10_000;
/// Milliseconds of the first opening: Finagle's 5 s; Envoy's 30 s loses half a minute of a processor that blinked.
pub const OPEN_MS: u64 = 5_000;
/// Milliseconds of the longest opening: Linkerd's 60 s.
pub const OPEN_MS_MAX: u64 = 60_000;
/// Milliseconds.
pub const OPEN_MS_RANGE: RangeInclusive<u64> = 1..=3_600_000;

/// Milliseconds the shares of failures and slow calls look back: Linkerd's 10 s in 10 buckets.
pub const WINDOW_MS: u64 = 10_000;
/// Milliseconds.
pub const WINDOW_MS_RANGE: RangeInclusive<u64> = 100..=3_600_000;
/// Calls, where the window counts calls.
pub const WINDOW_CALLS_RANGE: RangeInclusive<u64> = 10..=100_000;
/// Calls within the window below which no share is looked at: Hystrix's 20; payments are few.
pub const CALLS_MIN: u64 = 20;
/// Calls.
pub const CALLS_MIN_RANGE: RangeInclusive<u64> = 1..=100_000;
/// Percent of failures: Hystrix and resilience4j take 50.
pub const FAILURE_PERCENT: u64 = 50;
/// Percent of slow calls; 0: not looked at, as nobody but the operator knows what slow is.
pub const SLOW_PERCENT: u64 = 0;
/// Percent; 0: not looked at.
pub const PERCENT_RANGE: RangeInclusive<u64> = 0..=100;
/// Milliseconds from which a call is slow: below the shipped route's time-out of 10 s, above most authorisations.
pub const SLOW_CALL_MS: u64 = 5_000;
/// Milliseconds.
pub const SLOW_CALL_MS_RANGE: RangeInclusive<u64> = 1..=600_000;
/// Issuers that must fail before it is the processor's failure: one may be down, and a second beside it.
pub const ISSUERS: u64 = 3;
/// Issuers.
pub const ISSUERS_RANGE: RangeInclusive<u64> = 1..=crate::breaker::ISSUERS as u64;
/// Probes of one half-open time: each is somebody's payment.
pub const PROBES: u64 = 1;
/// Probes.
pub const PROBES_RANGE: RangeInclusive<u64> = 1..=crate::breaker::PROBES as u64;
/// Milliseconds until a probe that did not come back has failed: three times the shipped route's time-out.
pub const PROBE_TIMEOUT_MS: u64 = 30_000;
/// Milliseconds.
pub const PROBE_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 100..=3_600_000;
/// Milliseconds between heartbeats: HAProxy checks every 2 s; payments' health pages are rate limited.
pub const HEARTBEAT_INTERVAL_MS: u64 = 5_000;
/// Milliseconds.
pub const HEARTBEAT_INTERVAL_MS_RANGE: RangeInclusive<u64> = 100..=600_000;
/// Milliseconds until a heartbeat has failed.
pub const HEARTBEAT_TIMEOUT_MS: u64 = 2_000;
/// Milliseconds.
pub const HEARTBEAT_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 10..=60_000;

/// Milliseconds a look-up waits for the cache-service: longer than a loopback answer under load, shorter than any
/// processor.
pub const LOOKUP_TIMEOUT_MS: u64 = 100;
/// Milliseconds a pin, claim or invalidation waits: the store syncs a disk or asks Redis.
pub const RECORD_TIMEOUT_MS: u64 = 500;
/// Milliseconds: a longer wait holds a client for nothing.
pub const CACHE_TIMEOUT_MS_RANGE: RangeInclusive<u64> = 1..=10_000;

/// A processor's share.
pub const WEIGHT: u64 = 1;
/// Shares beyond a thousand to one are a rule, not a weight.
pub const WEIGHT_RANGE: RangeInclusive<u64> = 1..=1_000;

/// Levels of priority: Envoy's priorities rarely go beyond 2; sixteen leave room between them.
pub const PRIORITY_RANGE: RangeInclusive<u64> = 0..=15;
/// Basis points of the amount.
pub const RATE_BP_RANGE: RangeInclusive<u64> = 0..=10_000;
/// Minor units per payment.
pub const FIXED_FEE_RANGE: RangeInclusive<u64> = 0..=1_000_000;
/// Bytes of what a hash table places a processor by: `host:port` of a long host name fits.
pub const HASH_KEY_LEN_MAX: usize = 256;
/// Milliseconds a processor's share grows after its breaker was open; 0: it has all of it at once.
pub const SLOW_START_MS: u64 = 0;
/// Milliseconds.
pub const SLOW_START_MS_RANGE: RangeInclusive<u64> = 0..=3_600_000;
/// Percent of a pool's weight; 0: it never panics. Envoy's 50 would send to processors whose breaker is open while half
/// of them could take everything.
pub const PANIC_PERCENT: u64 = 0;
/// Percent.
pub const PANIC_PERCENT_RANGE: RangeInclusive<u64> = 0..=100;
/// Entries of a Maglev table: Envoy's default.
pub const TABLE_SIZE: u64 = 65_537;
/// Entries: the smallest prime that spreads two processors, and Envoy's largest.
pub const TABLE_SIZE_RANGE: RangeInclusive<u64> = 2..=5_000_011;
/// Entries of all tables and points of all rings together, per worker: 64 tables of the default size, or 26 rings of
/// weight 1,000; at most 32 MiB.
pub const TABLES_MAX: u64 = 4_194_368;
/// Percent of its share that a processor may have in flight: below 100 somebody would always be passed over.
pub const BOUNDED_LOAD_PERCENT_RANGE: RangeInclusive<u64> = 100..=1_000;
/// Percent of the payments that may go to another processor than the best known.
pub const EXPLORE_PERCENT: u64 = 5;
/// Percent: beyond a half the best known would no longer be the usual one.
pub const EXPLORE_PERCENT_RANGE: RangeInclusive<u64> = 0..=50;
/// Basis points that an approval rate may be below the best one: half a percent of the sales is more than most fees
/// differ by.
pub const MARGIN_BP: u64 = 50;
/// Basis points.
pub const MARGIN_BP_RANGE: RangeInclusive<u64> = 0..=10_000;
/// Decided payments of a scheme before an approval rate is believed, in one worker: with 50 its standard error is about
/// 4 percent, and what is remembered of the others narrows it.
pub const MIN_VOLUME: u64 = 50;
/// Decided payments.
pub const MIN_VOLUME_RANGE: RangeInclusive<u64> = 1..=100_000;

/// Entries of the worker's own look-up cache.
pub const LOCAL_ENTRIES: u64 = 10_000;
/// Entries.
pub const LOCAL_ENTRIES_RANGE: RangeInclusive<u64> = 1..=1_000_000;
/// Bytes of the worker's own look-up cache. A VM never gives memory back, so this is paid per worker for good.
pub const LOCAL_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes.
pub const LOCAL_BYTES_RANGE: RangeInclusive<u64> = 1..=256 * 1024 * 1024;
/// Milliseconds a worker remembers a pin for look-ups; follow-ups always ask the store.
pub const PIN_TTL_MS: u64 = 10_000;
/// Milliseconds.
pub const PIN_TTL_MS_RANGE: RangeInclusive<u64> = 0..=600_000;

/// Milliseconds a look-up may be served from the cache.
pub const LOOKUP_TTL_MS_RANGE: RangeInclusive<u64> = 1..=7 * 86_400_000;
/// Milliseconds a worker serves a tenant's look-up from its own memory: no other worker can tell it of a change, so a
/// second is the longest a status may lag.
pub const LOCAL_TTL_MS_TENANT: u64 = 1_000;
/// Milliseconds a worker serves a public look-up from its own memory.
pub const LOCAL_TTL_MS_PUBLIC: u64 = 60_000;

/// Configuration bytes; 10,000 rules are about 2 MiB.
pub const CONFIG_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Rules.
pub const RULES_MAX: usize = 10_000;
/// How deep `all`, `any` and `not` nest: a rule that somebody can read.
pub const RULE_DEPTH_MAX: usize = 8;
/// Different headers that rules read, query parameters, and body pointers, of each so many: every charge pays for each.
pub const RULE_NAMES_MAX: usize = 64;
/// Bytes of a value that a rule compares.
pub const RULE_VALUE_LEN_MAX: usize = 1_024;
/// Named lists of values.
pub const LISTS_MAX: usize = 1_000;
/// Parts of a split.
pub const SPLIT_PARTS_RANGE: RangeInclusive<usize> = 1..=16;
/// The share of a part, of the sum of all.
pub const SHARE_RANGE: RangeInclusive<u64> = 0..=10_000;
/// Warnings that are told one by one.
pub const WARNINGS_MAX: usize = 100;
/// Operations.
pub const OPERATIONS_MAX: usize = 64;
/// Profiles.
pub const PROFILES_MAX: usize = 64;
/// Rules of one profile about what answers mean: they are tried in turn for each answer.
pub const OUTCOME_RULES_MAX: usize = 128;
/// Bytes of a name: of a processor, operation, profile or rule.
pub const NAME_LEN_MAX: usize = 64;
