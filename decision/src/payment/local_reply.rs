//! Why the proxy answered instead of a processor, and what that proves.
//!
//! From three properties of Envoy: `response.code_details`, `response.flags` and `upstream.request_attempt_count`.
//! Details and flags speak of the last attempt alone, so a proof needs the count as well: without retries a request is
//! attempted once. Details are not a stable interface of Envoy; where they say nothing known, the flags decide, and what
//! neither knows proves nothing.

use super::{Evidence, Outcome};

/// Why the proxy answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// No connection could be made: refused, unreachable, not resolved.
    Connect,
    /// No connection was made in time.
    ConnectTimedOut,
    /// The connection's TLS handshake failed.
    Tls,
    /// The cluster has no endpoint to send to.
    NoEndpoint,
    /// The proxy's own limit on connections or requests.
    Overflow,
    /// No route for the request.
    NoRoute,
    /// No cluster of the route's name.
    NoCluster,
    /// The processor's edge refused the stream unread (HTTP/2 `REFUSED_STREAM`, RFC 9113, 8.7).
    RefusedStream,
    /// The connection ended before the answer began. Whether the request had been read is not known.
    Reset,
    /// The answer broke off.
    Broken,
    /// What came was no HTTP.
    Protocol,
    /// The route's time-out, or another one of the whole request, ended.
    TimedOut,
    /// The time-out of one try ended.
    TryTimedOut,
    /// The answer outgrew the proxy's buffer while it was held.
    AnswerTooLarge,
    /// Another filter, or the proxy itself, for a reason that is not the processor's.
    Other,
}

impl Why {
    /// Every reason, for tables.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::ConnectTimedOut,
        Self::Tls,
        Self::NoEndpoint,
        Self::Overflow,
        Self::NoRoute,
        Self::NoCluster,
        Self::RefusedStream,
        Self::Reset,
        Self::Broken,
        Self::Protocol,
        Self::TimedOut,
        Self::TryTimedOut,
        Self::AnswerTooLarge,
        Self::Other,
    ];
}

/// A reply of the proxy's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyReply {
    /// Why it was made.
    pub why: Why,
    /// How often the request was attempted; none where the host does not say.
    pub attempts: Option<u64>,
}

/// The bits of `response.flags` that are read here; the names are Envoy's.
mod flag {
    pub(super) const UH: u64 = 1 << 1;
    pub(super) const UT: u64 = 1 << 2;
    pub(super) const LR: u64 = 1 << 3;
    pub(super) const UR: u64 = 1 << 4;
    pub(super) const UF: u64 = 1 << 5;
    pub(super) const UC: u64 = 1 << 6;
    pub(super) const UO: u64 = 1 << 7;
    pub(super) const NR: u64 = 1 << 8;
    pub(super) const SI: u64 = 1 << 16;
    pub(super) const UMSDR: u64 = 1 << 19;
    pub(super) const DT: u64 = 1 << 22;
    pub(super) const UPE: u64 = 1 << 23;
    pub(super) const NC: u64 = 1 << 24;
    pub(super) const DF: u64 = 1 << 26;
    /// Something happened to a request that was under way: no proof can stand beside it.
    pub(super) const UNDER_WAY: u64 = UT | LR | UR | UC | SI | UMSDR | DT | UPE;
}

const BEFORE: &[u8] = b"upstream_reset_before_response_started";
const AFTER: &[u8] = b"upstream_reset_after_response_started";

impl ProxyReply {
    /// From what the host says: `response.code_details`, `response.flags` (0 where it has none) and
    /// `upstream.request_attempt_count`.
    pub fn of(details: &[u8], flags: u64, attempts: Option<u64>) -> Self {
        let has = |bits: u64| flags & bits != 0;
        let why = match details {
            b"upstream_per_try_timeout" | b"upstream_per_try_idle_timeout" => Why::TryTimedOut,
            b"response_timeout"
            | b"stream_idle_timeout"
            | b"duration_timeout"
            | b"max_duration_timeout"
            | b"upstream_max_stream_duration_reached" => Why::TimedOut,
            b"no_healthy_upstream" => Why::NoEndpoint,
            b"route_not_found" => Why::NoRoute,
            b"cluster_not_found" => Why::NoCluster,
            b"response_payload_too_large" => Why::AnswerTooLarge,
            reset if reset.starts_with(AFTER) => Why::Broken,
            reset if reset.starts_with(BEFORE) => before_answer(reset.get(BEFORE.len()..).unwrap_or_default()),
            _ if has(flag::UT | flag::SI | flag::UMSDR | flag::DT) => Why::TimedOut,
            _ if has(flag::UPE) => Why::Protocol,
            _ if has(flag::UC | flag::UR | flag::LR) => Why::Reset,
            _ if has(flag::UF | flag::DF) => Why::Connect,
            _ if has(flag::UO) => Why::Overflow,
            _ if has(flag::UH) => Why::NoEndpoint,
            _ if has(flag::NC) => Why::NoCluster,
            _ if has(flag::NR) => Why::NoRoute,
            _ => Why::Other,
        };
        // Two witnesses that disagree prove nothing.
        let expected = match why {
            Why::RefusedStream => flag::UR | flag::LR,
            _ => 0,
        };
        let why = match why {
            Why::Connect
            | Why::ConnectTimedOut
            | Why::Tls
            | Why::NoEndpoint
            | Why::Overflow
            | Why::NoRoute
            | Why::NoCluster
            | Why::RefusedStream
                if has(flag::UNDER_WAY & !expected) =>
            {
                Why::Reset
            }
            other => other,
        };
        Self { why, attempts }
    }

