//! Measures one case after the other, as it is told: natively or in wasm, it is the same program.
//!
//! It first writes a line per case, then an empty one. Then it reads lines: a case's place and, after a blank, how many
//! microseconds to measure for; and answers each with nanoseconds per run. It ends with its input.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use decide::{Failure, RULES, all};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decide_cases: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut cases = all(&RULES)?;
    let mut out = std::io::stdout().lock();
    for case in &cases {
        writeln!(out, "{}", case.line())?;
    }
    writeln!(out)?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (place, micros) = line.split_once(' ').ok_or("a line is a place and microseconds")?;
        let case = cases.get_mut(place.parse::<usize>()?).ok_or("there is no case at that place")?;
        writeln!(out, "{}", case.measure(Duration::from_micros(micros.parse()?)))?;
        out.flush()?;
    }
    Ok(())
}
