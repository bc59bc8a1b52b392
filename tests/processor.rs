//! The sample processor, mode by mode: what the caller gets, and what the ledger says.

use std::time::Duration;

use e2e::client::{Answer, Client, ClientError, Request};
use e2e::processor::{Config, Control, Idempotency, Mode, Processor, Recorded, Row, Status};
use serde_json::{Value, json};

/// A processor in this process and what is needed to speak with it.
struct Bench {
    processor: Processor,
    client: Client,
}

impl Bench {
    async fn start() -> Self {
        let processor = Processor::start(Config::named("acquirer-a")).await.unwrap();
        Self { processor, client: Client::new().deadline(Duration::from_secs(5)) }
    }

    async fn set(&self, control: impl Into<Control>) {
        let control: Control = control.into();
        let answer = self.put(&serde_json::to_value(&control).unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json::<Status>().unwrap().control, control);
    }

    async fn put(&self, control: &Value) -> Answer {
        let request = Request::new("PUT".parse().unwrap(), "/control").json(control);
        self.client.send(self.processor.control, request).await.unwrap()
    }

    async fn ledger(&self) -> Vec<Row> {
        let answer = self.client.send(self.processor.control, Request::get("/ledger")).await.unwrap();
        answer.json().unwrap()
    }

    async fn status(&self) -> Status {
        let answer = self.client.send(self.processor.control, Request::get("/control")).await.unwrap();
        answer.json().unwrap()
    }

