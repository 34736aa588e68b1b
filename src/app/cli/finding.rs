//! What `check` and `doctor` find: a line each that says whether it is well, and what to do where it is not. A command
//! that finds a failure ends with 1.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::failure::Failure;
use super::output::{Output, harmless};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    Warn,
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    level: Level,
    what: &'static str,
    says: String,
    /// What to do about it.
    advice: Option<String>,
    /// More, for programs.
    details: Value,
}

impl Finding {
    fn new(level: Level, what: &'static str, says: impl Into<String>) -> Self {
        Self {
            level,
            what,
            says: says.into(),
            advice: None,
            details: Value::Null,
        }
    }

    pub fn ok(what: &'static str, says: impl Into<String>) -> Self {
        Self::new(Level::Ok, what, says)
    }

    pub fn warn(what: &'static str, says: impl Into<String>) -> Self {
        Self::new(Level::Warn, what, says)
    }

    pub fn fail(what: &'static str, says: impl Into<String>) -> Self {
        Self::new(Level::Fail, what, says)
    }

    /// The same with what to do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same with more of it for programs.
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    fn as_json(&self) -> Value {
        let mut shown =
            json!({ "level": self.level.word(), "what": self.what, "says": self.says, "advice": self.advice });
        if !self.details.is_null() {
            shown["details"] = self.details.clone();
        }
        shown
    }

    fn as_line(&self, width: usize) -> String {
        let line = format!("{:4}  {:width$}  {}", self.level.word(), self.what, self.says);
        let advice = self
            .advice
            .as_deref()
            .map(|advice| format!("\n      {:width$}  -> {advice}", ""));
        format!("{}{}", harmless(&line), advice.unwrap_or_default())
    }
}

/// Writes what was found; the worst of it decides the status.
pub fn report(findings: &[Finding], output: Output) -> Result<ExitCode, Failure> {
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    let all: Vec<Value> = findings.iter().map(Finding::as_json).collect();
    output.answer(&json!({ "level": worst.word(), "findings": all }), |_| {
        let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
        let lines: Vec<String> = findings.iter().map(|finding| finding.as_line(width)).collect();
        lines.join("\n")
    })?;
    Ok(match worst {
        Level::Ok | Level::Warn => ExitCode::SUCCESS,
        Level::Fail => ExitCode::FAILURE,
    })
}
