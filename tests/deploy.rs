//! What is in deploy/ fits the program: variables, options, ports, times and versions. Building the image and installing
//! the chart need an engine and a cluster, which are not here.

mod chart;
mod image;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::house::House;

const DEFAULTS: &str = include_str!("../config/default.toml");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// All texts of deploy/ with their paths.
fn texts() -> Vec<(String, String)> {
    fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    collect(&root().join("deploy"), &mut found);
    found.retain(|path| !path.ends_with("grafana.json") && !path.iter().any(|part| part == "secrets"));
    let read = |path: &PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap());
    found.iter().map(read).collect()
}

/// An option's default, as it is written.
fn default(option: &str) -> String {
    let (section, name) = option.split_once('.').unwrap();
    let after = DEFAULTS.split_once(&format!("[{section}]")).unwrap().1;
    let line = after.lines().find(|line| line.starts_with(&format!("{name} = ")));
    line.unwrap().split_once(" = ").unwrap().1.to_owned()
}

fn has_option(option: &str) -> bool {
    let mut section = "";
    DEFAULTS.lines().any(|line| {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let name = line.split_once(" = ").map_or("", |(name, _)| name);
        format!("{section}.{name}") == option
    })
}

/// Words in capitals with an underscore in them.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| {
        word.contains('_') && word.starts_with(|first: char| first.is_ascii_uppercase()) && *word == word.to_uppercase()
    })
}

/// What stands between these two.
fn between(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before}"));
    rest.split_once(after).unwrap().0.to_owned()
}

#[test]
fn every_variable_and_option_of_deploy_is_known_to_the_program() {
    let sources = ["layers.rs", "mod.rs"]
        .map(|name| read(&format!("src/app/config/{name}")))
        .concat();
    let is_known = |name: &str| {
        let stem = name.strip_suffix("_FILE").unwrap_or(name);
        let provider = stem.strip_suffix("_API_KEY").map(str::to_lowercase);
        let catalogue = read("config/providers.toml");
        sources.contains(&format!("\"{name}\""))
            || sources.contains(&format!("\"{stem}\""))
            || provider.is_some_and(|provider| catalogue.contains(&format!("name = \"{provider}\"")))
            // Those of the image of Postgres, and words of formats.
            || name.starts_with("POSTGRES_")
            || ["AF_INET", "AF_INET6", "AF_UNIX"].contains(&name)
    };
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, text) in texts() {
        for variable in variables(&text) {
            seen += 1;
            let known = match variable.strip_prefix("CALDERA__") {
                Some(option) => has_option(&option.to_lowercase().replacen("__", ".", 1)),
                None => variable == "_FILE" || is_known(variable),
            };
            if !known {
                wrong.push(format!("{path} says {variable}"));
            }
        }
        for option in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '.') {
            let option = option.trim_end_matches('.');
            let is_option = ["server.", "gateway.", "journal."]
                .iter()
                .any(|section| option.starts_with(section));
            if is_option && option.contains('_') && !has_option(option) {
                wrong.push(format!("{path} says {option}"));
            }
        }
    }
    assert!(wrong.is_empty() && seen > 20, "{seen} seen:\n{}", wrong.join("\n"));
}

#[test]
fn ports_times_and_versions_agree() {
    let (dockerfile, compose) = (read("deploy/Dockerfile"), read("deploy/compose.yaml"));
    let values = read("deploy/helm/caldera/values.yaml");
    let port = default("server.port");
    assert!(dockerfile.contains(&format!("EXPOSE {port}\n")) && dockerfile.contains(&format!("PORT={port} ")));
    assert!(compose.contains(&format!("- \"127.0.0.1:{port}:{port}\"\n")));
    assert!(values.contains(&format!("\nservice:\n  type: ClusterIP\n  port: {port}\n")));
    let operator_port = default("operator.port");
    assert!(values.contains(&format!("\nmetrics:\n  enabled: false\n  port: {operator_port}\n")));
    assert!(read("deploy/nginx.conf").contains(&format!("127.0.0.1:{port};")));
    assert!(read("deploy/Caddyfile").contains(&format!("127.0.0.1:{port} ")));

    let seconds = |option: &str| default(option).parse::<u64>().unwrap();
    let stop = seconds("server.drain_timeout_s") + seconds("server.flush_timeout_s");
    let grace = between(&compose, "stop_grace_period: ", "s\n");
    assert!(grace.parse::<u64>().unwrap() > stop);
    let unit = read("deploy/caldera.service");
    let patience = unit
        .lines()
        .find_map(|line| line.strip_prefix("TimeoutStopSec="))
        .unwrap();
    assert!(patience.parse::<u64>().unwrap() > stop && unit.contains("ExecReload=/bin/kill -HUP $MAINPID"));
    assert!(values.contains(&format!("drainTimeoutSeconds: {}\n", seconds("server.drain_timeout_s"))));
    let silence: u64 = default("gateway.answer_timeout_ms").parse().unwrap();
    for proxy in [
        "deploy/nginx.conf",
        "deploy/Caddyfile",
        "deploy/helm/caldera/values.yaml",
    ] {
        assert!(660 * 1000 > silence && read(proxy).contains("660"), "{proxy}");
    }

    let number = |text: &str| text.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    let manifest = read("Cargo.toml");
    let needed = between(&manifest, "rust-version = \"", "\"");
    assert!(number(&between(&dockerfile, "FROM rust:", "-slim-")) >= number(&needed));
    // Built and run on one Debian, for libpq's and the C library's sake.
    let built = between(&dockerfile, "-slim-", " AS build");
    assert!(dockerfile.contains(&format!("FROM debian:{built}-slim\n")));
    assert!(dockerfile.contains("USER 10001:10001") && dockerfile.contains("STOPSIGNAL SIGTERM"));
    let version = between(&manifest, "[package]\nname = \"caldera\"\nversion = \"", "\"");
    assert!(read("deploy/helm/caldera/Chart.yaml").contains(&format!("appVersion: \"{version}\"\n")));
}

#[test]
fn the_health_command_says_whether_the_server_is_ready() {
    let mut house = House::new();
    let health = |house: &House| house.server.run(&["health"]);
    assert!(health(&house).status.success());
    house.server.kill();
    let refused = health(&house);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no server answers at 127.0.0.1"));
}
