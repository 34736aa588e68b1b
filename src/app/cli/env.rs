//! `caldera env`: the lines that tell a tool in this shell to call here, to be run by `eval "$(caldera env ...)"`. The key
//! is a new one, or the one in a file, or whatever CALDERA_KEY will hold; it is never an argument.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::app::config::Config;

use super::PlaceArguments;
use super::client::{Client, gateway_of};
use super::failure::{Failure, Outcome};
use super::keys::secret_of;
use super::output::Output;
use super::spend_flags::SpendFlags;
use super::tool::{KEY_VARIABLE, Setup, Tool};

#[derive(Debug, Args)]
pub struct EnvArguments {
    /// For which tool.
    #[arg(long, value_enum, default_value_t = Tool::Any)]
    tool: Tool,
    #[arg(long, value_enum, default_value_t = Shell::Sh)]
    shell: Shell,
    /// Makes a spend key for it; the flags below bound it.
    #[arg(long)]
    new: bool,
    #[arg(long, requires = "new", default_value = "For a shell")]
    name: String,
    /// The file that holds the key that is to be used; - reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "new")]
    spend_key_file: Option<PathBuf>,
    /// Where tools reach the server, when it is not where this program does.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    #[command(flatten)]
    flags: SpendFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// sh, bash, zsh and their kin.
    Sh,
    Fish,
    Powershell,
}

pub async fn run(arguments: EnvArguments, (config, place): (&Config, &PlaceArguments), output: Output) -> Outcome {
    let shape = arguments.flags.request_shape.as_deref();
    let shape = shape.unwrap_or(arguments.tool.request_shape()).to_owned();
    if !arguments.new && !arguments.flags.is_empty() {
        return Err(Failure::Usage("limits are for a new key: add --new".to_owned()));
    }
    let (key, gateway) = match (&arguments.spend_key_file, arguments.new) {
        (Some(path), _) => (Some(read_key(path)?), gateway_of(config, place)?),
        (None, false) => (None, gateway_of(config, place)?),
        (None, true) => {
            let client = Client::open(config, place)?;
            let mut body = arguments.flags.body(Utc::now())?;
            body.insert("name".to_owned(), Value::from(arguments.name));
            body.insert("request_shape".to_owned(), Value::from(shape.as_str()));
            let made = client.post("/spend_keys", &Value::Object(body)).await?;
            (secret_of(&made).map(str::to_owned), client.gateway().to_owned())
        }
    };
    let gateway = arguments
        .base_url
        .as_deref()
        .map_or(gateway.as_str(), |url| url.trim_end_matches('/'));
    let setup = arguments.tool.setup(gateway, &shape);
    output.answer(&as_json(&setup, key.as_deref()), |_| {
        lines(&setup, key.as_deref(), arguments.shell).join("\n")
    })
}

fn as_json(setup: &Setup, key: Option<&str>) -> Value {
    let held = key.map_or_else(|| format!("${KEY_VARIABLE}"), str::to_owned);
    let addresses = setup
        .addresses
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
    let own = key.map(|key| (KEY_VARIABLE.to_owned(), Value::from(key)));
    let keys = setup
        .keys
        .iter()
        .map(|name| ((*name).to_owned(), Value::from(held.as_str())));
    let variables = Map::from_iter(own.into_iter().chain(addresses).chain(keys));
    json!({ "variables": variables, "without": setup.without, "arguments": setup.arguments })
}

fn lines(setup: &Setup, key: Option<&str>, shell: Shell) -> Vec<String> {
    let mut lines: Vec<String> = setup.without.iter().map(|name| shell.unset(name)).collect();
    lines.extend(key.map(|key| shell.set(KEY_VARIABLE, &shell.quoted(key))));
    let addresses = setup.addresses.iter();
    lines.extend(addresses.map(|(name, value)| shell.set(name, &shell.quoted(value))));
    lines.extend(setup.keys.iter().map(|name| shell.set(name, shell.key_reference())));
    if !setup.arguments.is_empty() {
        lines.push(shell.codex(&setup.arguments));
    }
    lines
}

impl Shell {
    fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Sh => format!("export {name}={value}"),
            Self::Fish => format!("set -gx {name} {value}"),
            Self::Powershell => format!("$env:{name} = {value}"),
        }
    }

    fn unset(self, name: &str) -> String {
        match self {
            Self::Sh => format!("unset {name}"),
            Self::Fish => format!("set -e {name}"),
            Self::Powershell => format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue"),
        }
    }

    fn key_reference(self) -> &'static str {
        match self {
            Self::Sh => "\"$CALDERA_KEY\"",
            Self::Fish => "$CALDERA_KEY",
            Self::Powershell => "$env:CALDERA_KEY",
        }
    }

    fn quoted(self, text: &str) -> String {
        match self {
            Self::Sh => format!("'{}'", text.replace('\'', r"'\''")),
            Self::Fish => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
            Self::Powershell => format!("'{}'", text.replace('\'', "''")),
        }
    }

    /// Codex reads no variable for its address.
    fn codex(self, arguments: &[String]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|argument| self.quoted(argument)).collect();
        let arguments = arguments.join(" ");
        match self {
            Self::Sh => format!("codex() {{ command codex {arguments} \"$@\"; }}"),
            Self::Fish => format!("function codex; command codex {arguments} $argv; end"),
            Self::Powershell => {
                format!("function codex {{ & (Get-Command codex -Type Application) {arguments} @args }}")
            }
        }
    }
}

fn read_key(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
    match text.trim() {
        "" => Err(Failure::Usage(format!("{} is empty", path.display()))),
        key => Ok(key.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_takes_a_quote_as_it_is_meant() {
        let table = [
            (Shell::Sh, r"export A='it'\''s'"),
            (Shell::Fish, r"set -gx A 'it\'s'"),
            (Shell::Powershell, "$env:A = 'it''s'"),
        ];
        for (shell, line) in table {
            assert_eq!(shell.set("A", &shell.quoted("it's")), line);
        }
    }

    #[test]
    fn without_a_key_the_variable_is_named() {
        let lines = lines(&Tool::Openai.setup("http://h", "openai"), None, Shell::Sh);
        assert_eq!(
            lines,
            [
                "export CALDERA_BASE_URL='http://h'",
                "export OPENAI_BASE_URL='http://h/v1'",
                "export OPENAI_API_BASE='http://h/v1'",
                "export OPENAI_API_KEY=\"$CALDERA_KEY\"",
            ]
        );
    }
}
