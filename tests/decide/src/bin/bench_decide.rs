//! What a decision costs, natively and in wasm: a table of both.
//!
//! Two processes measure the same cases, one natively, one in wasm under wasmtime. They are asked in turn, case by case
//! and round by round, so that what else the machine does meets both alike.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use clap::Parser;
use decide::Failure;
use serde_json::json;

/// Measures what decisions cost, natively and in wasm.
#[derive(Parser)]
struct Args {
    /// Rounds.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Three rounds, and shorter ones: a look, not a measurement.
    #[arg(long)]
    quick: bool,
    /// One JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Only cases whose name has this in it, such as `Rules::decide` or `64 processors`.
    #[arg(long, default_value = "")]
    only: String,
    /// The program that measures, built for wasm.
    #[arg(long)]
    cases_wasm: PathBuf,
    /// The program that runs it.
    #[arg(long)]
    wasi_runner: PathBuf,
}

/// Microseconds of one measurement, and of one in a quick run.
const MICROS: (u32, u32) = (2_000, 500);
/// Rounds of a quick run.
const QUICK_ROUNDS: u32 = 3;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_decide: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A process that measures.
struct Side {
    child: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Side {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (ask, told) = (child.stdin.take(), child.stdout.take());
        Ok(Self { child, ask: ask.ok_or("no input")?, told: BufReader::new(told.ok_or("no output")?) })
    }

    /// The next line; an error where the process ended.
    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.told.read_line(&mut line)? {
            0 => Err(format!("a measuring process ended: {}", self.child.wait()?).into()),
            _ => Ok(line.trim_end_matches('\n').to_owned()),
        }
    }

    fn names(&mut self) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        loop {
            match self.line()? {
                name if name.is_empty() => return Ok(names),
                name => names.push(name),
            }
        }
    }

    fn measure(&mut self, place: usize, micros: u32) -> Result<f64, Failure> {
        writeln!(self.ask, "{place} {micros}")?;
        Ok(self.line()?.parse()?)
    }

    /// Nothing is asked any more.
    fn end(mut self) -> Result<(), Failure> {
        drop(self.ask);
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a measuring process failed: {status}").into()) }
    }
}

/// A case, and nanoseconds per run by round.
struct Row {
    place: usize,
    group: String,
    what: String,
    size: String,
    native: Vec<f64>,
    wasm: Vec<f64>,
}

impl Row {
    fn new(place: usize, name: &str) -> Result<Self, Failure> {
        let mut parts = name.split('\t').map(str::to_owned);
        let (Some(group), Some(what), Some(size)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("no name of a case: {name:?}").into());
        };
        Ok(Self { place, group, what, size, native: Vec::new(), wasm: Vec::new() })
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let program = std::env::current_exe()?.with_file_name("decide_cases");
    let mut native = Side::start(&mut Command::new(program))?;
    let mut wasm = Side::start(Command::new(&args.wasi_runner).arg(&args.cases_wasm))?;
    let names = native.names()?;
    if wasm.names()? != names {
        return Err("the two programs measure different cases: build both".into());
    }
    let (rounds, micros) = if args.quick { (QUICK_ROUNDS, MICROS.1) } else { (args.rounds, MICROS.0) };
    let asked = names.iter().enumerate().filter(|(_, name)| name.contains(&args.only));
    let mut rows = asked.map(|(place, name)| Row::new(place, name)).collect::<Result<Vec<Row>, _>>()?;
    // The first round warms up.
    for round in 0..=rounds {
        for row in &mut rows {
            let wasm_first = round % 2 == 1;
            let early = if wasm_first { Some(wasm.measure(row.place, micros)?) } else { None };
            let own = native.measure(row.place, micros)?;
            let late = early.map_or_else(|| wasm.measure(row.place, micros), Ok)?;
            if round > 0 {
                row.native.push(own);
                row.wasm.push(late);
            }
        }
        eprintln!("round {round} of {rounds} done");
    }
    native.end()?;
    wasm.end()?;
    if args.json {
        println!("{}", document(&rows));
    } else {
        print!("{}", table(&rows, rounds));
    }
    Ok(())
}

/// The same case's smallest size, which the others are set beside.
fn smallest(rows: &[Row]) -> BTreeMap<(&str, &str), &Row> {
    let mut first = BTreeMap::new();
    for row in rows {
        first.entry((row.group.as_str(), row.what.as_str())).or_insert(row);
    }
    first
}

