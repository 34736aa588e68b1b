//! The port through which one-time codes reach customers' phones. Who sends them is the operator's choice; a code that
//! was not sent is said to be so, and the customer may ask for another.

use futures_util::future::LocalBoxFuture;

use crate::domain::ids::{CheckoutSessionId, MerchantId};
use crate::domain::secret::Secret;

/// A code on its way.
#[derive(Clone, Debug)]
pub struct CodeMessage {
    pub merchant_id: MerchantId,
    pub session_id: CheckoutSessionId,
    /// As E.164 has it.
    pub phone: String,
    pub code: Secret<String>,
}

/// The code did not leave.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the one-time code was not sent: {0}")]
pub struct CodeNotSent(pub String);

/// Sends codes.
pub trait CodeSender: Send + Sync {
    fn send(&self, message: CodeMessage) -> LocalBoxFuture<'static, Result<(), CodeNotSent>>;
}
