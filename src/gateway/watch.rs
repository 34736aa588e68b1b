//! What is seen of one call for the figures: how long it took, when its first chunk came, what is held for it. It decides
//! nothing and refuses nothing; the open call tells it what happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::money::Money;
use crate::domain::request::{Outcome, UsageSource};
use crate::domain::usage::Usage;
use crate::engine::metrics::Payer;
use crate::engine::metrics::calls::{CallName, CallSeries, ErrorType, Observation};

use super::open_call::{Costs, Ending};
use super::provider::{EndpointKind, Provider, Target};
use super::{Prepared, Worker};

/// The name under which calls of simulated providers are counted, so that what they cost is not taken for money.
const SIMULATED: &str = "simulated";

/// What is seen of one call.
pub(super) struct Watch {
    series: Arc<CallSeries>,
    began: Instant,
    first_chunk: Option<Duration>,
    /// By [`Payer`], as the figures have it.
    held: [Money; Payer::COUNT],
}

impl Watch {
    /// Of a call that is about to be sent.
    pub(super) fn begin(worker: &Worker, prepared: &Prepared) -> Self {
        let target = &prepared.target;
        Self {
            series: worker.calls().series(CallName {
                provider: figures_name(&target.provider),
                model: model(target, prepared),
                operation: operation(target.endpoint),
                is_priced: target.price.is_some(),
            }),
            began: Instant::now(),
            first_chunk: None,
            held: [Money::ZERO; Payer::COUNT],
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
    pub(super) fn end(&mut self, ending: &Ending, costs: Costs, is_priced: bool) {
        for payer in Payer::ALL {
            self.note_hold(payer, Money::ZERO);
        }
        let used = ending.usage_source != UsageSource::None && ending.usage != Usage::default();
        self.series.observe(&Observation {
            failure: failure(ending),
            duration: self.began.elapsed(),
            first_chunk: self.first_chunk,
            usage: ending.usage,
            cost: costs.total,
            is_unpriced: used && !is_priced,
        });
    }
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
