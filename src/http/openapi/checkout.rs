//! Checkout in the reference: sessions, the hosted page that they open, and what the processor says.

use serde_json::json;
use utoipa::openapi::ObjectBuilder;

use crate::http::error::ErrorCode;

use super::call::{Call, public, secret};
use super::part::Part;
use super::schema::{Field, Shape, Unknown, any_text, body, flag, id, instant, object, text, the, word};

/// What the page's forms are named.
const EVENTS: [&str; 8] = [
    "phone",
    "change-phone",
    "code",
    "card",
    "replace-card",
    "confirm",
    "approve",
    "cancel",
];

pub fn part() -> Part {
    let about = "Lets a customer buy a plan or a bundle of credit on a page that opens in yours. What is bought, and what \
                 it costs, is decided as the session is made: a plan that is edited later changes nothing.";
    let token = text(
        "checkout_session_token",
        "What `@lavapayments/checkout` opens the page with; shown this once.",
    );
    Part::new("Checkout", about)
        .listed_thing("CheckoutSession", object(shown()))
        .thing("CheckoutSessionWithToken", object([shown(), vec![token]].concat()))
        .post(&["/v1/checkout_sessions"], create_call())
        .get(
            &["/v1/checkout_sessions"],
            secret("listCheckoutSessions", "List checkout sessions").answers_page("CheckoutSession"),
        )
        .get(
            &["/v1/checkout_sessions/{id}"],
            secret("getCheckoutSession", "Get a checkout session")
                .of_one(id("id", "cs", "The session."))
                .answers(200, "The session.", the("CheckoutSession")),
        )
        .get(&["/embed/checkout/{secret}"], page_call())
        .post(&["/embed/checkout/{secret}/{event}"], act_call())
        .get(
            &["/embed/assets/checkout.css"],
            asset("getCheckoutStyle", "Get the checkout's style", "text/css"),
        )
        .get(
            &["/embed/assets/checkout.js"],
            asset("getCheckoutScript", "Get the checkout's script", "text/javascript"),
        )
        .post(&["/v1/payments/stripe/events"], stripe_call())
}

fn create_call() -> Call {
    let modes = ["subscription", "credit_bundle", "onboarding", "topup"];
    let fields = vec![
        word("checkout_mode", &modes, "What is bought: a plan, or a bundle. Older clients also say `onboarding`, which makes a customer, and `topup`, which sells the bundle that his plan offers first.").required(),
        text("origin_url", "The address of the page that opens the checkout.").most(2048).example("https://example.com").required(),
        id("plan_id", "sc", "The plan, in the mode `subscription`."),
        id("credit_bundle_id", "cb", "The bundle of the customer's plan, in the mode `credit_bundle`."),
        text("customer_id", "Who buys, by his id or his reference id; without it a customer is made as the session ends. Bundles need it.").most(255).or_null(),
    ];
    let example = json!({
        "checkout_mode": "subscription", "origin_url": "https://example.com",
        "plan_id": "sc_01M7ZY4PNXAAW507MJ9YGSP41Y", "customer_id": "user-42",
    });
    secret("createCheckoutSession", "Make a checkout session")
        .takes(body(Unknown::Ignored, fields), example)
        .answers(
            201,
            "The session, with the token that opens it.",
            the("CheckoutSessionWithToken"),
        )
        .refuses(&[
            ErrorCode::NotFound,
            ErrorCode::CustomerNotFound,
            ErrorCode::Conflict,
            ErrorCode::NotSupported,
        ])
}

fn page_call() -> Call {
    hosted("getCheckoutPage", "Open the checkout")
        .says("The page of the step that the session is at.")
        .answers_in(200, "The page.", vec![("text/html", html())])
        .answers_in(404, "There is no such session.", vec![("text/html", html())])
}

fn act_call() -> Call {
    let event = word("event", &EVENTS, "Which form of the page.");
    let form = ["phone", "code", "number", "expiry", "cvc", "payment_method", "setup"];
    let fields = form.iter().map(|name| any_text(name, "A field of the form.")).collect();
    hosted("actOnCheckout", "Post a form of the checkout")
        .at(event)
        .takes_form("application/x-www-form-urlencoded", body(Unknown::Ignored, fields))
        .answers_in(303, "It is done; the page shows the next step.", vec![])
        .answers_in(422, "It does not fit; the page says why.", vec![("text/html", html())])
        .refuses(&[
            ErrorCode::NotFound,
            ErrorCode::InvalidRequest,
            ErrorCode::RequestTimeout,
            ErrorCode::PayloadTooLarge,
        ])
        .refuses(&[
            ErrorCode::NotSupported,
            ErrorCode::PaymentsUnavailable,
            ErrorCode::Conflict,
        ])
}

fn hosted(id_of_call: &'static str, title: &'static str) -> Call {
    public(id_of_call, title)
        .at(text("secret", "The secret of the session, which is in its token."))
        .refuses(&[ErrorCode::RateLimited, ErrorCode::Internal, ErrorCode::Unavailable])
}

fn asset(id_of_call: &'static str, title: &'static str, media_type: &'static str) -> Call {
    let mut call = public(id_of_call, title).answers_in(200, "The file.", vec![(media_type, html())]);
    call.codes.clear();
    call
}

fn stripe_call() -> Call {
    let signature = text("stripe-signature", "Stripe's signature of the message.").required();
    let received = object(vec![flag("received", "Always true.")]);
    public("takeStripeEvent", "Take a message of Stripe")
        .says("Stripe says that a payment has come to its end. Nothing is believed but that there is news: the payment is then looked at. It is there only where the operator has set the secret that signs these messages.")
        .header(signature)
        .takes(ObjectBuilder::new().build(), serde_json::Value::Null)
        .answers(200, "It is taken.", received)
        .refuses(&[ErrorCode::NotFound, ErrorCode::Internal, ErrorCode::Unavailable, ErrorCode::PaymentsUnavailable])
}

/// Text of which nothing more is said.
pub fn html() -> Shape {
    any_text("", "").into()
}

fn shown() -> Vec<Field> {
    vec![
        id("checkout_session_id", "cs", "The session's id."),
        word("checkout_mode", &["subscription", "credit_bundle"], "What is bought."),
        text("origin_url", "The page that opens the checkout."),
        word(
            "status",
            &["open", "completed", "cancelled", "expired"],
            "Where it stands.",
        ),
        id("plan_id", "sc", "The plan.").optional(),
        id("credit_bundle_id", "cb", "The bundle.").optional(),
        id("customer_id", "con", "Who bought, once it is completed.").optional(),
        id("payment_id", "pay", "The payment; null where nothing was due.")
            .or_null()
            .optional(),
        instant("completed_at", "When it was completed.").optional(),
        id("subscription_config_id", "sc", "As `plan_id`.").optional().older(),
        id("connection_id", "con", "As `customer_id`.").optional().older(),
        instant("expires_at", "When it expires."),
        instant("created_at", "When it was made."),
    ]
}
