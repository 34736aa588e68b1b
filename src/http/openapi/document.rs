//! The parts of the reference as one OpenAPI document. What every call of a kind has is added here: where credentials
//! stand, the key that makes a POST safe to send again, what answers carry in their headers, and older paths.

use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathsBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Content, Deprecated, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, Required,
    ServerBuilder,
};

use crate::http::error::ErrorCode;

use super::call::{Access, Answer, Call};
use super::components::components;
use super::part::{Part, Route};
use super::refusals;
use super::schema::{Field, Presence, text};

/// What is said of the whole.
pub const ABOUT: &str = include_str!("about.txt");

/// The document of these parts.
pub fn document(parts: &[Part]) -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new().title("Caldera").version(env!("CARGO_PKG_VERSION"));
    let tags = parts.iter().map(|part| {
        let tag = TagBuilder::new().name(part.name);
        tag.description(Some(part.says)).build()
    });
    OpenApiBuilder::new()
        .info(
            info.description(Some(ABOUT.trim()))
                .license(Some(license.build()))
                .build(),
        )
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(tags))
        .paths(paths(parts))
        .components(Some(components(parts)))
        .build()
}

fn paths(parts: &[Part]) -> PathsBuilder {
    let routes = parts
        .iter()
        .flat_map(|part| part.routes.iter().map(move |route| (part, route)));
    let mut paths = PathsBuilder::new();
    for (part, route) in routes {
        if !route.path.is_empty() {
            paths = paths.path(route.path.as_str(), item(part, route, Place::Todays));
        }
        for (number, path) in (2..).zip(&route.older_paths) {
            paths = paths.path(path.as_str(), item(part, route, Place::Older(number)));
        }
    }
    paths
}

/// Which of the paths of a call.
#[derive(Clone, Copy)]
enum Place {
    Todays,
    /// The number tells it from the others.
    Older(u32),
}

fn item(part: &Part, route: &Route, place: Place) -> PathItem {
    let call = &route.call;
    let mut operation = OperationBuilder::new()
        .tag(part.name)
        .summary(Some(call.title))
        .description(Some(call.says.as_str()).filter(|says| !says.is_empty()))
        .parameters(Some(parameters(route)))
        .request_body(request_body(call))
        .responses(responses(route));
    operation = match place {
        Place::Todays => operation.operation_id(Some(call.id)),
        Place::Older(number) => {
            let operation = operation.operation_id(Some(format!("{}_{number}", call.id)));
            operation.deprecated(Some(Deprecated::True))
        }
    };
    PathItem::new(route.method.clone(), operation.securities(Some(securities(call))))
}

/// Whether a call may name an idempotency key.
pub fn is_keyed(route: &Route) -> bool {
    matches!(route.call.access, Access::Secret | Access::Manager) && matches!(route.method, HttpMethod::Post)
}

/// The codes with which a call may be refused.
pub fn codes(route: &Route) -> Vec<ErrorCode> {
    let call = route.call.clone();
    match is_keyed(route) {
        true => call.refuses(refusals::IDEMPOTENCY).codes,
        false => call.codes,
    }
}

/// The header that makes a POST safe to send again.
pub fn idempotency_key() -> Field {
    let says = "Names this call: the same call with the same key within 24 hours gets the first answer again.";
    text("Idempotency-Key", says).like("^[!-~]{1,255}$")
}

fn parameters(route: &Route) -> Vec<Parameter> {
    let call = &route.call;
    let of = |fields: &[Field], place: ParameterIn| -> Vec<Parameter> {
        fields.iter().map(|field| parameter(field, place.clone())).collect()
    };
    let json = call.json_query.iter().map(|field| {
        let parameter = named(field, ParameterIn::Query);
        parameter
            .content("application/json", Content::new(Some(field.shape.clone())))
            .build()
    });
    let mut all = of(&call.path, ParameterIn::Path);
    all.extend(of(&call.query, ParameterIn::Query));
    all.extend(json);
    all.extend(of(&call.headers, ParameterIn::Header));
    if is_keyed(route) {
        all.push(parameter(&idempotency_key(), ParameterIn::Header));
    }
    all
}

fn parameter(field: &Field, place: ParameterIn) -> Parameter {
    named(field, place).schema(Some(field.shape.clone())).build()
}

fn named(field: &Field, place: ParameterIn) -> ParameterBuilder {
    let required = match field.presence {
        Presence::Required => Required::True,
        Presence::Usual | Presence::Optional => Required::False,
    };
    ParameterBuilder::new()
        .name(field.name)
        .parameter_in(place)
        .required(required)
}

fn request_body(call: &Call) -> Option<RequestBody> {
    let first = call.bodies.first()?;
    let mut whole = RequestBodyBuilder::new().required(first.is_required.then_some(Required::True));
    for body in &call.bodies {
        let mut content = Content::new(Some(body.shape.clone()));
        content.example = body.example.clone();
        whole = whole.content(body.media_type, content);
    }
    Some(whole.build())
}

fn responses(route: &Route) -> ResponsesBuilder {
    let call = &route.call;
    let mut responses = ResponsesBuilder::new();
    for answer in &call.answers {
        let status = match answer.status {
            0 => "default".to_owned(),
            status => status.to_string(),
        };
        responses = responses.response(status, response(call, answer));
    }
    for refusal in refusals::by_status(&codes(route), call.envelope) {
        responses = responses.response(refusal.status.to_string(), Ref::from_response_name(refusal.name));
    }
    responses
}

fn response(call: &Call, answer: &Answer) -> ResponseBuilder {
    let mut response = ResponseBuilder::new().description(answer.says.as_str());
    for (media_type, shape) in &answer.contents {
        response = response.content(*media_type, Content::new(Some(shape.clone())));
    }
    let carried: &[&str] = match call.access {
        Access::Secret | Access::Manager => &["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
        Access::Gateway => &[
            "x-lava-request-id",
            "x-lava-served-by",
            "x-lava-attempts",
            "x-lava-cost",
            "x-lava-output-cap",
            "x-lava-dropped",
            "x-lava-simulated",
        ],
        Access::Anyone | Access::Anybody | Access::Session => &[],
    };
    for name in carried {
        response = response.header_ref(*name, Ref::new(format!("#/components/headers/{name}")));
    }
    response
}

fn securities(call: &Call) -> Vec<SecurityRequirement> {
    let none: [&str; 0] = [];
    let names: &[&str] = match call.access {
        Access::Anyone => &[],
        Access::Secret => &["SecretKey", "KeyHeader"],
        Access::Manager => &["SecretKey", "WalletKey", "KeyHeader"],
        Access::Session => &["Session"],
        Access::Gateway | Access::Anybody => &[
            "SpendKey",
            "SecretKey",
            "KeyHeader",
            "GoogleKeyHeader",
            "VoiceKeyHeader",
            "KeyParameter",
        ],
    };
    let mut all: Vec<SecurityRequirement> = names.iter().map(|name| SecurityRequirement::new(*name, none)).collect();
    if call.access == Access::Anybody {
        all.push(SecurityRequirement::default());
    }
    all
}
