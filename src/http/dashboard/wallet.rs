//! The wallet: what there is to pay providers with, what calls in flight hold of it, the cards that fund it, and what
//! moved it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use serde_json::{Map, Value, json};

use crate::domain::ids::PaymentId;
use crate::domain::money::Money;
use crate::http::audit::note_target;
use crate::http::checkout::funding::new_payment_id;
use crate::http::checkout::read_expiry;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::page::{envelope, read_page};
use crate::http::payment_methods as methods;
use crate::http::time::iso_millis;
use crate::http::{plain, wallet as api};
use crate::storage::movements::{self, MovementRow};

use super::ask;
use super::form::{Form, object};
use super::listing::Listing;
use super::sheet::{is_refusal, refused_status};
use super::shell::{self, Place, Shell, see_other};
use super::shown::{Amount, Moment};
use super::visit::Visit;

const PATH: &str = "/dashboard/wallet";
/// How the API names a card.
const CARD: &str = "payment_method_id";

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/wallet").route(web::get().to(show)))
        .service(plain("/wallet/fund").route(web::post().to(fund)))
        .service(plain("/payment_methods").route(web::post().to(add_card)))
        .service(plain("/payment_methods/{id}/delete").route(web::post().to(delete_card)));
}

#[derive(Template)]
#[template(path = "dashboard/wallet.html")]
struct WalletPage {
    shell: Shell,
    balance: Amount,
    held: Amount,
    left: Amount,
    is_prepaid: bool,
    is_empty: bool,
    cards: Vec<Card>,
    listing: Listing,
    movements: Vec<Movement>,
    next: Option<String>,
    refusal: Option<String>,
    /// What was typed as the amount.
    amount: String,
    /// Of the payment that the form makes, so that a form that is sent twice makes one.
    payment_id: PaymentId,
}

struct Card {
    id: String,
    label: String,
}

struct Movement {
    kind: String,
    amount: Amount,
    moment: Option<Moment>,
    note: String,
}

/// GET.
async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    page(&visit, StatusCode::OK, Attempt::default()).await
}

/// A form that was refused.
#[derive(Default)]
struct Attempt {
    refusal: Option<String>,
    amount: String,
}

impl Attempt {
    fn of(form: &Form, error: &ApiError) -> Self {
        Self {
            refusal: Some(error.message().replace('`', "")),
            amount: form.text("amount").to_owned(),
        }
    }
}

/// POST: money from a card.
async fn fund(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    match ask::answer(pay(&visit, &form).await) {
        Ok(answer) if ask::text(&answer, "status") == "completed" => Ok(see_other(&format!("{PATH}?done=funded"))),
        Ok(_) => Ok(see_other(&format!("{PATH}?done=funding"))),
        Err(error) if error.status().is_client_error() => show_refused(&visit, &form, &error).await,
        Err(error) if error.code() == ErrorCode::NotSupported => Err(error),
        // The payment may be stored, and then it goes on without us.
        Err(_) => Ok(see_other(&format!("{PATH}?done=unsure"))),
    }
}

async fn pay(visit: &Visit, form: &Form) -> Result<HttpResponse, ApiError> {
    let id = form.text("payment_id").parse().ok();
    let id = id.filter(|id: &PaymentId| id.mode() == visit.merchant_id().mode());
    let id = id.ok_or_else(|| {
        ApiError::new(ErrorCode::InvalidRequest).say("This form was not whole. Nothing was charged; send it again.")
    })?;
    let wanted = object([(CARD, form.json_text(CARD)), ("amount", form.json_text("amount"))]);
    note_target(&visit.request, &id.to_string());
    let wanted = ask::body(&visit.request, wanted);
    api::fund_once(visit.auth()?, visit.state.clone(), wanted, id).await
}

/// POST: a test card of a test merchant. A live card goes from the browser to the processor, by the API's setups.
async fn add_card(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let Some((month, year)) = read_expiry(form.text("expiry")) else {
        let error = ApiError::invalid("expiry", "must be a month and a year, such as 12 / 34");
        return show_refused(&visit, &form, &error).await;
    };
    let card = json!({
        "number": form.text("number").replace(' ', ""), "exp_month": month, "exp_year": year, "cvc": form.text("cvc"),
    });
    let body = Map::from_iter([("card".to_owned(), card)]);
    let wanted = ask::body(&visit.request, body);
    match ask::answer(methods::create(visit.auth()?, visit.state.clone(), wanted).await) {
        Ok(kept) => {
            note_target(&visit.request, &ask::text(&kept, CARD));
            Ok(see_other(&format!("{PATH}?done=saved")))
        }
        Err(error) if is_refusal(&error, CARD) => show_refused(&visit, &form, &error).await,
        Err(error) => Err(error),
    }
}

/// POST.
async fn delete_card(visit: Visit) -> Result<HttpResponse, ApiError> {
    ask::answer(methods::delete(visit.auth()?, visit.state.clone(), visit.request).await)?;
    Ok(see_other(&format!("{PATH}?done=deleted")))
}

async fn show_refused(visit: &Visit, form: &Form, error: &ApiError) -> Result<HttpResponse, ApiError> {
    page(visit, refused_status(error), Attempt::of(form, error)).await
}

async fn page(visit: &Visit, status: StatusCode, attempt: Attempt) -> Result<HttpResponse, ApiError> {
    let (auth, state, merchant_id) = (visit.auth()?, &visit.state, visit.merchant_id());
    let wallet_id = auth.0.merchant.default_wallet_id;
    let cards = ask::answer(methods::list(visit.auth()?, state.clone()).await)?;
    let wallet = ask::answer(api::retrieve(auth, state.clone()).await)?;
    let listing = Listing::read(&visit.request, &[])?.at(PATH);
    let asked = read_page(&listing.asked())?;
    let moved = state
        .database
        .run(move |connection| movements::of_wallet(connection, merchant_id, wallet_id, asked))
        .await?;
    let money = |name: &str| ask::money(&wallet, name);
    let left = money("balance").saturating_sub(money("reserved"));
    let page = WalletPage {
        shell: visit.shell(Place::Wallet),
        balance: Amount::of(money("balance")),
        held: Amount::of(money("reserved")),
        left: Amount::of(left),
        is_prepaid: ask::text(&wallet, "funding") == "prepaid",
        is_empty: left <= Money::ZERO,
        cards: ask::items(&cards).iter().map(Card::read).collect(),
        next: listing.next(&envelope(&moved, |_| Value::Null)),
        movements: moved
            .rows
            .into_iter()
            .map(|row| Movement::of(row, visit.now_ms()))
            .collect(),
        listing,
        refusal: attempt.refusal,
        amount: attempt.amount,
        payment_id: new_payment_id(state, merchant_id)?,
    };
    shell::page(status, &page)
}

impl Movement {
    fn of(row: MovementRow, now_ms: i64) -> Self {
        Self {
            kind: row.kind.replace('_', " "),
            amount: Amount::of(row.amount),
            moment: Moment::read(&iso_millis(row.at_ms), now_ms),
            note: row.note,
        }
    }
}

impl Card {
    fn read(method: &Value) -> Self {
        let card = method.get("card").unwrap_or(method);
        Self {
            id: ask::text(method, CARD),
            label: format!("{} ending in {}", ask::text(card, "brand"), ask::text(card, "last4")),
        }
    }
}
