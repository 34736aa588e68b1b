//! The forwarded URL in all the spellings that clients put on the wire: `?u=` encoded or raw, with or without a scheme,
//! and as a path behind `/v1/forward`. Takes our own parameters (`metadata`, `key`) out of it wherever they stand. It
//! refuses everything that is not plainly an https address of a named host, and broken escapes instead of mending
//! them; which hosts are reached is not decided here but by the catalogue.

mod parameters;
mod tail;

use std::borrow::Cow;

use url::{Host, Url};

use super::call::Addressed;

pub use parameters::OwnParameters;
use parameters::{Owner, Plus, broken, decode, pieces};

/// The longest target that is read.
pub const TARGET_LIMIT_BYTES: usize = 2_048;

const ROUTE: &str = "/v1/forward";
const REWRITE_ROUTE: &str = "/v1/rewrite";
/// What official clients append to their base URL, longest first.
const CLIENT_SUFFIXES: [&str; 4] = ["/v1/chat/completions", "/chat/completions", "/v1/messages", "/messages"];
const HTTPS_PORT: &str = ":443";
const NOT_A_HOST: &str = "the target must name a host, with no user, no port but 443 and no address in its place";

/// A forwarded call's address, and what stood beside it.
#[derive(Clone, Debug)]
pub struct ForwardTarget {
    /// An https URL of a domain name, with no user, port or fragment.
    pub url: Url,
    pub own: OwnParameters,
}

/// Why there is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TargetError {
    pub param: &'static str,
    pub message: &'static str,
}

/// A rewritten call's address, and what stood beside it.
#[derive(Clone, Debug)]
pub struct RewriteTarget {
    /// `openai`, `anthropic`, ...: the format that the caller speaks, as he wrote it.
    pub format: String,
    /// What the address may be: clients append the path of their own format to it, so the shortest comes first.
    pub urls: Vec<Url>,
    /// What the path of the caller's own format says of the call (Google's and Bedrock's formats).
    pub addressed: Option<Addressed>,
    pub own: OwnParameters,
}

impl RewriteTarget {
    /// Reads the raw path and query of a request to `/v1/rewrite/{format}/{address}`.
    pub fn parse(path: &str, query: &str) -> Result<Self, TargetError> {
        let behind = path.strip_prefix(REWRITE_ROUTE).unwrap_or(path).trim_start_matches('/');
        let (format, address) = behind
            .split_once('/')
            .ok_or_else(|| refused("the path must be /v1/rewrite/{format}/{provider URL}"))?;
        let whole = ForwardTarget::build(check(&target_in_path(address, |_| None)?)?, Parameters::read(query)?)?;
        let mut urls = Vec::new();
        let mut addressed = None;
        if let Some((before, tail)) = tail::of_format(format, whole.url.path(), whole.url.query()) {
            urls.extend(before.into_iter().map(|path| with_path(&whole.url, &path)));
            addressed = Some(tail);
        }
        let shorter = |suffix: &&str| {
            let path = whole.url.path().strip_suffix(*suffix)?;
            Some(with_path(&whole.url, path))
        };
        urls.extend(CLIENT_SUFFIXES.iter().filter_map(shorter));
        urls.push(whole.url.clone());
        Ok(Self {
            format: format.to_owned(),
            urls,
            addressed,
            own: whole.own,
        })
    }
}

impl ForwardTarget {
    /// Reads the raw (still encoded) path and query of a request to `/v1/forward`.
    /// `public_base` gives the address of a provider by name, for `/v1/forward/{provider}/...`.
    pub fn parse<'a>(
        path: &str,
        query: &str,
        public_base: impl Fn(&str) -> Option<&'a Url>,
    ) -> Result<Self, TargetError> {
        let parameters = Parameters::read(query)?;
        let behind = path.strip_prefix(ROUTE).unwrap_or(path).trim_start_matches('/');
        let url = match &parameters.target {
            Some(target) => lengthen(check(&decode_target(target)?)?, behind, public_base)?,
            None => check(&target_in_path(behind, public_base)?)?,
        };
        Self::build(without_doubled_version(url), parameters)
    }

    fn build(mut url: Url, parameters: Parameters<'_>) -> Result<Self, TargetError> {
        let mut own = parameters.own;
        let inner = url.query().unwrap_or_default().to_owned();
        let mut rest = Vec::new();
        for piece in pieces(&inner) {
            if own.take_key(piece)? == Owner::Target {
                rest.push(piece);
            }
        }
        rest.extend(parameters.rest);
        let query = rest.join("&");
        url.set_query(if query.is_empty() { None } else { Some(&query) });
        if url.as_str().len() > TARGET_LIMIT_BYTES {
            return Err(refused("the target is longer than 2,048 bytes"));
        }
        Ok(Self { url, own })
    }
}

/// The outer query, taken apart without decoding: a raw target may hold `?` and `&` of its own.
struct Parameters<'q> {
    target: Option<&'q str>,
    own: OwnParameters,
    /// Parameters that belong to the target.
    rest: Vec<&'q str>,
}

