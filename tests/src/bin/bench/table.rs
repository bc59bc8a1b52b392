//! The result: a line per arm, each beside plain Envoy with the same request.

use std::fmt::Write;

use e2e::client::load::Report;

use super::arms::{Arm, Proxy};

/// The table of `reports`: those of one arm at the same index as the arm, one per round, in order.
pub(super) fn table(arms: &[Arm], reports: &[Vec<Report>]) -> String {
    let mut text = format!(
        "{:<13}{:<21}{:>10}{:>9}  {:<13}{:>9}{:>9}\n",
        "proxy", "request", "answers/s", "ratio", "(min..max)", "p50 ms", "p99 ms"
    );
    for (arm, rounds) in arms.iter().zip(reports) {
        let plain = arms.iter().position(|a| a.proxy == Proxy::Plain && a.traffic == arm.traffic);
        let plain = plain.map_or(rounds, |index| &reports[index]);
        let ratios = sorted(rounds.iter().zip(plain).map(|(ours, plain)| ours.per_second() / plain.per_second()));
        let rates = sorted(rounds.iter().map(Report::per_second));
        let (low, high) = (ratios.first().unwrap_or(&f64::NAN), ratios.last().unwrap_or(&f64::NAN));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<13}{:<21}{:>10.0}{:>9.2}  {:<13}{:>9.2}{:>9.2}",
            arm.proxy.name(),
            arm.traffic.name(),
            median(&rates),
            median(&ratios),
            format!("({low:.2}..{high:.2})"),
            latency_ms(rounds, 0.50),
            latency_ms(rounds, 0.99),
        );
    }
    text.push_str(
        "\nratio: answers per second beside plain Envoy in the same round, median of the rounds (least..most);\n",
    );
    text.push_str(
        "latency: median of the rounds. One Envoy worker, loopback, client and processors on the same machine.",
    );
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

fn latency_ms(rounds: &[Report], quantile: f64) -> f64 {
    let us = |report: &Report| u32::try_from(report.latency_us.value_at_quantile(quantile)).unwrap_or(u32::MAX);
    median(&sorted(rounds.iter().map(|report| f64::from(us(report)) / 1000.0)))
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
