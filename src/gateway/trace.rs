//! Spans of a call and of its attempts at providers, under OpenTelemetry's conventions for generative AI. There are
//! none, and nothing is made, unless the operator exports traces. Attributes say names, counts and costs, never what
//! was asked or answered and never a credential.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::SystemTime;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};

use crate::domain::ids::RequestId;
use crate::engine::metrics::calls::{CallSeries, Observation};

use super::upstream::SentHeaders;

/// The headers of the W3C's trace context.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The span of a whole call, from its arrival to the end of its last attempt; it ends when nobody holds it any more.
#[derive(Clone)]
pub struct CallTrace(Rc<Whole>);

struct Whole {
    tracer: SdkTracer,
    context: SpanContext,
    request_id: Cell<Option<RequestId>>,
    /// What the last attempt came to.
    last: RefCell<Last>,
    refusal: Cell<Option<(&'static str, u16)>>,
    span: RefCell<Span>,
}

#[derive(Default)]
struct Last {
    title: Option<String>,
    attributes: Vec<KeyValue>,
    status: Status,
}

impl Drop for Whole {
    /// An attribute that is set twice is exported twice, so all of them are set at the end.
    fn drop(&mut self) {
        let span = self.span.get_mut();
        let Last {
            title,
            mut attributes,
            mut status,
        } = std::mem::take(self.last.get_mut());
        let mut put = |key: &'static str, value: Value| {
            attributes.retain(|known| known.key.as_str() != key);
            attributes.push(KeyValue::new(key, value));
        };
        if let Some(id) = self.request_id.get() {
            put("caldera.request.id", id.to_string().into());
        }
        if let Some((code, http_status)) = self.refusal.get() {
            put("error.type", code.into());
            put("http.response.status_code", i64::from(http_status).into());
            // What the caller did wrong is no error of the server's.
            status = if http_status >= 500 {
                Status::error(code)
            } else {
                Status::Unset
            };
        }
        if let Some(title) = title {
            span.update_name(title);
        }
        span.set_attributes(attributes);
        span.set_status(status);
        span.end();
    }
}

impl CallTrace {
    /// Begins a span, under the caller's own where he names it.
    pub fn begin(tracer: &SdkTracer, headers: &HeaderMap) -> Self {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Received(headers));
        let builder = SpanBuilder::from_name("gateway call").with_kind(SpanKind::Server);
        let span = builder.start_with_context(tracer, &parent);
        Self(Rc::new(Whole {
            tracer: tracer.clone(),
            context: span.span_context().clone(),
            request_id: Cell::new(None),
            last: RefCell::default(),
            refusal: Cell::new(None),
            span: RefCell::new(span),
        }))
    }

    /// The client is told this id of ours.
    pub fn name_request(&self, id: RequestId) {
        self.0.request_id.set(Some(id));
    }

    /// The call is refused, with this code of the error table.
    pub fn refused(&self, code: &'static str, status: u16) {
        self.0.refusal.set(Some((code, status)));
    }

    /// Begins the span of an attempt at a provider.
    pub(super) fn attempt(&self, series: &CallSeries, host: String) -> AttemptTrace {
        let parent = Context::new().with_remote_span_context(self.0.context.clone());
        let mut attributes = named(series);
        attributes.push(KeyValue::new("server.address", host));
        let builder = SpanBuilder::from_name(title(series))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        AttemptTrace {
            span: builder.start_with_context(&self.0.tracer, &parent),
            call: self.clone(),
        }
    }

    /// What its last attempt said is what the call came to.
    fn take_over(&self, series: &CallSeries, mut attributes: Vec<KeyValue>, status: Status) {
        attributes.extend(named(series));
        *self.0.last.borrow_mut() = Last {
            title: Some(title(series)),
            attributes,
            status,
        };
    }
}

/// The span of one attempt.
pub(super) struct AttemptTrace {
    span: Span,
    call: CallTrace,
}

/// What an attempt came to, beside what is observed for the figures.
pub(super) struct Told<'a> {
    pub(super) request_id: RequestId,
    pub(super) http_status: u16,
    pub(super) response_id: &'a str,
    pub(super) observed: &'a Observation,
}

impl AttemptTrace {
    /// Puts this span into the headers of the call to the provider.
    pub(super) fn propagate(&self, into: &mut SentHeaders) {
        into.retain(|(name, _)| *name != TRACEPARENT && *name != TRACESTATE);
        let context = Context::new().with_remote_span_context(self.span.span_context().clone());
        TraceContextPropagator::new().inject_context(&context, &mut Sent(into));
    }

    pub(super) fn end(mut self, series: &CallSeries, told: &Told<'_>) {
        let result = result(told);
        // What the provider did wrong is an error; that it did not like the call is one too, seen from here.
        let status = told
            .observed
            .failure
            .map_or(Status::Unset, |failure| Status::error(failure.word()));
        self.call.take_over(series, result.clone(), status.clone());
        self.span.set_attributes(result);
        self.span.set_status(status);
        self.span.end_with_timestamp(SystemTime::now());
    }
}

fn title(series: &CallSeries) -> String {
    format!("{} {}", series.operation, series.model).trim_end().to_owned()
}

fn named(series: &CallSeries) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("gen_ai.operation.name", series.operation),
        KeyValue::new("gen_ai.provider.name", series.provider.clone()),
    ];
    if !series.model.is_empty() {
        attributes.push(KeyValue::new("gen_ai.request.model", series.model.clone()));
    }
    attributes
}

fn result(told: &Told<'_>) -> Vec<KeyValue> {
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let Observation {
        failure,
        first_chunk,
        usage,
        cost,
        ..
    } = told.observed;
    let mut attributes = vec![
        KeyValue::new("caldera.request.id", told.request_id.to_string()),
        KeyValue::new("caldera.cost", cost.to_string()),
        KeyValue::new("http.response.status_code", i64::from(told.http_status)),
        KeyValue::new("gen_ai.usage.input_tokens", count(usage.total_input())),
        KeyValue::new("gen_ai.usage.output_tokens", count(usage.output_tokens)),
    ];
    if !told.response_id.is_empty() {
        attributes.push(KeyValue::new("gen_ai.response.id", told.response_id.to_owned()));
    }
    if let Some(first_chunk) = first_chunk {
        let seconds = first_chunk.as_secs_f64();
        attributes.push(KeyValue::new("gen_ai.response.time_to_first_chunk", seconds));
    }
    if let Some(failure) = failure {
        attributes.push(KeyValue::new("error.type", failure.word()));
    }
    attributes
}

struct Received<'a>(&'a HeaderMap);

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Sent<'a>(&'a mut SentHeaders);

impl Injector for Sent<'_> {
    fn set(&mut self, key: &str, value: String) {
        let header = (HeaderName::try_from(key), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = header
            && !value.is_empty()
        {
            self.0.push((name, value));
        }
    }
}
