//! What a shard of the customers' accounts is asked.

use std::sync::Arc;

use actix::Message;
use tokio::sync::oneshot;

use crate::domain::customer_account::CustomerAccount;
use crate::domain::ids::MeterId;
use crate::domain::meter::{Meter, Metered};
use crate::domain::money::Money;
use crate::domain::request::Charge;
use crate::domain::room::Claim;
use crate::domain::subscription::Turn;
use crate::engine::accounts::AccountRefusal;
use crate::engine::customer_accounts::{ChangeError, CreditAsk, CreditHold, CreditRefusal, Reported, Whose};
use crate::engine::journal::Written;

/// What is done to a subscription, given the account and the instant in unix seconds.
pub type Transition = Box<dyn FnOnce(&CustomerAccount, i64) -> Result<Turn, ChangeError> + Send>;

/// Asks whether the plan has a meter.
#[derive(Message)]
#[rtype(result = "Result<(), CreditRefusal>")]
pub struct Entitle {
    pub whose: Whose,
    pub meter_id: MeterId,
}

/// Asks for a hold.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reserve {
    pub whose: Whose,
    pub ask: CreditAsk,
    pub reply: oneshot::Sender<Result<CreditHold, CreditRefusal>>,
}

/// Asks for more room for a running call.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Extend {
    pub whose: Whose,
    pub claim: Claim,
    pub reply: oneshot::Sender<Result<Money, AccountRefusal>>,
}

/// Ends a hold and charges what was used.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Settle {
    pub whose: Whose,
    pub hold: Money,
    pub meter: Arc<Meter>,
    pub used: Metered,
    pub reply: oneshot::Sender<Charge>,
}

/// Ends a hold with a charge that was decided elsewhere, or without one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Book {
    pub whose: Whose,
    pub hold: Money,
    pub charge: Option<(MeterId, Charge)>,
}

/// The account as it is.
#[derive(Message)]
#[rtype(result = "CustomerAccount")]
pub struct Read {
    pub whose: Whose,
}

/// Sees to it that a customer is on the plan that he belongs on; what was written for it.
#[derive(Message)]
#[rtype(result = "Option<Written>")]
pub struct Begin {
    pub whose: Whose,
}

/// A change of the subscription.
#[derive(Message)]
#[rtype(result = "Result<(CustomerAccount, Written), ChangeError>")]
pub struct Change {
    pub whose: Whose,
    pub transition: Transition,
}

/// A request that was served elsewhere.
#[derive(Message)]
#[rtype(result = "Result<(Charge, Written), ChangeError>")]
pub struct Report {
    pub whose: Whose,
    pub report: Reported,
}
