//! The cache-service behind a cluster of the test world: a small twin of its HTTP interface, as it runs without Redis.
//!
//! It holds the two namespaces that ship, evicts nothing, and its records do not expire. Whatever it answers it answers as
//! the service does: `tests/it/stage.rs` puts the same questions to both.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use decision::lookup::wire::{self, Record};
use decision::lookup::{Key, Namespace};
use decision::payment::holds_card_number;
use world::http::Message;
use world::upstream::{Door, Reply, Upstream};

use super::{path_of, text_of};

/// Largest body of a value, in bytes; the same in both namespaces.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Largest body of a record, in bytes.
const RECORD_BYTES_MAX: usize = 1_024;
/// Longest content type that is kept with a value.
const CONTENT_TYPE_LEN_MAX: usize = 128;
/// How long every answer takes: a loopback and a synced write.
const LATENCY: Duration = Duration::from_millis(1);

/// How the service fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It answers.
    #[default]
    Up,
    /// Nobody listens.
    Stopped,
    /// It accepts connections and answers nothing. The service answers once it goes on; here what it was asked meanwhile
    /// stays without an answer, so a scenario must not wait for one.
    Frozen,
}

/// The cache-service in virtual time.
#[derive(Debug)]
pub struct CacheModel {
    token: String,
    /// This process, in its fences.
    boot: u32,
    condition: Condition,
    spaces: BTreeMap<String, Space>,
    pins: HashMap<Key, Pin>,
    claims: HashMap<Key, String>,
}

#[derive(Debug)]
struct Space {
    ttl_max: Duration,
    counter: u64,
    /// When each key or entity was last invalidated.
    notes: HashMap<Key, u64>,
    entries: HashMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    body: Vec<u8>,
    content_type: Option<String>,
    status: u16,
    processor: Option<String>,
    entity: Option<Key>,
    begun: u64,
    stored: Duration,
    expires: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pin {
    At(String),
    Ambiguous,
}

/// An answer to be.
struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// A refusal: the word of its type, and its status.
type Refused = Said;

impl CacheModel {
    /// An empty one that asks for `token`.
    pub fn new(token: &str, boot: u32) -> Self {
        let space = |ttl_max_s| Space {
            ttl_max: Duration::from_secs(ttl_max_s),
            counter: 0,
            notes: HashMap::new(),
            entries: HashMap::new(),
        };
        let spaces = [("bin", 604_800), ("payment_status", 600)];
        Self {
            token: token.to_owned(),
            boot,
            condition: Condition::Up,
            spaces: spaces.into_iter().map(|(name, ttl)| (name.to_owned(), space(ttl))).collect(),
            pins: HashMap::new(),
            claims: HashMap::new(),
        }
    }

    /// From now on it fares so. One that was stopped has forgotten its look-up values and kept its records.
    pub fn set(&mut self, condition: Condition) {
        if condition == Condition::Stopped {
            // A process that starts anew counts from 0 under another number.
            self.boot = self.boot.wrapping_add(1);
            for space in self.spaces.values_mut() {
                (space.counter, space.notes, space.entries) = (0, HashMap::new(), HashMap::new());
            }
        }
        self.condition = condition;
    }

    fn answer(&mut self, now: Duration, request: &Message) -> Result<Said, Refused> {
        let path = path_of(request);
        let method = text_of(request, ":method").unwrap_or_default();
        if path.starts_with("/v1/") && !self.authorised(request) {
            let refused = problem("unauthorized", 401, "A bearer token is required");
            return Err(refused.with("www-authenticate", "Bearer"));
        }
        let wrong_method = || Err(problem("method_not_allowed", 405, "Method not allowed"));
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments[..] {
            ["v1", "lookup", space, key] if !space.is_empty() && !key.is_empty() => match method.as_str() {
                "GET" => self.find(now, space, key, request),
                "PUT" => self.store(now, space, key, request),
                "DELETE" => {
                    let (space, key) = self.place(space, key)?;
                    space.counter += 1;
                    space.notes.insert(key, space.counter);
                    space.entries.remove(&key);
                    Ok(Said::bare(204))
                }
                _ => wrong_method(),
            },
            ["v1", "pins", key] if !key.is_empty() => match method.as_str() {
                "GET" => match self.pins.get(&parse_key(key)?) {
                    Some(Pin::At(name)) => Ok(record(200, name)),
                    Some(Pin::Ambiguous) => Err(ambiguous()),
                    None => Err(problem("no_pin", 404, "No pin for this payment")),
                },
                "PUT" => self.pin(key, request),
                _ => wrong_method(),
            },
            ["v1", "claims", key] if !key.is_empty() => match method.as_str() {
                "PUT" => {
                    let name = named(request);
                    let (key, name) = (parse_key(key)?, name?);
                    match self.claims.get(&key) {
                        Some(holder) => Ok(record(200, holder)),
                        None => {
                            self.claims.insert(key, name.clone());
                            Ok(record(201, &name))
                        }
                    }
                }
                _ => wrong_method(),
            },
            _ => Err(problem("not_found", 404, "No such path")),
        }
    }

