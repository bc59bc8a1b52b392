//! Header maps and buffers, and what a callback returns.

use super::{Came, Here, encoded, fields, hex, named, number, size, word};
use crate::{host, text};

const MAPS: [&str; 8] = ["req", "reqtr", "resp", "resptr", "grpcinit", "grpctr", "call", "calltr"];
pub(super) const BUFFERS: [&str; 9] = ["req", "resp", "down", "up", "call", "grpc", "vm", "plugin", "foreign"];

/// `continue|pause|true|false|return N`: what the callback returns.
/// `get|add|set|del MAP KEY [VALUE]`, `size MAP`, `pairs MAP`, `setpairs MAP K=V..`, `setrawpairs MAP HEX`.
/// `buf BUFFER START MAX`, `bufstatus BUFFER`, `setbuf BUFFER START SIZE VALUE`.
pub(super) fn run(_: &Here<'_>, verb: &str, arguments: &[&str]) -> Came {
    let map = named(&MAPS, word(arguments, 0));
    let kind = named(&BUFFERS, word(arguments, 0));
    let key = text::bytes(word(arguments, 1));
    let value = text::bytes(word(arguments, 2));
    match verb {
        "continue" | "false" => Came::Return(0),
        "pause" | "true" => Came::Return(1),
        "return" => Came::Return(number(arguments, 0)),
        "get" => {
            let (status, value) = host::header(map, &key);
            Came::value(status, text::shown(&value), value.is_empty())
        }
        "add" => Came::status(host::add(map, &key, &value)),
        "set" => Came::status(host::replace(map, &key, &value)),
        "del" => Came::status(host::remove(map, &key)),
        "size" => {
            let (status, size) = host::map_size(map);
            Came::Of(format!("{status} {size}"))
        }
        "pairs" => {
            let (status, bytes) = host::pairs(map);
            Came::value(status, listed(&bytes), bytes.is_empty())
        }
        "setpairs" => Came::status(host::set_pairs(map, &encoded(&fields(arguments)))),
        "setrawpairs" => Came::status(host::set_pairs(map, &hex(word(arguments, 1)))),
        "buf" => {
            let (status, bytes) = host::buffer(kind, size(arguments, 1), size(arguments, 2));
            Came::value(status, text::shown(&bytes), bytes.is_empty())
        }
        "bufstatus" => {
            let (status, (len, flags)) = host::buffer_status(kind);
            Came::Of(format!("{status} len={len} flags={flags}"))
        }
        "setbuf" => {
            let value = text::bytes(word(arguments, 3));
            Came::status(host::set_buffer(kind, size(arguments, 1), size(arguments, 2), &value))
        }
        _ => Came::Unknown,
    }
}

/// A whole map on one line, in its order; and its raw size if it is empty, of which there are two kinds.
fn listed(bytes: &[u8]) -> String {
    let Some(pairs) = text::from_pairs(bytes) else { return "MALFORMED".to_owned() };
    if pairs.is_empty() {
        return format!("empty in {} bytes", bytes.len());
    }
    let lines = pairs.iter().map(|(key, value)| format!("{}={}", text::escaped(key), text::shown(value)));
    format!("n={} {}", pairs.len(), lines.collect::<Vec<_>>().join("; "))
}
