//! Calls made up of the description by Schemathesis, right ones and wrong ones, against the real server: none of them
//! may break it, and every answer must be one that is described. It runs in an environment of its own, whose packages
//! are pinned.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::house::House;
use crate::support::process::wait_for_exit;
use crate::support::server::secret_key;

/// How long calls are made up, in seconds.
const BUDGET_S: u64 = 45;
/// What reading the description and the report may take beside, on a busy machine.
const LIMIT: Duration = Duration::from_secs(BUDGET_S + 120);
/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:9";

#[test]
fn calls_that_are_made_up_are_answered_as_it_is_described() {
    let program = schemathesis();
    let house = House::with(|settings| settings.variable("CALDERA__WEBHOOKS__ALLOW_PRIVATE_HOSTS", NOWHERE));
    let directory = tempfile::tempdir().unwrap();
    // Beside them it keeps what it has found.
    for name in ["schemathesis.toml", "hooks.py"] {
        std::fs::copy(sources().join(name), directory.path().join(name)).unwrap();
    }
    let report = directory.path().join("report");
    let file = std::fs::File::create(&report).unwrap();
    let mut child = Command::new(program)
        .current_dir(directory.path())
        .args(["run", &format!("{}/openapi.json", house.server.url())])
        .args(["--header", &format!("Authorization: Bearer {}", secret_key())])
        .args(["--max-time", &BUDGET_S.to_string(), "--warnings", "off"])
        .env("WEBHOOK_URL", format!("http://{NOWHERE}/hook"))
        .env("NO_COLOR", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let status = wait_for_exit(&mut child, LIMIT);
    let said = std::fs::read_to_string(&report).unwrap();
    assert!(status.success(), "{status}:\n{said}");
    assert!(
        said.contains("passed") || said.contains("No issues found"),
        "nothing was called:\n{said}"
    );
    // What came of them is as right as what comes of others.
    house.books_agree();
}

/// The program, in an environment that has what is pinned.
fn schemathesis() -> PathBuf {
    let requirements = sources().join("requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let program = environment.join("bin/schemathesis");
    let installed = environment.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return program;
    }
    let hint = "python3 with its venv is installed; `make test` installs it";
    let made = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&environment)
        .status();
    assert!(made.expect(hint).success(), "{hint}");
    let pip = Command::new(environment.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&requirements)
        .status();
    assert!(
        pip.unwrap().success(),
        "what is pinned in {} is not installed",
        requirements.display()
    );
    std::fs::write(installed, wanted).unwrap();
    program
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis")
}
