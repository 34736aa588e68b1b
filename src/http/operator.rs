//! The operator's listener: `/metrics`, health of the server and of its providers, prices, and what the command line
//! does to a running server. The routes under `/operator` and `/prices` take the token that lies in the data directory,
//! mode 0600: whoever may read that file may do this. It fails closed: without the token nothing is made. Callers of
//! `/v1` cannot reach any of it.

pub mod acting;
mod metrics;
mod prices;
mod process;
pub mod providers;
mod retention;
mod status;
pub mod token;

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::domain::account::{Account, Funding};
use crate::domain::ids::{MerchantId, Mode, MovementId, WalletId};
use crate::domain::money::Money;
use crate::domain::request::{AccountRef, Movement, MovementKind};
use crate::engine::keyring::Merchant;
use crate::engine::random;
use crate::engine::tariffs::ListedPlan;
use crate::storage::merchants::{self, MerchantRow, NewMerchant};
use crate::storage::wallets::{self, WalletRow};

use self::token::{OperatorAuth, OperatorToken};
use super::audit;
use super::error::ApiError;
use super::fields::Fields;
use super::json_body::JsonBody;
use super::spend_keys::body::Creation;
use super::state::AppState;
use super::time::iso_millis;
use super::turns::to_the_end;
use super::wallet_keys::NewWalletKey;
use super::{idempotency, plain, secret_keys, spend_keys, wallet_keys};

type State = web::Data<AppState>;

/// The kind of a key to be made.
#[derive(Clone, Copy)]
enum NewKey {
    Secret,
    Wallet,
    Spend,
}

impl NewKey {
    /// What making one is called in the audit log, and the field of its id.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Secret => ("secret_keys.create", "secret_key_id"),
            Self::Wallet => ("wallet_keys.create", "wallet_key_id"),
            Self::Spend => ("spend_keys.create", "spend_key_id"),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "secret" => Some(Self::Secret),
            "wallet" => Some(Self::Wallet),
            "spend" => Some(Self::Spend),
            _ => None,
        }
    }
}

/// Makes or reads the operator's token; to be called once, before [`configure`].
pub fn prepare(state: &State) -> std::io::Result<()> {
    let token = OperatorToken::establish(&state.data_dir)?;
    state
        .operator_token
        .set(token)
        .map_err(|_| std::io::Error::other("the operator's token is set already"))
}

/// Everything on the operator's port; the state stands in the app's data.
pub fn configure(config: &mut web::ServiceConfig) {
    super::health_routes(config);
    config
        .service(plain("/metrics").route(web::get().to(metrics::show)))
        .service(plain("/providers").route(web::get().to(providers::list)))
        .service(plain("/prices").route(web::get().to(prices::show)))
        .service(plain("/prices/reload").route(web::post().to(prices::reload)))
        .service(
            web::scope("/operator/v1")
                .configure(super::routes::configure)
                .default_service(web::to(super::not_found))
                .wrap(from_fn(audit::record))
                .wrap(from_fn(idempotency::once))
                .wrap(from_fn(acting::as_merchant)),
        )
        .service(plain("/operator/status").route(web::get().to(status::show)))
        .service(
            plain("/operator/merchants")
                .route(web::get().to(list_merchants))
                .route(web::post().to(create_merchant)),
        )
        .service(plain("/operator/proof").route(web::get().to(super::proof::of_all)))
        .service(plain("/operator/dashboard_links").route(web::post().to(super::dashboard::create_link)))
        .service(plain("/operator/dashboard_sessions/end").route(web::post().to(super::dashboard::end_sessions)))
        .service(plain("/operator/retention").route(web::get().to(retention::show)))
        .service(plain("/operator/keys").route(web::post().to(create_key)))
        .service(plain("/operator/wallets/{id}/funding").route(web::post().to(set_funding)))
        .service(plain("/operator/wallets/{id}/fund").route(web::post().to(fund)))
        .default_service(web::to(super::not_found));
}

/// POST `/operator/merchants` `{name, mode?: live|test, funding?}`: a merchant and his wallet.
pub async fn create_merchant(_: OperatorAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let fields = Fields::of_body(&body.0, &["name", "mode", "funding"])?;
    let name = read_name(&fields)?;
    let mode = fields
        .word("mode", &["live", "test"], mode_of)?
        .value()
        .unwrap_or(Mode::Live);
    let funding = read_funding(&fields)?.unwrap_or(Funding::Postpaid);
    let now_ms = state.now().wall_ms;
    let new = NewMerchant {
        id: MerchantId::compose(mode, now_ms, random_bits()?),
        name,
        default_wallet_id: WalletId::compose(mode, now_ms, random_bits()?),
        funding,
    };
    let row = to_the_end(async move {
        let tariffs = state.tariffs.clone();
        let work = state.database.run(move |connection| {
            let row = merchants::create(connection, &new)?;
            tariffs.put_plan(ListedPlan::free_of(row.id));
            Ok(row)
        });
        let row = work.await?;
        state
            .accounts
            .adopt(row.default_wallet_id, Account::new(funding, Money::ZERO))
            .await?;
        Ok(row)
    });
    Ok(HttpResponse::Created().json(show_merchant(&row.await?)))
}

