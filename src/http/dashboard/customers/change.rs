//! Making, editing and deleting customers from the dashboard. A reference id that another has is refused here, where the
//! API would answer with the customer who has it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::http::audit::note_target;
use crate::http::customers as api;
use crate::http::dashboard::ask;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::sheet::{Sheet, is_refusal, refused_status};
use crate::http::dashboard::shell::{self, Place, Shell, see_other};
use crate::http::dashboard::visit::Visit;
use crate::http::error::{ApiError, ErrorCode};
use crate::storage::customers::CustomerRow;

use super::{PATH, form, title};

/// How the API names the customer himself.
const OWN: &str = "customer_id";

#[derive(Template)]
#[template(path = "dashboard/customers/form.html")]
struct FormPage {
    shell: Shell,
    form: Sheet,
    /// `None`: he is new.
    id: Option<String>,
    title: String,
}

/// GET: the form of a new customer.
pub async fn show_new(visit: Visit) -> Result<HttpResponse, ApiError> {
    shell::page(StatusCode::OK, &FormPage::new(&visit, form::blank()))
}

/// POST: makes a customer.
pub async fn create(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, form::body(&form));
    let made = match api::create(visit.auth()?, visit.state.clone(), wanted).await {
        Ok(answer) if answer.status() == StatusCode::OK => Err(ApiError::new(ErrorCode::Conflict)
            .say("Another customer has this `reference_id`.")
            .param("reference_id")),
        made => made,
    };
    match ask::answer(made) {
        Ok(customer) => {
            let id = ask::text(&customer, OWN);
            note_target(&visit.request, &id);
            Ok(see_other(&format!("{PATH}/{id}?done=created")))
        }
        Err(error) if is_refusal(&error, OWN) => {
            let page = FormPage::new(&visit, form::blank().again(&form, &error));
            shell::page(refused_status(&error), &page)
        }
        Err(error) => Err(error),
    }
}

/// GET: the form of a customer as he is.
pub async fn show_edit(visit: Visit) -> Result<HttpResponse, ApiError> {
    let row = api::load(&visit.auth()?, &visit.state, &visit.request).await?;
    let form = form::of_customer(&row.fields);
    shell::page(StatusCode::OK, &FormPage::of_customer(&visit, &row, form))
}

/// POST: changes a customer.
pub async fn update(visit: Visit, form: Form) -> Result<HttpResponse, ApiError> {
    let wanted = ask::body(&visit.request, form::body(&form));
    let changed = api::update(visit.auth()?, visit.state.clone(), visit.request.clone(), wanted).await;
    match ask::answer(changed) {
        Ok(customer) => Ok(see_other(&format!("{PATH}/{}?done=saved", ask::text(&customer, OWN)))),
        Err(error) if is_refusal(&error, OWN) => {
            let row = api::load(&visit.auth()?, &visit.state, &visit.request).await?;
            let page = FormPage::of_customer(&visit, &row, form::blank().again(&form, &error));
            shell::page(refused_status(&error), &page)
        }
        Err(error) => Err(error),
    }
}

/// POST.
pub async fn delete(visit: Visit) -> Result<HttpResponse, ApiError> {
    ask::answer(api::delete(visit.auth()?, visit.state.clone(), visit.request).await)?;
    Ok(see_other(&format!("{PATH}?done=deleted")))
}

impl FormPage {
    fn new(visit: &Visit, form: Sheet) -> Self {
        Self {
            shell: visit.shell(Place::Customers),
            form,
            id: None,
            title: "New customer".to_owned(),
        }
    }

    fn of_customer(visit: &Visit, row: &CustomerRow, form: Sheet) -> Self {
        Self {
            id: Some(row.id.to_string()),
            title: title(row),
            ..Self::new(visit, form)
        }
    }
}
