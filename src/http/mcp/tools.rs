//! The tools, by name: who may use each, and what its arguments come to. Most are one call of this server's own
//! interface, which reads and refuses what they say; what they are called and take stands in `tools.json`, in the form
//! in which clients are told. Older names are taken as well. Nothing that a provider or a row says is read as anything
//! but text.

use std::sync::LazyLock;

use rmcp::model::Tool;

/// What clients are told.
static DESCRIPTIONS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("tools.json")).expect("the shipped list of tools is valid: a test reads it")
});

macro_rules! tools {
    ($($tool:ident = $name:literal $need:ident,)*) => {
        /// Every tool.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ToolName { $($tool),* }

        impl ToolName {
            pub const ALL: &'static [Self] = &[$(Self::$tool),*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$tool => $name),* }
            }

            pub const fn need(self) -> Need {
                match self { $(Self::$tool => Need::$need),* }
            }
        }
    };
}

/// What the one who uses a tool must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// A spend key: his own, or his session's.
    SpendKey,
    SecretKey,
}

tools! {
    Login = "login" Nothing,
    Search = "search" Nothing,
    GetProviderDocs = "get_provider_docs" Nothing,
    Prompt = "prompt" SpendKey,
    CallApi = "call_api" SpendKey,
    ChatCompletions = "chat_completions" SpendKey,
    Messages = "messages" SpendKey,
    Rewrite = "rewrite" SpendKey,
    GetBalance = "get_balance" SecretKey,
    AddFunds = "add_funds" SecretKey,
    GetUsage = "get_usage" SecretKey,
    ListRequests = "list_requests" SecretKey,
    ListSpendKeys = "list_spend_keys" SecretKey,
    CreateSpendKey = "create_spend_key" SecretKey,
    PauseSpendKey = "pause_spend_key" SecretKey,
    ResumeSpendKey = "resume_spend_key" SecretKey,
    RotateSpendKey = "rotate_spend_key" SecretKey,
    RevokeSpendKey = "revoke_spend_key" SecretKey,
    CreateMeter = "create_meter" SecretKey,
    CreatePlan = "create_plan" SecretKey,
    CreateCheckoutSession = "create_checkout_session" SecretKey,
    GenerateForwardToken = "generate_forward_token" SecretKey,
}

impl ToolName {
    /// The tool of this name, or of an older one: `lava_login`, `call`, `lava_forward`.
    pub fn find(name: &str) -> Option<Self> {
        let name = match name.strip_prefix("lava_").unwrap_or(name) {
            "call" | "forward" => "call_api",
            name => name,
        };
        Self::ALL.iter().copied().find(|tool| tool.name() == name)
    }

    /// What clients are told of it.
    pub fn description(self) -> Option<&'static Tool> {
        DESCRIPTIONS.iter().find(|tool| tool.name == self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_described_with_a_schema_and_what_it_does_to_the_world() {
        let described: Vec<&str> = DESCRIPTIONS.iter().map(|tool| &*tool.name).collect();
        let known: Vec<&str> = ToolName::ALL.iter().map(|tool| tool.name()).collect();
        assert_eq!(described, known);
        for tool in DESCRIPTIONS.iter() {
            let name = &tool.name;
            assert!(tool.description.as_ref().is_some_and(|text| text.len() > 20), "{name}");
            assert_eq!(tool.input_schema["type"], "object", "{name}");
            let hints = tool.annotations.as_ref().expect("hints");
            assert!(hints.title.is_some() && hints.read_only_hint.is_some(), "{name}");
            assert!(
                hints.read_only_hint == Some(true) || hints.destructive_hint.is_some(),
                "{name}"
            );
        }
    }

    #[test]
    fn older_names_are_taken() {
        let table = [
            ("prompt", Some(ToolName::Prompt)),
            ("call", Some(ToolName::CallApi)),
            ("lava_forward", Some(ToolName::CallApi)),
            ("lava_create_plan", Some(ToolName::CreatePlan)),
            ("lava_", None),
            ("lava_lava_login", None),
            ("run_workflow", None),
        ];
        for (name, tool) in table {
            assert_eq!(ToolName::find(name), tool, "{name}");
        }
    }
}
