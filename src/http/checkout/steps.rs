//! What each form of the page does. A refusal that the customer can do something about is a notice on the page; the
//! rest are errors.

use chrono::{Datelike as _, Utc};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::domain::checkout::{Basket, Checkout, CheckoutRefusal, EnteredCode, PlanMove, Step, Who};
use crate::domain::ids::{Mode, PaymentId, PaymentMethodId};
use crate::domain::money::Money;
use crate::domain::payment::ProcessorKind;
use crate::domain::secret::Secret;
use crate::engine::codes::CodeMessage;
use crate::engine::customer_accounts::Whose;
use crate::engine::payments::{
    Approval, CardInput, Desk, NewPayer, PaymentTrouble, SavedCard, Setup, SetupProof, SetupState,
};
use crate::engine::random;
use crate::http::error::{ApiError, ErrorCode};
use crate::storage::payments::MethodRow;
use crate::storage::{checkouts, customers, payments};

use super::Visit;
use super::form::{Form, read_expiry, read_phone};
use super::{purchase, settle};

/// The code of test merchants' customers.
const TEST_CODE: &str = "000000";

/// What a form says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    SendCode,
    ChangePhone,
    EnterCode,
    SaveCard,
    ReplaceCard,
    Confirm,
    Approve,
    Cancel,
}

impl Event {
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "phone" => Self::SendCode,
            "change-phone" => Self::ChangePhone,
            "code" => Self::EnterCode,
            "card" => Self::SaveCard,
            "replace-card" => Self::ReplaceCard,
            "confirm" => Self::Confirm,
            "approve" => Self::Approve,
            "cancel" => Self::Cancel,
            _ => return None,
        })
    }
}

/// Why the customer must try again.
pub type Notice = String;
type Acted = Result<Option<Notice>, ApiError>;

/// Does what the form says; `Some` says why not.
pub async fn act(visit: &Visit, event: Event, form: &Form) -> Acted {
    match event {
        Event::SendCode => send_code(visit, form).await,
        Event::ChangePhone => change(visit, |checkout, now_s| checkout.change_phone(now_s)).await,
        Event::EnterCode => enter_code(visit, form).await,
        Event::SaveCard => save_card(visit, form).await,
        Event::ReplaceCard => change(visit, |checkout, now_s| checkout.replace_card(now_s)).await,
        Event::Confirm => confirm(visit).await,
        Event::Approve => approve(visit, form).await,
        Event::Cancel => change(visit, |checkout, now_s| checkout.cancel(now_s)).await,
    }
}

async fn send_code(visit: &Visit, form: &Form) -> Acted {
    let checkout = &visit.row.checkout;
    let phone = match &checkout.known_phone {
        Some(phone) => phone.clone(),
        None => match read_phone(form.text("phone")) {
            Some(phone) => phone,
            None => {
                return Ok(Some(
                    "Enter your number with its country, as +1 555 123 4567.".to_owned(),
                ));
            }
        },
    };
    let code = match visit.mode() {
        Mode::Test => Secret::new(TEST_CODE.to_owned()),
        Mode::Live => {
            let bytes = random::bytes::<8>().map_err(|error| ApiError::internal("making a code", &error))?;
            Secret::new(format!("{:06}", u64::from_ne_bytes(bytes) % 1_000_000))
        }
    };
    let message = CodeMessage {
        merchant_id: visit.row.merchant_id,
        session_id: visit.row.id,
        phone: phone.clone(),
        code: code.clone(),
    };
    let mac = hex(&code_mac(visit, code.expose()).finalize().into_bytes());
    let refused = change(visit, move |checkout, now_s| checkout.send_code(phone, mac, now_s)).await?;
    if refused.is_some() || visit.mode() == Mode::Test {
        return Ok(refused);
    }
    let Some(codes) = &visit.state.checkout.codes else {
        return Ok(Some("No code can be sent at the moment. Try again later.".to_owned()));
    };
    match codes.send(message).await {
        Ok(()) => Ok(None),
        Err(error) => {
            tracing::error!(%error, checkout.id = %visit.row.id, "a customer waits for a code in vain");
            change(visit, |checkout, now_s| checkout.change_phone(now_s)).await?;
            Ok(Some(
                "The code could not be sent. Try again in half a minute.".to_owned(),
            ))
        }
    }
}

