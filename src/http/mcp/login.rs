//! The tool `login`.

use serde_json::json;

use crate::http::error::{ApiError, ErrorCode};

use super::run::{Outcome, Run};
use super::visitor::Standing;

/// How long a name is that a client may have.
const NAME_LIMIT: usize = 60;

/// Says who is signed in.
pub async fn login(run: &Run<'_>) -> Result<Outcome, ApiError> {
    match run.visit.standing() {
        Standing::Spender(_) | Standing::Manager(_) => {
            run.spend_key().await?;
            let value = json!({ "status": "authorized" });
            Ok(Outcome::Done { text: None, value })
        }
        Standing::Guest => Err(ApiError::new(ErrorCode::NotSupported)
            .say("Connect with the header Authorization: Bearer and a secret key or a spend key.")),
    }
}

/// A name that is shown to people: one line, not long.
pub fn clean_name(name: &str) -> String {
    let cleaned: String = name.chars().filter(|character| !character.is_control()).collect();
    cleaned.trim().chars().take(NAME_LIMIT).collect()
}
