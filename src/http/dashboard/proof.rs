//! Proof: the invariants of the books, both sides and their difference. Proving reads every row, so it is done when
//! somebody asks for it, once at a time for a merchant, and the page shows the latest result until then.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use dashmap::{DashMap, DashSet};
use serde_json::Value;

use crate::domain::ids::MerchantId;
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::proof as api;

use super::ask;
use super::shell::{self, Place, Shell, see_other};
use super::shown::Moment;
use super::visit::Visit;

const PATH: &str = "/dashboard/proof";

/// The latest proof of each merchant, since the process began, and whose is made at the moment.
#[derive(Default)]
pub struct Proofs {
    latest: DashMap<MerchantId, Value>,
    running: DashSet<MerchantId>,
}

impl Proofs {
    /// The right to prove, until it is dropped; `None` where it is taken.
    fn begin(&self, merchant_id: MerchantId) -> Option<Turn<'_>> {
        let turn = || Turn {
            proofs: self,
            merchant_id,
        };
        self.running.insert(merchant_id).then(turn)
    }
}

struct Turn<'a> {
    proofs: &'a Proofs,
    merchant_id: MerchantId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.proofs.running.remove(&self.merchant_id);
    }
}

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/proof").route(web::get().to(show)))
        .service(plain("/proof/prove").route(web::post().to(prove)));
}

#[derive(Template)]
#[template(path = "dashboard/proof.html")]
struct ProofPage {
    shell: Shell,
    /// `None`: nobody has asked yet.
    proof: Option<Proof>,
}

struct Proof {
    holds: bool,
    moment: Option<Moment>,
    invariants: Vec<Invariant>,
}

struct Invariant {
    name: String,
    left: String,
    right: String,
    difference: String,
    holds: bool,
}

/// GET: the latest result.
async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    let latest = &visit.state.proofs.latest;
    let known = latest.get(&visit.merchant_id()).map(|entry| entry.value().clone());
    let page = ProofPage {
        shell: visit.shell(Place::Proof),
        proof: known.map(|proof| Proof::read(&proof, visit.now_ms())),
    };
    shell::page(StatusCode::OK, &page)
}

/// POST: proves now, unless that is being done already.
async fn prove(visit: Visit) -> Result<HttpResponse, ApiError> {
    let (proofs, merchant_id) = (&visit.state.proofs, visit.merchant_id());
    let Some(_turn) = proofs.begin(merchant_id) else {
        return Ok(see_other(&format!("{PATH}?done=proving")));
    };
    let proof = ask::answer(api::retrieve(visit.auth()?, visit.state.clone()).await)?;
    proofs.latest.insert(merchant_id, proof);
    Ok(see_other(PATH))
}

impl Proof {
    fn read(proof: &Value, now_ms: i64) -> Self {
        let invariants = ask::array(proof, "invariants");
        Self {
            holds: proof.get("holds") == Some(&Value::Bool(true)),
            moment: Moment::read(&ask::text(proof, "as_of"), now_ms),
            invariants: invariants.iter().map(Invariant::read).collect(),
        }
    }
}

impl Invariant {
    fn read(invariant: &Value) -> Self {
        let difference = ask::text(invariant, "difference");
        Self {
            name: ask::text(invariant, "name").replace('_', " "),
            left: ask::text(invariant, "left"),
            right: ask::text(invariant, "right"),
            holds: difference == "0",
            difference,
        }
    }
}
