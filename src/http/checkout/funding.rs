//! Money that a merchant puts into a wallet of his: what it is paid with, and how it gets there. The movement has the
//! payment's own id and is made once: by one at a time, and by nobody where it is written already. A server is ready only
//! after all that its journal holds is written, so that a movement of a process that has ended is found.

use actix_web::web::Data;

use crate::domain::ids::{MerchantId, MovementId, PaymentId, PaymentMethodId, WalletId};
use crate::domain::money::Money;
use crate::domain::payment::{PaymentStatus, Purpose, own_payer};
use crate::domain::request::{AccountRef, Movement, MovementKind};
use crate::engine::customer_accounts::Whose;
use crate::engine::random;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::state::AppState;
use crate::storage::StorageError;
use crate::storage::payments::methods::{self, Holder};
use crate::storage::payments::{self, PaymentRow};
use crate::storage::wallets;

use super::charges::{Charge, bring_on, store};

type State = Data<AppState>;

/// What a merchant wants to put into a wallet, and with which card of his own.
#[derive(Clone, Copy, Debug)]
pub struct WantedFunding {
    /// Of its payment: asked for again under the same id, it is the same payment.
    pub payment_id: PaymentId,
    pub holder: Holder,
    pub wallet_id: WalletId,
    pub method_id: PaymentMethodId,
    /// Whole cents.
    pub amount: Money,
}

impl WantedFunding {
    /// Whether a stored payment is for this.
    fn is_paid_by(&self, payment: &PaymentRow) -> bool {
        let purpose = Purpose::Funding {
            wallet_id: self.wallet_id,
        };
        payment.merchant_id == self.holder.merchant_id
            && payment.customer_id == self.holder.customer_id
            && payment.method_id == self.method_id
            && payment.amount.money() == self.amount
            && payment.purpose == purpose
    }
}

/// The id of a payment that is about to be made.
pub fn new_payment_id(state: &AppState, merchant_id: MerchantId) -> Result<PaymentId, ApiError> {
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    Ok(PaymentId::compose_in_order(
        merchant_id.mode(),
        state.clock.wall_us(),
        random,
    ))
}

/// The cards of the merchant himself.
pub const fn own_cards(merchant_id: MerchantId) -> Holder {
    Holder {
        merchant_id,
        customer_id: own_payer(merchant_id),
    }
}

/// Takes the money, and returns how its payment stands; one that is paid is in the wallet, unless the journal is full.
pub async fn fund(state: &State, wanted: WantedFunding) -> Result<PaymentRow, ApiError> {
    let (holder, id) = (wanted.holder, wanted.method_id);
    let mode = holder.merchant_id.mode();
    if state.checkout.payments.desk(mode).is_none() {
        return Err(ApiError::new(ErrorCode::NotSupported).say("Payments are not set up on this server."));
    }
    let found = state.database.run(move |connection| {
        let method = methods::find(connection, holder, id)?;
        let payer = payments::find_payer(connection, holder.customer_id, method.processor)?;
        Ok((method, payer.ok_or(StorageError::NotFound)?))
    });
    let card = found.await.map_err(|error| match error {
        StorageError::NotFound => ApiError::missing("payment_method_id", "payment method"),
        other => other.into(),
    })?;
    let charge = Charge {
        id: wanted.payment_id,
        price: wanted.amount,
        description: "Wallet funding".to_owned(),
        purpose: Purpose::Funding {
            wallet_id: wanted.wallet_id,
        },
    };
    let whose = Whose {
        customer_id: holder.customer_id,
        merchant_id: holder.merchant_id,
    };
    let stored = store(state, whose, card, charge).await?;
    if !wanted.is_paid_by(&stored) {
        let message = "This was sent before with another card or amount. Nothing more was charged for it.";
        return Err(ApiError::new(ErrorCode::Conflict).say(message));
    }
    bring_on(state, stored.id).await
}

/// Puts what was paid into its wallet, once.
pub async fn put_in(state: &State, payment: PaymentRow, wallet_id: WalletId) -> Result<(), ApiError> {
    let _turn = state.turns.take(wallet_id.bits()).await;
    let (id, now_ms) = (payment.id, state.now().wall_ms);
    let movement_id = MovementId::from_bits(id.bits());
    let found = state.database.run(move |connection| {
        let payment = payments::find(connection, id)?;
        Ok((payment.status, wallets::has_movement(connection, movement_id)?))
    });
    let (status, is_there) = found.await?;
    if status != PaymentStatus::Paid {
        return Ok(());
    }
    if !is_there {
        let movement = Movement {
            id: movement_id,
            merchant_id: payment.merchant_id,
            account: AccountRef::Wallet(wallet_id),
            kind: MovementKind::Funding,
            amount: payment.amount.money(),
            quantity: 0,
            at_ms: now_ms,
            note: id.to_string(),
        };
        state.accounts.post(movement).await?;
    }
    let done = state
        .database
        .run(move |connection| payments::apply(connection, id, now_ms));
    Ok(done.await?)
}
