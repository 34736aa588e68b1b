//! The guides of `docs/guides`, as somebody follows them: their blocks that are marked `run` are pasted into one shell, and
//! their files put where they say, in a home of its own. What they show must work as it stands there.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use caldera::http::guides::{self, Block, Filling};
use serde_json::json;
use tempfile::TempDir;

use crate::support::house::House;
use crate::support::process::wait_for_exit;
use crate::support::server::secret_key;

const GUIDE_LIMIT: Duration = Duration::from_secs(180);
/// Nobody listens there: what does not go to the server under test goes nowhere.
const NOWHERE: &str = "http://127.0.0.1:9";

/// What following a guide must come to.
struct Wanted {
    /// Calls that were answered.
    calls: i64,
    /// Refusals that it shows on purpose.
    refusals: usize,
}

const fn calls(calls: i64) -> Wanted {
    Wanted { calls, refusals: 0 }
}

#[test]
fn the_quick_start_works_as_it_stands() {
    follow("quick-start", &Wanted { calls: 1, refusals: 1 });
}

#[test]
fn the_guide_to_billing_customers_works_as_it_stands() {
    let house = follow("billing-customers", &calls(2));
    let charged = "SELECT COUNT(*) FROM requests WHERE customer_id IS NOT NULL AND charge > 0";
    assert_eq!(house.database.number(charged), 2);
}

#[test]
fn what_the_guide_for_litellm_says_of_clients_works_as_it_stands() {
    follow("migrating-from-litellm", &calls(1));
}

#[test]
fn the_guide_for_claude_code_works_as_it_stands() {
    follow("claude-code", &calls(2));
}

#[test]
fn the_guide_for_codex_works_as_it_stands() {
    follow("codex-cli", &calls(2));
}

#[test]
fn the_guide_for_openais_sdk_works_as_it_stands() {
    follow("openai-sdk", &calls(2));
}

#[test]
fn the_guide_for_anthropics_sdk_works_as_it_stands() {
    follow("anthropic-sdk", &calls(2));
}

#[test]
fn the_guide_for_vercels_ai_works_as_it_stands() {
    follow("vercel-ai-sdk", &calls(1));
}

#[test]
fn the_guide_for_langchain_works_as_it_stands() {
    follow("langchain", &calls(2));
}

#[test]
fn every_guide_for_a_tool_is_offered_and_links_lead_somewhere() {
    let directory = guides_directory();
    let pages: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let of_no_tool = ["quick-start.md", "billing-customers.md", "migrating-from-litellm.md"];
    for page in &pages {
        let is_offered = guides::find(page.trim_end_matches(".md")).is_some();
        assert_eq!(is_offered, !of_no_tool.contains(&page.as_str()), "{page}");
        let text = fs::read_to_string(directory.join(page)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(directory.join(link).exists(), "{page} links to {link}");
        }
    }
}

/// Does what the guide says, and returns the house in which it was done.
fn follow(slug: &str, wanted: &Wanted) -> House {
    let house = House::new();
    let shape = guides::find(slug).map_or("openai", |guide| guide.request_shape.name());
    let limit = json!({ "amount": "10.00", "cycle": "daily" });
    let (_, key) = house.mint(json!({ "name": slug, "request_shape": shape, "spend_limit": limit }));
    let filling = Filling {
        base_url: &house.server.url(),
        key: &key,
    };
    let page = fs::read_to_string(guides_directory().join(format!("{slug}.md"))).unwrap();
    let blocks: Vec<Block<'_>> = guides::blocks(&page).into_iter().filter(|block| block.is_run).collect();
    let desk = Desk::new();
    let mut script = String::from("set -eo pipefail\n");
    for block in &blocks {
        let text = block.filled(&filling).replace("aks_live_your_secret", secret_key());
        match block.file {
            Some(file) => desk.put(file, &text),
            None => script.push_str(&format!("{text}\n")),
        }
    }
    let said = desk.run(&script);
    assert_eq!(
        said.matches(r#""error":{"#).count(),
        wanted.refusals,
        "{slug} said:\n{said}"
    );
    let count = |condition: &str| {
        house
            .database
            .number(&format!("SELECT COUNT(*) FROM requests WHERE {condition}"))
    };
    crate::support::server::eventually("every call has its row", || count("TRUE") >= wanted.calls);
    assert_eq!(
        (count("status = 'completed'"), count("status <> 'completed'")),
        (wanted.calls, 0),
        "{slug} said:\n{said}"
    );
    house
}

fn guides_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides")
}

/// A home, a directory to work in, and the tools on the path.
struct Desk {
    home: TempDir,
    path: String,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let (work, tools) = (home.path().join("work"), home.path().join("tools"));
        fs::create_dir(&work).unwrap();
        fs::create_dir(&tools).unwrap();
        symlink(clients.join("node_modules"), work.join("node_modules")).unwrap();
        for (name, program) in [
            ("claude", "@anthropic-ai/claude-code/cli-wrapper.cjs"),
            ("codex", "@openai/codex/bin/codex.js"),
        ] {
            let program = clients.join("tools/node_modules").join(program);
            assert!(program.exists(), "{name} is not installed: `make test` does so");
            let starter = tools.join(name);
            fs::write(
                &starter,
                format!("#!/bin/sh\nexec node '{}' \"$@\"\n", program.display()),
            )
            .unwrap();
            fs::set_permissions(&starter, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let python = clients.join("python/venv/bin");
        assert!(
            python.join("python").exists(),
            "Python's clients are not installed: `make test` does so"
        );
        let inherited = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{inherited}", tools.display(), python.display());
        Self { home, path }
    }

    /// Writes a file of the guide; what is not in the home is where one works.
    fn put(&self, file: &str, text: &str) {
        let path = match file.strip_prefix("~/") {
            Some(in_home) => self.home.path().join(in_home),
            None => self.home.path().join("work").join(file),
        };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Pastes it all into one shell; what it said.
    fn run(&self, script: &str) -> String {
        let said = self.home.path().join("said");
        let file = File::create(&said).unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-c", script])
            .current_dir(self.home.path().join("work"))
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.home.path())
            .env("SECRET", secret_key())
            .env("HTTPS_PROXY", NOWHERE)
            .env("NO_PROXY", "127.0.0.1")
            .env("DISABLE_AUTOUPDATER", "1")
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let status = wait_for_exit(&mut command.spawn().unwrap(), GUIDE_LIMIT);
        let said = fs::read_to_string(said).unwrap();
        assert!(status.success(), "it ended with {status}:\n{said}");
        said
    }
}
