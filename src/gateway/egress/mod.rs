//! The one way out: whom the gateway believes, and which addresses it dials. A host name says nothing of where it leads,
//! so every address is checked after its look-up and exactly the checked address is dialled; what is not of the public
//! internet is refused, unless the operator himself configured that host. It fails closed: one forbidden address
//! among several refuses them all.

mod address;
mod connector;
mod destination;
mod trust;

pub use address::is_public;
pub use connector::{GuardedConnector, PrivateHosts};
pub use destination::{DestinationRefused, check_destination, read_places};
pub use trust::{Trust, TrustError};
