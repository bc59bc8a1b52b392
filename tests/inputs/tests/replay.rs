//! What was kept in `fuzz/corpus` and a few hundred random inputs, through every target: no law is broken.
//!
//! `./just fuzz TARGET` looks for more; what it finds and what is mended is kept there, small.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use inputs::bytes::random;

/// Bytes of one kept input, at most: it is there to be read.
const KEPT_LEN_MAX: usize = 4_096;
/// Kept inputs of one target, at most.
const KEPT_MAX: usize = 48;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The names in a folder, without their endings.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(folder)).expect("the folder is there");
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    entries.map(|entry| stem(entry.expect("an entry").path())).collect()
}

#[test]
fn every_target_has_a_corpus_and_is_built_for_the_fuzzer() {
    let targets: BTreeSet<String> = inputs::all().map(|target| target.name.to_owned()).collect();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("the manifest");
    for name in &targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "fuzz/Cargo.toml has no {name}");
        let file = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).expect("the target");
        assert!(file.contains(&format!("\"{name}\"")), "fuzz_targets/{name}.rs runs another target");
    }
}

#[test]
fn what_was_kept_breaks_no_law() {
    for target in inputs::all() {
        let folder = fuzz().join("corpus").join(target.name);
        let files: Vec<_> = fs::read_dir(&folder).expect("a corpus").map(|file| file.expect("a file").path()).collect();
        assert!((1..=KEPT_MAX).contains(&files.len()), "{}: {} files", target.name, files.len());
        for file in files {
            let bytes = fs::read(&file).expect("it can be read");
            assert!(bytes.len() <= KEPT_LEN_MAX, "{} has {} bytes", file.display(), bytes.len());
            println!("{}", file.display());
            (target.run)(&bytes);
        }
    }
}

#[test]
fn random_inputs_break_no_law_and_give_one_text() {
    for target in inputs::all() {
        for seed in 0..200 {
            println!("{} seed {seed}", target.name);
            let bytes = random(seed, 2_000);
            let text = (target.run)(&bytes);
            assert!(text.is_ascii(), "what is seen is told in ASCII");
            if inputs::PURE.iter().any(|pure| pure.name == target.name) {
                assert_eq!((target.run)(&bytes), text);
            }
        }
    }
}
