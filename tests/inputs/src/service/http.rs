//! Requests to the service's data listener, without a socket and with one store for all of them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use cache_service::config::{Config, Overrides, Secrets};
use cache_service::http::{App, data};
use cache_service::metrics::Metrics;
use cache_service::problem::Code;
use cache_service::records::{Embedded, RecordFile, Records, Store};
use cache_service::secret::KeySecret;
use cache_service::service::Service;
use decision::lookup::wire::{self, Record};
use decision::payment::holds_card_number;
use http_body_util::BodyExt as _;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::text::Message;

const TOKEN: &str = "t0ken";

/// The service and what it runs on; one for all inputs, as opening a record file takes longer than a thousand requests.
struct Rig {
    runtime: Runtime,
    router: Router,
}

fn rig() -> Rig {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let router = runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        let secrets = Secrets { token: Some(TOKEN.to_owned()), ..Secrets::default() };
        let config = Config::load(None, Overrides::default(), secrets).expect("the defaults are valid");
        let secret = KeySecret::new("0123456789abcdef").expect("long enough");
        let file = RecordFile::open(&dir.path().join(Embedded::FILE)).expect("a record file");
        let store = Store::Embedded(Embedded::start(file, config.record_deadline).expect("a record store"));
        // From here on the file lives as long as it is open, and is gone however this ends.
        drop(dir);
        let metrics = Arc::new(Metrics::new());
        let records = Records::new(store, secret.clone(), config.pin_ttl, config.claim_ttl, Arc::clone(&metrics));
        data(Arc::new(App {
            service: Service::new(&config, secret, None, 1, &metrics),
            records,
            metrics,
            tokens: config.tokens,
            in_flight: Arc::new(Semaphore::new(config.limits.in_flight)),
            body_timeout: config.limits.body_timeout,
            draining: AtomicBool::new(false),
        }))
    });
    Rig { runtime, router }
}

/// An answer.
struct Said {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    body: Bytes,
}

impl Rig {
    fn ask(&self, request: Request<Body>) -> Said {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("the router cannot fail");
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("the body is there").to_bytes();
            Said { status: head.status, content_type: head.headers.get(header::CONTENT_TYPE).cloned(), body }
        })
    }
}

/// A request to the data listener: method and path, headers, a body. Without a token of its own it has a good one.
pub(crate) fn request(bytes: &[u8]) -> String {
    static RIG: OnceLock<Mutex<Rig>> = OnceLock::new();
    let rig = RIG.get_or_init(|| Mutex::new(rig())).lock().unwrap_or_else(PoisonError::into_inner);
    let message = Message::read(bytes);
    let Some(request) = read(&message) else { return "no HTTP".to_owned() };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let entity = request.headers().get(wire::ENTITY).cloned();
    let said = rig.ask(request);
    check(&said);
    if method == Method::PUT && said.status.is_success() {
        let mut again = Request::get(uri.clone()).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
        if let Some(entity) = entity {
            again = again.header(wire::ENTITY, entity);
        }
        let found = rig.ask(again.body(Body::empty()).expect("it was a request before"));
        check(&found);
        if uri.path().starts_with("/v1/lookup/") && found.status.is_success() {
            assert_eq!(found.body, message.body.unwrap_or_default(), "another body is found than was put");
            assert!(!holds_card_number(&found.body), "a card number is stored");
        }
        if uri.path().starts_with("/v1/pins/") {
            let gone = matches!(found.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
            assert!(!gone, "a pin is acknowledged, and not there");
            let named: Result<Record, _> = serde_json::from_slice(&said.body);
            assert!(named.is_ok_and(|record| !record.processor.is_empty()), "a pin without a name");
        }
    }
    said.status.to_string()
}

fn read(message: &Message<'_>) -> Option<Request<Body>> {
    let method = Method::from_bytes(message.word(0)).ok()?;
    let uri = Uri::try_from(message.word(1)).ok().filter(|uri| uri.path().starts_with('/'))?;
    let mut request = Request::new(Body::from(message.body.unwrap_or_default().to_vec()));
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    for (name, value) in &message.headers {
        let name = HeaderName::from_bytes(name).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
    }
    let token = HeaderValue::try_from(format!("Bearer {TOKEN}")).ok()?;
    request.headers_mut().entry(header::AUTHORIZATION).or_insert(token);
    Some(request)
}

/// Every refusal is a problem of the registry, and none is the service's own fault.
fn check(said: &Said) {
    if said.status.is_success() {
        return;
    }
    assert_ne!(said.status, StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = said.content_type.as_ref().map(HeaderValue::as_bytes);
    assert_eq!(content_type, Some(&b"application/problem+json"[..]), "{}", said.status);
    let problem: serde_json::Value = serde_json::from_slice(&said.body).expect("a problem is JSON");
    let known = Code::ALL.iter().any(|code| {
        let (word, status, _) = code.parts();
        problem["type"] == format!("urn:switchyard:problem:{word}") && said.status == status
    });
    assert!(known, "{problem}");
}
