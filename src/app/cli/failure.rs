//! Why a command ends without having done its work, and with which status: 1 where it failed, 2 where it was called
//! wrongly. What the server refused is told in the server's words; with `--json` in its envelope.

use std::process::ExitCode;

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::http::error::ErrorCode;

use super::output::Output;

const USAGE: u8 = 2;

/// The end of a command that did not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The arguments do not make sense together.
    Usage(String),
    Failed(String),
    /// The server's answer to what it does not do: the object in its envelope.
    Refused(Value),
    /// Whoever read standard output has gone, as `head` does: nothing is wrong, and nothing more is to be done.
    ReaderGone,
}

/// What a command comes to.
pub type Outcome = Result<(), Failure>;

impl Failure {
    pub fn failed(why: impl std::fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }

    /// Says it on standard error.
    pub fn report(self, output: Output) -> ExitCode {
        let code = match self {
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::Failed(_) | Self::Refused(_) => ExitCode::FAILURE,
            Self::ReaderGone => return ExitCode::SUCCESS,
        };
        match output {
            Output::People => eprintln!("caldera: {}", self.message()),
            Output::Json => eprintln!("{}", json!({ "error": self.as_json() })),
        }
        code
    }

    /// Whether it may be otherwise in a moment: the server was not reached, or is not ready, or asks for patience.
    pub fn is_passing(&self) -> bool {
        let is_lasting = |code: &ErrorCode| {
            let status = code.status();
            status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
        };
        match self {
            Self::Failed(_) => true,
            Self::Refused(error) => {
                let known = ErrorCode::ALL.iter().find(|code| error["code"] == code.word());
                !known.is_some_and(is_lasting)
            }
            Self::Usage(_) | Self::ReaderGone => false,
        }
    }

    /// One line that says why.
    pub fn message(&self) -> String {
        match self {
            Self::Usage(why) | Self::Failed(why) => why.clone(),
            Self::Refused(error) => {
                let text = |name: &str| error[name].as_str().unwrap_or_default();
                let message = match text("message") {
                    "" => "the server refused",
                    message => message,
                };
                match advice(text("code")) {
                    Some(advice) => format!("{message} {advice}"),
                    None => message.to_owned(),
                }
            }
            Self::ReaderGone => String::new(),
        }
    }

    fn as_json(&self) -> Value {
        match self {
            Self::Refused(error) => error.clone(),
            Self::Usage(_) => json!({ "code": "usage", "message": self.message() }),
            Self::Failed(_) | Self::ReaderGone => json!({ "code": "failed", "message": self.message() }),
        }
    }
}

/// What to do about a refusal whose own words do not say it.
fn advice(code: &str) -> Option<&'static str> {
    match code {
        "invalid_api_key" => Some("Check the key; `caldera keys create --secret` on the server's machine makes one."),
        "unavailable" => Some("`caldera doctor` says more."),
        "wrong_key_kind" => Some("This command needs a secret key (aks_...)."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_servers_words_and_with_what_to_do() {
        let refused = |code: &str| Failure::Refused(json!({ "code": code, "message": "No." })).message();
        assert_eq!(refused("not_found"), "No.");
        assert!(refused("invalid_api_key").starts_with("No. Check the key"));
        assert_eq!(Failure::Refused(Value::Null).message(), "the server refused");
        let is_passing = |code: &str| Failure::Refused(json!({ "code": code })).is_passing();
        assert!(is_passing("starting") && is_passing("rate_limited") && !is_passing("invalid_api_key"));
    }
}
