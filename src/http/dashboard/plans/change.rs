//! Making, editing and deleting plans from the dashboard, with their bundles and the meters that may draw on their
//! credit.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::Value;

use crate::http::audit::note_target;
use crate::http::dashboard::ask;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::sheet::{Sheet, is_refusal, spare_rows};
use crate::http::dashboard::shell::{self, Place, Shell, see_other};
use crate::http::dashboard::visit::Visit;
use crate::http::error::ApiError;
use crate::http::plans as api;
use crate::storage::meters;

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
    let page = FormPage::new(&visit, form::blank(), (Vec::new(), &[])).await?;
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
            let page = FormPage::again(&visit, &form, &error).await?;
            shell::page(StatusCode::UNPROCESSABLE_ENTITY, &page)
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
    let page = FormPage::new(&visit, form::of_plan(&plan), (BundleRow::of_plan(&plan), &linked)).await?;
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
            let page = FormPage::again(&visit, &form, &error).await?;
            shell::page(StatusCode::UNPROCESSABLE_ENTITY, &page.of_plan(&plan))
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
    async fn new(visit: &Visit, form: Sheet, (mut rows, linked): (Vec<BundleRow>, &[&str])) -> Result<Self, ApiError> {
        let more_rows = spare_rows(&visit.request, &mut rows);
        Ok(Self {
            shell: visit.shell(Place::Plans),
            form,
            id: None,
            title: "New plan".to_owned(),
            meters: meter_boxes(visit, linked).await?,
            rows,
            more_rows,
        })
    }

    async fn again(visit: &Visit, form: &Form, error: &ApiError) -> Result<Self, ApiError> {
        let linked: Vec<&str> = form.texts("meter_ids").collect();
        let sheet = form::blank().again(form, error);
        Self::new(visit, sheet, (BundleRow::typed(form), &linked)).await
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
async fn meter_boxes(visit: &Visit, linked: &[&str]) -> Result<Vec<MeterBox>, ApiError> {
    let merchant_id = visit.merchant_id();
    let work = visit
        .state
        .database
        .run(move |connection| meters::load(connection, Some(merchant_id)));
    let mut boxes: Vec<MeterBox> = work
        .await?
        .into_iter()
        .map(|row| MeterBox {
            is_linked: linked.contains(&row.meter.id.to_string().as_str()),
            id: row.meter.id.to_string(),
            name: row.meter.name,
            slug: row.meter.slug,
        })
        .collect();
    boxes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(boxes)
}
