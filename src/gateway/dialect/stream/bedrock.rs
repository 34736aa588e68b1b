//! Messages of ConverseStream. `messageStop` ends the answer, `metadata` behind it tells its usage and is the last.

use super::super::bedrock::Payload;
use super::{FrameVerdict, StreamReader};
use crate::gateway::translate::bedrock::Message;

impl StreamReader {
    pub(super) fn push_bedrock(&mut self, bytes: &[u8]) -> FrameVerdict {
        let Some(message) = Message::parse(bytes) else {
            return self.count_unread(bytes);
        };
        if message.header(":message-type").is_some_and(|kind| kind != "event") {
            self.failed = true;
            return FrameVerdict::Pass;
        }
        let kind = message.header(":event-type").unwrap_or_default();
        let Ok(payload) = serde_json::from_slice::<Payload<'_>>(message.payload) else {
            return self.count_unread(message.payload);
        };
        let index = payload.content_block_index.unwrap_or(0);
        match kind {
            "contentBlockStart" => self.follow(index, false),
            "contentBlockDelta" => {
                self.follow(index, false);
                self.count_text(payload.delta.map_or(0, |delta| delta.0));
            }
            "contentBlockStop" => self.follow(index, true),
            "messageStart" => self.opening.begun = true,
            "messageStop" => {
                self.stopped = true;
                return FrameVerdict::Hold;
            }
            "metadata" => {
                self.service_tier = payload.tier();
                self.final_usage = payload.usage.as_ref().and_then(|usage| usage.read());
                self.finished = true;
                return FrameVerdict::Last;
            }
            // What later versions add.
            _ => {}
        }
        FrameVerdict::Pass
    }
}
