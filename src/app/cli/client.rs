//! The command line's way to a server: on its own machine over the operator's listener, with the token from the data
//! directory (whoever may read that file may ask); to another machine's with a secret key, which is never an argument,
//! because every user of a machine sees those. Each call gives the server's JSON or a failure that says what to do.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use actix_web::http::Method;
use awc::error::SendRequestError;
use serde_json::Value;

use crate::app::config::Config;
use crate::app::serving;
use crate::domain::secret::Secret;
use crate::http::operator::acting::MERCHANT_HEADER;
use crate::http::operator::token::{read_address, read_gateway_address, read_token};

use super::PlaceArguments;
use super::failure::Failure;

/// A movement of a wallet waits for its commit.
const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT_BYTES: usize = 64 << 20;
const KEY_VARIABLES: [&str; 2] = ["CALDERA_SECRET_KEY", "LAVA_SECRET_KEY"];

/// Whom the server takes us for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// This machine's operator, acting as a merchant.
    Operator,
    /// A merchant.
    Merchant,
}

/// A server that can be asked.
pub struct Client {
    http: awc::Client,
    base: String,
    bearer: Secret<String>,
    role: Role,
    merchant: Option<String>,
    /// Where applications call.
    gateway: String,
}

impl Client {
    /// The server that the arguments, the environment or the configuration name; nothing is sent yet.
    pub fn open(config: &Config, place: &PlaceArguments) -> Result<Self, Failure> {
        let http = connections(config)?;
        let Some(url) = named_url(place) else {
            if place.key_file.is_some() {
                return Err(Failure::Usage(
                    "--key-file is for another machine's server: name it by --url".to_owned(),
                ));
            }
            return Self::of_this_machine(config, place, http);
        };
        if place.merchant.is_some() {
            return Err(Failure::Usage(
                "--merchant is for this machine's server; another's secret key says whose it is".to_owned(),
            ));
        }
        let key = match &place.key_file {
            Some(path) => read_key(path)?,
            None => Secret::new(KEY_VARIABLES.into_iter().find_map(variable).ok_or_else(|| {
                Failure::Usage(
                    "a secret key is needed: name its file by --key-file, or set CALDERA_SECRET_KEY".to_owned(),
                )
            })?),
        };
        let base = base_of(&url)?;
        Ok(Self {
            http,
            gateway: base.clone(),
            base,
            bearer: key,
            role: Role::Merchant,
            merchant: None,
        })
    }

    fn of_this_machine(config: &Config, place: &PlaceArguments, http: awc::Client) -> Result<Self, Failure> {
        let directory = &config.data.dir;
        let bearer = read_token(directory).map_err(|error| {
            let path = directory.display();
            Failure::Failed(format!(
                "no operator token in {path} ({error}); has `caldera serve` been started with this data directory, and \
                 by you? Another machine's server is named by --url."
            ))
        })?;
        let operator = &config.operator;
        let written = read_address(directory).filter(|_| operator.port == 0);
        Ok(Self {
            http,
            base: address(&operator.host, written.map_or(operator.port, |at| at.port())),
            gateway: gateway_of(config, place)?,
            bearer,
            role: Role::Operator,
            merchant: place.merchant.clone(),
        })
    }

    /// Where applications call, without a slash at the end.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// The merchant for whom the operator acts, where one is named.
    pub fn merchant(&self) -> Option<&str> {
        self.merchant.as_deref()
    }

    /// GET of a path of the management API, such as `/spend_keys`.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.exchange(Method::GET, &self.management(path), None).await
    }

    /// POST of a path of the management API.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.exchange(Method::POST, &self.management(path), Some(body)).await
    }

    /// PATCH of a path of the management API.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.exchange(Method::PATCH, &self.management(path), Some(body)).await
    }

    /// DELETE of a path of the management API.
    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.exchange(Method::DELETE, &self.management(path), None).await
    }

    /// What only the operator may ask: a GET, or a POST where there is a body.
    pub async fn operate(&self, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        if self.role != Role::Operator {
            return Err(Failure::Usage(
                "this is for the operator: call it on the server's own machine, without --url and CALDERA_URL"
                    .to_owned(),
            ));
        }
        let method = if body.is_some() { Method::POST } else { Method::GET };
        self.exchange(method, path, body).await
    }

    /// A path of the callers' own port, without any credential.
    pub async fn look(&self, path: &str) -> Result<Value, Failure> {
        let request = self.http.get(format!("{}{path}", self.gateway));
        self.read(request.send().await, &self.gateway).await
    }

    fn management(&self, path: &str) -> String {
        match self.role {
            Role::Operator => format!("/operator/v1{path}"),
            Role::Merchant => format!("/v1{path}"),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.bearer_auth(self.bearer.expose());
        if let Some(merchant) = &self.merchant {
            request = request.insert_header((MERCHANT_HEADER, merchant.as_str()));
        }
        let sent = match body {
            None => request.send().await,
            Some(body) => request.send_json(body).await,
        };
        self.read(sent, &self.base).await
    }

    async fn read(&self, sent: Result<awc::ClientResponse, SendRequestError>, base: &str) -> Result<Value, Failure> {
        let mut answer = sent.map_err(|error| self.unreachable(base, &error))?;
        let status = answer.status();
        let body = answer.body().limit(ANSWER_LIMIT_BYTES).await;
        let body = body.map_err(|error| Failure::Failed(format!("the server's answer broke off: {error}")))?;
        let value: Value = serde_json::from_slice(&body).map_err(|_| {
            Failure::Failed(format!(
                "{base} answered {status}, and not in JSON; is it Caldera's address?"
            ))
        })?;
        if status.is_success() {
            return Ok(value);
        }
        Err(Failure::Refused(value["error"].clone()))
    }

    fn unreachable(&self, base: &str, error: &SendRequestError) -> Failure {
        let reason = match error {
            SendRequestError::Timeout => "no answer in time".to_owned(),
            other => other.to_string(),
        };
        let what = match self.role {
            Role::Operator => "start it with `caldera serve`, or name its configuration by --config",
            Role::Merchant => "check the address",
        };
        Failure::Failed(format!("no server answers at {base} ({reason}); {what}"))
    }
}

