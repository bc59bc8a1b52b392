//! When breakers open and for how long, and heartbeats.

use std::time::Duration;

use super::values::{millis, number};
use super::{Result, wrong};
use crate::breaker::{Mode, Settings, Span};
use crate::breakers::Dimension;
use crate::config::{defaults, raw};
use crate::heartbeat;

/// The settings of one processor, whose own fields go before those for all.
pub(super) fn read(path: &str, own: &raw::Breaker, common: &raw::Breaker) -> Result<Settings> {
    let field = |name: &str| format!("{path}.{name}");
    let count = |name: &str, of: fn(&raw::Breaker) -> Option<u64>, default, range| {
        number(&field(name), of(own).or(of(common)), default, range)
    };
    let failures = count(
        "consecutive_failures",
        |b| b.consecutive_failures,
        defaults::CONSECUTIVE_FAILURES,
        defaults::CONSECUTIVE_FAILURES_RANGE,
    )?;
    let calls_min = count("calls_min", |b| b.calls_min, defaults::CALLS_MIN, defaults::CALLS_MIN_RANGE)?;
    let failed = count("failure_percent", |b| b.failure_percent, defaults::FAILURE_PERCENT, defaults::PERCENT_RANGE)?;
    let slow = count("slow_percent", |b| b.slow_percent, defaults::SLOW_PERCENT, defaults::PERCENT_RANGE)?;
    let slow_call = count("slow_call_ms", |b| b.slow_call_ms, defaults::SLOW_CALL_MS, defaults::SLOW_CALL_MS_RANGE)?;
    let issuers = count("issuers", |b| b.issuers, defaults::ISSUERS, defaults::ISSUERS_RANGE)?;
    let probes = count("probes", |b| b.probes, defaults::PROBES, defaults::PROBES_RANGE)?;
    let probe_timeout = count(
        "probe_timeout_ms",
        |b| b.probe_timeout_ms,
        defaults::PROBE_TIMEOUT_MS,
        defaults::PROBE_TIMEOUT_MS_RANGE,
    )?;
    let open = count("open_ms", |b| b.open_ms, defaults::OPEN_MS, defaults::OPEN_MS_RANGE)?;
    let open_max = count("open_ms_max", |b| b.open_ms_max, defaults::OPEN_MS_MAX.max(open), defaults::OPEN_MS_RANGE)?;
    if open_max < open {
        return wrong(field("open_ms_max"), format!("at least open_ms, which is {open}"));
    }
    let percent = |value: u64| u32::try_from(value).ok().filter(|value| *value > 0);
    let whole = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let mode = match own.mode.or(common.mode) {
        Some(raw::Mode::Enforce) | None => Mode::Enforce,
        Some(raw::Mode::Observe) => Mode::Observe,
        Some(raw::Mode::Disabled) => Mode::Disabled,
        Some(raw::Mode::ForcedOpen) => Mode::ForcedOpen,
    };
    Ok(Settings {
        mode,
        consecutive_failures: whole(failures),
        span: span(&field, own, common)?,
        calls_min: whole(calls_min),
        failure_percent: percent(failed),
        slow_call: millis(slow_call),
        slow_percent: percent(slow),
        issuers: whole(issuers),
        open: millis(open),
        open_max: millis(open_max),
        probes: whole(probes),
        probe_timeout: millis(probe_timeout),
    })
}

fn span(field: &dyn Fn(&str) -> String, own: &raw::Breaker, common: &raw::Breaker) -> Result<Span> {
    for one in [own, common] {
        if one.window_ms.is_some() && one.window_calls.is_some() {
            return wrong(field("window_calls"), "either window_ms or window_calls");
        }
        if let Some(calls) = one.window_calls {
            let calls = number(&field("window_calls"), Some(calls), 0, defaults::WINDOW_CALLS_RANGE)?;
            return Ok(Span::Calls(u32::try_from(calls).unwrap_or(u32::MAX)));
        }
        if one.window_ms.is_some() {
            return Ok(Span::Time(millis(number(
                &field("window_ms"),
                one.window_ms,
                defaults::WINDOW_MS,
                defaults::WINDOW_MS_RANGE,
            )?)));
        }
    }
    Ok(Span::Time(Duration::from_millis(defaults::WINDOW_MS)))
}

/// By what the traffic of one processor is told apart.
pub(super) fn per(own: &raw::Breaker, common: &raw::Breaker) -> Vec<Dimension> {
    let listed = own.per.as_ref().or(common.per.as_ref()).map(Vec::as_slice).unwrap_or_default();
    let mut all: Vec<_> = listed
        .iter()
        .map(|one| match one {
            raw::Dimension::Scheme => Dimension::Scheme,
            raw::Dimension::IssuerCountry => Dimension::IssuerCountry,
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// How a processor is asked whether it is there.
pub(super) fn heartbeat(path: &str, raw: Option<&raw::Heartbeat>) -> Result<Option<heartbeat::Settings>> {
    let Some(raw) = raw else { return Ok(None) };
    if !raw.path.starts_with('/') || !raw.path.bytes().all(|b| b.is_ascii_graphic()) {
        return wrong(format!("{path}.path"), "a path that starts with /");
    }
    let time = |name: &str, given, default, range| number(&format!("{path}.{name}"), given, default, range).map(millis);
    Ok(Some(heartbeat::Settings {
        path: raw.path.clone(),
        interval: time(
            "interval_ms",
            raw.interval_ms,
            defaults::HEARTBEAT_INTERVAL_MS,
            defaults::HEARTBEAT_INTERVAL_MS_RANGE,
        )?,
        timeout: time(
            "timeout_ms",
            raw.timeout_ms,
            defaults::HEARTBEAT_TIMEOUT_MS,
            defaults::HEARTBEAT_TIMEOUT_MS_RANGE,
        )?,
    }))
}
