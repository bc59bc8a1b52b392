//! A shop that pays through the proxy: what it sends, and what it gets back.

use std::collections::BTreeMap;

use e2e::client::{Answer, Client, Request};
use e2e::processor::{Counts, Mode};
use e2e::stack::{Acquirer, Stack, StackError};
use serde_json::{Value, json};

use super::Failure;

/// A published test card that no rule of the demo names.
pub(super) const ANY_CARD: &str = "4242424242424242";
/// A published test card whose BIN, 555555, the demo's configuration sends to `acquirer-c`.
pub(super) const RULED_CARD: &str = "5555555555554444";

/// A shop, its stack and its HTTP client.
pub(super) struct Shop {
    pub(super) stack: Stack,
    client: Client,
}

/// How a request through the proxy ended.
pub(super) struct Outcome {
    pub(super) status: u16,
    /// Which processor answered, by the proxy's own word; none where the proxy answered itself.
    pub(super) by: Option<Acquirer>,
    /// What the proxy says of its cache.
    pub(super) cache: Option<String>,
    pub(super) body: Value,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self {
            status: answer.status,
            by: answer.header("x-switchyard-processor").and_then(Acquirer::named),
            cache: answer.header("x-cache").map(str::to_owned),
            body: answer.json().unwrap_or(Value::Null),
        }
    }
}

impl Outcome {
    /// The id of the payment.
    pub(super) fn id(&self) -> Result<&str, Failure> {
        Ok(self.body["id"].as_str().ok_or("the answer names no payment")?)
    }

    /// One line for a failure.
    pub(super) fn line(&self) -> String {
        let by = self.by.map_or("the proxy itself", Acquirer::name);
        format!("status {} from {by}, body {}", self.status, self.body)
    }
}

impl Shop {
    pub(super) fn new(stack: Stack) -> Self {
        // A connection per request, so that every Envoy worker gets its share of them.
        Self { stack, client: Client::new() }
    }

    /// Sends a request through the proxy, as this shop.
    pub(super) async fn send(&self, request: Request) -> Result<Outcome, Failure> {
        let request = request.header("authorization", "Bearer demo-shop");
        Ok(self.client.send(self.stack.proxy(), request).await?.into())
    }

    /// Charges `card`, without an idempotency key.
    pub(super) async fn pay(&self, card: &str) -> Result<Outcome, Failure> {
        let payment = json!({
            "amount": 1200, "currency": "EUR", "merchant": "demo-shop", "reference": "order-1",
            "source": {"number": card},
        });
        self.send(Request::post("/v1/payments").json(&payment)).await
    }

    /// Charges `card` `times` times, all of which must be answered with a 201, and counts who answered.
    pub(super) async fn pay_often(&self, card: &str, times: u32) -> Result<BTreeMap<Acquirer, u32>, Failure> {
        let mut by = BTreeMap::new();
        for _ in 0..times {
            let paid = self.pay(card).await?;
            match paid {
                Outcome { status: 201, by: Some(acquirer), .. } => *by.entry(acquirer).or_default() += 1,
                _ => return Err(format!("a charge got {}", paid.line()).into()),
            }
        }
        Ok(by)
    }

    /// Tells every processor how to behave.
    pub(super) async fn set_all(&self, mode: Mode) -> Result<(), StackError> {
        for acquirer in Acquirer::ALL {
            self.stack.processor(acquirer).set(mode.clone()).await?;
        }
        Ok(())
    }

    /// What has arrived at a processor, by its own word.
    pub(super) async fn arrived(&self, acquirer: Acquirer) -> Result<Counts, StackError> {
        Ok(self.stack.processor(acquirer).status().await?.counts)
    }
}

/// `a 60, b 40, c 20`.
pub(super) fn spread(by: &BTreeMap<Acquirer, u32>) -> String {
    let count = |acquirer: Acquirer| {
        let times = by.get(&acquirer).copied().unwrap_or(0);
        format!("{} {times}", acquirer.name())
    };
    Acquirer::ALL.map(count).join(", ")
}
