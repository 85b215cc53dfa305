//! The committed corpora of the fuzz targets, and variants of them, through the bodies: what fuzzing has found once stays found,
//! without libFuzzer.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use sansfu::rng::Rng;
use sansfu_tests::fuzzing::{Body, TARGETS};

/// Limits of one target's corpus: it is for replaying on every test run, not an archive.
const MAX_CORPUS_FILES: usize = 100;
const MAX_CORPUS_BYTES: usize = 100_000;

/// Variants that are tried for each target: about so many, or as many as have so many bytes, but within the range for each file.
const VARIANTS_PER_TARGET: usize = 2_000;
const VARIANT_BYTES_PER_TARGET: usize = 1_000_000;
const VARIANTS_PER_FILE: std::ops::RangeInclusive<usize> = 5..=300;

/// Targets that run whole machines: one variant for each file is what there is time for.
const SLOW_TARGETS: [&str; 7] = ["mediasoup", "protoo", "sdp", "server", "sfu", "srtp", "world"];

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the workspace").join("fuzz")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// The files of a target's corpus, in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(target);
    let read = |name: String| (name.clone(), fs::read(folder.join(&name)).unwrap());
    names_in(&folder).into_iter().map(read).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a body, and on a panic reports what it was given.
fn run(target: &str, body: Body, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| body(input))).is_err() {
        panic!("target {target} failed; its input in hex:\n{}", hex(input));
    }
}

#[test]
fn every_target_has_its_parts() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "in the order of the alphabet, none twice: {names:?}");
    let expected: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(names_in(&fuzz_folder().join("corpus")), expected, "folders of corpora");

    let sources = names_in(&fuzz_folder().join("fuzz_targets"));
    assert_eq!(sources, names.iter().map(|name| format!("{name}.rs")).collect(), "fuzz_targets");
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    let bins: BTreeSet<&str> = manifest.split("[[bin]]\n").skip(1).map(str::trim).collect();
    for name in names {
        let source = fs::read_to_string(fuzz_folder().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert_eq!(source, source_of(name), "fuzz_targets/{name}.rs");
        assert!(bins.contains(bin_of(name).trim()), "in fuzz/Cargo.toml:\n{}", bin_of(name));
    }
    assert_eq!(bins.len(), expected.len(), "fuzz/Cargo.toml has a binary for each target and no others");
}

fn source_of(name: &str) -> String {
    format!(
        "#![no_main]\nuse sansfu_tests::fuzzing::{name};\nlibfuzzer_sys::fuzz_target!(|data: &[u8]| {name}(data));\n"
    )
}

fn bin_of(name: &str) -> String {
    format!(
        "name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n"
    )
}

#[test]
fn corpora_are_small_and_named_by_content() {
    for (target, _) in TARGETS {
        let files = corpus(target);
        assert!(!files.is_empty(), "{target} has no corpus");
        assert!(files.len() <= MAX_CORPUS_FILES, "{target} has {} files", files.len());
        let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total <= MAX_CORPUS_BYTES, "{target} has {total} bytes");
        for (name, bytes) in files {
            let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes);
            assert_eq!(
                name,
                hex(sha1.as_ref()),
                "{target}: libFuzzer names files by the SHA-1 of their content"
            );
        }
    }
}

#[test]
fn corpora_replay() {
    for (target, body) in TARGETS {
        for (_, bytes) in corpus(target) {
            run(target, *body, &bytes);
        }
    }
}

#[test]
fn variants_of_the_corpora() {
    for (target, body) in TARGETS {
        run(target, *body, &[]);
        let files = corpus(target);
        let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let count = (VARIANTS_PER_TARGET / files.len().max(1)).min(VARIANT_BYTES_PER_TARGET / total.max(1));
        let count = count.clamp(*VARIANTS_PER_FILE.start(), *VARIANTS_PER_FILE.end());
        let count = if SLOW_TARGETS.contains(target) { 1 } else { count };
        let mut rng = Rng::from_seed([4; 32]);
        for (_, bytes) in &files {
            for _ in 0..count {
                let (_, other) = &files[rng.below(files.len() as u32) as usize];
                run(target, *body, &variant(&mut rng, bytes, other));
            }
        }
    }
}

/// A corpus file with a few changes: cut, bits flipped, bytes replaced, or a piece of another file put in.
fn variant(rng: &mut Rng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(changed.len() as u32 + 1) as usize;
        match rng.below(5) {
            0 => changed.truncate(at),
            1 => changed.insert(at, rng.next_u32() as u8),
            2 => {
                let from = rng.below(other.len() as u32 + 1) as usize;
                let len = rng.below(32).min((other.len() - from) as u32) as usize;
                changed.splice(at..at, other[from..from + len].iter().copied());
            }
            3 => changed.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << rng.below(8)),
            _ => changed.get_mut(at).into_iter().for_each(|byte| *byte = rng.next_u32() as u8),
        }
    }
    changed
}