impl<'q> Parameters<'q> {
    fn read(query: &'q str) -> Result<Self, TargetError> {
        let mut own = OwnParameters::default();
        let (mut target, mut rest) = (None, Vec::new());
        for piece in pieces(query) {
            if let Some(value) = piece.strip_prefix("u=") {
                if target.replace(value).is_some() {
                    return Err(refused("`u` stands there twice"));
                }
            } else if own.take(piece)? == Owner::Target {
                rest.push(piece);
            }
        }
        Ok(Self { target, own, rest })
    }
}

fn with_path(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}

/// Puts what stands behind `/v1/forward/` at the end of `u`: newer clients keep the query of their base URL and append
/// their path before it. A provider's name there (`/v1/forward/openai?u=`) is only a label.
fn lengthen<'a>(mut url: Url, behind: &str, public_base: impl Fn(&str) -> Option<&'a Url>) -> Result<Url, TargetError> {
    let (first, rest) = behind.split_once('/').unwrap_or((behind, ""));
    let more = if public_base(first).is_some() { rest } else { behind };
    if more.contains(':') {
        return Err(refused("the target stands in the path and in `u`"));
    }
    if !more.is_empty() {
        let path = format!("{}/{more}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

/// Clients that append `/v1/messages` to a base URL which ends in `/v1` mean one version, not two.
fn without_doubled_version(mut url: Url) -> Url {
    if let Some(rest) = url.path().strip_prefix("/v1/v1/") {
        let path = format!("/v1/{rest}");
        url.set_path(&path);
    }
    url
}

/// A raw target is taken as it is, because its own escapes must survive; an encoded one is decoded once. Which it is
/// shows in its scheme or host, where a raw target has no escapes.
fn decode_target(value: &str) -> Result<Cow<'_, str>, TargetError> {
    if value.is_empty() {
        return Err(refused("`u` must be the provider's URL"));
    }
    let head = value.split(['/', '?']).next().unwrap_or_default();
    if head.contains('%') {
        decode(value, Plus::Itself).ok_or(broken("u"))
    } else {
        Ok(Cow::Borrowed(value))
    }
}

/// `/v1/forward/https://host/path`, the same with one slash or encoded, or `/v1/forward/{provider}/path`.
fn target_in_path<'a>(
    behind: &str,
    public_base: impl Fn(&str) -> Option<&'a Url>,
) -> Result<Cow<'_, str>, TargetError> {
    let missing = || refused("the parameter `u` with the provider's URL is missing");
    let lower = behind.get(..8).unwrap_or(behind).to_ascii_lowercase();
    if lower.starts_with("https%3a") {
        return decode(behind, Plus::Itself).ok_or(broken("u"));
    }
    if lower.starts_with("https:/") {
        let rest = behind[6..].trim_start_matches('/');
        return Ok(Cow::Owned(format!("https://{rest}")));
    }
    let (name, path) = behind.split_once('/').ok_or_else(missing)?;
    if name.contains('.') {
        return Ok(Cow::Borrowed(behind));
    }
    let base = public_base(name).ok_or_else(missing)?;
    let known = base.path().trim_end_matches('/');
    let path = format!("/{path}");
    let inside = path
        .strip_prefix(known)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let prefix = if inside { "" } else { known };
    Ok(Cow::Owned(format!(
        "https://{}{prefix}{path}",
        base.host_str().unwrap_or_default()
    )))
}

/// The URL of a target that is plainly an https address of a named host. Checks the text before it is parsed, because
/// a URL parser repairs what must be refused.
fn check(target: &str) -> Result<Url, TargetError> {
    if target.len() > TARGET_LIMIT_BYTES {
        return Err(refused("the target is longer than 2,048 bytes"));
    }
    if target
        .chars()
        .any(|character| character.is_control() || matches!(character, ' ' | '\\' | '#'))
    {
        return Err(refused(
            "the target must have no spaces, control characters, backslashes or fragment",
        ));
    }
    let rest = without_scheme(target)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.strip_suffix(HTTPS_PORT).unwrap_or(authority);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    if !host.contains('.') || !host.bytes().all(plain) {
        return Err(refused(NOT_A_HOST));
    }
    let url = Url::parse(&format!("https://{rest}")).map_err(|_| refused("the target is not a URL"))?;
    match url.host() {
        Some(Host::Domain(domain)) if !domain.ends_with('.') => Ok(url),
        Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | None => Err(refused(NOT_A_HOST)),
    }
}

fn without_scheme(target: &str) -> Result<&str, TargetError> {
    let head = target.split(['/', '?']).next().unwrap_or_default();
    match head.split_once(':') {
        None if target.starts_with('/') || target.starts_with('.') || target.starts_with('?') => {
            Err(refused("the target must be a whole URL, not a relative one"))
        }
        None => Ok(target),
        Some((scheme, "")) if scheme.eq_ignore_ascii_case("https") => {
            // Of two slashes some proxies leave one.
            let rest = &target[scheme.len() + 1..];
            let rest = rest.strip_prefix("//").or_else(|| rest.strip_prefix('/'));
            rest.ok_or_else(|| refused("the target is not a URL"))
        }
        Some(_) if head.ends_with(HTTPS_PORT) => Ok(target),
        Some(_) => Err(refused(
            "the target must be an https URL, with no user and no port but 443",
        )),
    }
}

const fn refused(message: &'static str) -> TargetError {
    TargetError { param: "u", message }
}

#[cfg(test)]
mod junk_tests;

#[cfg(test)]
mod tests;
