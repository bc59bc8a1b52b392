//! Where two recordings differ, and which of the differences are known.
//!
//! What is known stands in a file with its reason. A line there that no difference needs any more is a failure too: it would
//! hide the next one.

use serde::Deserialize;
use world::GAPS;

use super::recording::{Recording, Sections};

/// The file of known differences.
pub const KNOWN: &str = "known.toml";

/// A section that two hosts did not write alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The case, or `start`.
    pub case: String,
    /// The section.
    pub section: String,
    /// What the world wrote, where it differs.
    pub world: Vec<String>,
    /// What Envoy wrote there.
    pub envoy: Vec<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}, {}:", self.case, self.section)?;
        self.world.iter().try_for_each(|line| writeln!(f, "  world | {line}"))?;
        self.envoy.iter().try_for_each(|line| writeln!(f, "  envoy | {line}"))
    }
}

/// A difference that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The file.
    pub area: String,
    /// The case, or `*` for any.
    pub case: String,
    /// Which lines of a difference it explains.
    pub line: Line,
    /// Why it is so and stays so.
    pub reason: String,
}

/// Which lines are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Those that hold this text, on either side.
    Holds(String),
    /// This one, with its side before it: `world | ..` or `envoy | ..`.
    Is(String),
}

/// The file of known differences, as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    #[serde(default)]
    known: Vec<RawKnown>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKnown {
    area: String,
    case: String,
    line: Option<String>,
    #[serde(default)]
    lines: Vec<String>,
    /// Why it is so, or the row of [`GAPS`] that says it.
    reason: Option<String>,
    gap: Option<String>,
}

impl KnownFile {
    /// One entry for each line, so that each must be needed.
    ///
    /// # Errors
    /// What is wrong: nothing may excuse a whole case.
    pub fn entries(self) -> Result<Vec<Known>, String> {
        let mut all = Vec::new();
        for RawKnown { area, case, line, lines, reason, gap } in self.known {
            let wrong = |what: &str| format!("{area} {case}: {what}");
            let reason = match (reason, gap) {
                (Some(reason), None) => reason,
                (None, Some(what)) => {
                    let row = GAPS.iter().find(|row| row.what == what);
                    let row = row.ok_or_else(|| wrong(&format!("no row of the world's GAPS is called {what:?}")))?;
                    format!("{}: Envoy: {}; the crate: {}", row.what, row.envoy, row.crate_does)
                }
                _ => return Err(wrong("one of `reason` and `gap`")),
            };
            let lines: Vec<Line> = match line {
                Some(text) if lines.is_empty() && !text.is_empty() => vec![Line::Holds(text)],
                None if !lines.is_empty() => lines.into_iter().map(Line::Is).collect(),
                _ => return Err(wrong("one text that is not empty as `line`, or whole `lines`")),
            };
            all.extend(lines.into_iter().map(|line| Known {
                area: area.clone(),
                case: case.clone(),
                line,
                reason: reason.clone(),
            }));
        }
        Ok(all)
    }
}

/// Every run of lines that differs, section by section, of the cases that Envoy ran.
pub fn compare(world: &Recording, envoy: &Recording) -> Vec<Difference> {
    let mut differences = Vec::new();
    let nothing = Sections::new();
    sections("start", &world.start, &envoy.start, &mut differences);
    let here = |recording: &Recording, name: &str| recording.cases.iter().position(|(known, _)| known == name);
    for (name, _) in &envoy.cases {
        let of = |recording: &Recording| here(recording, name).map(|index| recording.cases[index].1.clone());
        let (world, envoy) = (of(world), of(envoy));
        sections(name, world.as_ref().unwrap_or(&nothing), envoy.as_ref().unwrap_or(&nothing), &mut differences);
    }
    differences
}

fn sections(case: &str, world: &Sections, envoy: &Sections, differences: &mut Vec<Difference>) {
    let mut names: Vec<&String> = world.keys().chain(envoy.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let lines = |sections: &Sections| sections.get(name).cloned().unwrap_or_default();
        for (world, envoy) in runs(&lines(world), &lines(envoy)) {
            differences.push(Difference { case: case.to_owned(), section: name.clone(), world, envoy });
        }
    }
}

/// The runs of lines that two texts do not share, by their longest common subsequence.
fn runs(one: &[String], other: &[String]) -> Vec<(Vec<String>, Vec<String>)> {
    let mut common = vec![vec![0_usize; other.len() + 1]; one.len() + 1];
    for i in (0..one.len()).rev() {
        for j in (0..other.len()).rev() {
            common[i][j] =
                if one[i] == other[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut out, mut run) = (Vec::new(), (Vec::new(), Vec::new()));
    let (mut i, mut j) = (0, 0);
    while i < one.len() || j < other.len() {
        if i < one.len() && j < other.len() && one[i] == other[j] {
            out.push(std::mem::take(&mut run));
            (i, j) = (i + 1, j + 1);
        } else if j == other.len() || (i < one.len() && common[i + 1][j] >= common[i][j + 1]) {
            run.0.push(one[i].clone());
            i += 1;
        } else {
            run.1.push(other[j].clone());
            j += 1;
        }
    }
    out.push(run);
    out.retain(|(one, other)| !one.is_empty() || !other.is_empty());
    out
}

/// The differences that nobody knows, and the entries for `area` that no difference needs.
pub fn unknown(area: &str, differences: Vec<Difference>, known: &[Known]) -> (Vec<Difference>, Vec<Known>) {
    let of_area: Vec<&Known> = known.iter().filter(|known| known.area == area).collect();
    let mut used = vec![false; of_area.len()];
    let mut left = Vec::new();
    for difference in differences {
        let explains = |known: &Known, side: &str, line: &str| {
            let here = known.case == "*" || known.case == difference.case;
            here && match &known.line {
                Line::Holds(text) => line.contains(text),
                Line::Is(text) => *text == format!("{side} | {line}"),
            }
        };
        let world = difference.world.iter().map(|line| ("world", line));
        let explained = world.chain(difference.envoy.iter().map(|line| ("envoy", line))).all(|(side, line)| {
            let at = of_area.iter().position(|known| explains(known, side, line));
            at.map(|at| used[at] = true).is_some()
        });
        if !explained {
            left.push(difference);
        }
    }
    let unused = of_area.into_iter().zip(used).filter(|(_, used)| !used).map(|(known, _)| known.clone());
    (left, unused.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(lines: &[&str]) -> Recording {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        let sections = Sections::from([("stream x".to_owned(), lines)]);
        Recording { start: Sections::new(), cases: vec![("x".to_owned(), sections)] }
    }

    #[test]
    fn a_difference_is_found_and_an_entry_must_be_needed() {
        let (one, other) = (recording(&["a", "b", "d"]), recording(&["a", "c", "d"]));
        assert_eq!(compare(&one, &one), []);
        let differences = compare(&one, &other);
        assert_eq!(differences.len(), 1);
        assert_eq!((&*differences[0].world, &*differences[0].envoy), (&["b".to_owned()][..], &["c".to_owned()][..]));
        let known = |line: &str| Known {
            area: "area".to_owned(),
            case: "x".to_owned(),
            line: Line::Holds(line.to_owned()),
            reason: "it is so".to_owned(),
        };
        let both = [known("b"), known("c")];
        assert_eq!(unknown("area", differences.clone(), &both).0, []);
        assert_eq!(unknown("area", differences.clone(), &both[..1]).0.len(), 1);
        assert_eq!(unknown("area", compare(&one, &one), &both).1.len(), 2);
    }
}