/// The client, which trusts whom the gateway trusts.
fn connections(config: &Config) -> Result<awc::Client, Failure> {
    // TLS picks this up; a second one changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    let trust = serving::trust(config).map_err(Failure::failed)?;
    let connector = awc::Connector::new().rustls_0_23(trust.client_config());
    let client = awc::Client::builder()
        .connector(connector)
        .timeout(TIMEOUT)
        .disable_redirects();
    Ok(client.finish())
}

/// Where applications call the server that is meant.
pub fn gateway_of(config: &Config, place: &PlaceArguments) -> Result<String, Failure> {
    if let Some(url) = named_url(place) {
        return base_of(&url);
    }
    let server = &config.server;
    let open = read_gateway_address(&config.data.dir).filter(|_| server.port == 0);
    Ok(address(&server.host, open.map_or(server.port, |at| at.port())))
}

fn named_url(place: &PlaceArguments) -> Option<String> {
    place.url.clone().or_else(|| variable("CALDERA_URL"))
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The key in a file, which is its only line.
fn read_key(path: &Path) -> Result<Secret<String>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("--key-file {} cannot be read: {error}", path.display())))?;
    match text.trim() {
        "" => Err(Failure::Usage(format!("--key-file {} is empty", path.display()))),
        key => Ok(Secret::new(key.to_owned())),
    }
}

/// The address of a server, as people write it: with or without `/v1`.
fn base_of(text: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "{text:?} is no address; it must be such as https://caldera.example.com"
        ))
    };
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !is_web || url.query().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong());
    }
    let base = url.as_str().trim_end_matches('/');
    Ok(base.strip_suffix("/v1").unwrap_or(base).to_owned())
}

/// A listener on all addresses is asked on this machine's own.
fn address(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => format!("http://127.0.0.1:{port}"),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => format!("http://[::1]:{port}"),
        Ok(IpAddr::V6(address)) => format!("http://[{address}]:{port}"),
        Ok(IpAddr::V4(_)) | Err(_) => format!("http://{host}:{port}"),
    }
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The query of a path: only the values that are set.
pub fn query<const N: usize>(pairs: [(&str, Option<String>); N]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        text.extend_pairs(value.map(|value| (name, value)));
    }
    match text.finish().as_str() {
        "" => String::new(),
        written => format!("?{written}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_one_that_can_be_called() {
        let table = [
            ("127.0.0.1", "http://127.0.0.1:8788"),
            ("0.0.0.0", "http://127.0.0.1:8788"),
            ("::", "http://[::1]:8788"),
            ("::1", "http://[::1]:8788"),
            ("localhost", "http://localhost:8788"),
        ];
        for (host, base) in table {
            assert_eq!(address(host, 8788), base);
        }
    }

    #[test]
    fn an_address_may_have_a_path_but_no_secrets() {
        for (text, base) in [
            ("https://c.example.com", "https://c.example.com"),
            ("https://c.example.com/v1/", "https://c.example.com"),
            ("http://localhost:8787/caldera", "http://localhost:8787/caldera"),
        ] {
            assert_eq!(base_of(text).ok().as_deref(), Some(base));
        }
        for text in [
            "c.example.com",
            "ftp://c.example.com",
            "https://u:p@c.example.com",
            "https://c/?k=1",
        ] {
            assert!(matches!(base_of(text), Err(Failure::Usage(_))), "{text}");
        }
    }

    #[test]
    fn a_name_is_one_segment_and_only_what_is_set_is_asked() {
        assert_eq!(segment("a/b c"), "a%2Fb%20c");
        assert_eq!(query([("a", None), ("b", Some("c d".to_owned()))]), "?b=c+d");
        assert_eq!(query([("a", None)]), "");
    }

    #[actix_rt::test]
    async fn without_a_token_or_a_server_it_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = directory.path().to_owned();
        let place = PlaceArguments::default();
        let why = Client::open(&config, &place).err().map(|failure| failure.message());
        assert!(why.unwrap().contains("no operator token"));
        std::fs::write(directory.path().join("operator-token"), "0".repeat(64)).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        config.operator.port = free.port();
        let client = Client::open(&config, &place).ok().unwrap();
        let why = client.operate("/operator/merchants", None).await.unwrap_err().message();
        assert!(why.contains("caldera serve"), "{why}");
    }
}
