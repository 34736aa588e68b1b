//! What the image is built of: nothing that the build reads is left out of what the engine is sent.

use std::path::{Component, Path, PathBuf};

use super::{read, root};

/// What the build reads whole, beside what the sources include.
const READ: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    "src",
    "config",
    "migrations",
    "templates",
    "load-tests/Cargo.toml",
    "load-tests/src",
    "tests/suite.rs",
];

#[test]
fn nothing_that_the_build_reads_is_left_out_of_the_image() {
    let rules = read("deploy/Dockerfile.dockerignore");
    let mut needed = Vec::new();
    READ.iter().for_each(|place| collect(&root().join(place), &mut needed));
    let sources: Vec<PathBuf> = needed
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .cloned()
        .collect();
    for source in &sources {
        needed.extend(included(source));
    }
    // What the Dockerfile itself takes of the source.
    let dockerfile = read("deploy/Dockerfile");
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY --from=build "));
    let copied = copied.flat_map(|line| line.split(' ').filter_map(|word| word.strip_prefix("/source/")));
    needed.extend(
        copied
            .filter(|path| !path.starts_with("target/"))
            .map(|path| root().join(path)),
    );
    let of_root = |path: &PathBuf| path.strip_prefix(root()).unwrap().display().to_string();
    let needed: Vec<String> = needed.iter().map(of_root).collect();
    assert!(
        needed.iter().any(|path| path.starts_with("docs/")),
        "the sources include guides"
    );
    let missing: Vec<_> = needed.iter().filter(|path| is_left_out(&rules, path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for path in [
        "docs/cli.md",
        "tests/deploy.rs",
        "target/x",
        "tests/clients/node_modules/x",
        ".git/HEAD",
    ] {
        assert!(is_left_out(&rules, path), "{path}");
    }
}

fn collect(place: &Path, found: &mut Vec<PathBuf>) {
    if !place.is_dir() {
        return found.push(place.to_owned());
    }
    for entry in std::fs::read_dir(place).unwrap() {
        collect(&entry.unwrap().path(), found);
    }
}

/// The files that a source takes in by the compiler's macros.
fn included(source: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(source).unwrap();
    let mut found = Vec::new();
    for word in ["include_str!(", "include_bytes!("] {
        for behind in text.split(word).skip(1) {
            let Some(name) = behind
                .trim_start()
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next())
            else {
                panic!("{}: {word} of something that is no text", source.display());
            };
            found.push(tidied(&source.parent().unwrap().join(name)));
        }
    }
    found
}

/// Without `..`, so that it can be compared.
fn tidied(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(tidied.pop()),
            other => tidied.push(other),
        }
    }
    tidied
}

/// As the engine reads its rules: the last one that fits the path, or a directory above it, counts.
fn is_left_out(rules: &str, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let rules = rules.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rules.fold(false, |is_out, rule| {
        let (pattern, takes_out) = rule.strip_prefix('!').map_or((rule, true), |pattern| (pattern, false));
        let pattern: Vec<&str> = pattern.split('/').collect();
        let fits = (1..=parts.len()).any(|length| fits(&pattern, &parts[..length]));
        if fits { takes_out } else { is_out }
    })
}

fn fits(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => fits(rest, path) || path.split_first().is_some_and(|(_, path)| fits(pattern, path)),
        (Some((part, rest)), Some((name, names))) => (*part == "*" || part == name) && fits(rest, names),
        (None, Some(_)) | (Some(_), None) => false,
    }
}
