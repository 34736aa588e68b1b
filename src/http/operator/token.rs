//! The token of the operator's routes: 32 random bytes in hex, in `operator-token` in the data directory, mode 0600.
//! The server makes it at its first start and the command line reads it; comparing takes the same time for all tokens.
//! `operator-address` beside it says where the listener is, for a port that the system chose.

use std::fs::OpenOptions;
use std::future::{Ready, ready};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use subtle::ConstantTimeEq as _;

use crate::domain::secret::Secret;
use crate::engine::random;
use crate::http::auth::presented_tokens;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;

const TOKEN_FILE: &str = "operator-token";
const ADDRESS_FILE: &str = "operator-address";
const GATEWAY_ADDRESS_FILE: &str = "gateway-address";

/// What the operator's routes compare with.
pub struct OperatorToken(Secret<String>);

impl OperatorToken {
    /// The token in this directory; makes one where there is none.
    pub fn establish(data_dir: &Path) -> io::Result<Self> {
        match read_token(data_dir) {
            Ok(token) => return Ok(Self(token)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let bytes: [u8; 32] = random::bytes().map_err(io::Error::other)?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(data_dir.join(TOKEN_FILE))?;
        writeln!(file, "{token}")?;
        file.sync_all()?;
        Ok(Self(Secret::new(token)))
    }
}

/// The token in this directory.
pub fn read_token(data_dir: &Path) -> io::Result<Secret<String>> {
    let text = Secret::new(std::fs::read_to_string(data_dir.join(TOKEN_FILE))?);
    let token = text.expose().trim();
    // Too short a token could be guessed; the file was emptied or cut.
    if token.len() < 32 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the operator's token is too short; remove the file",
        ));
    }
    Ok(Secret::new(token.to_owned()))
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub operator: SocketAddr,
    pub gateway: SocketAddr,
}

/// Writes down where the listeners are.
pub fn write_addresses(data_dir: &Path, addresses: Addresses) -> io::Result<()> {
    std::fs::write(data_dir.join(ADDRESS_FILE), format!("{}\n", addresses.operator))?;
    std::fs::write(data_dir.join(GATEWAY_ADDRESS_FILE), format!("{}\n", addresses.gateway))
}

/// Where the operator's listener of the last start was.
pub fn read_address(data_dir: &Path) -> Option<SocketAddr> {
    read_written(&data_dir.join(ADDRESS_FILE))
}

/// Where the callers' listener of the last start was.
pub fn read_gateway_address(data_dir: &Path) -> Option<SocketAddr> {
    read_written(&data_dir.join(GATEWAY_ADDRESS_FILE))
}

fn read_written(path: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Somebody who has the token, on a server that is ready.
#[derive(Clone, Copy, Debug)]
pub struct OperatorAuth;

impl FromRequest for OperatorAuth {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request))
    }
}

/// The operator, where the request carries his token.
pub(super) fn admit(request: &HttpRequest) -> Result<OperatorAuth, ApiError> {
    let state = request.app_data::<web::Data<AppState>>();
    let (Some(state), Some(token)) = (state, state.and_then(|state| state.operator_token.get())) else {
        return Err(ApiError::internal(
            "reading the operator's token",
            &"the route has none",
        ));
    };
    let expected = token.0.expose().as_bytes();
    let fits = presented_tokens(request.headers()).any(|given| bool::from(given.as_bytes().ct_eq(expected)));
    if !fits {
        return Err(ApiError::new(ErrorCode::InvalidApiKey).say("This route takes the operator's token."));
    }
    state.phase.require_ready()?;
    Ok(OperatorAuth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_token_is_made_once_readable_by_its_owner_only_and_an_empty_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let made = OperatorToken::establish(directory.path()).unwrap();
        let again = OperatorToken::establish(directory.path()).unwrap();
        assert_eq!(made.0.expose(), again.0.expose());
        assert_eq!(made.0.expose().len(), 64);
        let path = directory.path().join(TOKEN_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "").unwrap();
        assert!(OperatorToken::establish(directory.path()).is_err());
    }

    #[test]
    fn the_addresses_are_read_back() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_address(directory.path()), None);
        let addresses = Addresses {
            operator: "127.0.0.1:4711".parse().unwrap(),
            gateway: "127.0.0.1:4712".parse().unwrap(),
        };
        write_addresses(directory.path(), addresses).unwrap();
        assert_eq!(read_address(directory.path()), Some(addresses.operator));
        assert_eq!(read_gateway_address(directory.path()), Some(addresses.gateway));
    }
}
