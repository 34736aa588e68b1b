//! Events of OpenAI's responses. The last one tells the whole answer again, with its usage.

use super::super::responses::{Event, Response};
use super::{FrameVerdict, StreamReader};

impl StreamReader {
    pub(super) fn push_responses(&mut self, data: &[u8]) -> FrameVerdict {
        if data.trim_ascii() == b"[DONE]" {
            self.finished = true;
            return FrameVerdict::Last;
        }
        let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else {
            return self.count_unread(data);
        };
        self.opening.sequence = event.sequence_number.known().unwrap_or(self.opening.sequence);
        let response = event.response.map(serde_json::value::RawValue::get);
        match event.kind.0.as_ref() {
            "response.created" => self.open_response(response.unwrap_or_default()),
            "response.output_item.done" => self.opening.keep_item(event.item),
            "response.completed" | "response.incomplete" => return self.end_response(response.unwrap_or_default()),
            "response.failed" => {
                self.failed = true;
                return self.end_response(response.unwrap_or_default());
            }
            "error" => self.failed = true,
            kind if kind.ends_with(".delta") => self.count_text(event.delta.map_or(0, |delta| delta.0)),
            _ => {}
        }
        FrameVerdict::Pass
    }

    fn open_response(&mut self, text: &str) {
        let Ok(response) = serde_json::from_str::<Response<'_>>(text) else {
            return;
        };
        self.opening.id = response.id.as_ref().map(|id| id.0.to_string());
        self.opening.model = response.model.as_ref().map(|model| model.0.to_string());
        self.service_tier = response.tier();
        self.opening.response = Some(text.to_owned());
    }

    fn end_response(&mut self, text: &str) -> FrameVerdict {
        self.finished = true;
        if let Ok(response) = serde_json::from_str::<Response<'_>>(text) {
            self.service_tier = response.tier().or(self.service_tier);
            self.final_usage = response.usage();
            if self.opening.id.is_none() {
                self.opening.id = response.id.map(|id| id.0.to_string());
            }
        }
        FrameVerdict::Last
    }
}
