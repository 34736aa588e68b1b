//! `caldera health`: whether the server of this configuration is ready, for supervisors that have no HTTP client. It asks
//! `/readyz` over the loopback and fails closed.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::http::options::ServerOptions;

const PATIENCE: Duration = Duration::from_secs(3);
/// The status line is in it.
const HEAD_BYTES: usize = 64;

/// `Err` says why the server is not ready.
pub fn ask(options: &ServerOptions) -> Result<(), String> {
    let address = address(options)?;
    let answer = ask_at(address).map_err(|error| format!("no server answers at {address}: {error}"))?;
    let status = answer.split(' ').nth(1).unwrap_or("no");
    if status == "200" {
        Ok(())
    } else {
        Err(format!("the server is not ready: it answers {status}"))
    }
}

/// What listens on every address is asked on the loopback.
fn address(options: &ServerOptions) -> Result<SocketAddr, String> {
    let unknown = |error: String| format!("{} leads nowhere: {error}", options.host);
    let mut found = (options.host.as_str(), options.port)
        .to_socket_addrs()
        .map_err(|error| unknown(error.to_string()))?;
    let mut address = found.next().ok_or_else(|| unknown("no address".to_owned()))?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        });
    }
    Ok(address)
}

fn ask_at(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET /readyz HTTP/1.1\r\nhost: caldera\r\nconnection: close\r\n\r\n")?;
    let mut head = [0; HEAD_BYTES];
    let length = connection.read(&mut head)?;
    Ok(String::from_utf8_lossy(&head[..length]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_asked_on_the_loopback() {
        let of = |host: &str| {
            let options = ServerOptions {
                host: host.to_owned(),
                port: 80,
                ..ServerOptions::default()
            };
            address(&options).map(|address| address.to_string())
        };
        assert_eq!(of("0.0.0.0"), Ok("127.0.0.1:80".to_owned()));
        assert_eq!(of("::"), Ok("[::1]:80".to_owned()));
        assert_eq!(of("127.0.0.9"), Ok("127.0.0.9:80".to_owned()));
    }
}
