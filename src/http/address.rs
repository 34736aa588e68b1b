//! The address of the client. What a proxy says of it counts only where the peer is a proxy that the operator trusts;
//! a header that cannot be read stops the walk, so the address is never one that an untrusted party chose.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

use super::inside;

/// Where the request comes from; `None` where the connection has no address.
pub fn client_address(request: &HttpRequest, trusted_proxies: &[IpNet]) -> Option<IpAddr> {
    if let Some(inside) = inside::of_request(request) {
        return inside.address;
    }
    let peer = request.peer_addr()?.ip().to_canonical();
    Some(vouched_for(peer, request.headers(), trusted_proxies))
}

/// Walks `x-forwarded-for` from its end while the one who wrote the entry is trusted.
fn vouched_for(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted_proxies.iter().any(|network| network.contains(&address));
    let mut client = peer;
    if !is_trusted(client) {
        return client;
    }
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .map(|value| value.to_str().unwrap_or(""))
        .collect();
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = read_entry(entry.trim()) else { break };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// An address, or an address and a port.
fn read_entry(entry: &str) -> Option<IpAddr> {
    let address = entry.parse::<IpAddr>().ok();
    let address = address.or_else(|| entry.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let table: [(&str, &[&str], &str); 8] = [
            ("9.9.9.9", &["1.1.1.1"], "9.9.9.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["8.8.8.8, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["8.8.8.8, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["8.8.8.8", "1.1.1.1:4711"], "1.1.1.1"),
            ("10.0.0.1", &["1.1.1.1, junk"], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1"),
        ];
        for (peer, lines, client) in table {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(
                    HeaderName::from_static("x-forwarded-for"),
                    HeaderValue::from_str(line).unwrap(),
                );
            }
            let peer = peer.parse::<IpAddr>().unwrap().to_canonical();
            assert_eq!(
                vouched_for(peer, &headers, &trusted).to_string(),
                client,
                "{peer} {lines:?}"
            );
        }
    }
}
