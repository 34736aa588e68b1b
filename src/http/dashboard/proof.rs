//! Proof: the invariants of the books, both sides and their difference. Proving reads every row, so it is done when
//! somebody asks for it, once at a time for a merchant, and the page shows the latest result until then.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use dashmap::{DashMap, DashSet};
use serde_json::Value;

use crate::domain::ids::MerchantId;
use crate::http::auth::SecretKeyAuth;
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::proof as api;
use crate::http::state::AppState;

use super::ask;
use super::session::Session;
use super::shell::{self, Place, Shell, see_other};
use super::shown::Moment;

type State = web::Data<AppState>;

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
async fn show(
    request: HttpRequest,
    session: Session,
    auth: SecretKeyAuth,
    state: State,
) -> Result<HttpResponse, ApiError> {
    let known = state
        .proofs
        .latest
        .get(&auth.merchant_id())
        .map(|entry| entry.value().clone());
    let page = ProofPage {
        shell: Shell::new(&session, &request, Place::Proof),
        proof: known.map(|proof| Proof::read(&proof, state.now().wall_ms)),
    };
    shell::page(StatusCode::OK, &page)
}

/// POST: proves now, unless that is being done already.
async fn prove(auth: SecretKeyAuth, state: State) -> Result<HttpResponse, ApiError> {
    let merchant_id = auth.merchant_id();
    let Some(_turn) = state.proofs.begin(merchant_id) else {
        return Ok(see_other(&format!("{PATH}?done=proving")));
    };
    let proof = ask::answer(api::retrieve(auth, state.clone()).await)?;
    state.proofs.latest.insert(merchant_id, proof);
    Ok(see_other(PATH))
}

impl Proof {
    fn read(proof: &Value, now_ms: i64) -> Self {
        let invariants = proof
            .get("invariants")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
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