/// GET `/operator/merchants`: all, oldest first, each with his wallets.
pub async fn list_merchants(_: OperatorAuth, state: State) -> Result<HttpResponse, ApiError> {
    let found = state.database.run(|connection| {
        let rows = merchants::list(connection)?;
        let with_wallets = |row: MerchantRow| wallets::list(connection, row.id).map(|wallets| (row, wallets));
        rows.into_iter().map(with_wallets).collect::<Result<Vec<_>, _>>()
    });
    let mut items = Vec::new();
    for (merchant, wallets) in found.await? {
        let mut item = show_merchant(&merchant);
        let mut shown = Vec::new();
        for wallet in wallets {
            let live = state.accounts.read(wallet.id).await?;
            shown.push(show_wallet(wallet.id, live.unwrap_or(wallet.account)));
        }
        item["wallets"] = Value::from(shown);
        items.push(item);
    }
    Ok(HttpResponse::Ok().json(json!({ "data": items, "has_more": false, "next_cursor": null })))
}

/// POST `/operator/keys` `{kind: secret|wallet|spend, name, merchant_id?, wallet_id?, ...}`; of a spend key every
/// setting as in `/v1/spend_keys`. Without a merchant or a wallet it is for the oldest merchant.
pub async fn create_key(_: OperatorAuth, state: State, body: JsonBody) -> Result<HttpResponse, ApiError> {
    let mut settings = body.0;
    let owner = Map::from_iter(
        ["kind", "merchant_id"]
            .into_iter()
            .filter_map(|name| settings.remove_entry(name)),
    );
    let owner = Fields::of_body(&owner, &["kind", "merchant_id"])?;
    let kind = owner.required(
        "kind",
        owner.word("kind", &["secret", "wallet", "spend"], NewKey::from_name)?,
    )?;
    let merchant_id = owner
        .parsed("merchant_id", "is not the id of a merchant", |text| text.parse().ok())?
        .value();
    let wallet_id = settings
        .get("wallet_id")
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok());
    let (merchant, wallet_id) = find_owner(&state, merchant_id, wallet_id).await?;
    let owner_id = merchant.id;
    let (action, id_field) = kind.names();
    let key = match kind {
        NewKey::Spend => {
            let creation = Creation::read(&settings, state.now().wall_ms)?;
            spend_keys::mint(&state, merchant, wallet_id, creation).await?
        }
        NewKey::Wallet => {
            let fields = Fields::of_body(&settings, &["name", "wallet_id"])?;
            fields.parsed("wallet_id", "is not the id of a wallet", |text| {
                text.parse::<WalletId>().ok()
            })?;
            let name = read_name(&fields)?;
            wallet_keys::mint(
                &state,
                NewWalletKey {
                    merchant,
                    wallet_id,
                    name,
                },
            )
            .await?
        }
        NewKey::Secret => {
            let name = read_name(&Fields::of_body(&settings, &["name"])?)?;
            secret_keys::mint(&state, merchant, name).await?
        }
    };
    let id = key.get(id_field).and_then(Value::as_str).unwrap_or_default();
    audit::note_operator(&state, owner_id, action, id.to_owned()).await?;
    Ok(HttpResponse::Created().json(key))
}

/// POST `/operator/wallets/{id}/funding` `{funding: prepaid|postpaid}`.
pub async fn set_funding(
    _: OperatorAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let fields = Fields::of_body(&body.0, &["funding"])?;
    let funding = read_funding(&fields)?.ok_or_else(|| ApiError::invalid("funding", "is required"))?;
    let wallet = find_wallet(&state, wallet_id(&request)?).await?;
    let account = to_the_end(async move {
        let _turn = state.turns.take(wallet.id.bits()).await;
        let work = state
            .database
            .run(move |connection| wallets::set_funding(connection, wallet.merchant_id, wallet.id, funding));
        let row = work.await?;
        state.accounts.set_funding(row.id, funding).await?;
        audit::note_operator(&state, wallet.merchant_id, "wallets.funding", wallet.id.to_string()).await?;
        Ok(state.accounts.read(row.id).await?.unwrap_or(row.account))
    });
    Ok(HttpResponse::Ok().json(show_wallet(wallet.id, account.await?)))
}

