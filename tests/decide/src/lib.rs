//! What a decision costs, piece by piece: the cases that are measured, through the public face of `decision`.
//!
//! `decide_cases` is one program for two targets: it measures the cases it is asked for, one at a time. `bench_decide`
//! runs it natively and in wasm side by side, and prints the table. Absolute numbers say as much about the machine as
//! about the code, so both are asked for the same case in turn, and stand beside each other.

mod answers;
mod bodies;
mod case;
mod charges;
mod configurations;
mod picks;
mod rules;
mod whole;

pub use case::Case;

use configurations::POLICIES;

/// A failure that ends the run.
pub type Failure = Box<dyn std::error::Error>;

/// Numbers of rules.
pub const RULES: [usize; 3] = [10, 1_000, 10_000];

/// Numbers of processors.
const PROCESSORS: [usize; 3] = [2, 8, 64];
/// Bytes of a request's body.
const BODIES: [usize; 4] = [512, 1_024, 4_096, 32_768];

/// Every case, those of a kind from the smallest size to the largest. `rules` are the numbers of rules.
pub fn all(rules: &[usize]) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for policy in &POLICIES {
        for processors in PROCESSORS {
            cases.push(picks::pick(policy, processors)?);
        }
    }
    for policy in &POLICIES {
        for processors in PROCESSORS {
            cases.push(picks::route(policy, processors, configurations::Parts::None)?);
        }
    }
    for processors in PROCESSORS {
        cases.push(picks::route(&configurations::DEFAULT, processors, configurations::Parts::Schemes)?);
        cases.push(picks::route_by_key(processors)?);
    }
    for kind in rules::Kind::ALL {
        for number in rules {
            cases.push(rules::decide(kind, *number)?);
        }
    }
    for size in BODIES {
        cases.push(bodies::json(size)?);
    }
    for size in BODIES {
        cases.push(bodies::form(size)?);
    }
    cases.extend(answers::all()?);
    for number in rules {
        cases.push(whole::charge(*number)?);
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_case_runs_and_has_a_name_of_its_own() {
        let mut cases = all(&[10, 20]).unwrap();
        for case in &mut cases {
            assert!(case.measure(Duration::ZERO) >= 0.0);
        }
        let names: BTreeSet<String> = cases.iter().map(Case::line).collect();
        assert_eq!(names.len(), cases.len());
        assert!(names.iter().all(|name| name.split('\t').count() == 3), "{names:?}");
    }
}
