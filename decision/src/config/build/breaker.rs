//! When breakers open and for how long.

use super::values::{millis, number};
use super::{Result, wrong};
use crate::breaker;
use crate::config::{defaults, raw};

pub(super) fn read(path: &str, own: &raw::Breaker, common: &raw::Breaker) -> Result<breaker::Settings> {
    let failures = number(
        &format!("{path}.consecutive_failures"),
        own.consecutive_failures.or(common.consecutive_failures),
        defaults::CONSECUTIVE_FAILURES,
        defaults::CONSECUTIVE_FAILURES_RANGE,
    )?;
    let open =
        number(&format!("{path}.open_ms"), own.open_ms.or(common.open_ms), defaults::OPEN_MS, defaults::OPEN_MS_RANGE)?;
    let open_max = number(
        &format!("{path}.open_ms_max"),
        own.open_ms_max.or(common.open_ms_max),
        defaults::OPEN_MS_MAX.max(open),
        defaults::OPEN_MS_RANGE,
    )?;
    if open_max < open {
        return wrong(format!("{path}.open_ms_max"), format!("at least open_ms, which is {open}"));
    }
    Ok(breaker::Settings {
        consecutive_failures: u32::try_from(failures).unwrap_or(u32::MAX),
        open: millis(open),
        open_max: millis(open_max),
    })
}