    async fn api(&self, request: Request) -> Result<Answer, ClientError> {
        self.client.send(self.processor.api, request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.api(Request::get(path)).await.unwrap()
    }

    async fn pay(&self, amount: u64, key: &str) -> Answer {
        self.api(charge(amount, key)).await.unwrap()
    }

    /// `(executed, approved)` of every arrival.
    async fn executions(&self) -> Vec<(bool, bool)> {
        self.ledger().await.iter().map(|row| (row.executed, row.approved)).collect()
    }
}

fn charge(amount: u64, key: &str) -> Request {
    let body = json!({
        "amount": amount, "currency": "EUR", "merchant": "m-1", "reference": "order-1",
        "source": {"number": "4242424242424242"},
    });
    let request = Request::post("/v1/payments").json(&body);
    if key.is_empty() { request } else { request.header("Idempotency-Key", key) }
}

fn recorded(mode: Mode, recorded: Recorded) -> Control {
    Control { recorded, ..mode.into() }
}

#[tokio::test]
async fn approve_takes_the_money_and_the_payment_can_be_followed_up() {
    let bench = Bench::start().await;
    let answer = bench.pay(1200, "k-1").await;
    assert_eq!((answer.status, answer.header("content-type")), (201, Some("application/json")));
    let body: Value = answer.json().unwrap();
    let id = body["id"].as_str().unwrap();
    assert!(id.starts_with("pay_") && id.len() == 28, "{id}");
    for (field, value) in [
        ("status", json!("succeeded")),
        ("processor", json!("acquirer-a")),
        ("response_code", json!("00")),
        ("network", json!("visa")),
        ("amount", json!(1200)),
        ("currency", json!("EUR")),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    for (action, field) in [("capture", "captured"), ("refund", "refunded")] {
        let path = format!("/v1/payments/{id}");
        assert_eq!(bench.get(&path).await.json::<Value>().unwrap()[field], false);
        let done = bench.api(Request::post(format!("{path}/{action}"))).await.unwrap();
        assert_eq!(done.status, 200);
        assert_eq!(bench.get(&path).await.json::<Value>().unwrap()[field], true);
    }
    let row = bench.ledger().await.pop().unwrap();
    assert_eq!((row.key.as_deref(), row.payment_id.as_deref()), (Some("k-1"), Some(id)));
    assert_eq!(
        (row.amount, row.currency.as_deref(), row.executed, row.approved),
        (Some(1200), Some("EUR"), true, true)
    );
    assert!(row.at > 1_600_000_000_000);
}

#[tokio::test]
async fn an_unknown_payment_and_a_bad_request_are_said_to_be_so() {
    let bench = Bench::start().await;
    assert_eq!(bench.get("/v1/payments/pay_x").await.status, 404);
    assert_eq!(bench.api(Request::post("/v1/payments/pay_x/capture")).await.unwrap().status, 404);
    assert_eq!(bench.get("/v1/bins/42x").await.status, 400);
    assert_eq!(bench.get("/health").await.status, 200);
    let bin = bench.get("/v1/bins/42424242").await;
    assert_eq!(bin.json::<Value>().unwrap()["scheme"], "visa");
    let unreadable = Request::post("/v1/payments").body("application/json", "{");
    assert_eq!(bench.api(unreadable).await.unwrap().status, 400);
    let large = Request::post("/v1/payments").body("application/json", vec![b' '; 65 * 1024]);
    assert_eq!(bench.api(large).await.unwrap().status, 413);
    assert_eq!(bench.executions().await, [(false, false)]);
    let counts = bench.status().await.counts;
    assert_eq!((counts.charges, counts.payments, counts.captures, counts.bins, counts.health), (1, 1, 1, 2, 1));
}

#[tokio::test]
async fn a_form_is_a_charge_too() {
    let bench = Bench::start().await;
    let form = "amount=500&currency=USD&merchant=m&reference=r&source%5Bnumber%5D=5555555555554444";
    let request = Request::post("/v1/payments").body("application/x-www-form-urlencoded", form);
    let body: Value = bench.api(request.chunked(10)).await.unwrap().json().unwrap();
    assert_eq!((&body["amount"], &body["network"]), (&json!(500), &json!("mastercard")));
}

#[tokio::test]
async fn a_decline_is_an_answer_and_takes_no_money() {
    let bench = Bench::start().await;
    bench.set(Mode::Decline("51".to_owned())).await;
    let answer = bench.pay(1200, "k").await;
    let body: Value = answer.json().unwrap();
    assert_eq!((answer.status, &body["status"], &body["response_code"]), (201, &json!("declined"), &json!("51")));
    assert_eq!(bench.executions().await, [(true, false)]);
    let path = format!("/v1/payments/{}", body["id"].as_str().unwrap());
    assert_eq!(bench.get(&path).await.json::<Value>().unwrap()["status"], "declined");
    assert_eq!(bench.api(Request::post(format!("{path}/capture"))).await.unwrap().status, 409);
}

#[tokio::test]
async fn a_technical_answer_may_hide_a_payment() {
    let bench = Bench::start().await;
    for (says, truth, executed) in [(Recorded::No, "declined", false), (Recorded::Yes, "succeeded", true)] {
        bench.set(recorded(Mode::Technical("91".to_owned()), says)).await;
        let answer = bench.pay(1200, "").await;
        let body: Value = answer.json().unwrap();
        assert_eq!((answer.status, &body["status"], &body["response_code"]), (201, &json!("declined"), &json!("91")));
        let path = format!("/v1/payments/{}", body["id"].as_str().unwrap());
        assert_eq!(bench.get(&path).await.json::<Value>().unwrap()["status"], truth);
        assert_eq!(bench.executions().await.pop(), Some((executed, executed)));
    }
}

#[tokio::test]
async fn an_http_fault_strikes_every_route_but_health() {
    let bench = Bench::start().await;
    let id = bench.pay(1, "").await.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned();
    bench.set(Mode::Http(503)).await;
    assert_eq!(bench.pay(1200, "k").await.status, 503);
    assert_eq!(bench.get("/v1/bins/424242").await.status, 503);
    assert_eq!(bench.api(Request::post(format!("/v1/payments/{id}/capture"))).await.unwrap().status, 503);
    assert_eq!(bench.get("/health").await.status, 200);
    assert_eq!(bench.executions().await[1..], [(false, false)]);
    bench.set(Mode::Approve).await;
    let payment: Value = bench.get(&format!("/v1/payments/{id}")).await.json().unwrap();
    assert_eq!(payment["captured"], false, "what is not recorded is not executed, captures included");
    assert_eq!(bench.pay(1200, "k").await.status, 201, "a fault that executed nothing stores nothing");
}

#[tokio::test]
async fn a_recorded_fault_charged_the_card_and_is_replayed_or_not() {
    for (idempotency, status, executed) in
        [(Idempotency::Replay, 503, false), (Idempotency::SuccessOnly, 201, true), (Idempotency::None, 201, true)]
    {
        let bench = Bench::start().await;
        bench.set(Control { idempotency, ..recorded(Mode::Http(503), Recorded::Yes) }).await;
        assert_eq!(bench.pay(1200, "k").await.status, 503);
        bench.set(Control { idempotency, ..Control::default() }).await;
        assert_eq!(bench.pay(1200, "k").await.status, status, "{idempotency:?}");
        assert_eq!(bench.executions().await, [(true, true), (executed, executed)], "{idempotency:?}");
    }
}

#[tokio::test]
async fn a_replay_is_the_same_bytes_and_another_amount_is_refused() {
    let bench = Bench::start().await;
    let (first, second) = (bench.pay(1200, "k").await, bench.pay(1200, "k").await);
    assert_eq!((second.status, second.body), (201, first.body));
    assert_eq!(bench.pay(1300, "k").await.status, 422);
    let rows = bench.ledger().await;
    assert_eq!(rows[1].payment_id, rows[0].payment_id);
    assert_eq!(bench.executions().await, [(true, true), (false, false), (false, false)]);
}

#[tokio::test]
async fn a_reset_before_executes_nothing_and_a_reset_after_does() {
    let bench = Bench::start().await;
    for (mode, executed) in [(Mode::ResetBefore, false), (Mode::ResetAfter, true)] {
        bench.set(mode.clone()).await;
        let error = bench.api(charge(1200, "")).await.unwrap_err();
        assert!(matches!(error, ClientError::Reset), "{mode}: {error}");
        let error = bench.api(Request::get("/v1/bins/424242")).await.unwrap_err();
        assert!(matches!(error, ClientError::Reset), "{mode}: {error}");
        assert_eq!(bench.executions().await.pop(), Some((executed, executed)), "{mode}");
    }
}

#[tokio::test]
async fn a_hang_says_nothing_and_may_have_executed() {
    let bench = Bench::start().await;
    let hasty = bench.client.clone().deadline(Duration::from_millis(200));
    for (says, executed) in [(Recorded::No, false), (Recorded::Yes, true)] {
        bench.set(recorded(Mode::Hang, says)).await;
        let error = hasty.send(bench.processor.api, charge(1200, "")).await.unwrap_err();
        assert!(matches!(error, ClientError::Deadline(_)), "{error}");
        assert_eq!(bench.executions().await.pop(), Some((executed, executed)));
    }
}

#[tokio::test]
async fn a_refusal_closes_every_connection_and_ends_on_the_same_port() {
    let bench = Bench::start().await;
    let mut idle = tokio::net::TcpStream::connect(bench.processor.api).await.unwrap();
    for _ in 0..3 {
        bench.set(Mode::Refuse).await;
        let error = bench.api(Request::get("/health")).await.unwrap_err();
        assert!(matches!(error, ClientError::Connect(_)), "{error}");
        bench.set(Mode::Approve).await;
        assert_eq!(bench.get("/health").await.status, 200);
    }
    let mut byte = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut idle, &mut byte);
    let ended = tokio::time::timeout(Duration::from_secs(5), read).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "the open connection was closed: {ended:?}");
}