    /// What it means.
    pub fn outcome(self) -> Outcome {
        match self.why {
            Why::Connect
            | Why::ConnectTimedOut
            | Why::Tls
            | Why::NoEndpoint
            | Why::RefusedStream
            | Why::Reset
            | Why::Broken
            | Why::Protocol => Outcome::Failed,
            Why::TimedOut | Why::TryTimedOut => Outcome::TimedOut,
            Why::AnswerTooLarge => Outcome::Unread,
            Why::Overflow | Why::NoRoute | Why::NoCluster => Outcome::Unsent,
            // Not the processor's fault either way.
            Why::Other if self.evidence() == Evidence::NotSent => Outcome::Unsent,
            Why::Other => Outcome::Unread,
        }
    }

    /// What it proves.
    pub fn evidence(self) -> Evidence {
        let sent_by_others = match self.why {
            // Decided before any attempt.
            Why::NoRoute | Why::NoCluster => false,
            // The attempt that failed sent nothing: it must be the only one.
            Why::Connect | Why::ConnectTimedOut | Why::Tls | Why::NoEndpoint | Why::Overflow | Why::RefusedStream => {
                self.attempts.is_none_or(|n| n > 1)
            }
            Why::Other => self.attempts != Some(0),
            Why::Reset | Why::Broken | Why::Protocol | Why::TimedOut | Why::TryTimedOut | Why::AnswerTooLarge => true,
        };
        if sent_by_others { Evidence::Unknown } else { Evidence::NotSent }
    }
}