/// POST `/operator/wallets/{id}/fund` `{amount, note?}`: adds to the balance; answers after the commit.
pub async fn fund(
    _: OperatorAuth,
    state: State,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let fields = Fields::of_body(&body.0, &["amount", "note"])?;
    let amount = fields.required("amount", fields.amount("amount")?)?;
    let note = fields.text("note", 60)?.value().unwrap_or_default();
    let wallet = find_wallet(&state, wallet_id(&request)?).await?;
    let now_ms = state.now().wall_ms;
    let movement = Movement {
        id: MovementId::compose(wallet.merchant_id.mode(), now_ms, random_bits()?),
        merchant_id: wallet.merchant_id,
        account: AccountRef::Wallet(wallet.id),
        kind: MovementKind::Funding,
        amount,
        quantity: 0,
        at_ms: now_ms,
        note,
    };
    let movement_id = movement.id;
    let account = to_the_end(async move {
        let account = state.accounts.post(movement).await?;
        audit::note_operator(&state, wallet.merchant_id, "wallets.fund", wallet.id.to_string()).await?;
        Ok(account)
    });
    let mut shown = show_wallet(wallet.id, account.await?);
    shown["movement_id"] = json!(movement_id);
    Ok(HttpResponse::Ok().json(shown))
}

/// The merchant and the wallet that are named; where one is not, the one that belongs to the other.
async fn find_owner(
    state: &State,
    merchant_id: Option<MerchantId>,
    wallet_id: Option<WalletId>,
) -> Result<(Arc<Merchant>, WalletId), ApiError> {
    let wallet = match wallet_id {
        Some(wallet_id) => Some(find_wallet(state, wallet_id).await?),
        None => None,
    };
    if let (Some(wallet), Some(merchant_id)) = (wallet, merchant_id)
        && wallet.merchant_id != merchant_id
    {
        return Err(ApiError::missing("wallet_id", "wallet of this merchant"));
    }
    let wanted = merchant_id.or(wallet.map(|wallet| wallet.merchant_id));
    let rows = state.database.run(merchants::list).await?;
    let found = rows.iter().find(|row| wanted.is_none_or(|wanted| wanted == row.id));
    let merchant = found
        .ok_or_else(|| ApiError::missing("merchant_id", "merchant"))?
        .merchant();
    let wallet_id = wallet.map_or(merchant.default_wallet_id, |wallet| wallet.id);
    Ok((Arc::new(merchant), wallet_id))
}

/// A wallet of whichever merchant; an operator has few.
async fn find_wallet(state: &State, id: WalletId) -> Result<WalletRow, ApiError> {
    let found = state.database.run(move |connection| {
        for merchant in merchants::list(connection)? {
            if let Some(wallet) = wallets::list(connection, merchant.id)?
                .into_iter()
                .find(|wallet| wallet.id == id)
            {
                return Ok(Some(wallet));
            }
        }
        Ok(None)
    });
    found.await?.ok_or_else(unknown_wallet)
}

fn wallet_id(request: &HttpRequest) -> Result<WalletId, ApiError> {
    request
        .match_info()
        .get("id")
        .unwrap_or("")
        .parse()
        .map_err(|_| unknown_wallet())
}

fn unknown_wallet() -> ApiError {
    ApiError::missing("wallet_id", "wallet")
}

fn random_bits() -> Result<u128, ApiError> {
    random::bits().map_err(|error| ApiError::internal("making an id", &error))
}

fn mode_of(word: &str) -> Option<Mode> {
    match word {
        "live" => Some(Mode::Live),
        "test" => Some(Mode::Test),
        _ => None,
    }
}

fn read_name(fields: &Fields) -> Result<String, ApiError> {
    fields.required("name", fields.text("name", 255)?)
}

fn read_funding(fields: &Fields) -> Result<Option<Funding>, ApiError> {
    let find = |word: &str| match word {
        "prepaid" => Some(Funding::Prepaid),
        "postpaid" => Some(Funding::Postpaid),
        _ => None,
    };
    Ok(fields.word("funding", &["prepaid", "postpaid"], find)?.value())
}

fn show_merchant(row: &MerchantRow) -> Value {
    json!({
        "merchant_id": row.id,
        "name": row.name,
        "mode": row.id.mode(),
        "wallet_id": row.default_wallet_id,
        "created_at": iso_millis(row.created_at_ms),
    })
}

fn show_wallet(id: WalletId, account: Account) -> Value {
    json!({ "wallet_id": id, "balance": account.balance, "reserved": account.held, "funding": account.funding })
}
