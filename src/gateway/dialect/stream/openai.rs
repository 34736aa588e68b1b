//! Chunks of OpenAI's chat completions and of the older completions.

use super::super::openai::Chunk;
use super::super::service_tier;
use super::{FrameVerdict, StreamReader, UsageFrames};

impl StreamReader {
    pub(super) fn push_openai(&mut self, data: &[u8]) -> FrameVerdict {
        if data.trim_ascii() == b"[DONE]" {
            self.finished = true;
            return FrameVerdict::Last;
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            return self.count_unread(data);
        };
        self.failed |= chunk.error.is_some();
        self.open_openai(&chunk);
        let choices = chunk.choices.unwrap_or_default();
        let mut text_bytes = 0;
        let mut finishes = false;
        for choice in &choices {
            text_bytes += choice.delta.map_or(0, |delta| delta.0) + choice.text.map_or(0, |text| text.0);
            finishes |= choice.finish_reason.is_some();
            self.follow(choice.index.into(), choice.finish_reason.is_some());
        }
        self.count_text(text_bytes);
        let Some(usage) = chunk.usage else {
            return FrameVerdict::Pass;
        };
        if let Some(usage) = usage.read() {
            self.partial_usage = Some(usage);
            if choices.is_empty() || finishes {
                self.final_usage = Some(usage);
            }
        }
        match self.usage_frames {
            UsageFrames::Hide if choices.is_empty() && chunk.error.is_none() => FrameVerdict::Hide,
            UsageFrames::Hide | UsageFrames::Pass => FrameVerdict::Pass,
        }
    }

    fn open_openai(&mut self, chunk: &Chunk<'_>) {
        if let Some(tier) = &chunk.service_tier {
            self.service_tier = service_tier(&tier.0);
        }
        if self.opening.id.is_none() {
            self.opening.id = chunk
                .id
                .as_ref()
                .filter(|id| !id.0.is_empty())
                .map(|id| id.0.to_string());
        }
        if self.opening.model.is_none() {
            self.opening.model = chunk
                .model
                .as_ref()
                .filter(|model| !model.0.is_empty())
                .map(|model| model.0.to_string());
            self.opening.created_s = chunk.created.or_zero();
        }
    }
}
