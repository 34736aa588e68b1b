//! Making, editing and deleting meters from the dashboard.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use serde_json::Value;

use crate::http::audit::note_target;
use crate::http::dashboard::ask;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::sheet::{Sheet, is_refusal, refused_status, spare_rows};
use crate::http::dashboard::shell::{self, Place, Shell, see_other};
use crate::http::dashboard::visit::Visit;
use crate::http::error::ApiError;
use crate::http::meters as api;

use super::form::{self, TierRow};
use super::{Counts, PATH};

/// How the API names the meter itself.
const OWN: &str = "meter_id";

#[derive(Template)]
#[template(path = "dashboard/meters/form.html")]
struct FormPage {
    shell: Shell,
    form: Sheet,
    /// `None`: it is new.
    id: Option<String>,
    title: String,
    counts: Counts,
    rows: Vec<TierRow>,
    /// How many rows a page with more of them has.
    more_rows: usize,
}

/// GET: the form of a new meter.
pub async fn show_new(visit: Visit) -> Result<HttpResponse, ApiError> {
    let page = FormPage::new(&visit, form::blank(), vec![TierRow::first()]);
    shell::page(StatusCode::OK, &page)
}

/// POST: makes a meter.
pub async fn create(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, form::creation(&form));
    match ask::answer(api::create(visit.auth()?, visit.state.clone(), wanted).await) {
        Ok(meter) => {
            let id = ask::text(&meter, OWN);
            note_target(&visit.request, &id);
            Ok(see_other(&format!("{PATH}/{id}?done=created")))
        }
        Err(error) if is_refusal(&error, OWN) => {
            let again = form::blank().again(&form, &error);
            let page = FormPage::new(&visit, again, TierRow::typed(&form));
            shell::page(refused_status(&error), &page)
        }
        Err(error) => Err(error),
    }
}

/// GET: the form of a meter as it is.
pub async fn show_edit(visit: Visit) -> Result<HttpResponse, ApiError> {
    let meter = load(&visit).await?;
    let page = FormPage::new(&visit, form::of_meter(&meter), TierRow::of_meter(&meter));
    shell::page(StatusCode::OK, &page.of_meter(&meter))
}

/// POST: changes a meter.
pub async fn update(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, form::edit(&form));
    let changed = api::update(visit.auth()?, visit.state.clone(), visit.request.clone(), wanted).await;
    match ask::answer(changed) {
        Ok(meter) => Ok(see_other(&format!("{PATH}/{}?done=saved", ask::text(&meter, OWN)))),
        Err(error) if is_refusal(&error, OWN) => {
            let meter = load(&visit).await?;
            let again = form::blank().again(&form, &error);
            let page = FormPage::new(&visit, again, TierRow::typed(&form));
            shell::page(refused_status(&error), &page.of_meter(&meter))
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
    fn new(visit: &Visit, form: Sheet, mut rows: Vec<TierRow>) -> Self {
        let more_rows = spare_rows(&visit.request, &mut rows);
        Self {
            shell: visit.shell(Place::Meters),
            form,
            id: None,
            title: "New meter".to_owned(),
            counts: Counts::of(""),
            rows,
            more_rows,
        }
    }

    /// The form of a meter that is there: what it counts and how it charges stand in it as texts.
    fn of_meter(self, meter: &Value) -> Self {
        let kind = form::of_meter(meter);
        Self {
            id: Some(ask::text(meter, OWN)),
            title: ask::text(meter, "name"),
            counts: Counts::of(kind.text("tier_type")),
            form: self.form.with("rate_type", kind.text("rate_type")),
            ..self
        }
    }
}