/// What stands in braces after a reset before the answer: Envoy's reason, and after a bar what the transport said.
fn before_answer(braced: &[u8]) -> Why {
    let inner = braced.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or(braced);
    let mut parts = inner.splitn(2, |b| *b == b'|');
    let (reason, transport) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match reason {
        // A handshake that fails after the request went out shows as a termination, not as one of these.
        b"local_connection_failure" | b"remote_connection_failure" | b"connection_failure" => {
            if transport.windows(9).any(|w| w == b"TLS_error") { Why::Tls } else { Why::Connect }
        }
        b"connection_timeout" => Why::ConnectTimedOut,
        b"overflow" => Why::Overflow,
        b"remote_refused_stream_reset" => Why::RefusedStream,
        b"protocol_error" => Why::Protocol,
        _ => Why::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESET: &str = "upstream_reset_before_response_started";

    #[test]
    fn what_the_host_says_and_what_it_proves() {
        use Evidence::*;
        use Outcome::{Failed, TimedOut, Unread, Unsent};
        let refused = format!("{RESET}{{remote_connection_failure|delayed_connect_error:_Connection_refused}}");
        let tls =
            format!("{RESET}{{remote_connection_failure|TLS_error:|268435703:SSL_routines:WRONG_VERSION_NUMBER}}");
        let (slow, overflow) = (format!("{RESET}{{connection_timeout}}"), format!("{RESET}{{overflow}}"));
        let ended = format!("{RESET}{{connection_termination}}");
        let remote = format!("{RESET}{{remote_reset}}");
        let refused_stream = format!("{RESET}{{remote_refused_stream_reset}}");
        let protocol = format!("{RESET}{{protocol_error}}");
        let late_tls = format!("{RESET}{{connection_termination|TLS_error:|alert_certificate_required}}");
        let broken = "upstream_reset_after_response_started{protocol_error}";
        for (details, flags, attempts, why, outcome, evidence) in [
            (&*refused, 32, Some(1), Why::Connect, Failed, NotSent),
            // The first of two attempts may have been sent.
            (&*refused, 32 | 32_768, Some(2), Why::Connect, Failed, Unknown),
            (&*refused, 32, None, Why::Connect, Failed, Unknown),
            // Flags that contradict the details.
            (&*refused, 64, Some(1), Why::Reset, Failed, Unknown),
            (&*tls, 32, Some(1), Why::Tls, Failed, NotSent),
            (&*late_tls, 64, Some(1), Why::Reset, Failed, Unknown),
            (&*slow, 32, Some(1), Why::ConnectTimedOut, Failed, NotSent),
            (&*overflow, 128, Some(1), Why::Overflow, Unsent, NotSent),
            (&*overflow, 128, Some(2), Why::Overflow, Unsent, Unknown),
            (&*ended, 64, Some(1), Why::Reset, Failed, Unknown),
            (&*remote, 16, Some(1), Why::Reset, Failed, Unknown),
            (&*refused_stream, 16, Some(1), Why::RefusedStream, Failed, NotSent),
            (&*refused_stream, 16 | 64, Some(1), Why::Reset, Failed, Unknown),
            (&*protocol, 1 << 23, Some(1), Why::Protocol, Failed, Unknown),
            (broken, 1 << 23, Some(1), Why::Broken, Failed, Unknown),
            ("no_healthy_upstream", 2, Some(0), Why::NoEndpoint, Failed, NotSent),
            ("no_healthy_upstream", 2, Some(1), Why::NoEndpoint, Failed, NotSent),
            ("no_healthy_upstream", 2, Some(2), Why::NoEndpoint, Failed, Unknown),
            ("response_timeout", 4, Some(1), Why::TimedOut, TimedOut, Unknown),
            ("response_timeout", 4, Some(0), Why::TimedOut, TimedOut, Unknown),
            ("upstream_per_try_timeout", 4 | 32_768, Some(1), Why::TryTimedOut, TimedOut, Unknown),
            ("stream_idle_timeout", 1 << 16, Some(1), Why::TimedOut, TimedOut, Unknown),
            ("upstream_max_stream_duration_reached", 1 << 19, Some(1), Why::TimedOut, TimedOut, Unknown),
            ("route_not_found", 256, Some(0), Why::NoRoute, Unsent, NotSent),
            ("cluster_not_found", 1 << 24, Some(0), Why::NoCluster, Unsent, NotSent),
            ("request_payload_too_large", 0, Some(0), Why::Other, Unsent, NotSent),
            ("rbac_access_denied_matched_policy[none]", 1 << 12, Some(0), Why::Other, Unsent, NotSent),
            ("wasm_fail_stream", 0, Some(1), Why::Other, Unread, Unknown),
            ("response_payload_too_large", 0, Some(1), Why::AnswerTooLarge, Unread, Unknown),
            // Details that this version does not know.
            ("something_new", 32, Some(1), Why::Connect, Failed, NotSent),
            ("something_new", 32 | 64, Some(1), Why::Reset, Failed, Unknown),
            ("something_new", 64, Some(1), Why::Reset, Failed, Unknown),
            ("something_new", 4, Some(1), Why::TimedOut, TimedOut, Unknown),
            ("something_new", 128, Some(1), Why::Overflow, Unsent, NotSent),
            ("something_new", 0, Some(1), Why::Other, Unread, Unknown),
            ("something_new", 0, None, Why::Other, Unread, Unknown),
            (RESET, 0, Some(1), Why::Reset, Failed, Unknown),
            ("upstream_reset_before_response_started{new}", 32, Some(1), Why::Reset, Failed, Unknown),
            ("\u{fffd}", u64::MAX, Some(u64::MAX), Why::TimedOut, TimedOut, Unknown),
        ] {
            let reply = ProxyReply::of(details.as_bytes(), flags, attempts);
            assert_eq!(reply, ProxyReply { why, attempts }, "{details} {flags}");
            assert_eq!((reply.outcome(), reply.evidence()), (outcome, evidence), "{details} {flags} {attempts:?}");
        }
    }

    proptest::proptest! {
        /// Whatever a host says: a proof stands beside no flag of a request that was under way, and not after a second
        /// attempt unless there never was a first.
        #[test]
        fn a_proof_needs_every_witness(
            known in 0_usize..8,
            any in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            flags: u64,
            sparse in 0_u32..40,
            attempts in proptest::option::of(0_u64..4),
        ) {
            let details: [&[u8]; 8] = [
                &any,
                b"upstream_reset_before_response_started{remote_connection_failure|TLS_error:x}",
                b"upstream_reset_before_response_started{overflow}",
                b"no_healthy_upstream",
                b"route_not_found",
                b"cluster_not_found",
                b"response_timeout",
                b"upstream_reset_after_response_started{x}",
            ];
            for flags in [flags, 1 << sparse] {
                let reply = ProxyReply::of(details[known], flags, attempts);
                if reply.evidence() == Evidence::NotSent {
                    proptest::prop_assert_eq!(flags & flag::UNDER_WAY, 0);
                    let never_tried = matches!(reply.why, Why::NoRoute | Why::NoCluster);
                    proptest::prop_assert!(never_tried || attempts.is_some_and(|n| n <= 1));
                }
            }
        }
    }

    #[test]
    fn more_than_one_attempt_never_proves_what_one_does_not() {
        for why in Why::ALL {
            let with = |attempts| ProxyReply { why, attempts }.evidence();
            assert!(with(Some(2)) == with(Some(1)) || with(Some(2)) == Evidence::Unknown, "{why:?}");
            assert_eq!(with(None), with(Some(2)), "{why:?}");
        }
    }
}
