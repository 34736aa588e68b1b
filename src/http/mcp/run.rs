//! A tool at work: who may, and which call of our own interface it is. A tool that spends does so with the spend key
//! that the caller came with, or with one of his session, which is made here when it is first needed. It fails closed:
//! without a key nothing is called.

use std::sync::Arc;

use serde_json::Value;

use crate::domain::key::KeyStatus;
use crate::domain::secret::Secret;
use crate::engine::keyring::{Credential, Keyring};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::inside::Shapes;

use super::arguments::Arguments;
use super::desk::KeyOrder;
use super::session::{KeySlot, Session};
use super::tools::{Need, ToolName};
use super::visitor::{Manager, Standing, Visit};
use super::{Reach, calls, directory, login, manage};

/// What a tool came to.
pub enum Outcome {
    /// `text` stands for `value` where that reads better.
    Done { text: Option<String>, value: Value },
    /// The body of a refusal.
    Refused(Value),
}

/// One call of a tool.
pub struct Run<'a> {
    pub reach: &'a Reach,
    pub visit: Arc<Visit>,
    /// `None`: the protocol has none, and the caller needs none.
    pub session: Option<Arc<Session>>,
    pub client: String,
    pub arguments: Arguments,
}

impl Visit {
    /// What the visitor may do here.
    pub fn standing(&self, keyring: &Keyring) -> Standing {
        match &self.session {
            Some(session) => session.standing(&self.visitor.standing, keyring),
            None => self.visitor.standing.clone(),
        }
    }
}

impl Run<'_> {
    /// Does what the tool is for.
    pub async fn tool(&self, tool: ToolName) -> Result<Outcome, ApiError> {
        self.require(tool.need())?;
        match tool {
            ToolName::Login => login::login(self).await,
            ToolName::Search => directory::search(self).await,
            ToolName::GetProviderDocs => directory::provider_docs(self).await,
            ToolName::Prompt => calls::prompt(self).await,
            ToolName::CallApi => calls::call_api(self).await,
            ToolName::ChatCompletions => calls::dialect(self, "/v1/chat/completions").await,
            ToolName::Messages => calls::dialect(self, "/v1/messages").await,
            ToolName::Rewrite => calls::rewrite(self).await,
            ToolName::GetBalance => manage::look(self, "/v1/wallet").await,
            ToolName::AddFunds => manage::add_funds(self).await,
            ToolName::GetUsage => manage::look(self, "/v1/usage").await,
            ToolName::ListRequests => manage::look(self, "/v1/requests").await,
            ToolName::ListSpendKeys => manage::look(self, "/v1/spend_keys").await,
            ToolName::CreateSpendKey => manage::create(self, "/v1/spend_keys").await,
            ToolName::PauseSpendKey => manage::set_status(self, "paused").await,
            ToolName::ResumeSpendKey => manage::set_status(self, "active").await,
            ToolName::RotateSpendKey => manage::rotate(self).await,
            ToolName::RevokeSpendKey => manage::revoke(self).await,
            ToolName::CreateMeter => manage::create(self, "/v1/meters").await,
            ToolName::CreatePlan => manage::create(self, "/v1/plans").await,
            ToolName::CreateCheckoutSession => manage::create(self, "/v1/checkout_sessions").await,
            ToolName::GenerateForwardToken => manage::forward_token(self),
        }
    }

    /// What its visitor may do at this moment.
    pub fn standing(&self) -> Standing {
        self.visit.standing(&self.reach.keyring)
    }

    fn require(&self, need: Need) -> Result<(), ApiError> {
        match need {
            Need::Nothing => Ok(()),
            Need::SpendKey if matches!(self.standing(), Standing::Guest) => Err(not_signed_in()),
            Need::SpendKey => Ok(()),
            Need::SecretKey => self.manager().map(drop),
        }
    }

    /// The secret key of this run.
    pub fn manager(&self) -> Result<Manager, ApiError> {
        match self.standing() {
            Standing::Manager(manager) => Ok(manager),
            Standing::Guest => Err(not_signed_in()),
            Standing::Spender(_) => Err(ApiError::new(ErrorCode::WrongKeyKind)
                .say("This tool takes a secret key (aks_...); a spend key only makes calls.")),
        }
    }

    /// What calls of this run are paid by, and whether it was made for the session.
    pub async fn spend_key(&self) -> Result<(Secret<String>, Shapes), ApiError> {
        let manager = match self.standing() {
            Standing::Guest => return Err(not_signed_in()),
            Standing::Spender(key) => return Ok((key, Shapes::Own)),
            Standing::Manager(manager) => manager,
        };
        let full = || ApiError::new(ErrorCode::Overloaded).say("Too many sessions are open.");
        let session = self.session.as_ref().ok_or_else(full)?;
        let now_ms = self.reach.clock.now().wall_ms;
        let mut slot = session.key.lock().await;
        match &*slot {
            KeySlot::Over => return Err(ApiError::new(ErrorCode::NotFound).say("The session has ended.")),
            KeySlot::Made(key) => match self.reach.keyring.find(key.secret.expose()) {
                None => return Err(key_revoked()),
                // No other key gets round a pause.
                Some(Credential::Spend { settings, .. })
                    if key.is_good(now_ms) || settings.status == KeyStatus::Paused =>
                {
                    return Ok((key.secret.clone(), Shapes::Any));
                }
                Some(_) => {}
            },
            KeySlot::Empty => {}
        }
        let order = KeyOrder {
            manager,
            client: self.client.clone(),
            address: self.visit.visitor.address,
        };
        let key = self.reach.desk.make_key(order).await?;
        let secret = key.secret.clone();
        // One that is near its end lapses by itself.
        *slot = KeySlot::Made(key);
        Ok((secret, Shapes::Any))
    }
}

fn key_revoked() -> ApiError {
    ApiError::new(ErrorCode::InvalidApiKey).say("The session's spend key was revoked, and it gets no other.")
}

fn not_signed_in() -> ApiError {
    ApiError::new(ErrorCode::InvalidApiKey).say(
        "Nobody is signed in: use the tool `login` first, or connect with the header Authorization: Bearer and a key.",
    )
}
