//! How tools are told to call here: by variables of their environment, and for one that takes none, by arguments. A key
//! speaks one dialect on the unified endpoints, so a tool of the other dialect's family that runs with the same key is
//! sent to its provider's own address through here, under the same limit.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::ValueEnum;

/// Where a script finds its key and its address, whatever the tool.
pub const KEY_VARIABLE: &str = "CALDERA_KEY";
const BASE_VARIABLE: &str = "CALDERA_BASE_URL";

/// The tools that are known, and the families of those that are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    /// Whatever reads the usual variables.
    Any,
    /// OpenAI's SDKs and what is built on them.
    Openai,
    /// Anthropic's SDKs and what is built on them.
    Anthropic,
    /// Google's SDKs and the Gemini CLI.
    Google,
    ClaudeCode,
    Codex,
}

/// What the environment of a tool is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Addresses.
    pub addresses: Vec<(&'static str, String)>,
    /// Variables that hold the key.
    pub keys: Vec<&'static str>,
    /// Variables that must not be there.
    pub without: Vec<&'static str>,
    /// Arguments that come before the tool's own.
    pub arguments: Vec<String>,
}

impl Tool {
    /// The tool that a program is.
    pub fn of_program(program: &OsStr) -> Self {
        let name = Path::new(program).file_stem().and_then(OsStr::to_str);
        match name {
            Some("claude") => Self::ClaudeCode,
            Some("codex") => Self::Codex,
            Some("gemini") => Self::Google,
            Some(_) | None => Self::Any,
        }
    }

    /// The word of the API for the interface that its key is for.
    pub fn request_shape(self) -> &'static str {
        match self {
            Self::Anthropic | Self::ClaudeCode => "anthropic",
            Self::Any | Self::Openai | Self::Google | Self::Codex => "openai",
        }
    }

    /// How it is set up for a gateway at this address, with a key of this shape.
    pub fn setup(self, gateway: &str, request_shape: &str) -> Setup {
        let mut setup = Setup {
            addresses: vec![(BASE_VARIABLE, gateway.to_owned())],
            keys: Vec::new(),
            without: Vec::new(),
            arguments: Vec::new(),
        };
        match self {
            Self::Any => {
                setup.openai(gateway, request_shape);
                setup.anthropic(gateway, request_shape);
                setup.google(gateway);
            }
            Self::Openai => setup.openai(gateway, request_shape),
            Self::Anthropic => setup.anthropic(gateway, request_shape),
            Self::Google => setup.google(gateway),
            Self::ClaudeCode => {
                setup.anthropic(gateway, request_shape);
                // With both of them it asks its user which one is meant.
                setup.keys.retain(|name| *name != "ANTHROPIC_API_KEY");
                setup.without.push("ANTHROPIC_API_KEY");
                setup.openai(gateway, request_shape);
            }
            Self::Codex => {
                setup.openai(gateway, request_shape);
                setup.arguments = codex_arguments(gateway);
            }
        }
        setup
    }
}

impl Setup {
    fn openai(&mut self, gateway: &str, request_shape: &str) {
        let base = match request_shape {
            "anthropic" => format!("{gateway}/v1/forward/openai/v1"),
            _ => format!("{gateway}/v1"),
        };
        self.addresses.push(("OPENAI_BASE_URL", base.clone()));
        self.addresses.push(("OPENAI_API_BASE", base));
        self.keys.push("OPENAI_API_KEY");
    }

    fn anthropic(&mut self, gateway: &str, request_shape: &str) {
        let base = match request_shape {
            "anthropic" => gateway.to_owned(),
            _ => format!("{gateway}/v1/forward/anthropic"),
        };
        self.addresses.push(("ANTHROPIC_BASE_URL", base));
        self.keys.extend(["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"]);
    }

    fn google(&mut self, gateway: &str) {
        self.addresses.push(("GOOGLE_GEMINI_BASE_URL", gateway.to_owned()));
        self.keys.extend(["GEMINI_API_KEY", "GOOGLE_API_KEY"]);
    }

    /// The arguments of a program with those that come before its own.
    pub fn arguments_with(&self, own: &[OsString]) -> Vec<OsString> {
        let first = self.arguments.iter().map(OsString::from);
        first.chain(own.iter().cloned()).collect()
    }
}

fn codex_arguments(gateway: &str) -> Vec<String> {
    let settings = [
        "model_provider=caldera".to_owned(),
        "model_providers.caldera.name=Caldera".to_owned(),
        format!("model_providers.caldera.base_url={gateway}/v1"),
        format!("model_providers.caldera.env_key={KEY_VARIABLE}"),
        "model_providers.caldera.wire_api=responses".to_owned(),
    ];
    settings
        .into_iter()
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_known_by_its_program_and_told_where_to_call() {
        let table = [
            ("/usr/local/bin/claude", Tool::ClaudeCode),
            ("codex", Tool::Codex),
            ("./script.sh", Tool::Any),
        ];
        for (program, tool) in table {
            assert_eq!(Tool::of_program(OsStr::new(program)), tool, "{program}");
        }
        let setup = Tool::ClaudeCode.setup("http://h:1", "anthropic");
        assert!(
            setup
                .addresses
                .contains(&("ANTHROPIC_BASE_URL", "http://h:1".to_owned()))
        );
        assert!(
            setup
                .addresses
                .contains(&("OPENAI_BASE_URL", "http://h:1/v1/forward/openai/v1".to_owned()))
        );
        assert_eq!(
            (setup.without, setup.keys.contains(&"ANTHROPIC_AUTH_TOKEN")),
            (vec!["ANTHROPIC_API_KEY"], true)
        );
        let setup = Tool::Any.setup("http://h:1", "openai");
        assert!(
            setup
                .addresses
                .contains(&("ANTHROPIC_BASE_URL", "http://h:1/v1/forward/anthropic".to_owned()))
        );
        assert_eq!(
            Tool::Codex
                .setup("http://h:1", "openai")
                .arguments_with(&["exec".into()])
                .last(),
            Some(&"exec".into())
        );
    }
}
