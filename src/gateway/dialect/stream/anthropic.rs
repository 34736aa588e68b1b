//! Events of Anthropic's messages.

use super::super::anthropic::{Counts, Event};
use super::super::service_tier;
use super::{FrameVerdict, StreamReader};

impl StreamReader {
    pub(super) fn push_anthropic(&mut self, data: &[u8]) -> FrameVerdict {
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
            return self.count_unread(data);
        };
        match event.kind.0.as_ref() {
            "content_block_delta" => self.count_text(event.delta.map_or(0, |delta| delta.0)),
            "content_block_start" => self.follow(event.index.unwrap_or(0), false),
            "content_block_stop" => self.follow(event.index.unwrap_or(0), true),
            "message_start" => self.open_anthropic(&event),
            "message_delta" => self.take_final_counts(&event),
            "error" => self.failed = true,
            "message_stop" => {
                self.finished = true;
                return FrameVerdict::Last;
            }
            _ => {}
        }
        FrameVerdict::Pass
    }

    fn open_anthropic(&mut self, event: &Event<'_>) {
        let Some(message) = &event.message else {
            return;
        };
        self.opening.id = message.id.as_ref().map(|id| id.0.to_string());
        self.opening.model = message.model.as_ref().map(|model| model.0.to_string());
        if let Some(usage) = &message.usage {
            self.service_tier = usage.service_tier.as_ref().and_then(|tier| service_tier(&tier.0));
            self.counts = Counts::of(usage);
            self.partial_usage = self.counts.read();
        }
    }

    /// `message_delta` carries cumulative counts; a count that cannot be true leaves what was known before.
    fn take_final_counts(&mut self, event: &Event<'_>) {
        let Some(usage) = &event.usage else { return };
        let counts = Counts::of(usage).over(self.counts);
        if let Some(usage) = counts.read() {
            self.counts = counts;
            self.final_usage = Some(usage);
            self.partial_usage = Some(usage);
        }
    }
}
