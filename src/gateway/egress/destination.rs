//! Whether a URL that a merchant gives may be sent to: https, a host, no user, and an address of the public internet.
//! A name is looked up, so that a mistake is told when it is made; what counts is the check at each dial. A name that
//! cannot be looked up now is let through for that reason.

use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};

use super::address::is_public;
use super::connector::PrivateHosts;

const LONGEST_BYTES: usize = 2048;
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why nothing is sent there; goes on after the parameter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationRefused {
    #[error("must be an absolute URL such as \"https://example.com/hooks\"")]
    NotAUrl,
    #[error("must have at most 2048 bytes")]
    TooLong,
    #[error("must begin with https://")]
    NotHttps,
    #[error("must not hold a user or a password")]
    User,
    #[error("must lead to an address of the public internet")]
    NotPublic,
}

/// The URL in its usual form, once nothing speaks against it. Hosts that the operator lists may be anywhere and may
/// speak plain HTTP.
pub async fn check_destination(text: &str, private: &PrivateHosts) -> Result<Url, DestinationRefused> {
    let (url, addresses) = match read(text, private)? {
        Place::Known(url) => return Ok(url),
        Place::Address(url, address) => (url, vec![address]),
        Place::Name(url, name, port) => {
            let found = tokio::net::lookup_host((name.as_str(), port));
            let found = tokio::time::timeout(LOOK_UP_TIMEOUT, found).await;
            let addresses = match found {
                Ok(Ok(found)) => found.map(|found| found.ip()).collect(),
                Ok(Err(_)) | Err(_) => Vec::new(),
            };
            (url, addresses)
        }
    };
    if addresses.into_iter().all(is_public) {
        Ok(url)
    } else {
        Err(DestinationRefused::NotPublic)
    }
}

/// The places in a list such as `localhost:8080`; one without a port stands for both usual ones.
pub fn read_places<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<PrivateHosts, String> {
    let mut places = Vec::new();
    for text in texts {
        let wrong = || format!("must hold hosts such as localhost:8080, not `{text}`");
        let url = Url::parse(&format!("http://{text}/")).map_err(|_| wrong())?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        let host = url
            .host_str()
            .filter(|_| is_bare && !text.contains('/'))
            .ok_or_else(wrong)?;
        let ports = match url.port() {
            Some(port) => vec![port],
            None => vec![80, 443],
        };
        places.extend(ports.into_iter().map(|port| (bare(host).to_owned(), port)));
    }
    Ok(PrivateHosts::new(places))
}

/// What a URL names.
#[derive(Debug)]
enum Place {
    /// A host of the operator's list.
    Known(Url),
    Address(Url, IpAddr),
    Name(Url, String, u16),
}

fn read(text: &str, private: &PrivateHosts) -> Result<Place, DestinationRefused> {
    if text.len() > LONGEST_BYTES {
        return Err(DestinationRefused::TooLong);
    }
    if text
        .chars()
        .any(|character| character.is_control() || character.is_whitespace())
    {
        return Err(DestinationRefused::NotAUrl);
    }
    let url = Url::parse(text).map_err(|_| DestinationRefused::NotAUrl)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(DestinationRefused::NotAUrl);
    };
    let (host, is_known) = (host.to_owned(), private.contain(bare(host), port));
    if url.scheme() != "https" && !(is_known && url.scheme() == "http") {
        return Err(DestinationRefused::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(DestinationRefused::User);
    }
    if url.as_str().len() > LONGEST_BYTES {
        return Err(DestinationRefused::TooLong);
    }
    if is_known {
        return Ok(Place::Known(url));
    }
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(Place::Address(url, address.into())),
        Some(Host::Ipv6(address)) => Ok(Place::Address(url, address.into())),
        Some(Host::Domain(_)) => Ok(Place::Name(url, host, port)),
        None => Err(DestinationRefused::NotAUrl),
    }
}

/// The brackets of an IPv6 address are not part of it.
fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn only_https_to_the_public_internet_is_taken() {
        use DestinationRefused::{NotAUrl, NotHttps, NotPublic, TooLong, User};
        let private = read_places(&["127.0.0.1:8080".to_owned(), "[::1]:8080".to_owned()]).unwrap();
        let long = format!("https://8.8.8.8/{}", "a".repeat(2048));
        #[rustfmt::skip]
        let table = [
            ("https://8.8.8.8/hooks", None), ("https://8.8.8.8:8443/hooks?a=b", None), ("HTTPS://8.8.8.8", None),
            ("https://name.invalid/hooks", None), ("http://127.0.0.1:8080/", None), ("http://[::1]:8080/", None),
            ("", Some(NotAUrl)), ("hooks", Some(NotAUrl)), ("//8.8.8.8/", Some(NotAUrl)), ("https://", Some(NotAUrl)),
            ("https://8.8.8.8/a b", Some(NotAUrl)), ("https://8.8.8.8/\n", Some(NotAUrl)),
            ("mailto:a@example.com", Some(NotAUrl)), ("data:,x", Some(NotAUrl)),
            ("http://8.8.8.8/", Some(NotHttps)), ("ftp://8.8.8.8/", Some(NotHttps)), ("ws://8.8.8.8/", Some(NotHttps)),
            ("https://me@8.8.8.8/", Some(User)), ("https://:secret@8.8.8.8/", Some(User)), (&long, Some(TooLong)),
            ("https://127.0.0.1/", Some(NotPublic)), ("https://10.1.2.3/", Some(NotPublic)),
            ("https://[::1]/", Some(NotPublic)), ("https://[::ffff:169.254.169.254]/", Some(NotPublic)),
            ("https://127.1/", Some(NotPublic)), ("https://0x7f.1/", Some(NotPublic)),
            ("https://2130706433/", Some(NotPublic)), ("https://0177.0.0.1/", Some(NotPublic)),
            ("https://localhost/", Some(NotPublic)), ("https://127.0.0.1:8081/", Some(NotPublic)),
            ("http://127.0.0.1:8081/", Some(NotHttps)),
        ];
        for (text, refused) in table {
            assert_eq!(check_destination(text, &private).await.err(), refused, "{text}");
        }
    }

    #[test]
    fn a_list_of_places_holds_hosts_with_their_ports() {
        let places = read_places(&["localhost".to_owned()]).unwrap();
        assert!(places.contain("localhost", 80) && places.contain("localhost", 443));
        assert!(!places.contain("localhost", 8080));
        for text in [
            "",
            "http://localhost",
            "localhost/x",
            "a b",
            "me@localhost",
            "localhost:99999",
        ] {
            assert!(read_places(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
