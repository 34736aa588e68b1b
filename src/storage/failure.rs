//! What goes wrong in or on the way to the database: whether it may be tried again, is to be told to who asked, or is final.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as QueryError};

/// What went wrong in or on the way to the database.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Nothing is wrong with the request: the database is away or busy. It may be tried again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    #[error("not found")]
    NotFound,
    /// Something with this key is there already.
    #[error("conflicts with {constraint}")]
    Conflict { constraint: String },
    #[error("the query failed: {0}")]
    Query(QueryError),
    #[error("migration: {0}")]
    Migration(String),
    /// A stored row that this program cannot understand.
    #[error("stored {noun} is unreadable: {reason}")]
    Corrupt { noun: &'static str, reason: String },
}

impl From<QueryError> for StorageError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NotFound => Self::NotFound,
            QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, details) => {
                let constraint = details.constraint_name().unwrap_or_default().to_owned();
                Self::Conflict { constraint }
            }
            QueryError::DatabaseError(
                DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ReadOnlyTransaction,
                details,
            ) => Self::Unavailable(details.message().trim().to_owned()),
            QueryError::DatabaseError(_, ref details) if is_leaving(details.message()) => {
                Self::Unavailable(details.message().trim().to_owned())
            }
            QueryError::BrokenTransactionManager => Self::Unavailable("the connection broke".to_owned()),
            other => Self::Query(other),
        }
    }
}

impl From<ConnectionError> for StorageError {
    fn from(error: ConnectionError) -> Self {
        Self::Unavailable(error.to_string().trim().to_owned())
    }
}

/// A server that shuts down, that is too slow, or whose link broke, says so in words where it has no kind of its own in diesel.
fn is_leaving(message: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "canceling statement due to statement timeout",
        "terminating connection",
        "the database system is",
        "server closed the connection",
        "no connection to the server",
        "could not receive data from server",
        "SSL SYSCALL error",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}

/// What there is to say of a connection that failed for a reason which no waiting mends: the server refuses who asks, or
/// the address is none. libpq gives it in words only; in a language that is not known here there is none.
pub fn lasting_reason(reason: &str) -> Option<&str> {
    // These quote the address, which may hold a password.
    const OF_ADDRESS: [&str; 5] = [
        "invalid URI",
        "invalid connection option",
        "in connection info string",
        "invalid port number",
        "invalid percent-encoded token",
    ];
    const OF_SERVER: [&str; 5] = [
        "authentication failed",
        "no password supplied",
        "no pg_hba.conf entry",
        "\" does not exist",
        "permission denied for database",
    ];
    if OF_ADDRESS.iter().any(|sign| reason.contains(sign)) {
        return Some("its address is not one that PostgreSQL's library understands");
    }
    OF_SERVER.iter().any(|sign| reason.contains(sign)).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::{Connection as _, PgConnection};

    #[test]
    fn errors_of_the_link_are_unavailable_and_others_keep_their_kind() {
        let error = |kind, text: &str| StorageError::from(QueryError::DatabaseError(kind, Box::new(text.to_owned())));
        for (kind, text) in [
            (DatabaseErrorKind::ClosedConnection, "gone"),
            (DatabaseErrorKind::UnableToSendCommand, "gone"),
            (
                DatabaseErrorKind::Unknown,
                "terminating connection due to administrator command",
            ),
            (DatabaseErrorKind::Unknown, "the database system is shutting down"),
        ] {
            assert!(matches!(error(kind, text), StorageError::Unavailable(_)), "{text}");
        }
        assert!(matches!(
            error(DatabaseErrorKind::CheckViolation, "no"),
            StorageError::Query(_)
        ));
        assert!(matches!(
            error(DatabaseErrorKind::UniqueViolation, "no"),
            StorageError::Conflict { .. }
        ));
        assert!(matches!(
            StorageError::from(QueryError::NotFound),
            StorageError::NotFound
        ));
    }

    #[test]
    fn a_password_that_is_wrong_is_no_database_that_is_away() {
        let failed = |url: &str| {
            PgConnection::establish(url)
                .err()
                .map(|error| error.to_string())
                .unwrap()
        };
        let broken = failed("postgres://user:hunter2@host/database?no_such_option=1");
        for (reason, expected) in [
            ("FATAL:  password authentication failed for user \"a\"", true),
            ("FATAL:  database \"b\" does not exist", true),
            ("FATAL:  role \"a\" does not exist", true),
            (broken.as_str(), true),
            (&failed("nonsense hunter2 dbname=x"), true),
            (&failed("host=/nowhere dbname=caldera"), false),
            ("FATAL:  the database system is starting up", false),
            ("could not translate host name \"db\" to address", false),
            ("FATAL:  sorry, too many clients already", false),
        ] {
            let found = lasting_reason(reason);
            assert_eq!(found.is_some(), expected, "{reason}");
            assert!(found.is_none_or(|said| !said.contains("hunter2")), "{found:?}");
        }
    }
}
