//! One customer whole: what he has left and why, what he is on and what comes next, what he used, and what was changed.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::domain::money::Money;
use crate::domain::plan::CreditBundle;
use crate::domain::subscription::Subscription;
use crate::domain::terms::Terms;
use crate::engine::customer_accounts::Whose;
use crate::http::customers as api;
use crate::http::dashboard::history::{self, History, Thing};
use crate::http::dashboard::sheet::refused_status;
use crate::http::dashboard::shell::{self, Place, Shell};
use crate::http::dashboard::shown::{Amount, Moment};
use crate::http::dashboard::subscribed::{Standing, Subscribed, standing_of};
use crate::http::dashboard::visit::Visit;
use crate::http::error::ApiError;
use crate::http::subscriptions::view;
use crate::http::time::iso_millis;
use crate::storage::customers::CustomerRow;

use super::account::{self, Credit, MOVEMENTS, Movement, Usage};
use super::form::indented;
use super::title;

#[derive(Template)]
#[template(path = "dashboard/customers/one.html")]
struct OnePage {
    shell: Shell,
    customer: Customer,
    subscription: Option<Subscribed>,
    /// Whether his plan has a page.
    plan_is_there: bool,
    standing: Standing,
    credit: Credit,
    usage: Usage,
    /// The latest.
    movements: Vec<Movement>,
    /// Whether there may be more of them.
    movements_are_cut: bool,
    /// Plans on which he can be put from here.
    free_plans: Vec<Choice>,
    /// What he may buy by itself.
    bundles: Vec<Choice>,
    history: History,
    /// Why what was just asked for was not done; empty where nothing was refused.
    refusal: String,
}

/// What is known of him.
struct Customer {
    id: String,
    title: String,
    name: String,
    email: String,
    phone: String,
    reference: String,
    /// As JSON.
    metadata: String,
    created: Option<Moment>,
}

/// One entry of a select.
struct Choice {
    id: String,
    label: String,
    is_chosen: bool,
}

/// GET of one customer.
pub async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    let row = api::load(&visit.auth()?, &visit.state, &visit.request).await?;
    shell::page(StatusCode::OK, &OnePage::read(&visit, row).await?)
}

/// His page again, with why what was asked for was refused.
pub async fn show_refused(visit: &Visit, row: CustomerRow, error: &ApiError) -> Result<HttpResponse, ApiError> {
    let mut page = OnePage::read(visit, row).await?;
    page.refusal = error.message().replace('`', "");
    shell::page(refused_status(error), &page)
}

impl OnePage {
    async fn read(visit: &Visit, row: CustomerRow) -> Result<Self, ApiError> {
        let (merchant_id, now_ms, state) = (visit.merchant_id(), visit.now_ms(), &visit.state);
        let whose = Whose {
            customer_id: row.id,
            merchant_id,
        };
        let account = state.customer_accounts.read(whose).await?;
        let own = account.active_subscription().cloned();
        let whole = own.as_ref().map(|own| view::show(own, account.credit.credit));
        let subscription = whole.and_then(|whole| Subscribed::of(visit, &whole));
        let (credit, usage, movements) = account::read(state, whose, account).await?;
        let customer = Customer::read(&row, now_ms);
        let subscription_id = subscription.as_ref().map_or("", |own| own.id.as_str());
        let thing = Thing {
            nouns: &["customers", "connections"],
            ids: &[&customer.id, subscription_id],
            name: &customer.reference,
        };
        Ok(Self {
            shell: visit.shell(Place::Customers),
            history: history::of(visit, thing).await?,
            free_plans: free_plans(visit, own.as_ref()),
            bundles: bundles(visit, own.as_ref()),
            plan_is_there: plan_is_there(visit, own.as_ref()),
            standing: standing_of(subscription.as_ref()),
            refusal: String::new(),
            customer,
            subscription,
            movements_are_cut: movements.len() >= MOVEMENTS,
            credit,
            usage,
            movements,
        })
    }
}

impl Customer {
    fn read(row: &CustomerRow, now_ms: i64) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let fields = &row.fields;
        Self {
            id: row.id.to_string(),
            title: title(row),
            name: text(&fields.name),
            email: text(&fields.email),
            phone: text(&fields.phone),
            reference: text(&fields.reference_id),
            metadata: fields.metadata.as_ref().map(indented).unwrap_or_default(),
            created: Moment::read(&iso_millis(row.created_at_ms), now_ms),
        }
    }
}

/// The free plans that he is not on.
fn free_plans(visit: &Visit, own: Option<&Subscription>) -> Vec<Choice> {
    let own = own.map(|own| own.terms.plan_id);
    let plans = visit.state.tariffs.plans_of(visit.merchant_id());
    let terms = plans.iter().map(|plan| &plan.plan.terms);
    let free = terms.filter(|terms| terms.period_amount == Money::ZERO && Some(terms.plan_id) != own);
    let choice = |terms: &Terms| Choice {
        id: terms.plan_id.to_string(),
        label: format!("{}, {} credit", terms.name, Amount::of(terms.included_credit).text()),
        is_chosen: false,
    };
    free.map(choice).collect()
}

fn bundles(visit: &Visit, own: Option<&Subscription>) -> Vec<Choice> {
    let Some((own, plan)) = own.and_then(|own| Some((own, visit.state.tariffs.plan(own.terms.plan_id)?))) else {
        return Vec::new();
    };
    let choice = |bundle: &CreditBundle| Choice {
        id: bundle.id.to_string(),
        label: format!(
            "{}: {} credit for {}",
            bundle.name,
            Amount::of(bundle.credit_amount).text(),
            Amount::of(bundle.cost).text()
        ),
        is_chosen: own.auto_top_up_bundle_id == Some(bundle.id),
    };
    plan.plan.bundles.iter().map(choice).collect()
}

fn plan_is_there(visit: &Visit, own: Option<&Subscription>) -> bool {
    let plan = own.and_then(|own| visit.state.tariffs.plan(own.terms.plan_id));
    plan.is_some_and(|plan| plan.merchant_id == visit.merchant_id() && !plan.is_deleted)
}
