//! What is seen of one call for the figures, its span and its line in the log: how long it took, when its first chunk
//! came, what is held for it. It decides nothing and refuses nothing; the open call tells it what happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::ids::{RequestId, SpendKeyId};
use crate::domain::money::Money;
use crate::domain::request::{Outcome, UsageSource};
use crate::domain::usage::Usage;
use crate::engine::metrics::Payer;
use crate::engine::metrics::calls::{CallName, CallSeries, ErrorType, Observation};

use super::open_call::{Costs, Ending};
use super::provider::{EndpointKind, Provider, Target};
use super::telemetry::Telemetry;
use super::trace::{AttemptTrace, Told};
use super::upstream::SentHeaders;
use super::{Incoming, Prepared, Worker};

/// The name under which calls of simulated providers are counted, so that what they cost is not taken for money.
const SIMULATED: &str = "simulated";

/// What is seen of one call.
pub(super) struct Watch {
    series: Arc<CallSeries>,
    key_id: Option<SpendKeyId>,
    began: Instant,
    first_chunk: Option<Duration>,
    /// By [`Payer`], as the figures have it.
    held: [Money; Payer::COUNT],
    /// Where metrics are exported.
    telemetry: Option<Arc<Telemetry>>,
    /// Where traces are.
    trace: Option<Box<AttemptTrace>>,
}

impl Watch {
    /// Of a call that is about to be sent.
    pub(super) fn begin(worker: &Worker, incoming: &Incoming<'_>, prepared: &Prepared) -> Self {
        let target = &prepared.target;
        let series = worker.calls().series(CallName {
            provider: figures_name(&target.provider),
            model: model(target, prepared),
            operation: operation(target.endpoint),
            is_priced: target.price.is_some(),
        });
        let trace = incoming.trace.as_ref();
        Self {
            trace: trace.map(|trace| Box::new(trace.attempt(&series, target.provider.called_host()))),
            telemetry: worker.telemetry().cloned(),
            key_id: incoming.caller.spend_key.as_ref().map(|settings| settings.id),
            series,
            began: Instant::now(),
            first_chunk: None,
            held: [Money::ZERO; Payer::COUNT],
        }
    }

    /// Tells the provider what trace the call belongs to.
    pub(super) fn propagate(&self, into: &mut SentHeaders) {
        if let Some(trace) = &self.trace {
            trace.propagate(into);
        }
    }

    /// A stream has said something.
    pub(super) fn note_chunk(&mut self) {
        if self.first_chunk.is_none() {
            self.first_chunk = Some(self.began.elapsed());
        }
    }

    /// So much is held of this payer now.
    pub(super) fn note_hold(&mut self, payer: Payer, held: Money) {
        let known = &mut self.held[payer as usize];
        self.series.change_hold(payer, *known, held);
        *known = held;
    }

    /// The call is over, and its holds with it.
    pub(super) fn end(&mut self, ended: Ended<'_>) {
        for payer in Payer::ALL {
            self.note_hold(payer, Money::ZERO);
        }
        let Ended {
            id,
            ending,
            costs,
            is_priced,
        } = ended;
        let used = ending.usage_source != UsageSource::None && ending.usage != Usage::default();
        let observed = Observation {
            failure: failure(ending),
            duration: self.began.elapsed(),
            first_chunk: self.first_chunk,
            usage: ending.usage,
            cost: costs.total,
            is_unpriced: used && !is_priced,
        };
        self.series.observe(&observed);
        if let Some(telemetry) = &self.telemetry {
            telemetry.observe(&self.series, &observed);
        }
        if let Some(trace) = self.trace.take() {
            let told = Told {
                request_id: id,
                http_status: ending.http_status,
                response_id: &ending.response_id,
                observed: &observed,
            };
            trace.end(&self.series, &told);
        }
        self.log(id, ending, &observed);
    }

    fn log(&self, id: RequestId, ending: &Ending, observed: &Observation) {
        tracing::debug!(
            request.id = %id,
            key.id = self.key_id.map(tracing::field::display),
            provider.name = &*self.series.provider,
            model.name = &*self.series.model,
            operation.name = self.series.operation,
            http.status = ending.http_status,
            error.kind = observed.failure.map(ErrorType::word),
            usage.source = ?ending.usage_source,
            input_tokens = observed.usage.total_input(),
            output_tokens = observed.usage.output_tokens,
            cost = %observed.cost,
            duration_ms = observed.duration.as_millis() as u64,
            first_chunk_ms = observed.first_chunk.map(|after| after.as_millis() as u64),
            "a call ended"
        );
    }
}

/// How a call ended, and what it came to.
pub(super) struct Ended<'a> {
    pub(super) id: RequestId,
    pub(super) ending: &'a Ending,
    pub(super) costs: Costs,
    pub(super) is_priced: bool,
}

fn failure(ending: &Ending) -> Option<ErrorType> {
    match ending.outcome {
        Outcome::Completed => None,
        Outcome::Error => Some(ErrorType::of_status(ending.http_status)),
    }
}

fn model<'a>(target: &'a Target, prepared: &'a Prepared) -> &'a str {
    let asked = || prepared.shape.as_ref().map(|shape| shape.model.as_str());
    target.model.as_deref().or_else(asked).unwrap_or_default()
}

/// What a provider is called in figures: by OpenTelemetry's conventions where they know it.
pub fn figures_name(provider: &Provider) -> &str {
    if provider.simulated {
        return SIMULATED;
    }
    match &*provider.name {
        "azure" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "google" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "moonshot" => "moonshot_ai",
        "xai" => "x_ai",
        other => other,
    }
}

/// The operation by OpenTelemetry's conventions where they know it.
const fn operation(endpoint: EndpointKind) -> &'static str {
    match endpoint {
        EndpointKind::Chat => "chat",
        EndpointKind::Completions => "text_completion",
        EndpointKind::Embeddings => "embeddings",
        EndpointKind::ImageGenerations => "image_generation",
        EndpointKind::ImageEdits => "image_edit",
        EndpointKind::Speech | EndpointKind::TextToSpeech => "text_to_speech",
        EndpointKind::Transcriptions => "transcription",
        EndpointKind::Translations => "audio_translation",
        EndpointKind::CountTokens => "count_tokens",
        EndpointKind::Models => "list_models",
        EndpointKind::Opaque => "forward",
    }
}