#[tokio::test]
async fn latency_passes_before_the_answer_and_after_the_charge() {
    let bench = Bench::start().await;
    bench.set(Control { latency_ms: 300, ..Control::default() }).await;
    assert!(bench.pay(1200, "").await.took >= Duration::from_millis(300));
    assert!(bench.get("/v1/bins/424242").await.took >= Duration::from_millis(300));
    let hasty = bench.client.clone().deadline(Duration::from_millis(100));
    hasty.send(bench.processor.api, charge(1200, "")).await.unwrap_err();
    assert_eq!(bench.executions().await, [(true, true), (true, true)]);
}

#[tokio::test]
async fn a_rate_strikes_its_share_and_the_same_seed_the_same_charges() {
    let bench = Bench::start().await;
    let control = Control { rate: 0.3, seed: 7, ..recorded(Mode::Http(500), Recorded::Random) };
    let mut runs = Vec::new();
    for _ in 0..2 {
        bench.set(control.clone()).await;
        let mut statuses = Vec::new();
        for _ in 0..200 {
            statuses.push(bench.pay(1, "").await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    let struck = runs[0].iter().filter(|status| **status == 500).count();
    assert!((35..=85).contains(&struck), "{struck} of 200 at a rate of 0.3");
    let executions = bench.executions().await;
    let hidden = executions.iter().zip(runs.concat()).filter(|(e, status)| e.1 && *status == 500).count();
    assert!((1..2 * struck).contains(&hidden), "{hidden} of {} faults executed", 2 * struck);
}

#[tokio::test]
async fn a_control_that_is_no_control_changes_nothing() {
    let bench = Bench::start().await;
    let before = bench.status().await;
    for bad in
        [json!({"mode": "explode"}), json!({"rate": 2}), json!({"latency_ms": -1}), json!({"speed": 1}), json!(7)]
    {
        assert_eq!(bench.put(&bad).await.status, 400, "{bad}");
    }
    assert_eq!(bench.status().await, before);
}

#[tokio::test]
async fn clearing_the_ledger_forgets_payments_and_keys() {
    let bench = Bench::start().await;
    let first = bench.pay(1200, "k").await;
    let request = Request::new("DELETE".parse().unwrap(), "/ledger");
    assert_eq!(bench.client.send(bench.processor.control, request).await.unwrap().status, 200);
    assert_eq!(bench.ledger().await, []);
    assert_ne!(bench.pay(1200, "k").await.body, first.body);
}