    fn authorised(&self, request: &Message) -> bool {
        let mut given = values(request, "authorization");
        let (Some(value), None) = (given.next(), given.next()) else { return false };
        let Some((scheme, token)) = value.split_at_checked("Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && token == self.token.as_bytes()
    }

    fn place(&mut self, space: &str, key: &str) -> Result<(&mut Space, Key), Refused> {
        let key = parse_key(key)?;
        let unknown = || problem("unknown_namespace", 404, "Unknown namespace");
        let name: Namespace = space.parse().map_err(|_| unknown())?;
        Ok((self.spaces.get_mut(name.as_str()).ok_or_else(unknown)?, key))
    }

    fn find(&mut self, now: Duration, space: &str, key: &str, request: &Message) -> Result<Said, Refused> {
        let boot = self.boot;
        let (space, key) = self.place(space, key)?;
        let entity = entity(request)?;
        let found = space.entries.get(&key).filter(|entry| {
            entry.expires > now && entry.entity == entity && space.is_true(&key, entity.as_ref(), entry.begun)
        });
        let Some(entry) = found else {
            let miss = problem("miss", 404, "Nothing is cached under this key").with("x-cache", "miss");
            return Err(miss.with(wire::FENCE, format!("m{boot:x}.{:x}", space.counter)));
        };
        let mut hit = Said { status: 200, headers: Vec::new(), body: entry.body.clone() };
        hit.headers.extend(entry.content_type.clone().map(|text| ("content-type", text)));
        hit.headers.push((wire::STATUS, entry.status.to_string()));
        hit.headers.push((wire::TTL_MS, (entry.expires - now).as_millis().max(1).to_string()));
        hit.headers.push((wire::AGE_MS, now.saturating_sub(entry.stored).as_millis().to_string()));
        hit.headers.extend(entry.processor.clone().map(|name| (wire::PROCESSOR, name)));
        Ok(hit.with("x-cache", "hit"))
    }

    fn store(&mut self, now: Duration, space: &str, key: &str, request: &Message) -> Result<Said, Refused> {
        let boot = self.boot;
        let (space, key) = self.place(space, key)?;
        if request.body.len() > VALUE_BYTES_MAX {
            return Err(problem("value_too_large", 413, "The body is too large"));
        }
        let (entity, fence) = (entity(request)?, fence(request)?);
        if entity.is_some() && fence.is_none() {
            return Err(malformed());
        }
        let ttl = one(request, wire::TTL_MS)?.and_then(|text| text.parse().ok()).filter(|ms| *ms > 0);
        let ttl = Duration::from_millis(ttl.ok_or_else(malformed)?).min(space.ttl_max);
        let content_type = one(request, "content-type")?;
        if content_type.as_ref().is_some_and(|text| text.len() > CONTENT_TYPE_LEN_MAX) {
            return Err(malformed());
        }
        let status = one(request, wire::STATUS)?.map_or(Some(200), |text| text.parse().ok());
        let status = status.filter(|status| (200..=599).contains(status)).ok_or_else(malformed)?;
        let processor = one(request, wire::PROCESSOR)?;
        if processor.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(malformed());
        }
        let texts = [content_type.as_deref(), processor.as_deref()];
        if texts.into_iter().flatten().any(|text| holds_card_number(text.as_bytes())) || shows_card(&request.body) {
            return Err(card_number());
        }
        let outdated = || problem("fence_outdated", 412, "Invalidated since the load began");
        let begun = match (&entity, fence) {
            (None, _) => space.counter,
            (Some(_), fence) => {
                let (from, begun) = fence.flatten().ok_or_else(outdated)?;
                Some(begun).filter(|_| from == boot).ok_or_else(outdated)?
            }
        };
        if !space.is_true(&key, entity.as_ref(), begun) {
            return Err(outdated());
        }
        let body = request.body.clone();
        let (stored, expires) = (now, now + ttl);
        space.entries.insert(key, Entry { body, content_type, status, processor, entity, begun, stored, expires });
        Ok(Said::bare(204))
    }

