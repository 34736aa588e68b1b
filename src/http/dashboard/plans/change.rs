//! Making, editing and deleting plans from the dashboard, with their bundles and the meters that may draw on their
//! credit.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::Value;

use crate::domain::meter::Meter;
use crate::http::audit::note_target;
use crate::http::dashboard::ask;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::sheet::{Sheet, is_refusal, refused_status, spare_rows};
use crate::http::dashboard::shell::{self, Place, Shell, see_other};
use crate::http::dashboard::visit::Visit;
use crate::http::error::ApiError;
use crate::http::plans as api;

use super::PATH;
use super::form::{self, BundleRow};

/// How the API names the plan itself.
const OWN: &str = "plan_id";

#[derive(Template)]
#[template(path = "dashboard/plans/form.html")]
struct FormPage {
    shell: Shell,
    form: Sheet,
    /// `None`: it is new.
    id: Option<String>,
    title: String,
    meters: Vec<MeterBox>,
    rows: Vec<BundleRow>,
    /// How many rows a page with more of them has.
    more_rows: usize,
}

/// A meter that may be linked.
struct MeterBox {
    id: String,
    name: String,
    slug: String,
    is_linked: bool,
}

/// GET: the form of a new plan.
pub async fn show_new(visit: Visit) -> Result<HttpResponse, ApiError> {
    let page = FormPage::new(&visit, form::blank(), (Vec::new(), &[]));
    shell::page(StatusCode::OK, &page)
}

/// POST: makes a plan.
pub async fn create(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, form::creation(&form));
    match ask::answer(api::create(visit.auth()?, visit.state.clone(), wanted).await) {
        Ok(plan) => {
            let id = ask::text(&plan, OWN);
            note_target(&visit.request, &id);
            Ok(see_other(&format!("{PATH}/{id}?done=created")))
        }
        Err(error) if is_refusal(&error, OWN) => {
            let page = FormPage::again(&visit, &form, &error);
            shell::page(refused_status(&error), &page)
        }
        Err(error) => Err(error),
    }
}

/// GET: the form of a plan as it is.
pub async fn show_edit(visit: Visit) -> Result<HttpResponse, ApiError> {
    let plan = load(&visit).await?;
    let linked: Vec<String> = ask::array(&plan, "linked_meters")
        .iter()
        .map(|meter| ask::text(meter, "meter_id"))
        .collect();
    let linked: Vec<&str> = linked.iter().map(String::as_str).collect();
    let page = FormPage::new(&visit, form::of_plan(&plan), (BundleRow::of_plan(&plan), &linked));
    shell::page(StatusCode::OK, &page.of_plan(&plan))
}

/// POST: changes a plan.
pub async fn update(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, form::edit(&form));
    let changed = api::update(visit.auth()?, visit.state.clone(), visit.request.clone(), wanted).await;
    match ask::answer(changed) {
        Ok(plan) => Ok(see_other(&format!("{PATH}/{}?done=saved", ask::text(&plan, OWN)))),
        Err(error) if is_refusal(&error, OWN) => {
            let plan = load(&visit).await?;
            let page = FormPage::again(&visit, &form, &error);
            shell::page(refused_status(&error), &page.of_plan(&plan))
        }
        Err(error) => Err(error),
    }
}

/// POST.
pub async fn delete(visit: Visit) -> Result<HttpResponse, ApiError> {
    ask::answer(api::delete(visit.auth()?, visit.state.clone(), visit.request).await)?;
    Ok(see_other(&format!("{PATH}?done=deleted")))
}

async fn load(visit: &Visit) -> Result<Value, ApiError> {
    ask::answer(api::retrieve(visit.auth()?, visit.state.clone(), visit.request.clone()).await)
}

impl FormPage {
    fn new(visit: &Visit, form: Sheet, (mut rows, linked): (Vec<BundleRow>, &[&str])) -> Self {
        let more_rows = spare_rows(&visit.request, &mut rows);
        Self {
            shell: visit.shell(Place::Plans),
            form,
            id: None,
            title: "New plan".to_owned(),
            meters: meter_boxes(visit, linked),
            rows,
            more_rows,
        }
    }

    fn again(visit: &Visit, form: &Form, error: &ApiError) -> Self {
        let linked: Vec<&str> = form.texts("meter_ids").collect();
        let sheet = form::blank().again(form, error);
        Self::new(visit, sheet, (BundleRow::typed(form), &linked))
    }

    fn of_plan(self, plan: &Value) -> Self {
        Self {
            id: Some(ask::text(plan, OWN)),
            title: ask::text(plan, "name"),
            ..self
        }
    }
}

/// All meters of the merchant, so that none that is linked is left out.
fn meter_boxes(visit: &Visit, linked: &[&str]) -> Vec<MeterBox> {
    let meters = visit.state.tariffs.meters_of(visit.merchant_id());
    let checkbox = |meter: &Arc<Meter>| MeterBox {
        is_linked: linked.contains(&meter.id.to_string().as_str()),
        id: meter.id.to_string(),
        name: meter.name.clone(),
        slug: meter.slug.clone(),
    };
    let mut boxes: Vec<MeterBox> = meters.iter().map(checkbox).collect();
    boxes.sort_by(|one, other| one.name.cmp(&other.name));
    boxes
}
