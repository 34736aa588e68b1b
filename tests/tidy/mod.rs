//! The house rules that a machine can read: layers, lengths, names, and what source code must not say.
//! How source code is read is in `reading`; there is no list of exceptions to keep.

mod reading;

use std::fs;
use std::path::{Path, PathBuf};

use reading::{blanked, crate_imports, functions, without_tests, words};

/// Each layer, and those that it may import beside itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("engine", &["domain"]),
    ("storage", &["domain", "engine"]),
    ("gateway", &["domain", "engine"]),
    ("http", &["domain", "engine", "storage", "gateway"]),
    ("app", &["domain", "engine", "storage", "gateway", "http"]),
];
const FILE_LINES_LIMIT: usize = 400;
const FUNCTION_LINES_LIMIT: usize = 70;
const USUAL_FUNCTION_LINES: usize = 40;
const NAMES_OF_NOTHING: [&str; 8] = [
    "utils", "util", "helpers", "helper", "common", "misc", "manager", "data",
];
const FORBIDDEN_CALLS: [&str; 4] = [".unwrap()", "panic!(", "todo!(", "unimplemented!("];

/// One source file of the program, the load tests or the suite.
struct Source {
    path: PathBuf,
    text: String,
    /// The text with comments, strings and characters blanked, line by line the same.
    code: String,
}

#[test]
fn every_layer_imports_only_what_stands_below_it() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let Some((layer, allowed)) = layer_of(&source.path) else {
            continue;
        };
        for name in crate_imports(&source.code) {
            let is_layer = LAYERS.iter().any(|(known, _)| *known == name);
            if is_layer && name != layer && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{} ({layer}) imports {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let wrong: Vec<String> = all_sources()
        .filter(|source| source.text.lines().count() > FILE_LINES_LIMIT)
        .map(|source| format!("{}: {} lines", source.path.display(), source.text.lines().count()))
        .collect();
    assert!(wrong.is_empty(), "above {FILE_LINES_LIMIT}:\n{}", wrong.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut wrong = Vec::new();
    let (mut count, mut long_count) = (0, 0);
    // A test that is a table may be as long as its table.
    let is_table = |source: &Source| source.path.to_string_lossy().ends_with("tests.rs");
    for source in all_sources().filter(|source| !is_table(source)) {
        for function in functions(&source.code) {
            count += 1;
            long_count += usize::from(function.lines > USUAL_FUNCTION_LINES);
            if function.lines > FUNCTION_LINES_LIMIT {
                wrong.push(format!(
                    "{}: {} has {} lines",
                    source.path.display(),
                    function.name,
                    function.lines
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "above {FUNCTION_LINES_LIMIT}:\n{}", wrong.join("\n"));
    assert!(
        long_count * 10 <= count,
        "{long_count} of {count} functions have more than {USUAL_FUNCTION_LINES} lines"
    );
}

#[test]
fn no_file_is_named_after_nothing() {
    let is_wrong = |path: &Path| {
        path.file_stem()
            .is_some_and(|stem| NAMES_OF_NOTHING.iter().any(|name| stem == *name))
    };
    let wrong: Vec<PathBuf> = all_sources()
        .map(|source| source.path)
        .filter(|path| is_wrong(path) || path.parent().is_some_and(is_wrong))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_domain_knows_no_floats() {
    let mut wrong = Vec::new();
    for source in sources("src/domain") {
        for word in ["f32", "f64"] {
            if words(&source.code).any(|found| found == word) {
                wrong.push(format!("{} says {word}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_program_does_not_panic_on_purpose() {
    let mut wrong = Vec::new();
    for source in sources("src").into_iter().filter(|source| !is_test_file(&source.path)) {
        let code = without_tests(&source.code);
        for (number, line) in code.lines().enumerate() {
            if FORBIDDEN_CALLS.iter().any(|call| line.contains(call)) {
                wrong.push(format!("{}:{}: {}", source.path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let wrong: Vec<PathBuf> = all_sources()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert!(wrong.is_empty(), "without a module doc: {wrong:?}");
}

fn all_sources() -> impl Iterator<Item = Source> {
    ["src", "tests", "load-tests/src"].into_iter().flat_map(sources)
}

fn sources(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join(directory), &mut paths);
    paths.sort();
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_owned();
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            Source {
                path: relative(path),
                code: blanked(&text),
                text,
            }
        })
        .collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn layer_of(path: &Path) -> Option<(&'static str, &'static [&'static str])> {
    let mut parts = path.iter().skip(1);
    let first = parts.next()?.to_str()?;
    let layer = first.strip_suffix(".rs").unwrap_or(first);
    LAYERS.iter().copied().find(|(name, _)| *name == layer)
}

fn is_test_file(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem == "tests" || stem.ends_with("_tests") || path.iter().any(|part| part == "tests")
}
