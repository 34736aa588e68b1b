//! Calls that go on with what OpenAI keeps under the operator's account. Under that account stand the answers of all
//! merchants, so a call may go on only with one that its own merchant got; a conversation that is kept there is refused,
//! because nobody here knows whose it is. It fails closed.

use super::call::{Incoming, Refusal};
use super::dialect::{BodyError, CallShape};
use super::worker::Worker;

/// Checks what a call on the operator's credential goes on with.
pub(super) async fn check(worker: &Worker, incoming: &Incoming<'_>, shape: Option<&CallShape>) -> Result<(), Refusal> {
    let Some(shape) = shape.filter(|_| incoming.caller.provider_key.is_none()) else {
        return Ok(());
    };
    if shape.stored_conversation {
        let message = "a conversation that the provider keeps can be used with your own credential only";
        return Err(refusal("conversation", message));
    }
    let Some(id) = &shape.previous_response else {
        return Ok(());
    };
    match worker.answers().is_of(incoming.caller.merchant.id, id).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(refusal("previous_response_id", "there is no such answer")),
        Err(error) => {
            tracing::warn!(error = %error, "a call that goes on with an earlier answer is refused");
            Err(Refusal::Overloaded)
        }
    }
}

fn refusal(param: &str, message: &str) -> Refusal {
    Refusal::Body(BodyError {
        param: Some(param.to_owned()),
        message: message.to_owned(),
    })
}
