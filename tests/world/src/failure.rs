//! What the proxy says itself: local replies by kind of failure, with their flags and details, and what the mappers make
//! of them.

use crate::http::{Headers, lines};
use crate::proxy::{Mapper, When};

/// A response flag: Envoy's abbreviation and its bit in the property `response.flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) &'static str, pub(crate) u64);

pub(crate) const NO_HEALTHY_UPSTREAM: Flag = Flag("UH", 1 << 1);
pub(crate) const UPSTREAM_TIMEOUT: Flag = Flag("UT", 1 << 2);
pub(crate) const UPSTREAM_CONNECTION_FAILURE: Flag = Flag("UF", 1 << 5);
pub(crate) const UPSTREAM_CONNECTION_END: Flag = Flag("UC", 1 << 6);
pub(crate) const UPSTREAM_OVERFLOW: Flag = Flag("UO", 1 << 7);
pub(crate) const NO_ROUTE: Flag = Flag("NR", 1 << 8);
pub(crate) const DOWNSTREAM_END: Flag = Flag("DC", 1 << 14);
pub(crate) const STREAM_IDLE: Flag = Flag("SI", 1 << 16);
pub(crate) const UPSTREAM_PROTOCOL_ERROR: Flag = Flag("UPE", 1 << 23);
pub(crate) const NO_CLUSTER: Flag = Flag("NC", 1 << 24);

