//! A streamed answer as a list of scenes: frames that are ready, and runs of words of which each becomes a frame when
//! it is due. It knows no dialect; whoever fills it says what a frame is and how many tokens it hands over.

use std::collections::VecDeque;

use bytes::Bytes;

use super::directive::Vocabulary;
use super::stream::{Frame, Part, Reported, Script};
use super::text;

/// The frames of one answer, none of them written yet.
#[derive(Default)]
pub(super) struct Reel {
    scenes: VecDeque<Scene>,
}

/// Writes the frame of one word, given its position in the text.
pub(super) type WordWriter = Box<dyn Fn(u64, &str) -> Frame>;

/// A text that is streamed word by word.
pub(super) struct Words {
    pub vocabulary: Vocabulary,
    pub count: u64,
    pub write: WordWriter,
}

enum Scene {
    Ready { part: Part, tokens: u64, frame: Frame },
    Running { words: Words, position: u64 },
}

impl Frame {
    /// A frame that reports no usage.
    pub(super) fn silent(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            reported: None,
        }
    }

    /// The same frame with the usage that it reports.
    pub(super) fn reporting(self, reported: Option<Reported>) -> Self {
        Self { reported, ..self }
    }
}

impl Reel {
    /// Appends a frame before or after the content.
    pub(super) fn push(&mut self, part: Part, frame: Frame) {
        self.scenes.push_back(Scene::Ready { part, tokens: 0, frame });
    }

    /// Appends a frame of content that hands over so many tokens.
    pub(super) fn push_content(&mut self, tokens: u64, frame: Frame) {
        let part = Part::Content;
        self.scenes.push_back(Scene::Ready { part, tokens, frame });
    }

    /// Appends a text.
    pub(super) fn push_words(&mut self, words: Words) {
        if words.count > 0 {
            self.scenes.push_back(Scene::Running { words, position: 0 });
        }
    }

    /// Has the answer end with an error once so many frames of content were written.
    pub(super) fn fail_after(&mut self, count: u64, error: Frame) {
        let mut left = count;
        let mut kept = VecDeque::new();
        for mut scene in self.scenes.drain(..) {
            match &mut scene {
                Scene::Ready {
                    part: Part::Opening, ..
                } => {}
                Scene::Ready { .. } if left == 0 => break,
                Scene::Ready {
                    part: Part::Content, ..
                } => left -= 1,
                Scene::Ready {
                    part: Part::Closing, ..
                } => {}
                Scene::Running { words, .. } => {
                    words.count = words.count.min(left);
                    left -= words.count;
                    if words.count == 0 {
                        break;
                    }
                }
            }
            kept.push_back(scene);
        }
        self.scenes = kept;
        self.push(Part::Closing, error);
    }
}

impl Script for Reel {
    fn upcoming(&self) -> Option<Part> {
        self.scenes.front().map(|scene| match scene {
            Scene::Ready { part, .. } => *part,
            Scene::Running { .. } => Part::Content,
        })
    }

    fn upcoming_tokens(&self) -> u64 {
        match self.scenes.front() {
            Some(Scene::Ready { tokens, .. }) => *tokens,
            Some(Scene::Running { .. }) | None => 1,
        }
    }

    fn write_next(&mut self) -> Frame {
        match self.scenes.pop_front() {
            None => Frame::silent(Bytes::new()),
            Some(Scene::Ready { frame, .. }) => frame,
            Some(Scene::Running { words, position }) => {
                let frame = (words.write)(position, &text::unescaped(text::word(&words.vocabulary, position)));
                if position + 1 < words.count {
                    let position = position + 1;
                    self.scenes.push_front(Scene::Running { words, position });
                }
                frame
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reel() -> Reel {
        let mut reel = Reel::default();
        reel.push(Part::Opening, Frame::silent("open "));
        reel.push_words(Words {
            vocabulary: Vocabulary::Plain,
            count: 2,
            write: Box::new(|position, word| Frame::silent(format!("{position}:{word}"))),
        });
        reel.push_content(12, Frame::silent("call "));
        reel.push(Part::Closing, Frame::silent("close"));
        reel
    }

    fn written(mut reel: Reel) -> (String, u64) {
        let (mut text, mut tokens) = (String::new(), 0);
        while let Some(part) = reel.upcoming() {
            if part == Part::Content {
                tokens += reel.upcoming_tokens();
            }
            text += std::str::from_utf8(&reel.write_next().bytes).unwrap();
        }
        (text, tokens)
    }

    #[test]
    fn scenes_are_written_in_their_order_and_weighed_by_their_tokens() {
        assert_eq!(written(reel()), ("open 0:the 1:sun call close".to_owned(), 14));
    }

    #[test]
    fn an_error_takes_the_place_of_what_comes_after_so_many_frames_of_content() {
        for (count, expected, tokens) in [
            (0, "open error", 0),
            (1, "open 0:the error", 1),
            (2, "open 0:the 1:sun error", 2),
            (3, "open 0:the 1:sun call error", 14),
        ] {
            let mut reel = reel();
            reel.fail_after(count, Frame::silent("error"));
            assert_eq!(written(reel), (expected.to_owned(), tokens));
        }
    }
}