async fn enter_code(visit: &Visit, form: &Form) -> Acted {
    let typed: String = form.text("code").chars().filter(char::is_ascii_digit).collect();
    let entered = match &visit.row.checkout.step {
        Step::Code { mac, .. } if is_of(mac, &code_mac(visit, &typed)) => EnteredCode::Right,
        _ => EnteredCode::Wrong,
    };
    let (id, now_s) = (visit.row.id, visit.state.now().wall_s());
    let processor = ProcessorKind::of(visit.mode());
    let seen = visit.row.checkout.step.clone();
    let done = visit.state.database.run(move |connection| {
        checkouts::change(connection, id, |connection, row| {
            // A code that was sent meanwhile was not the one that was looked at.
            let entered = match (entered, &seen, &row.checkout.step) {
                (EnteredCode::Right, Step::Code { mac, .. }, Step::Code { mac: now, .. }) if mac == now => entered,
                (EnteredCode::Right | EnteredCode::Wrong, _, _) => EnteredCode::Wrong,
            };
            let card = payments::latest_method(connection, row.checkout.customer_id, processor)?;
            Ok(row.checkout.enter_code(entered, card.map(|card| card.id), now_s))
        })
    });
    let (row, verdict) = done.await?;
    Ok(match (verdict, row.checkout.step) {
        (Ok(EnteredCode::Right), _) => None,
        (Ok(EnteredCode::Wrong), Step::Phone) => Some("That code is not good any more. Ask for a new one.".to_owned()),
        (Ok(EnteredCode::Wrong), _) => Some("That is not the code. Look again.".to_owned()),
        (Err(refusal), _) => Some(refusal.to_string()),
    })
}

async fn save_card(visit: &Visit, form: &Form) -> Acted {
    if let Err(refusal) = visit.row.checkout.check_card_step(visit.state.now().wall_s()) {
        return Ok(Some(refusal.to_string()));
    }
    let proof = match (visit.mode(), &visit.row.checkout.setup) {
        (Mode::Live, Some(setup)) => SetupProof::Reference(setup.clone()),
        (Mode::Live, None) => return Ok(Some("Enter your card first.".to_owned())),
        (Mode::Test, _) => {
            let Some((expiry_month, expiry_year)) = read_expiry(form.text("expiry")) else {
                return Ok(Some("Enter the expiry date as MM / YY.".to_owned()));
            };
            let now = Utc::now();
            SetupProof::TestCard(CardInput {
                number: form.secret("number"),
                check_digits: form.secret("cvc"),
                expiry_month,
                expiry_year,
                month_now: now.month(),
                year_now: u32::try_from(now.year()).unwrap_or_default(),
            })
        }
    };
    let payer = payer(visit).await?;
    let finished = desk(visit)?
        .ask(move |processor| processor.finish_setup(payer, proof))
        .await;
    match finished.map_err(trouble)? {
        SetupState::Done(saved) => keep_card(visit, saved).await,
        SetupState::Open => Ok(Some("Your card is not on file yet. Try again.".to_owned())),
        SetupState::Declined(decline) => {
            change(visit, move |checkout, now_s| checkout.refuse_card(decline, now_s)).await
        }
    }
}

async fn keep_card(visit: &Visit, saved: SavedCard) -> Acted {
    let random = random::bits().map_err(|error| ApiError::internal("making an id", &error))?;
    let method = MethodRow {
        id: PaymentMethodId::compose_in_order(visit.mode(), visit.state.clock.wall_us(), random),
        merchant_id: visit.row.merchant_id,
        customer_id: visit.row.checkout.customer_id,
        processor: ProcessorKind::of(visit.mode()),
        reference: saved.reference,
        card: saved.card,
        created_at_ms: visit.state.now().wall_ms,
    };
    let (id, now_s) = (visit.row.id, visit.state.now().wall_s());
    let done = visit.state.database.run(move |connection| {
        checkouts::change(connection, id, |connection, row| {
            let saved = row.checkout.save_card(method.id, now_s);
            if saved.is_ok() {
                payments::create_method(connection, &method)?;
            }
            Ok(saved)
        })
    });
    Ok(done.await?.1.err().map(|refusal| refusal.to_string()))
}

async fn confirm(visit: &Visit) -> Acted {
    let due = due_now(visit).await?;
    let Some(due) = due else {
        return Ok(Some("You have this already, or it is no longer to be had.".to_owned()));
    };
    if due != visit.row.checkout.due {
        let quoted = change(visit, move |checkout, _| {
            checkout.quote_again(due);
            Ok(())
        });
        quoted.await?;
        return Ok(Some("What is due has changed since you saw it. Look again.".to_owned()));
    }
    if due == Money::ZERO {
        // It is given before the session says so, and only where the session will.
        let mut confirmed = visit.row.checkout.clone();
        if let Err(refusal) = confirmed.confirm_free(visit.state.now().wall_s()) {
            return Ok(Some(refusal.to_string()));
        }
        return match purchase::take_free(&visit.state, &visit.row).await {
            Ok(()) => Ok(None),
            Err(error) if error.code() == ErrorCode::Conflict => Ok(Some(error.message().to_owned())),
            Err(error) => Err(error),
        };
    }
    purchase::take(&visit.state, &visit.row).await.map(Result::err)
}

