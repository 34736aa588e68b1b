//! What callers say of subscriptions: the body of a creation, that of a change, and the status that a list asks for.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::ids::{CreditBundleId, MerchantId, PlanId};
use crate::domain::subscription::Status;
use crate::engine::tariffs::ListedPlan;
use crate::http::error::ApiError;
use crate::http::fields::{Change, Fields};
use crate::http::query::Query;
use crate::http::state::AppState;

const ID_LENGTH_MAX: usize = 255;
const BUNDLE: &str = "auto_top_up_bundle_id";
const PENDING: &str = "pending_change";

/// Who is to be on which plan.
#[derive(Debug)]
pub struct Creation {
    /// Or his reference id.
    pub customer_id: String,
    plan_id: String,
}

impl Creation {
    pub fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let fields = Fields::of_open_body(body);
        let text = |name| fields.required(name, fields.text(name, ID_LENGTH_MAX)?);
        Ok(Self {
            customer_id: text("customer_id")?,
            plan_id: text("plan_id")?,
        })
    }

    /// The plan, which must be there and free.
    pub fn plan_of(&self, state: &AppState, merchant: MerchantId) -> Result<Arc<ListedPlan>, ApiError> {
        let id = self.plan_id.parse::<PlanId>().ok();
        let plan = id.and_then(|id| state.tariffs.plan(id));
        let plan = plan.filter(|plan| plan.merchant_id == merchant && !plan.is_deleted);
        let plan = plan.ok_or_else(|| ApiError::missing("plan_id", "plan"))?;
        if plan.plan.terms.is_free() {
            return Ok(plan);
        }
        let price = plan.plan.terms.period_amount;
        let what = format!(
            "is a plan that costs {price} a cycle; customers subscribe to it by checkout: POST /v1/checkout_sessions \
             with `checkout_mode` \"subscription\""
        );
        Err(ApiError::invalid("plan_id", what))
    }
}

/// What is changed of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub bundle: Change<CreditBundleId>,
    /// Nothing is to happen at the end of the cycle.
    pub withdraws: bool,
}

impl Edit {
    /// What it does not know is refused: a bundle that goes on being bought costs money.
    pub fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body, &[BUNDLE, PENDING])?;
        let what = "must be the id of a credit bundle, or null";
        let bundle = fields.parsed(BUNDLE, what, |text| text.parse().ok())?;
        let withdraws = match body.get(PENDING) {
            None => false,
            Some(Value::Null) => true,
            Some(_) => return Err(fields.wrong(PENDING, "can only be taken back, by null")),
        };
        if bundle == Change::Keep && !withdraws {
            return Err(fields.wrong(BUNDLE, "is required"));
        }
        Ok(Self { bundle, withdraws })
    }
}

/// The status that is listed: active, unless asked otherwise; `None` for all.
pub fn read_status(query: &Query) -> Result<Option<Status>, ApiError> {
    match query.text("status")? {
        None | Some("active") => Ok(Some(Status::Active)),
        Some("cancelled") => Ok(Some(Status::Cancelled)),
        Some("all") => Ok(None),
        Some(_) => Err(ApiError::invalid("status", "must be one of active, cancelled, all")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn edit(body: Value) -> Result<Edit, ApiError> {
        Edit::read(body.as_object().unwrap())
    }

    #[test]
    fn a_change_says_which_bundle_or_takes_back_what_is_pending() {
        let id = CreditBundleId::from_bits(4);
        let table = [
            (json!({ BUNDLE: id }), Change::Set(id), false),
            (json!({ BUNDLE: null }), Change::Clear, false),
            (json!({ PENDING: null }), Change::Keep, true),
            (json!({ PENDING: null, BUNDLE: null }), Change::Clear, true),
        ];
        for (body, bundle, withdraws) in table {
            assert_eq!(edit(body.clone()).unwrap(), Edit { bundle, withdraws }, "{body}");
        }
        let refused = [
            (json!({}), BUNDLE),
            (json!({ BUNDLE: 7 }), BUNDLE),
            (json!({ BUNDLE: "cb_" }), BUNDLE),
            (json!({ PENDING: { "type": "cancellation" } }), PENDING),
            (json!({ BUNDLE: null, "auto_topup": 1 }), "auto_topup"),
        ];
        for (body, param) in refused {
            assert_eq!(edit(body.clone()).unwrap_err().extra()["param"], param, "{body}");
        }
    }

    #[test]
    fn a_list_has_the_active_ones_unless_it_is_asked_otherwise() {
        let status = |text: &str| read_status(&Query::parse(text));
        assert_eq!(status("").unwrap(), Some(Status::Active));
        assert_eq!(status("status=cancelled").unwrap(), Some(Status::Cancelled));
        assert_eq!(status("status=all").unwrap(), None);
        assert_eq!(status("status=Active").unwrap_err().extra()["param"], "status");
    }
}