/// A reply of the proxy's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalReply {
    pub(crate) status: u32,
    pub(crate) flag: Option<Flag>,
    pub(crate) details: Vec<u8>,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl LocalReply {
    fn of(status: u32, flag: Flag, details: &str, body: &str) -> Self {
        Self {
            status,
            flag: Some(flag),
            details: details.as_bytes().to_vec(),
            headers: Headers::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn unflagged(status: u32, details: &str, body: &str) -> Self {
        Self { flag: None, ..Self::of(status, NO_ROUTE, details, body) }
    }

    pub(crate) fn no_route() -> Self {
        Self::of(404, NO_ROUTE, "route_not_found", "")
    }

    pub(crate) fn no_cluster() -> Self {
        Self::of(503, NO_CLUSTER, "cluster_not_found", "")
    }

    pub(crate) fn no_host() -> Self {
        Self::of(503, NO_HEALTHY_UPSTREAM, "no_healthy_upstream", "no healthy upstream")
    }

    pub(crate) fn overflow() -> Self {
        let mut reply = Self::reset(UPSTREAM_OVERFLOW, "overflow", "overflow");
        reply.headers = lines([("x-envoy-overloaded", "true")]);
        reply
    }

    pub(crate) fn refused() -> Self {
        let details = "remote_connection_failure|delayed_connect_error:_Connection_refused";
        Self::reset(UPSTREAM_CONNECTION_FAILURE, details, "remote connection failure")
    }

    pub(crate) fn connect_timeout() -> Self {
        Self::reset(UPSTREAM_CONNECTION_FAILURE, "connection_timeout", "connection timeout")
    }

    pub(crate) fn reset_before_answer() -> Self {
        Self::reset(UPSTREAM_CONNECTION_END, "connection_termination", "connection termination")
    }

    /// The answer had begun, and broke off.
    pub(crate) fn broken_answer() -> Self {
        let reply = Self::reset(UPSTREAM_PROTOCOL_ERROR, "", "protocol error");
        Self { status: 502, details: b"upstream_reset_after_response_started{protocol_error}".to_vec(), ..reply }
    }

    fn reset(flag: Flag, reason: &str, words: &str) -> Self {
        Self::of(
            503,
            flag,
            &format!("upstream_reset_before_response_started{{{reason}}}"),
            &format!("upstream connect error or disconnect/reset before headers. reset reason: {words}"),
        )
    }

    pub(crate) fn route_timeout() -> Self {
        Self::of(504, UPSTREAM_TIMEOUT, "response_timeout", "upstream request timeout")
    }

    /// Nothing moved for too long: whose fault it is shows in whether the request was whole.
    pub(crate) fn idle(request_is_whole: bool) -> Self {
        let status = if request_is_whole { 504 } else { 408 };
        Self::of(status, STREAM_IDLE, "stream_idle_timeout", "stream timeout")
    }

    pub(crate) fn request_timeout() -> Self {
        Self::unflagged(408, "request_overall_timeout", "request timeout")
    }

    pub(crate) fn request_too_large() -> Self {
        Self::unflagged(413, "request_payload_too_large", "Payload Too Large")
    }

    pub(crate) fn response_too_large() -> Self {
        Self::unflagged(500, "response_payload_too_large", "Internal Server Error")
    }

    /// The filter took the status out of an answer.
    pub(crate) fn no_status() -> Self {
        let why = "missing required header: :status";
        let details = format!("filter_removed_required_response_headers{{{}}}", why.replace(' ', "_"));
        Self::unflagged(502, &details, why)
    }

    /// The filter trapped, or its VM had.
    pub(crate) fn trap() -> Self {
        Self::unflagged(503, "wasm_fail_stream", "")
    }

    /// The reply as the first mapper that matches would have it: its head, and its body.
    pub(crate) fn mapped(mut self, mappers: &[Mapper]) -> (Headers, Vec<u8>) {
        let mut content_type = None;
        if let Some(mapper) = mappers.iter().find(|mapper| self.meets(&mapper.when)) {
            if let Some(status) = mapper.status {
                self.status = u32::from(status);
            }
            if let Some(body) = &mapper.body {
                self.body = json(&body.fields, self.status);
                content_type = Some(body.content_type.as_str());
            }
        }
        let (status, length) = (self.status.to_string(), self.body.len().to_string());
        let mut head = lines([(":status", status.as_str())]);
        let formatted = content_type.is_some();
        head.extend(self.headers.into_iter().filter(|(name, _)| !formatted || name != b"content-type"));
        if !self.body.is_empty() {
            head.retain(|(name, _)| name != b"content-length");
            head.extend(lines([("content-length", length.as_str())]));
            if !head.iter().any(|(name, _)| name == b"content-type") {
                head.extend(lines([("content-type", content_type.unwrap_or("text/plain"))]));
            }
        }
        (head, self.body)
    }

    fn meets(&self, when: &When) -> bool {
        match when {
            When::Status(status) => self.status == u32::from(*status),
            When::Flags(flags) => self.flag.is_some_and(|Flag(name, _)| flags.iter().any(|flag| flag == name)),
            When::Details(details) => self.details == details.as_bytes(),
            When::Any(any) => any.iter().any(|when| self.meets(when)),
        }
    }
}

/// A JSON object of these fields, in the order of their names as Envoy writes it, and the line's end after it.
fn json(fields: &[(String, String)], status: u32) -> Vec<u8> {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort();
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let one = |(name, value): &&(String, String)| match value.as_str() {
        "%RESPONSE_CODE%" => format!("\"{}\":{status}", escaped(name)),
        value => format!("\"{}\":\"{}\"", escaped(name), escaped(value)),
    };
    format!("{{{}}}\n", sorted.iter().map(one).collect::<Vec<_>>().join(",")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::lines;
    use crate::proxy::Body;

    fn mapper(when: When, status: Option<u16>, title: &str) -> Mapper {
        let fields = vec![("title".to_owned(), title.to_owned()), ("status".to_owned(), "%RESPONSE_CODE%".to_owned())];
        Mapper { when, status, body: Some(Body { content_type: "application/problem+json".to_owned(), fields }) }
    }

    #[test]
    fn the_first_mapper_that_matches_has_its_way() {
        let flags = When::Flags(vec!["UT".to_owned(), "UF".to_owned()]);
        let mappers = [
            mapper(When::Details("wasm_fail_stream".to_owned()), Some(504), "lost"),
            mapper(When::Any(vec![When::Status(404), flags]), None, "say \"no\""),
            mapper(When::Status(503), None, "never"),
        ];
        let said = |reply: LocalReply| {
            let (head, body) = reply.mapped(&mappers);
            (head, String::from_utf8(body).unwrap())
        };
        let problem = |status: &str, length: &str| {
            lines([(":status", status), ("content-length", length), ("content-type", "application/problem+json")])
        };
        assert_eq!(
            said(LocalReply::trap()),
            (problem("504", "30"), "{\"status\":504,\"title\":\"lost\"}\n".to_owned())
        );
        let refused = said(LocalReply::refused());
        assert_eq!(refused.1, "{\"status\":503,\"title\":\"say \\\"no\\\"\"}\n");
        assert_eq!(said(LocalReply::no_route()).1, "{\"status\":404,\"title\":\"say \\\"no\\\"\"}\n");
        // A flag that no mapper asks for, and a body as it was.
        let too_large = said(LocalReply::request_too_large());
        assert_eq!(too_large.1, "Payload Too Large");
        let plain = [(":status", "413"), ("content-length", "17"), ("content-type", "text/plain")];
        assert_eq!(too_large.0, lines(plain));
    }
}
