//! The result: a line per arm, each beside plain Envoy with the same request.

use std::fmt::Write;

use e2e::client::load::Report;

use super::arms::{Arm, Proxy};

/// The table of `reports`: those of one arm at the same index as the arm, one per round, in order.
pub(super) fn table(arms: &[Arm], reports: &[Vec<Report>]) -> String {
    let mut text = format!(
        "{:<13}{:<21}{:>10}  {:<19}{:>8}  {:<19}{:>8}  {:<19}\n",
        "proxy", "request", "answers/s", "ratio", "p50 ms", "ratio", "p99 ms", "ratio"
    );
    for (arm, rounds) in arms.iter().zip(reports) {
        let plain = arms.iter().position(|a| a.proxy == Proxy::Plain && a.traffic == arm.traffic);
        let plain = plain.map_or(rounds, |index| &reports[index]);
        let beside = |measure: &dyn Fn(&Report) -> f64| {
            let ratios = sorted(rounds.iter().zip(plain).map(|(ours, plain)| measure(ours) / measure(plain)));
            let (low, high) = (ratios.first().unwrap_or(&f64::NAN), ratios.last().unwrap_or(&f64::NAN));
            let value = median(&sorted(rounds.iter().map(measure)));
            (value, format!("{:.2} ({low:.2}..{high:.2})", median(&ratios)))
        };
        let (rate, rates) = beside(&Report::per_second);
        let (p50, p50s) = beside(&|report| latency_ms(report, 0.50));
        let (p99, p99s) = beside(&|report| latency_ms(report, 0.99));
        let (proxy, traffic) = (arm.proxy.name(), arm.traffic.name());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{proxy:<13}{traffic:<21}{rate:>10.0}  {rates:<19}{p50:>8.2}  {p50s:<19}{p99:>8.2}  {p99s:<19}"
        );
    }
    text.push_str(
        "\nMedians of the rounds. ratio: beside plain Envoy with the same request in the same round (least..most).",
    );
    text.push_str("\nOne Envoy worker, loopback, client and processors on the same machine.");
    text
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of sorted values; of an even number the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => f64::NAN,
    }
}

fn latency_ms(report: &Report, quantile: f64) -> f64 {
    let us = u32::try_from(report.latency_us.value_at_quantile(quantile)).unwrap_or(u32::MAX);
    f64::from(us) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }
}
