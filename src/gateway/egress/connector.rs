//! Dials providers. It looks a name up, checks every address that comes back, and connects to one of exactly those, so
//! that a name which leads elsewhere at the second look-up gains nothing. An address in the place of a name is checked
//! like any other. The client library sees only connections that passed here.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use actix_web::http::Uri;
use arc_swap::ArcSwap;
use futures_util::future::LocalBoxFuture;
use tokio::net::TcpStream;

use super::address::is_public;

/// Hosts with their ports that the operator configured himself, such as a proxy or a model server of his own network:
/// they may be anywhere. Clones are the same list, which a reload replaces.
#[derive(Clone, Debug, Default)]
pub struct PrivateHosts(Arc<ArcSwap<Places>>);

type Places = HashSet<(String, u16)>;

impl PrivateHosts {
    pub fn new(hosts: impl IntoIterator<Item = (String, u16)>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(hosts.into_iter().collect())))
    }

    /// Puts others in their place, for connections to come.
    pub fn replace(&self, hosts: impl IntoIterator<Item = (String, u16)>) {
        self.0.store(Arc::new(hosts.into_iter().collect()));
    }

    /// Takes on what another list says.
    pub fn become_as(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    pub(super) fn contain(&self, host: &str, port: u16) -> bool {
        self.0.load().contains(&(host.to_ascii_lowercase(), port))
    }
}

/// A name that leads to where no call goes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} leads to {address}, which is not an address of the public internet")]
struct Forbidden {
    host: String,
    address: SocketAddr,
}

type Addresses = LocalBoxFuture<'static, io::Result<Vec<SocketAddr>>>;
type LookUp = Rc<dyn Fn(String, u16) -> Addresses>;

/// A worker's connector.
#[derive(Clone)]
pub struct GuardedConnector {
    private: PrivateHosts,
    look_up: LookUp,
}

impl GuardedConnector {
    /// One that asks the system's resolver.
    pub fn new(private: PrivateHosts) -> Self {
        let look_up = |host: String, port: u16| -> Addresses {
            Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
        };
        Self {
            private,
            look_up: Rc::new(look_up),
        }
    }

    async fn dial(self, uri: Uri) -> Result<Connection<Uri, TcpStream>, ConnectError> {
        let (host, port) = place_of(&uri).ok_or(ConnectError::InvalidInput)?;
        let found = (self.look_up)(host.clone(), port)
            .await
            .map_err(|error| ConnectError::Resolver(Box::new(error)))?;
        if !self.private.contain(&host, port)
            && let Some(address) = found.iter().find(|found| !is_public(found.ip()))
        {
            let forbidden = Forbidden {
                host,
                address: *address,
            };
            tracing::warn!(error = %forbidden, "a call was not sent");
            return Err(ConnectError::Resolver(Box::new(forbidden)));
        }
        let stream = connect(&found).await?;
        Ok(Connection::new(uri, stream))
    }
}

impl Service<ConnectInfo<Uri>> for GuardedConnector {
    type Response = Connection<Uri, TcpStream>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    /// Addresses that came with the request are left out of account: only its own look-up counts.
    fn call(&self, wanted: ConnectInfo<Uri>) -> Self::Future {
        Box::pin(self.clone().dial(wanted.request().clone()))
    }
}

/// Host and port; the brackets of an IPv6 address are not part of it.
fn place_of(uri: &Uri) -> Option<(String, u16)> {
    let host = uri.host()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let usual = match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    Some((bare.unwrap_or(host).to_owned(), uri.port_u16().or(usual)?))
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut failure = ConnectError::NoRecords;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(ConnectError::Io)?;
                return Ok(stream);
            }
            Err(error) => failure = ConnectError::Io(error),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    /// A connector whose names lead where the test says, the n-th look-up to the n-th answer.
    fn connector(private: &[(&str, u16)], answers: Vec<Vec<SocketAddr>>) -> GuardedConnector {
        let asked = Cell::new(0);
        let look_up = move |_: String, _: u16| -> Addresses {
            let answer = answers[asked.get().min(answers.len() - 1)].clone();
            asked.set(asked.get() + 1);
            Box::pin(async move { Ok(answer) })
        };
        GuardedConnector {
            private: PrivateHosts::new(private.iter().map(|(host, port)| ((*host).to_owned(), *port))),
            look_up: Rc::new(look_up),
        }
    }

    async fn dial(connector: &GuardedConnector, uri: &str) -> Result<(), String> {
        let call = connector.call(ConnectInfo::new(uri.parse().unwrap()));
        let dialled = tokio::time::timeout(Duration::from_millis(300), call).await;
        match dialled {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                Err(source.unwrap_or_else(|| error.to_string()))
            }
            Err(_) => Err("nobody answers".to_owned()),
        }
    }

    fn trap() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[actix_rt::test]
    async fn no_packet_goes_to_a_forbidden_address_whatever_a_name_leads_to() {
        let (trap, local) = trap();
        let public: SocketAddr = "192.0.3.1:443".parse().unwrap();
        let mapped: SocketAddr = format!("[::ffff:127.0.0.1]:{}", local.port()).parse().unwrap();
        let answers = [vec![local], vec![mapped], vec![public, local], vec![local, public]];
        for answer in answers {
            let refused = dial(&connector(&[], vec![answer.clone()]), "https://api.example.com/").await;
            assert!(
                refused.is_err_and(|error| error.contains("not an address of the public internet")),
                "{answer:?}"
            );
        }
        assert_eq!(trap.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[actix_rt::test]
    async fn a_name_that_leads_elsewhere_at_the_second_look_up_is_refused_there() {
        let (trap, local) = trap();
        let connector = connector(&[], vec![vec![], vec![local]]);
        assert!(dial(&connector, "https://api.example.com/").await.is_err());
        let second = dial(&connector, "https://api.example.com/").await;
        assert!(second.is_err_and(|error| error.contains("public internet")));
        assert_eq!(trap.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[actix_rt::test]
    async fn the_operators_own_hosts_may_be_anywhere_but_only_at_their_port() {
        let (trap, local) = trap();
        let connector = connector(&[("models.internal", local.port())], vec![vec![local]]);
        let port = local.port();
        assert_eq!(
            dial(&connector, &format!("http://Models.Internal:{port}/v1")).await,
            Ok(())
        );
        assert!(trap.accept().is_ok());
        assert!(dial(&connector, "http://models.internal/v1").await.is_err());
        assert!(dial(&connector, "https://models.internal/v1").await.is_err());
    }

    #[actix_rt::test]
    async fn an_address_in_the_place_of_a_name_is_checked_too() {
        let (trap, local) = trap();
        let connector = GuardedConnector::new(PrivateHosts::default());
        let port = local.port();
        for host in [
            "127.0.0.1",
            "[::ffff:127.0.0.1]",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "localhost",
        ] {
            assert!(
                dial(&connector, &format!("https://{host}:{port}/")).await.is_err(),
                "{host}"
            );
        }
        assert_eq!(trap.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
