//! A configuration and what a proxy would hand over.

use decision::config::Config;
use decision::exchange::{Body, Edit, Ending, Ends, Exchange, Headers, ResponseHead, Step};
use decision::fact::Fact;
use decision::lookup::Answer;
use decision::payment::{ProxyReply, Spoke, Why};
use decision::reason::LocalReply;
use decision::router::Router;
use decision::time::{Mono, Now, Wall};
use serde_json::{Value, json};

/// Three processors, weights 3:2:1, and every kind of operation.
pub(crate) fn document() -> Value {
    json!({
        "tenant": {"header": "authorization", "presence": "optional"},
        "limits": {"request_body_bytes": 4096, "answer_body_bytes": 2048},
        "breaker": {"consecutive_failures": 3, "open_ms": 1000, "open_ms_max": 8000},
        "fields": {
            "amount": ["/amount", "/amount/value"],
            "currency": ["/currency", "/amount/currency"],
            "merchant": ["/merchant"],
            "card_number": ["/source/number"]
        },
        "profiles": {
            "sample": {
                "payment_id": ["/id"], "status": ["/status"], "code": ["/response_code"],
                "approved": ["succeeded"], "declined": ["declined"], "pending": ["pending"],
                "technical_codes": ["91", "96"], "same_key": "replays"
            },
            "forgetful": {
                "payment_id": ["/id"], "status": ["/status"],
                "approved": ["succeeded"], "same_key": "charges_again"
            }
        },
        "processors": [
            {"name": "a", "cluster": "cluster-a", "profile": "sample", "weight": 3},
            {"name": "b", "profile": "sample", "weight": 2, "authority": "b.test", "path_prefix": "/api"},
            {"name": "c", "profile": "forgetful", "weight": 1}
        ],
        "operations": [
            {"name": "charge", "kind": "charge", "method": "POST", "path": "/v1/payments",
             "key": {"header": "Idempotency-Key"}},
            {"name": "capture", "kind": "follow_up", "method": "POST", "path": "/v1/payments/{payment}/capture",
             "invalidates": "payment_status"},
            {"name": "void", "kind": "follow_up", "method": "POST", "path": "/v1/payments/{payment}/void",
             "when_open": "refuse", "invalidates": "payment_status"},
            {"name": "status", "kind": "lookup", "method": "GET", "path": "/v1/payments/{payment}",
             "lookup": {"namespace": "payment_status", "shared": "tenant", "ttl_ms": 60000, "vary": ["accept"]}},
            {"name": "bin", "kind": "lookup", "method": "GET", "path": "/v1/bins/{bin}",
             "lookup": {"namespace": "bin", "shared": "public", "ttl_ms": 86400000}}
        ],
        "rules": [
            {"name": "to-c", "when": {"bin_prefix": ["555555"]}, "use": {"processors": ["c"]}}
        ],
        "default": {"processors": ["a", "b", "c"]}
    })
}

pub(crate) fn config() -> Config {
    Config::parse(document().to_string().as_bytes()).expect("the fixture is valid")
}

pub(crate) fn at(millis: u64) -> Now {
    Now { mono: Mono(millis * 1_000), wall: Wall(0) }
}

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

pub(crate) fn lines(pairs: &[(&str, &[u8])]) -> Lines {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
}

/// One worker and one exchange on it.
pub(crate) struct Drive {
    pub(crate) router: Router,
    pub(crate) exchange: Exchange,
    pub(crate) now: Now,
}

impl Drive {
    pub(crate) fn new() -> Self {
        Self::of(config())
    }

    pub(crate) fn of(config: Config) -> Self {
        Self { router: Router::new(config, 7), exchange: Exchange::default(), now: at(1_000) }
    }

    /// Begins another exchange on the same worker; the last one is done.
    pub(crate) fn again(&mut self) -> &mut Self {
        self.exchange.on_done(&mut self.router, Ending::Quiet, self.now);
        self.exchange = Exchange::default();
        self
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, more: &[(&str, &[u8])], ends: Ends) -> Step {
        let mut all = vec![(":method", method.as_bytes()), (":path", path.as_bytes()), (":authority", b"pay.test")];
        all.extend_from_slice(more);
        let all = lines(&all);
        self.exchange.on_request_headers(&mut self.router, Headers::new(&all), ends, self.now)
    }

    /// A charge of one tenant, up to the step its body leads to.
    pub(crate) fn charge(&mut self, body: &str, key: Option<&str>) -> Step {
        let mut headers: Vec<(&str, &[u8])> = vec![("authorization", b"t1"), ("content-type", b"application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key.as_bytes())));
        match self.request("POST", "/v1/payments", &headers, Ends::Later) {
            Step::ReadBody => {}
            other => return other,
        }
        self.exchange.on_request_body(&mut self.router, Body::Whole(body.as_bytes()), self.now)
    }

    pub(crate) fn answer(&mut self, answer: Answer) -> Step {
        self.exchange.on_answer(&mut self.router, answer, self.now)
    }

    pub(crate) fn response(&mut self, status: u16, spoke: Spoke, body: Option<&str>) -> Step {
        self.response_with(&[], status, spoke, body)
    }

    /// The same with more headers.
    pub(crate) fn response_with(
        &mut self,
        more: &[(&str, &[u8])],
        status: u16,
        spoke: Spoke,
        body: Option<&str>,
    ) -> Step {
        let mut all: Vec<(&str, &[u8])> = vec![("content-type", b"application/json")];
        all.extend_from_slice(more);
        let all = lines(&all);
        let head = ResponseHead { status, spoke, headers: Headers::new(&all), cluster: None };
        let ends = if body.is_some() { Ends::Later } else { Ends::Here };
        let step = self.exchange.on_response_headers(&mut self.router, head, ends, self.now);
        match (step, body) {
            (Step::HoldResponse, Some(body)) => {
                self.exchange.on_response_body(&mut self.router, Body::Whole(body.as_bytes()), self.now)
            }
            (step, _) => step,
        }
    }

    pub(crate) fn facts(&mut self) -> Vec<Fact> {
        std::iter::from_fn(|| self.router.poll_fact()).collect()
    }
}

/// The processor's port is closed.
pub(crate) const REFUSED: Spoke = Spoke::Proxy(ProxyReply { why: Why::Connect, attempts: Some(1) });
/// The route's time-out ended.
pub(crate) const TIMED_OUT: Spoke = Spoke::Proxy(ProxyReply { why: Why::TimedOut, attempts: Some(1) });
/// The proxy's own limit.
pub(crate) const OVERFLOW: Spoke = Spoke::Proxy(ProxyReply { why: Why::Overflow, attempts: Some(1) });

/// A charge that reads well.
pub(crate) const CHARGE: &str =
    r#"{"amount":1000,"currency":"EUR","merchant":"shop","source":{"number":"4242424242424242"}}"#;

pub(crate) fn set(edits: &[Edit], wanted: &str) -> Option<String> {
    edits.iter().find_map(|edit| match edit {
        Edit::Set(name, value) if name == wanted => Some(String::from_utf8_lossy(value).into_owned()),
        _ => None,
    })
}

/// The processor a step sends to.
pub(crate) fn forwarded(step: &Step) -> String {
    match step {
        Step::Forward(edits) => set(edits, "x-switchyard-cluster").expect("a forward names its cluster"),
        other => panic!("not forwarded: {other:?}"),
    }
}

/// Status and reason code of a refusal.
pub(crate) fn refused(step: Step) -> (u16, &'static str) {
    match step {
        Step::Reply(LocalReply { status, details, .. }) => (status, details),
        other => panic!("not refused: {other:?}"),
    }
}
