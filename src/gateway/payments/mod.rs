//! The two who take payments: Stripe, for live merchants, where the operator has an account there; and the test
//! processor, which is part of this server and moves no money. No card number is stored or logged by either: to Stripe
//! it goes from the payer's browser, and the test processor knows a list of test cards and nothing else.

pub mod stripe;
pub mod test_cards;
pub mod test_processor;
