//! Draws from a Beta distribution, as the quotient of two Gamma draws (Marsaglia and Tsang, "A simple method for
//! generating gamma variables", 2000), exact for parameters of at least 1.

use crate::rng::Rng;

/// Tries of one Gamma draw; each fails with less than 5 percent.
const TRIES: usize = 16;

/// A draw from Beta(`a`, `b`), both at least 1.
pub(super) fn draw(a: f64, b: f64, rng: &mut Rng) -> f64 {
    let (x, y) = (gamma(a, rng), gamma(b, rng));
    x / (x + y)
}

fn gamma(shape: f64, rng: &mut Rng) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    for _ in 0..TRIES {
        let z = normal(rng.unit());
        let cube = 1.0 + c * z;
        if cube <= 0.0 {
            continue;
        }
        let v = cube * cube * cube;
        let u = rng.unit();
        let square = z * z;
        // The squeeze spares nearly every logarithm.
        if u < 1.0 - 0.0331 * square * square || libm::log(u) < 0.5 * square + d * (1.0 - v + libm::log(v)) {
            return d * v;
        }
    }
    d
}

/// The quantile of the normal distribution (Acklam's rational approximation, relative error below 1.2e-9).
fn normal(p: f64) -> f64 {
    const LOW: f64 = 0.02425;
    let p = p.clamp(1e-16, 1.0 - 1e-16);
    if p < LOW {
        tail(p)
    } else if p > 1.0 - LOW {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        let above = horner(
            r,
            [
                -3.969683028665376e+01,
                2.209460984245205e+02,
                -2.759285104469687e+02,
                1.383_577_518_672_69e2,
                -3.066479806614716e+01,
                2.506628277459239e+00,
            ],
        );
        let below = horner(
            r,
            [
                -5.447609879822406e+01,
                1.615858368580409e+02,
                -1.556989798598866e+02,
                6.680131188771972e+01,
                -1.328068155288572e+01,
                1.0,
            ],
        );
        q * above / below
    }
}

fn tail(p: f64) -> f64 {
    let q = libm::sqrt(-2.0 * libm::log(p));
    let above = horner(
        q,
        [
            -7.784894002430293e-03,
            -3.223964580411365e-01,
            -2.400758277161838e+00,
            -2.549732539343734e+00,
            4.374664141464968e+00,
            2.938163982698783e+00,
        ],
    );
    let below =
        horner(q, [7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00, 1.0]);
    above / below
}

fn horner<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    coefficients.into_iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, want) in [
            (0.5, 0.0),
            (0.975, 1.959_963_985),
            (0.025, -1.959_963_985),
            (0.841_344_746, 1.0),
            (0.999, 3.090_232_306),
            (0.000_1, -3.719_016_485),
        ] {
            assert!((normal(p) - want).abs() < 1e-8, "{p}: {}", normal(p));
        }
        assert!(normal(0.0).is_finite() && normal(1.0).is_finite());
    }

    #[test]
    fn mean_and_variance_are_those_of_the_distribution() {
        let mut rng = Rng::new(11);
        for (a, b) in [(1.0, 1.0), (1.0, 9.0), (5.0, 2.0), (90.0, 10.0), (2_000.0, 8_000.0)] {
            let n = 40_000_u32;
            let draws: Vec<f64> = (0..n).map(|_| draw(a, b, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / f64::from(n);
            let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n);
            let sum = a + b;
            let want = a * b / (sum * sum * (sum + 1.0));
            assert!((mean - a / sum).abs() < 5.0 * libm::sqrt(want / f64::from(n)), "{a} {b}: mean {mean}");
            assert!((variance / want - 1.0).abs() < 0.05, "{a} {b}: variance {variance}, not {want}");
        }
    }
}
