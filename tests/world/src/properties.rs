//! The properties of a stream, as Envoy's attributes spell them.

use std::time::Duration;

use proxy_wasm_host::HeaderMap;

use crate::failure::Flag;
use crate::lent::{Lent, Map};

/// What is known of a stream beside its messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Info {
    pub(crate) route: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) virtual_host: Option<String>,
    pub(crate) upstream: Option<String>,
    pub(crate) attempts: u64,
    pub(crate) transport_failure: Option<String>,
    pub(crate) status: Option<u32>,
    pub(crate) flags: Vec<Flag>,
    pub(crate) details: Option<Vec<u8>>,
    pub(crate) began: Duration,
    pub(crate) now: Duration,
    pub(crate) connection: u64,
    pub(crate) request_bytes: usize,
    pub(crate) response_bytes: usize,
    /// The upstream's answer came to its end.
    pub(crate) answered: bool,
}

/// The value of a property; none where there is none at this moment.
pub(crate) fn read(lent: &Lent, path: &[&[u8]], logging: bool) -> Option<Vec<u8>> {
    let info = &lent.info;
    let number = |n: u64| Some(n.to_le_bytes().to_vec());
    let size = |n: usize| number(u64::try_from(n).unwrap_or(u64::MAX));
    let text = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    // The request's headers are out of reach once they went on, until the stream's end.
    let request = (lent.request.headers_lent || logging).then_some(&lent.request.headers);
    let response = (lent.response.headers_lent || logging).then_some(&lent.response.headers);
    let header = |map: Option<&Map>, name: &[u8]| map?.get(name).map(std::borrow::Cow::into_owned);
    let parts: Vec<&str> = path.iter().map(|part| std::str::from_utf8(part).unwrap_or_default()).collect();
    match parts.as_slice() {
        ["request", "method"] => header(request, b":method"),
        ["request", "path"] => header(request, b":path"),
        ["request", "host"] => header(request, b":authority"),
        ["request", "scheme"] => header(request, b":scheme"),
        ["request", "url_path"] => {
            header(request, b":path").map(|path| path.split(|b| *b == b'?').next().unwrap_or_default().to_vec())
        }
        ["request", "id"] => header(request, b"x-request-id"),
        ["request", "query"] => {
            header(request, b":path").map(|path| path.splitn(2, |b| *b == b'?').nth(1).unwrap_or_default().to_vec())
        }
        ["request", "headers", name] => header(request, name.as_bytes()),
        ["request", "protocol"] => Some(b"HTTP/1.1".to_vec()),
        ["request", "size"] => size(info.request_bytes),
        ["request", "duration"] if logging => {
            number(u64::try_from(info.now.saturating_sub(info.began).as_nanos()).unwrap_or(u64::MAX))
        }
        ["response", "code"] => info.status.and_then(|status| number(u64::from(status))),
        ["response", "code_details"] => info.details.clone(),
        ["response", "flags"] => number(info.flags.iter().fold(0, |bits, Flag(_, bit)| bits | bit)),
        ["response", "headers", name] => header(response, name.as_bytes()),
        ["response", "size"] => size(info.response_bytes),
        ["response", "backend_latency"] if logging && info.answered => number(0),
        ["source" | "destination", "address"] => Some(b"127.0.0.1:1".to_vec()),
        ["source" | "destination", "port"] => number(1),
        ["connection", "mtls"] => Some(vec![0]),
        ["connection", "requested_server_name"] => Some(Vec::new()),
        ["xds", "listener_direction"] => number(0),
        ["connection", "id"] => number(info.connection),
        ["upstream", "address"] => text(&info.upstream),
        ["upstream", "request_attempt_count"] => number(info.attempts),
        ["upstream", "transport_failure_reason"] => text(&info.transport_failure),
        ["xds", "cluster_name"] => text(&info.cluster),
        ["xds", "virtual_host_name"] => text(&info.virtual_host),
        ["xds", "route_name"] => text(&info.route),
        _ => None,
    }
}