    fn pin(&mut self, key: &str, request: &Message) -> Result<Said, Refused> {
        let name = named(request);
        let (key, name) = (parse_key(key)?, name?);
        match self.pins.get(&key) {
            None => {
                self.pins.insert(key, Pin::At(name.clone()));
                Ok(record(201, &name))
            }
            Some(Pin::At(held)) if *held == name => Ok(record(200, &name)),
            Some(_) => {
                self.pins.insert(key, Pin::Ambiguous);
                Err(ambiguous())
            }
        }
    }
}

impl Space {
    fn is_true(&self, key: &Key, entity: Option<&Key>, begun: u64) -> bool {
        let at = |key: &Key| self.notes.get(key).copied().unwrap_or(0);
        begun >= at(key).max(entity.map_or(0, at))
    }
}

impl Upstream for CacheModel {
    fn door(&mut self, _now: Duration) -> Door {
        if self.condition == Condition::Stopped { Door::Refused } else { Door::Open }
    }

    fn request(&mut self, now: Duration, request: &Message) -> Reply {
        match self.condition {
            Condition::Frozen => Reply::hang(),
            Condition::Stopped => Reply::reset(Duration::ZERO),
            Condition::Up => {
                let said = self.answer(now, request).unwrap_or_else(|refused| refused);
                let headers: Vec<_> = said.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                Reply::answer(LATENCY, said.status, &headers, &said.body)
            }
        }
    }
}

impl Said {
    fn bare(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The detail is left out: a caller may rely on `type` and nothing else.
fn problem(word: &str, status: u16, title: &str) -> Said {
    let kind = format!("urn:switchyard:problem:{word}");
    let body = serde_json::json!({ "type": kind, "title": title, "status": status });
    let said = Said { status, headers: Vec::new(), body: body.to_string().into_bytes() };
    let said = said.with("content-type", "application/problem+json");
    if status == 503 { said.with("retry-after", "1") } else { said }
}

fn malformed() -> Said {
    problem("malformed_request", 400, "Malformed request")
}

fn ambiguous() -> Said {
    problem("pin_ambiguous", 409, "Two processors claim this payment")
}

fn card_number() -> Said {
    problem("card_number", 422, "The value holds a card number")
}

fn record(status: u16, name: &str) -> Said {
    let body = serde_json::to_vec(&Record { processor: name.to_owned() }).unwrap_or_default();
    Said { status, headers: Vec::new(), body }.with("content-type", "application/json")
}

fn named(request: &Message) -> Result<String, Refused> {
    if request.body.len() > RECORD_BYTES_MAX {
        return Err(problem("value_too_large", 413, "The body is too large"));
    }
    let Record { processor } = serde_json::from_slice(&request.body).map_err(|_| malformed())?;
    if !is_name(&processor) {
        return Err(malformed());
    }
    if holds_card_number(processor.as_bytes()) { Err(card_number()) } else { Ok(processor) }
}

fn is_name(text: &str) -> bool {
    (1..=wire::PROCESSOR_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// JSON may write a digit as `\u0034`; written anew it does not.
fn shows_card(body: &[u8]) -> bool {
    let plain = serde_json::from_slice::<serde_json::Value>(body).map(|json| json.to_string());
    holds_card_number(body) || plain.is_ok_and(|text| holds_card_number(text.as_bytes()))
}

fn parse_key(text: &str) -> Result<Key, Refused> {
    text.parse().map_err(|_| problem("malformed_key", 400, "Malformed key"))
}

fn values<'a>(request: &'a Message, name: &str) -> impl Iterator<Item = &'a [u8]> {
    request.headers.iter().filter(move |(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
}

/// The one value of a header, if there is one; two values, or one that is no visible ASCII, are malformed.
fn one(request: &Message, name: &str) -> Result<Option<String>, Refused> {
    let mut given = values(request, name);
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.iter().all(|b| matches!(b, b'\t' | b' '..=b'~')) => {
            Ok(Some(String::from_utf8_lossy(value).into_owned()))
        }
        _ => Err(malformed()),
    }
}

fn entity(request: &Message) -> Result<Option<Key>, Refused> {
    one(request, wire::ENTITY)?.map(|text| parse_key(&text)).transpose()
}

/// The process and generation of a fence. The outer `None`: there is none. The inner: one that proves nothing.
fn fence(request: &Message) -> Result<Option<Option<(u32, u64)>>, Refused> {
    let Some(text) = one(request, wire::FENCE)? else { return Ok(None) };
    if text.is_empty() || text.len() > wire::FENCE_LEN_MAX {
        return Err(malformed());
    }
    let numbers = text.strip_prefix('m').and_then(|rest| rest.split_once('.'));
    let read = |(boot, begun)| Some((u32::from_str_radix(boot, 16).ok()?, u64::from_str_radix(begun, 16).ok()?));
    Ok(Some(numbers.and_then(read)))
}
