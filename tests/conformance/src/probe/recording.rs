//! What was seen of a probe: text, in sections, the same wherever it ran.
//!
//! Every rule that makes two recordings comparable stands here, with its reason.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use world::http::Headers;

use super::client::End;

/// Properties of which only it is recorded that they are there: they hold times, ports, numbers of connections, or ids.
const VOLATILE_PROPERTIES: [&str; 12] = [
    "request/time",
    "request/id",
    "request/duration",
    "connection/id",
    "source/port",
    "destination/port",
    "upstream/port",
    "upstream/cx_pool_ready_duration",
    "response/backend_latency",
    // It counts the digits of `x-envoy-upstream-service-time`.
    "response/total_size",
    "node",
    "xds/node",
];
/// Headers whose values are times, ids, or addresses of the machine.
const VOLATILE_HEADERS: [&str; 4] = ["x-request-id", "date", "x-envoy-upstream-service-time", "x-forwarded-for"];
/// What stands for them.
const ANY: &str = "ANY";
/// Bodies of this many bytes are shown, others are counted and digested.
const BODY_SHOWN: usize = 300;

/// Lines by section: `stream LABEL`, `client LABEL`, `upstream CLUSTER`, `root ..`.
pub type Sections = BTreeMap<String, Vec<String>>;

/// Everything that was seen of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// What the VMs wrote before the first case.
    pub start: Sections,
    /// Each case by its name, in order.
    pub cases: Vec<(String, Sections)>,
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |f: &mut fmt::Formatter<'_>, name: &str, sections: &Sections| {
            writeln!(f, "== {name}")?;
            for (section, lines) in sections {
                writeln!(f, "-- {section}")?;
                lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
            }
            writeln!(f)
        };
        one(f, "start", &self.start)?;
        self.cases.iter().try_for_each(|(name, sections)| one(f, name, sections))
    }
}

/// The labels of lines that belong to no stream.
const OF_VM: [&str; 4] = ["vm", "root", "-", "unknown"];

/// Lines of the probe filter by section, given the VM that wrote each, its label and its text.
pub fn sections(lines: Vec<(String, String, String)>, merge: bool) -> Sections {
    let mut sections = Sections::new();
    for (vm, label, text) in lines {
        let (section, text) = match label.as_str() {
            "root" => (format!("root {vm}"), text),
            label if OF_VM.contains(&label) => (format!("root {vm}"), format!("({label}) {text}")),
            label => (format!("stream {label}"), text),
        };
        sections.entry(section).or_default().push(text);
    }
    if merge {
        for lines in sections.values_mut() {
            *lines = merged(std::mem::take(lines));
        }
    }
    grouped(sections)
}

/// Workers have no names, and all start alike: those that wrote the same are one section with their number.
fn grouped(sections: Sections) -> Sections {
    let mut workers = BTreeMap::<(String, Vec<String>), usize>::new();
    let mut out = Sections::new();
    for (section, lines) in sections {
        match section.strip_prefix("root worker ").and_then(|rest| rest.split_once(' ')) {
            Some((_, nth)) => *workers.entry((nth.to_owned(), lines)).or_default() += 1,
            None => drop(out.insert(section, lines)),
        }
    }
    for (index, ((nth, lines), count)) in workers.into_iter().enumerate() {
        out.insert(format!("root workers {nth} x{count} ({index})"), lines);
    }
    out
}

/// A line of the probe filter, taken apart: the label and the text; none for other lines.
pub fn probe_line(line: &str) -> Option<(&str, &str)> {
    let (_, ours) = line.split_once("probe|")?;
    ours.split_once('|')
}

/// A line without what differs between two runs. `hosts` are the addresses behind the clusters.
pub fn stable(line: &str, hosts: &BTreeMap<String, SocketAddr>) -> String {
    let mut line = line.to_owned();
    if let Some((operation, value)) = line.split_once(" = ")
        && let Some(path) = operation.trim().strip_prefix("prop ")
        && VOLATILE_PROPERTIES.contains(&path)
        && value.starts_with("0 ")
    {
        line = format!("{operation} = 0 {ANY}");
    }
    for header in VOLATILE_HEADERS {
        line = blanked(&line, &format!("{header}=\""), '"');
        if line.trim_start().starts_with(&format!("get req {header} = 0"))
            || line.trim_start().starts_with(&format!("get resp {header} = 0"))
            || line.trim_start().starts_with(&format!("get call {header} = 0"))
        {
            line = format!("{} = 0 {ANY}", line.split(" = ").next().unwrap_or_default());
        }
    }
    for (cluster, address) in hosts {
        line = line.replace(&address.to_string(), &format!("HOST-OF-{cluster}"));
    }
    // The rest are ports that the system chose: of the client, of the listener, of connections to hosts.
    blanked_number(&line, "127.0.0.1:")
}

