//! The wallet and the cards that fund it, in the reference.

use serde_json::json;
use utoipa::openapi::Object;

use crate::http::error::ErrorCode;

use super::call::{Call, secret};
use super::part::Part;
use super::schema::{
    Unknown, amount, any_text, body, flag, id, instant, integer, list, money, nested, object, text, the, word,
};

pub fn wallet() -> Part {
    let shown = object(vec![
        id("wallet_id", "wal", "The wallet's id."),
        money(
            "balance",
            "What is in it, as of now; below zero on a postpaid wallet that has spent.",
        ),
        money("reserved", "What is held for calls in flight."),
        word(
            "funding",
            &["postpaid", "prepaid"],
            "Whether it must cover a call before it runs.",
        ),
    ]);
    Part::new(
        "Wallet",
        "The wallet that pays providers where a call names none, and money that is put into it.",
    )
    .thing("Wallet", shown)
    .get(
        &["/v1/wallet"],
        secret("getWallet", "Get the wallet")
            .answers(200, "The wallet.", the("Wallet"))
            .refuses(&[ErrorCode::NotFound]),
    )
    .post(&["/v1/wallet/fund"], fund_call())
}

pub fn payment_methods() -> Part {
    let about = "The merchant's own cards, with which he funds his wallets. A live card goes from his browser to the \
                 processor: a setup is begun here, finished there, and shown here. A test merchant gives a test card.";
    let deleted = object(vec![
        id("payment_method_id", "pm", "What is no more."),
        flag("deleted", "Always true."),
    ]);
    let not_set_up = &[ErrorCode::NotSupported, ErrorCode::PaymentsUnavailable];
    Part::new("Payment methods", about)
        .thing("PaymentMethod", method_shown())
        .post(&["/v1/payment_methods/setups"], begin_call())
        .post(&["/v1/payment_methods"], create_call())
        .get(
            &["/v1/payment_methods"],
            secret("listPaymentMethods", "List payment methods").answers(
                200,
                "All of them, newest first.",
                all_of_them(),
            ),
        )
        .delete(
            &["/v1/payment_methods/{id}"],
            secret("deletePaymentMethod", "Take a card off file")
                .says("Here and at the processor.")
                .of_one(id("id", "pm", "The card."))
                .answers(200, "It is no more.", deleted)
                .refuses(not_set_up),
        )
}

fn fund_call() -> Call {
    let fields = vec![
        id("payment_method_id", "pm", "The card.").required(),
        amount("amount", "Whole cents from `10.00` to `10000.00`.")
            .example("25.00")
            .required(),
    ];
    let paid = object(vec![
        word("status", &["completed"], "The money is in the wallet."),
        id("payment_id", "pay", "The payment."),
        money("balance", "What is in the wallet now."),
    ]);
    let under_way = object(vec![
        word("status", &["processing"], "It will be known later."),
        id("payment_id", "pay", "The payment."),
    ]);
    secret("fundWallet", "Fund the wallet")
        .takes(
            body(Unknown::Refused, fields),
            json!({ "payment_method_id": "pm_01M7ZY4PNXAAW507MJ9YGSP41Y", "amount": "25.00" }),
        )
        .answers(200, "The money is in the wallet.", paid)
        .answers(202, "Whether it is paid will be known later.", under_way)
        .refuses(&[ErrorCode::NotFound, ErrorCode::PaymentDeclined, ErrorCode::Conflict])
        .refuses(&[
            ErrorCode::NotSupported,
            ErrorCode::PaymentsUnavailable,
            ErrorCode::BillingBacklog,
        ])
}

fn begin_call() -> Call {
    let setup = object(vec![
        text("setup_id", "What the finished card is asked for with."),
        text("client_secret", "For the processor's script."),
        any_text("publishable_key", "For the processor's script."),
    ]);
    secret("beginPaymentMethod", "Begin to put a card on file")
        .says("The answer is for the processor's script in the merchant's browser.")
        .answers(201, "The setup.", setup)
        .refuses(&[
            ErrorCode::InvalidRequest,
            ErrorCode::NotSupported,
            ErrorCode::PaymentsUnavailable,
        ])
}

fn create_call() -> Call {
    let card = body(
        Unknown::Refused,
        vec![
            text("number", "The number of a test card.").most(32).required(),
            integer("exp_month", 1..=12, "The month in which it expires.").required(),
            integer("exp_year", 2000..=2200, "The year.").required(),
            text("cvc", "Its check digits.").most(32).required(),
        ],
    );
    let fields = vec![
        text("setup_id", "Of a live merchant: the setup that is finished.")
            .most(255)
            .or_null(),
        nested("card", card, "Of a test merchant: a test card.").or_null(),
    ];
    secret("createPaymentMethod", "Put a card on file")
        .takes(body(Unknown::Refused, fields), json!({ "setup_id": "seti_..." }))
        .answers(201, "The card.", the("PaymentMethod"))
        .refuses(&[
            ErrorCode::PaymentDeclined,
            ErrorCode::Conflict,
            ErrorCode::NotSupported,
            ErrorCode::PaymentsUnavailable,
        ])
}

fn all_of_them() -> Object {
    object(vec![
        list("data", the("PaymentMethod"), "Newest first."),
        flag("has_more", "Always false."),
        any_text("next_cursor", "Always null.").or_null(),
    ])
}

fn method_shown() -> Object {
    let card = object(vec![
        text("brand", "Whose card it is."),
        text("last4", "How its number ends."),
        integer("exp_month", 1..=12, "The month in which it expires."),
        integer("exp_year", 2000..=2200, "The year."),
    ]);
    object(vec![
        id("payment_method_id", "pm", "The card's id."),
        word("type", &["card"], "Always the same."),
        nested("card", card, "The card."),
        instant("created_at", "When it was put on file."),
    ])
}
