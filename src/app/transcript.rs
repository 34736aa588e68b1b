//! What a person sees when the server is ready: where it listens, and commands to paste.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use super::Providers;
use super::bootstrap::FirstKey;

/// What there is to say.
pub struct Greeting<'a> {
    pub address: SocketAddr,
    pub operator: SocketAddr,
    pub providers: Providers,
    pub first_key: Option<&'a FirstKey>,
}

/// Writes it to standard output.
pub fn write(greeting: &Greeting<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text(greeting))?;
    out.flush()
}

fn text(greeting: &Greeting<'_>) -> String {
    let base = format!("http://{}", greeting.address);
    let mut text = format!("Caldera is ready: {base} (operator: http://{})\n", greeting.operator);
    if greeting.providers == Providers::Simulated {
        text.push_str(
            "\nDEMO: every provider is simulated. Answers and rows are marked as such; nothing costs real money.\n",
        );
    }
    text.push_str(&secret_line(greeting.first_key));
    text.push_str(&format!(
        r#"
Paste this to try it:

  # a spend key with a limit of five dollars a day
  KEY=$(curl -s {base}/v1/spend_keys -H "Authorization: Bearer $SECRET" -H 'content-type: application/json' \
    -d '{{"name":"first","spend_limit":{{"amount":"5.00","cycle":"daily"}}}}' | sed 's/.*"key":"\([^"]*\)".*/\1/')

  # a completion, and a stream
  curl -s {base}/v1/chat/completions -H "Authorization: Bearer $KEY" -H 'content-type: application/json' \
    -d '{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"Hello"}}]}}'
  curl -sN {base}/v1/chat/completions -H "Authorization: Bearer $KEY" -H 'content-type: application/json' \
    -d '{{"model":"gpt-4o-mini","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'

  # the spend so far
  curl -s {base}/v1/spend_keys -H "Authorization: Bearer $SECRET"

  # a key whose limit is too small for the call: 402
  TINY=$(curl -s {base}/v1/spend_keys -H "Authorization: Bearer $SECRET" -H 'content-type: application/json' \
    -d '{{"name":"tiny","spend_limit":{{"amount":"0.000001","cycle":"daily"}}}}' | sed 's/.*"key":"\([^"]*\)".*/\1/')
  curl -s {base}/v1/chat/completions -H "Authorization: Bearer $TINY" -H 'content-type: application/json' \
    -d '{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"Hello"}}]}}'
"#
    ));
    text
}

fn secret_line(first_key: Option<&FirstKey>) -> String {
    match first_key {
        Some(FirstKey::Shown { key, .. }) => {
            format!("\nYour secret key, shown this once:\n\n  SECRET={}\n", key.expose())
        }
        Some(FirstKey::File(path)) => format!("\nYour secret key is in {0}:\n\n  SECRET=$(cat {0})\n", path.display()),
        Some(FirstKey::Given) | None => "\nYour secret key is the one you have:\n\n  SECRET=aks_live_...\n".to_owned(),
    }
}