/// Everything from each `from` to the next `to` replaced.
fn blanked(line: &str, from: &str, to: char) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(from) {
        let value = &rest[at + from.len()..];
        let end = value.find(to).unwrap_or(value.len());
        out.push_str(&rest[..at + from.len()]);
        out.push_str(ANY);
        rest = &value[end..];
    }
    out + rest
}

fn blanked_number(line: &str, from: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(from) {
        let value = &rest[at + from.len()..];
        let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        out.push_str(&rest[..at + from.len()]);
        out.push_str(ANY);
        rest = &value[end..];
    }
    out + rest
}

/// Bodies come in pieces as TCP cut them. Where a case says so, only the last call of a run of body callbacks counts, and
/// of a size only that it is more than nothing.
fn merged(lines: Vec<String>) -> Vec<String> {
    let body = |line: &str| line.starts_with("request_body ") || line.starts_with("response_body ");
    let mut out: Vec<String> = Vec::new();
    // Where the callback that may turn out to be one of many begins in `out`.
    let mut open: Option<(usize, String)> = None;
    for line in lines {
        if line.starts_with(' ') {
            out.push(line);
            continue;
        }
        let name = line.split(' ').next().unwrap_or_default().to_owned();
        if let Some((from, before)) = open.take()
            && before == name
        {
            out.truncate(from);
        }
        if body(&line) {
            open = Some((out.len(), name.clone()));
            let more = !line.contains("size=0 ");
            let end = line.split(' ').find(|word| word.starts_with("eos=")).unwrap_or_default();
            out.push(format!("{name} size={} {end}", if more { "SOME" } else { "0" }));
        } else {
            out.push(line);
        }
    }
    out
}

/// A message's lines: its head without what differs between two runs, its body, its trailers. How the end of a body is told
/// on the wire is left out, too: the world has no wire.
pub fn message(start: &str, headers: &Headers, body: &[u8], trailers: &Headers) -> Vec<String> {
    let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
        let name = String::from_utf8_lossy(name).into_owned();
        let value = if VOLATILE_HEADERS.contains(&name.as_str()) { ANY.to_owned() } else { text(value) };
        format!("  {name}: {value}")
    };
    let mut out = vec![start.to_owned()];
    let framing = |(name, value): &&(Vec<u8>, Vec<u8>)| {
        name == b"transfer-encoding" || (name == b"content-length" && value == b"0")
    };
    out.extend(headers.iter().filter(|field| !framing(field)).map(line));
    if !body.is_empty() {
        out.push(format!("  body {}", shown(body)));
    }
    if !trailers.is_empty() {
        out.push("  trailers".to_owned());
        out.extend(trailers.iter().map(line));
    }
    out
}

/// The requests that a host saw, by their first lines: each is there from its head to its end, so that of two neither need
/// be the first.
pub fn arrived(mut requests: Vec<Vec<String>>) -> Vec<String> {
    requests.sort_by(|one, other| one.first().cmp(&other.first()));
    requests.concat()
}

/// How an exchange ended, and, where a case says so, when: to a tenth of a second, which a busy machine keeps to.
pub fn ending(end: End, took: Option<Duration>) -> String {
    let text = match end {
        End::Whole => "whole",
        // Whether the end of a connection is a FIN or a RST depends on what was still unread.
        End::Closed | End::Reset => "closed before the end",
        End::Waited => "nothing more came",
        End::Left => "the client left",
    };
    let took = took.map(|took| format!(" after {} ms", (took.as_millis() + 50) / 100 * 100));
    format!("  ended: {text}{}", took.unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn shown(body: &[u8]) -> String {
    if body.len() <= BODY_SHOWN {
        return format!("\"{}\"", text(body));
    }
    let digest = body
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("len={} digest={digest:016x}", body.len())
}
