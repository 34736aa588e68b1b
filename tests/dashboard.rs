//! The dashboard, as a browser without scripts sees it: signing in, what is refused, and what is told afterwards. What
//! needs a real browser is in `clients/dashboard.mjs`.

mod account;
mod customers;
mod figures;
mod keys;
mod meters;
mod plans;
mod sessions;
mod told;
mod webhooks;
