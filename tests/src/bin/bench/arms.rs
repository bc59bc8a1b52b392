//! What is compared: which proxy, with which request.

use std::path::Path;

use e2e::client::Request;
use e2e::client::load::Report;
use e2e::stack::Edit;

/// The configuration of every proxy but ours.
pub(super) const TEMPLATE: &str = include_str!("../../../bench/envoy.yaml");

/// The change to the shipped configuration that keeps it from writing a line per request, which the others do not either.
pub(super) fn without_access_log() -> Edit {
    let logger = "- name: envoy.access_loggers.stderr\n";
    let never = "            filter: {runtime_filter: {runtime_key: none, percent_sampled: {numerator: 0}}}\n";
    Edit::new(logger, format!("{logger}{never}"))
}

/// Share of the answers to repeated look-ups, in percent, that must be hits for the arm to count as such.
const HITS_PERCENT_MIN: u64 = 99;

/// A proxy under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    Plain,
    Null,
    Lua,
    Ours,
}

impl Proxy {
    /// What it is called in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Null => "null filter",
            Self::Lua => "lua",
            Self::Ours => "switchyard",
        }
    }

    /// The change to [`TEMPLATE`] that puts its filter before the router.
    pub(super) fn filter(self, null_wasm: &Path) -> Vec<Edit> {
        let filter = match self {
            Self::Plain | Self::Ours => return Vec::new(),
            Self::Null => format!(
                r#"
          - name: "null"
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                vm_config:
                  runtime: envoy.wasm.runtime.v8
                  code: {{local: {{filename: {}}}}}"#,
                serde_json::Value::from(null_wasm.display().to_string())
            ),
            Self::Lua => r#"
          - name: lua
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
              default_source_code:
                inline_string: |
                  function envoy_on_request(handle) handle:headers():add("x-null", "1") end
                  function envoy_on_response(handle) handle:headers():add("x-null", "1") end"#
                .to_owned(),
        };
        vec![Edit::new("\n          # FILTER", filter)]
    }
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// A request that no operation of ours names.
    PassThrough,
    /// The same look-up again and again; ours answers it from its cache.
    LookUp,
    /// A charge without an idempotency key.
    Charge,
}

impl Traffic {
    /// What it is called in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PassThrough => "GET, passed through",
            Self::LookUp => "GET, same look-up",
            Self::Charge => "POST, charge",
        }
    }

    pub(super) fn request(self) -> Request {
        match self {
            Self::PassThrough => Request::get("/health"),
            Self::LookUp => Request::get("/v1/bins/424242"),
            Self::Charge => Request::post("/v1/payments").json(&serde_json::json!({
                "amount": 1200, "currency": "EUR", "merchant": "m-1", "reference": "bench",
                "source": {"number": "4242424242424242"},
            })),
        }
        .header("authorization", "Bearer bench")
    }

    fn status(self) -> u16 {
        match self {
            Self::PassThrough | Self::LookUp => 200,
            Self::Charge => 201,
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arm {
    pub(super) proxy: Proxy,
    pub(super) traffic: Traffic,
}

/// Every line of the table. The plain proxy takes every kind of request: it is what the others are compared with.
pub(super) const ARMS: [Arm; 8] = {
    use {Proxy as P, Traffic as T};
    [
        Arm { proxy: P::Plain, traffic: T::PassThrough },
        Arm { proxy: P::Null, traffic: T::PassThrough },
        Arm { proxy: P::Lua, traffic: T::PassThrough },
        Arm { proxy: P::Ours, traffic: T::PassThrough },
        Arm { proxy: P::Plain, traffic: T::LookUp },
        Arm { proxy: P::Ours, traffic: T::LookUp },
        Arm { proxy: P::Plain, traffic: T::Charge },
        Arm { proxy: P::Ours, traffic: T::Charge },
    ]
};

impl Arm {
    /// Refuses a report of anything but what the arm is meant to measure.
    pub(super) fn check(&self, report: &Report) -> Result<(), String> {
        let (proxy, traffic, answered) = (self.proxy.name(), self.traffic.name(), report.answered());
        if answered == 0 || !report.errors.is_empty() || report.with_status(self.traffic.status()) != answered {
            let (statuses, errors) = (&report.statuses, &report.errors);
            return Err(format!("{proxy}, {traffic}: statuses {statuses:?}, errors {errors:?}"));
        }
        let hits = report.labels.get("hit").copied().unwrap_or(0);
        if self.proxy == Proxy::Ours && self.traffic == Traffic::LookUp && hits * 100 < answered * HITS_PERCENT_MIN {
            return Err(format!("{proxy}, {traffic}: only {hits} hits in {answered} answers"));
        }
        Ok(())
    }
}
