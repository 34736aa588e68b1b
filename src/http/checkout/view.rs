//! What the customer sees: one step, one form. The page works without its script, but for a card that goes to the
//! processor and for telling the merchant's page how it ended.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use askama::Template;

use crate::domain::checkout::{Basket, Checkout, CheckoutRefusal, Standing, Step};
use crate::domain::ids::{Mode, PaymentMethodId};
use crate::domain::money::Money;
use crate::domain::payment::{Card, Cents};
use crate::domain::terms::Interval;
use crate::http::checkout_sessions::body::origin_of;
use crate::http::error::ApiError;
use crate::storage::payments;

use super::{Visit, steps};

/// The whole page.
#[derive(Template)]
#[template(path = "checkout.html")]
struct Page {
    /// Where forms go.
    path: String,
    /// The only page that may hear how it ended.
    origin: String,
    session_id: String,
    customer_id: String,
    item: Item,
    is_test: bool,
    notice: Option<String>,
    panel: Panel,
}

/// What is bought.
struct Item {
    name: String,
    price: String,
    /// As `a month`; empty for a bundle.
    per: &'static str,
    credit: String,
    due: String,
    is_due: bool,
}

/// What is asked for.
enum Panel {
    Phone {
        known: Option<String>,
    },
    Code {
        phone: String,
    },
    TestCard,
    ProcessorCard(ProcessorScript),
    Confirm {
        card: Option<ShownCard>,
    },
    /// The payment is under way; the page looks again.
    Waiting,
    TestApproval,
    ProcessorApproval(ProcessorScript),
    Done,
    Cancelled,
    Expired,
}

/// What the processor's script needs.
struct ProcessorScript {
    url: String,
    publishable_key: String,
    client_secret: String,
}

struct ShownCard {
    brand: String,
    last4: String,
    expiry: String,
}

#[derive(Template)]
#[template(path = "checkout_unknown.html")]
struct UnknownPage;

/// The page of the step that the session is at.
pub async fn render(visit: &Visit, notice: Option<String>) -> Result<String, ApiError> {
    let checkout = &visit.row.checkout;
    let notice = notice.or_else(|| standing_notice(&checkout.step));
    let page = Page {
        path: visit.path(),
        origin: origin_of(&visit.row.origin_url).unwrap_or_default(),
        session_id: visit.row.id.to_string(),
        customer_id: checkout.customer_id.to_string(),
        item: item(checkout),
        is_test: visit.mode() == Mode::Test,
        notice,
        panel: panel(visit).await?,
    };
    page.render()
        .map_err(|error| ApiError::internal("rendering the checkout", &error))
}

/// What is shown where no session is.
pub fn unknown() -> Result<HttpResponse, ApiError> {
    let body = UnknownPage.render();
    let body = body.map_err(|error| ApiError::internal("rendering the checkout", &error))?;
    Ok(HttpResponse::NotFound()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'",
        ))
        .body(body))
}

async fn panel(visit: &Visit) -> Result<Panel, ApiError> {
    let checkout = &visit.row.checkout;
    match checkout.standing(visit.state.now().wall_s()) {
        Standing::Expired => return Ok(Panel::Expired),
        Standing::Open | Standing::Done | Standing::Cancelled => {}
    }
    Ok(match &checkout.step {
        Step::Phone => Panel::Phone {
            known: checkout.known_phone.as_deref().map(masked),
        },
        Step::Code { .. } => Panel::Code {
            phone: checkout.phone.as_deref().map(masked).unwrap_or_default(),
        },
        Step::Card { .. } => match visit.mode() {
            Mode::Test => Panel::TestCard,
            Mode::Live => card_panel(visit).await?,
        },
        Step::Confirm { card, .. } => Panel::Confirm {
            card: match card {
                None => None,
                Some(card) => Some(shown(&load_card(visit, *card).await?)),
            },
        },
        Step::Paying { payment, .. } => {
            let waiting = steps::client_secret(visit, *payment).await?;
            match (waiting, visit.mode()) {
                (None, _) => Panel::Waiting,
                (Some(_), Mode::Test) => Panel::TestApproval,
                (Some(secret), Mode::Live) => Panel::ProcessorApproval(script(visit, secret.expose().clone())),
            }
        }
        Step::Done { .. } => Panel::Done,
        Step::Cancelled { .. } => Panel::Cancelled,
    })
}

async fn card_panel(visit: &Visit) -> Result<Panel, ApiError> {
    let now_s = visit.state.now().wall_s();
    if visit.row.checkout.check_card_step(now_s) == Err(CheckoutRefusal::TooManyDeclines) {
        return Ok(Panel::Expired);
    }
    let setup = steps::begin_setup(visit).await?;
    Ok(Panel::ProcessorCard(script(
        visit,
        setup.client_secret.expose().clone(),
    )))
}

fn script(visit: &Visit, client_secret: String) -> ProcessorScript {
    let options = &visit.state.checkout.options;
    ProcessorScript {
        url: options.stripe_script_url.clone(),
        publishable_key: options.stripe_publishable_key.clone(),
        client_secret,
    }
}

async fn load_card(visit: &Visit, id: PaymentMethodId) -> Result<Card, ApiError> {
    let found = visit
        .state
        .database
        .run(move |connection| payments::find_method(connection, id));
    Ok(found.await?.card)
}

fn standing_notice(step: &Step) -> Option<String> {
    let decline = match step {
        Step::Card { decline } | Step::Confirm { decline, .. } => decline.as_ref(),
        Step::Phone | Step::Code { .. } | Step::Paying { .. } | Step::Done { .. } | Step::Cancelled { .. } => None,
    };
    decline.map(|decline| decline.message.clone())
}

fn item(checkout: &Checkout) -> Item {
    let (per, credit) = match &checkout.basket {
        Basket::Subscription { offer } => (per(offer.terms.interval), offer.terms.included_credit),
        Basket::CreditBundle { credit_amount, .. } => ("", *credit_amount),
    };
    Item {
        name: checkout.basket.name().to_owned(),
        price: dollars(checkout.basket.price()),
        per,
        credit: if credit > Money::ZERO {
            format!("${credit}")
        } else {
            String::new()
        },
        due: dollars(checkout.due),
        is_due: checkout.due > Money::ZERO,
    }
}

fn per(interval: Interval) -> &'static str {
    match interval {
        Interval::Day => "a day",
        Interval::Week => "a week",
        Interval::Month => "a month",
        Interval::Year => "a year",
    }
}

/// As it is charged.
fn dollars(amount: Money) -> String {
    format!("${}", Cents::of(amount).money())
}

/// The last four digits only: who looks over a shoulder learns no number.
fn masked(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().collect();
    let last: String = digits.iter().skip(digits.len().saturating_sub(4)).collect();
    format!("••• {last}")
}

fn shown(card: &Card) -> ShownCard {
    ShownCard {
        brand: match card.brand.as_str() {
            "visa" => "Visa".to_owned(),
            "mastercard" => "Mastercard".to_owned(),
            "amex" => "American Express".to_owned(),
            other => other.to_owned(),
        },
        last4: card.last4.clone(),
        expiry: format!("{:02}/{:02}", card.expiry_month, card.expiry_year % 100),
    }
}