/// The test bank's question; a real bank asks in its own window.
async fn approve(visit: &Visit, form: &Form) -> Acted {
    let Step::Paying { payment, .. } = visit.row.checkout.step else {
        return Ok(Some(CheckoutRefusal::WrongStep.to_string()));
    };
    let approval = match form.text("approval") {
        "yes" => Approval::Given,
        "no" => Approval::Denied,
        _ => Approval::Unknown,
    };
    settle::settle(&visit.state, payment, approval).await?;
    Ok(None)
}

/// What is due if the customer says yes now; `None` where he cannot.
async fn due_now(visit: &Visit) -> Result<Option<Money>, ApiError> {
    let whose = Whose {
        customer_id: visit.row.checkout.customer_id,
        merchant_id: visit.row.merchant_id,
    };
    let account = visit.state.customer_accounts.read(whose).await;
    let account = account.map_err(|_| ApiError::new(ErrorCode::Stopping))?;
    let current = account.active_subscription();
    Ok(match &visit.row.checkout.basket {
        Basket::Subscription { offer } => PlanMove::of(current, offer).map(|moved| moved.due(offer)),
        Basket::CreditBundle { plan_id, cost, .. } => current
            .filter(|current| current.terms.plan_id == *plan_id)
            .map(|_| *cost),
    })
}

/// Begins to put a card on file at a processor that talks to the browser itself.
pub async fn begin_setup(visit: &Visit) -> Result<Setup, ApiError> {
    let payer = payer(visit).await?;
    let setup = desk(visit)?.ask(|processor| processor.begin_setup(payer)).await;
    let setup = setup.map_err(trouble)?;
    let reference = setup.reference.clone();
    change(visit, move |checkout, now_s| checkout.begin_setup(reference, now_s)).await?;
    Ok(setup)
}

/// With which the browser answers the bank, where a payment waits for that.
pub async fn client_secret(visit: &Visit, payment: PaymentId) -> Result<Option<Secret<String>>, ApiError> {
    purchase::client_secret(&visit.state, payment).await
}

/// How the processor knows the customer; he is made known to it where he is not.
async fn payer(visit: &Visit) -> Result<String, ApiError> {
    let (merchant, checkout) = (visit.row.merchant_id, &visit.row.checkout);
    let (customer_id, who) = (checkout.customer_id, checkout.who);
    let processor = ProcessorKind::of(visit.mode());
    let found = visit.state.database.run(move |connection| {
        let fields = match who {
            Who::New => None,
            Who::Known => Some(customers::find(connection, merchant, &customer_id.to_string())?.fields),
        };
        Ok((payments::find_payer(connection, customer_id, processor)?, fields))
    });
    let (known, fields) = found.await?;
    if let Some(payer) = known {
        return Ok(payer);
    }
    let fields = fields.unwrap_or_default();
    let new = NewPayer {
        customer_id,
        name: fields.name,
        email: fields.email,
        phone: checkout.phone.clone().or(fields.phone),
    };
    let made = desk(visit)?
        .ask(|processor| processor.open_payer(new))
        .await
        .map_err(trouble)?;
    let kept = visit
        .state
        .database
        .run(move |connection| payments::keep_payer(connection, merchant, customer_id, (processor, &made)));
    Ok(kept.await?)
}

fn desk(visit: &Visit) -> Result<&Desk, ApiError> {
    let desk = visit.state.checkout.payments.desk(visit.mode());
    desk.ok_or_else(|| ApiError::new(ErrorCode::NotSupported).say("Payments are not set up on this server."))
}

fn trouble(error: PaymentTrouble) -> ApiError {
    tracing::error!(%error, "a checkout cannot go on");
    ApiError::new(ErrorCode::PaymentsUnavailable)
}

async fn change(
    visit: &Visit,
    event: impl FnOnce(&mut Checkout, i64) -> Result<(), CheckoutRefusal> + Send + 'static,
) -> Acted {
    let (id, now_s) = (visit.row.id, visit.state.now().wall_s());
    let done = visit
        .state
        .database
        .run(move |connection| checkouts::change(connection, id, |_, row| Ok(event(&mut row.checkout, now_s))));
    Ok(done.await?.1.err().map(|refusal| refusal.to_string()))
}

/// Keyed with the session's secret, which is not stored: the code cannot be read out of what is.
fn code_mac(visit: &Visit, code: &str) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(visit.secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(b"one-time code|");
    mac.update(code.as_bytes());
    mac
}

fn is_of(stored: &str, mac: &Hmac<Sha256>) -> bool {
    use subtle::ConstantTimeEq as _;
    let expected = hex(&mac.clone().finalize().into_bytes());
    bool::from(stored.as_bytes().ct_eq(expected.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