fn table(rows: &[Row], rounds: u32) -> String {
    let (mut text, mut group) = (String::new(), "");
    let first = smallest(rows);
    for row in rows {
        if row.group != group {
            group = &row.group;
            let head = ["size", "native ns", "least", "wasm ns", "least", "ratio", "least..most", "growth"];
            let [size, native, native_least, wasm, wasm_least, ratio, spread, growth] = head;
            text += &format!(
                "\n{group:<50} {size:>14} {native:>10} {native_least:>8} {wasm:>10} {wasm_least:>8} {ratio:>6}  {spread:<12} {growth:>6}\n"
            );
        }
        let (native, wasm) = (Spread::of(&row.native), Spread::of(&row.wasm));
        let ratio = beside(&row.wasm, &row.native);
        let growth =
            first.get(&(row.group.as_str(), row.what.as_str())).map(|first| beside(&row.native, &first.native));
        text += &format!(
            "{:<50} {:>14} {:>10.0} {:>8.0} {:>10.0} {:>8.0} {:>6.2}  {:<12} {:>6.2}\n",
            row.what,
            row.size,
            native.median,
            native.least,
            wasm.median,
            wasm.least,
            ratio.median,
            format!("{:.2}..{:.2}", ratio.least, ratio.most),
            growth.map_or(1.0, |growth| growth.median),
        );
    }
    text += &format!(
        "\nNanoseconds of one run: the median of {rounds} rounds, and the least. ratio: wasm beside native in the same round.\n\
         growth: native beside the smallest size of the same case in the same round.\n"
    );
    text
}

fn document(rows: &[Row]) -> serde_json::Value {
    let first = smallest(rows);
    let row = |row: &Row| {
        let growth =
            first.get(&(row.group.as_str(), row.what.as_str())).map(|first| beside(&row.native, &first.native));
        json!({
            "group": row.group,
            "what": row.what,
            "size": row.size,
            "native_ns": Spread::of(&row.native).document(),
            "wasm_ns": Spread::of(&row.wasm).document(),
            "ratio": beside(&row.wasm, &row.native).document(),
            "growth": growth.map(|growth| growth.document()),
        })
    };
    rows.iter().map(row).collect()
}

/// One round's number beside the other's of the same round.
fn beside(own: &[f64], other: &[f64]) -> Spread {
    let ratios: Vec<f64> = own.iter().zip(other).map(|(own, other)| own / other).collect();
    Spread::of(&ratios)
}

/// What rounds say together.
#[derive(Debug, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(rounds: &[f64]) -> Self {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        let most = sorted.last().copied().unwrap_or(f64::NAN);
        Self { median: (at(low) + at(high)) / 2.0, least: at(0), most }
    }

    fn document(&self) -> serde_json::Value {
        json!({"median": self.median, "least": self.least, "most": self.most})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_set_beside_those_of_the_same_time() {
        let ratio = beside(&[4.0, 20.0, 9.0], &[2.0, 5.0, 1.0]);
        assert_eq!(ratio, Spread { median: 4.0, least: 2.0, most: 9.0 });
        assert_eq!(Spread::of(&[3.0, 1.0]).median, 2.0);
        assert!(Spread::of(&[]).median.is_nan());
    }

    #[test]
    fn sizes_stand_beside_the_smallest_of_their_case() {
        let named = ["rules\tmixed\t10", "rules\tmixed\t1000", "rules\tplain\t10"];
        let mut rows: Vec<Row> = named.iter().enumerate().map(|(at, name)| Row::new(at, name).unwrap()).collect();
        for (row, ns) in rows.iter_mut().zip([10.0, 25.0, 7.0]) {
            (row.native, row.wasm) = (vec![ns], vec![ns * 2.0]);
        }
        let document = document(&rows);
        let growth: Vec<_> = (0..3).map(|at| document[at]["growth"]["median"].as_f64().unwrap()).collect();
        assert_eq!(growth, [1.0, 2.5, 1.0]);
        assert_eq!(document[1]["ratio"]["median"], 2.0);
        assert!(table(&rows, 1).lines().any(|line| line.starts_with("mixed") && line.contains("1000")));
        assert!(Row::new(0, "no tabs").is_err());
    }
}
