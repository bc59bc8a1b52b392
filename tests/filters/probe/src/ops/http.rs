//! The stream as a whole: resume, close, answer, call out, and what the host knows of it.

use super::{Came, Here, encoded, fields, hex, named, number, word};
use crate::{host, state, text};

const STREAMS: [&str; 4] = ["req", "resp", "down", "up"];
/// No gRPC status: this is plain HTTP.
const NO_GRPC: i32 = -1;
/// What `props` reads: all that Envoy documents and HTTP can have, and what other hosts or older versions had.
const PROPERTIES: &str = "request/path request/url_path request/host request/scheme request/method request/headers/x-case \
    request/headers request/referer request/useragent request/time request/id request/protocol request/query \
    request/duration request/size request/total_size response/code response/code_details response/flags \
    response/grpc_status response/headers/x-up response/headers response/trailers response/size response/total_size \
    response/backend_latency source/address source/port destination/address destination/port connection/id \
    connection/mtls connection/requested_server_name connection/tls_version connection/termination_details \
    connection/transport_failure_reason upstream/address upstream/port upstream/local_address \
    upstream/transport_failure_reason upstream/request_attempt_count upstream/cx_pool_ready_duration upstream/tls_version \
    xds/cluster_name xds/cluster_metadata xds/route_name xds/route_metadata xds/virtual_host_name \
    xds/virtual_host_metadata xds/upstream_host_metadata xds/upstream_host_locality_metadata xds/listener_direction \
    xds/listener_metadata xds/filter_chain_name xds/node plugin_name plugin_root_id plugin_vm_id metadata filter_state \
    upstream_filter_state cluster_name cluster_metadata route_name route_metadata upstream_host_metadata listener_direction \
    listener_metadata node no/such/property";

/// `resume|close STREAM`, `local STATUS DETAILS BODY [K=V..]`, `localraw STATUS HEX`.
/// `call NAME CLUSTER TIMEOUT [K=V.. !K.. body:TEXT trailer:K=V]`, `callraw NAME CLUSTER TIMEOUT HEX`, `status`.
/// `prop PATH`, `props [PREFIX]`, `setprop PATH VALUE`, with `/` between the parts of a path.
pub(super) fn run(here: &Here<'_>, verb: &str, arguments: &[&str]) -> Came {
    match verb {
        "resume" => Came::status(host::resume(named(&STREAMS, word(arguments, 0)))),
        "close" => Came::status(host::close(named(&STREAMS, word(arguments, 0)))),
        "local" => {
            let [status, details, body] = [word(arguments, 0), word(arguments, 1), word(arguments, 2)];
            let details = if details == "-" { Vec::new() } else { text::bytes(details) };
            let pairs = encoded(&fields(arguments.get(3..).unwrap_or_default()));
            let status = status.parse().unwrap_or_default();
            Came::status(host::local_response(status, &details, &text::bytes(body), &pairs, NO_GRPC))
        }
        "localraw" => {
            let pairs = hex(word(arguments, 1));
            Came::status(host::local_response(number(arguments, 0), b"", b"raw", &pairs, NO_GRPC))
        }
        "call" => call(here, arguments),
        "callraw" => {
            let pairs = hex(word(arguments, 3));
            let to = text::bytes(word(arguments, 1));
            asked(here, word(arguments, 0), host::http_call(&to, &pairs, b"", b"", number(arguments, 2)))
        }
        "status" => {
            let (status, (code, text)) = host::status();
            Came::Of(format!("{status} code={code} {}", text::shown(&text)))
        }
        "prop" => property(word(arguments, 0)),
        "props" => {
            for path in PROPERTIES.split_whitespace().filter(|path| path.starts_with(word(arguments, 0))) {
                // What is absent is told by its absence: a list of sixty statuses of 1 hides the rest.
                if let Came::Of(text) = property(path)
                    && text != "1"
                {
                    super::say(here.label, &format!("  prop {path} = {text}"));
                }
            }
            Came::Of("listed".to_owned())
        }
        "setprop" => {
            let value = text::bytes(word(arguments, 1));
            Came::status(host::set_property(&path(word(arguments, 0)), &value))
        }
        _ => Came::Unknown,
    }
}

fn path(text: &str) -> Vec<u8> {
    text::bytes(text).iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect()
}

fn property(text: &str) -> Came {
    let (status, value) = host::property(&path(text));
    Came::value(status, text::property(&value), value.is_empty())
}

/// A whole request is made unless the arguments say otherwise; `x-case` tells the upstream whose it is.
fn call(here: &Here<'_>, arguments: &[&str]) -> Came {
    let [name, to] = [word(arguments, 0), word(arguments, 1)];
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (b":method".to_vec(), b"GET".to_vec()),
        (b":path".to_vec(), format!("/call/{name}").into_bytes()),
        (b":authority".to_vec(), b"call.test".to_vec()),
        (b"x-case".to_vec(), here.label.as_bytes().to_vec()),
    ];
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    for argument in arguments.iter().skip(3) {
        if let Some(text) = argument.strip_prefix("body:") {
            body = text::bytes(text);
        } else if let Some(field) = argument.strip_prefix("trailer:") {
            trailers.extend(fields(&[field]));
        } else if let Some(key) = argument.strip_prefix('!') {
            headers.retain(|(known, _)| known != key.as_bytes());
        } else {
            for (key, value) in fields(&[argument]) {
                headers.retain(|(known, _)| *known != key);
                headers.push((key, value));
            }
        }
    }
    let (pairs, trailers) = (encoded(&headers), if trailers.is_empty() { Vec::new() } else { encoded(&trailers) });
    let timeout = number(arguments, 2);
    asked(here, name, host::http_call(&text::bytes(to), &pairs, &body, &trailers, timeout))
}

/// Remembers a call that the host took. Its token is the host's own affair; that there is one is not.
fn asked(here: &Here<'_>, name: &str, (status, token): (u32, u32)) -> Came {
    if status == 0 {
        state::with(|state| state.called(token, name, here.id));
    }
    Came::Of(format!("{status} token={}", if token == 0 { "none" } else { "some" }))
}
