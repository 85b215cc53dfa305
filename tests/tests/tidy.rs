//! The rules of the house that no compiler checks: floors, lengths, words, clocks.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::fs;
use std::path::{Path, PathBuf};

/// Which floor a module of the core stands on (see core/ARCHITECTURE.md). A module uses only its own floor's parts of itself and
/// the floors below.
const FLOORS: &[(&str, u32)] = &[
    ("arena", 0),
    ("clock", 0),
    ("id", 1),
    ("rate", 0),
    ("ring", 0),
    ("rng", 0),
    ("seq", 0),
    ("timer", 1),
    ("ortc", 10),
    ("wire", 10),
    ("error", 11),
    ("ice", 20),
    ("dtls", 20),
    ("srtp", 20),
    ("stream", 20),
    ("bwe", 20),
    ("config", 21),
    ("event", 21),
    ("model", 22),
    ("stats", 23),
    ("outbox", 29),
    ("allocate", 29),
    ("producer", 30),
    ("consumer", 31),
    ("transport", 40),
    ("observer", 40),
    ("router", 50),
    ("demux", 60),
    ("sfu", 61),
    ("webrtc", 70),
    ("room", 71),
    ("server", 72),
];

const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;

/// Words that say that a runtime knows what it carries.
const PROTOCOL_WORDS: &[&str] = &[
    "rtcp",
    "stun",
    "dtls",
    "srtp",
    "whip",
    "whep",
    "protoo",
    "newconsumer",
    "producer",
    "consumer",
    "ssrc",
    "a=candidate",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate is in the workspace").to_path_buf()
}

fn rust_files(under: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> =
            fs::read_dir(folder).expect("readable").map(|entry| entry.expect("entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(under), &mut found);
    assert!(!found.is_empty(), "no Rust files under {under}");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("UTF-8"))).collect()
}

fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
        || path
            .file_name()
            .is_some_and(|name| name == "hostile.rs" || name.to_string_lossy().ends_with("_tests.rs"))
}

/// The part of a file before its `#[cfg(test)]` modules, which stand at the end.
fn without_tests(text: &str) -> &str {
    let end = text.find("\n#[cfg(test)]\nmod ").or_else(|| text.find("\n#[cfg(test)]\n#[allow"));
    end.map_or(text, |end| &text[..end])
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("core/src")).expect("in core");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn floor_of(module: &str) -> u32 {
    let found = FLOORS.iter().find(|(name, _)| *name == module);
    found
        .unwrap_or_else(|| panic!("module `{module}` has no floor: add it to FLOORS and to ARCHITECTURE.md"))
        .1
}

/// The modules that `use crate::…` and paths `crate::…` name.
fn named_modules(text: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let list = match rest.strip_prefix('{') {
            Some(inner) => inner.split('}').next().unwrap_or_default(),
            None => rest,
        };
        let first = |item: &str| {
            item.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
        };
        if rest.starts_with('{') {
            named.extend(list.split(',').map(first).filter(|name| !name.is_empty()));
        } else {
            named.push(first(rest));
        }
    }
    named
}

#[test]
fn every_floor_uses_only_floors_below() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files("core/src") {
        let module = module_of(&path);
        if module == "lib" || is_test_file(&path) {
            continue;
        }
        let code: String = without_tests(&text)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n");
        for named in named_modules(&code) {
            let allowed = named == module || !FLOORS.iter().any(|(name, _)| *name == named) || floor_of(&named) < floor_of(&module)
                // The two kinds of one floor that do not name each other back.
                || (module == "dtls" && named == "ortc");
            if !allowed {
                wrong.push(format!(
                    "{}: {module} (floor {}) names {named} (floor {})",
                    path.display(),
                    floor_of(&module),
                    floor_of(&named)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "upward imports:\n{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_fit() {
    let mut wrong = Vec::new();
    for folder in
        ["core/src", "core/examples", "runtime-std/common/src", "runtime-smol/src", "runtime-std/src"]
    {
        for (path, text) in rust_files(folder) {
            if is_test_file(&path) {
                continue;
            }
            let code = without_tests(&text);
            let lines: Vec<&str> = code.lines().collect();
            if lines.len() > MAX_FILE_LINES {
                wrong.push(format!("{}: {} lines", path.display(), lines.len()));
            }
            for (number, length) in function_lengths(&lines) {
                if length > MAX_FUNCTION_LINES {
                    wrong.push(format!("{}:{}: a function of {length} lines", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "too long:\n{}", wrong.join("\n"));
}

/// Where each function begins and how many lines it has: formatted code closes it at its own indentation.
fn function_lengths(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let is_function = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "const fn ",
            "pub const fn ",
            "async fn ",
            "pub async fn ",
        ]
        .iter()
        .any(|head| code.starts_with(head));
        if !is_function {
            continue;
        }
        let is_declaration = lines[start..]
            .iter()
            .find(|line| line.ends_with('{') || line.ends_with(';'))
            .is_some_and(|line| line.ends_with(';'));
        if is_declaration {
            continue;
        }
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[start..].iter().position(|line| *line == closing) {
            found.push((start, length + 1));
        }
    }
    found
}

#[test]
fn runtimes_do_not_know_what_they_carry() {
    let mut wrong = Vec::new();
    for folder in ["runtime-std/common/src", "runtime-smol/src", "runtime-std/src"] {
        for (path, text) in rust_files(folder) {
            for (number, line) in without_tests(&text).lines().enumerate() {
                let lower = line.to_lowercase();
                for word in PROTOCOL_WORDS.iter().filter(|word| lower.contains(**word)) {
                    wrong.push(format!("{}:{}: `{word}`", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "protocol words in runtimes:\n{}", wrong.join("\n"));
}

#[test]
fn the_core_has_no_clock_no_randomness_and_no_unsafe_code() {
    const FORBIDDEN: &[&str] = &[
        "Instant::now",
        "SystemTime::now",
        "thread_rng",
        "rand::rng(",
        "OsRng",
        "SysRng",
        "getrandom",
        "std::thread",
        "std::net::UdpSocket",
        "std::fs",
        "println!",
        "eprintln!",
    ];
    let mut wrong = Vec::new();
    for (path, text) in rust_files("core/src") {
        if is_test_file(&path) {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            for word in FORBIDDEN.iter().filter(|word| !is_comment && line.contains(**word)) {
                wrong.push(format!("{}:{}: `{word}`", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "forbidden in core:\n{}", wrong.join("\n"));
    let lib = fs::read_to_string(root().join("core/src/lib.rs")).expect("lib.rs");
    assert!(lib.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn public_items_must_be_documented() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains("missing_docs = \"warn\""), "the lint is on, and tests/run denies warnings");
    for member in ["core", "runtime-std/common", "runtime-smol", "runtime-std", "tests"] {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).expect("manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member} takes the workspace's lints");
    }
}

#[test]
fn the_top_level_is_as_agreed() {
    const AGREED: &[&str] = &[
        ".ci",
        ".git",
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "core",
        "fuzz",
        "runtime-smol",
        "runtime-std",
        "rustfmt.toml",
        "target",
        "tests",
    ];
    let strange: Vec<_> = fs::read_dir(root())
        .expect("readable")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !AGREED.contains(&name.as_str()))
        .collect();
    assert!(strange.is_empty(), "not agreed: {strange:?}");
}
