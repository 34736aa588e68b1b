//! Pieces of Google's streams. No piece is the last by its form, so the one that says why the model stopped is held
//! back, with what follows it, until the connection ends.

use super::super::google::Piece;
use super::{FrameVerdict, StreamReader};

impl StreamReader {
    pub(super) fn push_google(&mut self, data: &[u8]) -> FrameVerdict {
        let Ok(piece) = serde_json::from_slice::<Piece<'_>>(data) else {
            return self.count_unread(data);
        };
        self.failed |= piece.error.is_some();
        if self.opening.id.is_none() {
            self.opening.id = piece.response_id.as_ref().map(|id| id.0.to_string());
        }
        if self.opening.model.is_none() {
            self.opening.model = piece.model_version.as_ref().map(|model| model.0.to_string());
        }
        self.count_text(piece.text_bytes());
        self.partial_usage = piece.usage().or(self.partial_usage);
        self.stopped |= piece.is_stopped();
        if !self.stopped {
            return FrameVerdict::Pass;
        }
        self.final_usage = self.partial_usage;
        FrameVerdict::Hold
    }
}
