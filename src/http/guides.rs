//! The guides of `docs/guides` for tools and SDKs, as the dashboard shows them behind a key that was just made: the
//! settings to paste, with the server's address and the key filled in. The guides' own text is the only source, so what
//! is shown is what a person reads there and what the suite runs. Whoever puts a text into a page escapes it.

use std::sync::LazyLock;

use crate::domain::key::RequestShape;

/// What stands in the guides for this server's address, without a path.
pub const BASE_URL: &str = "http://localhost:8787";
/// What stands in the guides for a spend key.
pub const KEY: &str = "lava_sk_your_key";

/// A guide, its name in its address, and the format that a key for it must speak.
struct Page(&'static str, RequestShape, &'static str);

const PAGES: [Page; 10] = [
    Page(
        "claude-code",
        RequestShape::Anthropic,
        include_str!("../../docs/guides/claude-code.md"),
    ),
    Page(
        "codex-cli",
        RequestShape::OpenAi,
        include_str!("../../docs/guides/codex-cli.md"),
    ),
    Page(
        "cursor",
        RequestShape::OpenAi,
        include_str!("../../docs/guides/cursor.md"),
    ),
    Page(
        "cline",
        RequestShape::OpenAi,
        include_str!("../../docs/guides/cline.md"),
    ),
    Page(
        "openclaw",
        RequestShape::OpenAi,
        include_str!("../../docs/guides/openclaw.md"),
    ),
    Page(
        "raycast",
        RequestShape::OpenAi,
        include_str!("../../docs/guides/raycast.md"),
    ),
    Page(
        "openai-sdk",
        RequestShape::OpenAi,
        include_str!("../../docs/guides/openai-sdk.md"),
    ),
    Page(
        "anthropic-sdk",
        RequestShape::Anthropic,
        include_str!("../../docs/guides/anthropic-sdk.md"),
    ),
    Page(
        "vercel-ai-sdk",
        RequestShape::OpenAi,
        include_str!("../../docs/guides/vercel-ai-sdk.md"),
    ),
    Page(
        "langchain",
        RequestShape::OpenAi,
        include_str!("../../docs/guides/langchain.md"),
    ),
];

/// What a guide says of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guide {
    /// The name of its file, without `.md`.
    pub slug: &'static str,
    /// The tool's name, as people know it.
    pub name: &'static str,
    /// What the tool speaks: a key for it must be of this shape.
    pub request_shape: RequestShape,
    /// What is to be pasted, in the guide's order.
    pub snippets: Vec<Block<'static>>,
}

/// A fenced block of a guide. Behind its language stand `paste` where it is for people to paste, `run` where the suite
/// runs it, and `file=` with the path of the file that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    pub language: &'a str,
    pub is_pasted: bool,
    pub is_run: bool,
    pub file: Option<&'a str>,
    text: &'a str,
}

/// What is filled in.
#[derive(Clone, Copy, Debug)]
pub struct Filling<'a> {
    /// The server's address as callers reach it, without a path.
    pub base_url: &'a str,
    pub key: &'a str,
}

/// The guides, in the order in which they are offered.
pub fn all() -> &'static [Guide] {
    static GUIDES: LazyLock<Vec<Guide>> = LazyLock::new(|| PAGES.iter().map(Guide::read).collect());
    &GUIDES
}

/// The guide of this name.
pub fn find(slug: &str) -> Option<&'static Guide> {
    all().iter().find(|guide| guide.slug == slug)
}

/// The fenced blocks of a page, in their order. A block that is not closed is none.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, opened)) = rest.split_once("\n```") {
        let Some((marks, behind)) = opened.split_once('\n') else {
            break;
        };
        let Some((text, after)) = behind.split_once("\n```") else {
            break;
        };
        blocks.push(Block::read(marks, text));
        rest = after;
    }
    blocks
}

impl Guide {
    fn read(Page(slug, request_shape, page): &Page) -> Self {
        let title = page.lines().next().unwrap_or(slug);
        Self {
            slug,
            name: title.trim_start_matches("# "),
            request_shape: *request_shape,
            snippets: blocks(page).into_iter().filter(|block| block.is_pasted).collect(),
        }
    }
}

impl<'a> Block<'a> {
    fn read(marks: &'a str, text: &'a str) -> Self {
        let mut marks = marks.split_whitespace();
        let language = marks.next().unwrap_or("text");
        let marks: Vec<&str> = marks.collect();
        Self {
            language,
            is_pasted: marks.contains(&"paste"),
            is_run: marks.contains(&"run"),
            file: marks.iter().find_map(|mark| mark.strip_prefix("file=")),
            text,
        }
    }

    /// Where it belongs, in words: its file, or what takes it.
    pub fn title(&self) -> &'a str {
        match (self.file, self.language) {
            (Some(file), _) => file,
            (None, "sh") => "Terminal",
            (None, _) => "Settings",
        }
    }

    /// The text with this server's address and this key in it.
    pub fn filled(&self, filling: &Filling<'_>) -> String {
        let base_url = filling.base_url.trim_end_matches('/');
        self.text.replace(BASE_URL, base_url).replace(KEY, filling.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILLING: Filling<'_> = Filling {
        base_url: "https://ai.example.com/",
        key: "lava_sk_abc",
    };

    #[test]
    fn every_guide_has_a_name_and_settings_with_the_address_and_the_key() {
        for guide in all() {
            let filled: Vec<String> = guide.snippets.iter().map(|snippet| snippet.filled(&FILLING)).collect();
            let whole = filled.join("\n");
            assert!(!guide.name.starts_with('#') && guide.name.len() > 3, "{guide:?}");
            for part in ["https://ai.example.com", FILLING.key] {
                assert!(whole.contains(part), "{} does not say {part}", guide.slug);
            }
            for part in [BASE_URL, KEY, "example.com//"] {
                assert!(!whole.contains(part), "{} still says {part}", guide.slug);
            }
        }
        assert_eq!(find("claude-code").unwrap().name, "Claude Code");
        assert!(find("nothing").is_none());
    }

    #[test]
    fn settings_in_files_are_of_their_format() {
        for guide in all() {
            for snippet in &guide.snippets {
                let text = snippet.filled(&FILLING);
                let wrong = match snippet.language {
                    "json" => serde_json::from_str::<serde_json::Value>(&text)
                        .err()
                        .map(|e| e.to_string()),
                    "toml" => toml::from_str::<toml::Value>(&text).err().map(|e| e.to_string()),
                    _ => None,
                };
                assert_eq!(wrong, None, "{}: {}", guide.slug, snippet.title());
            }
        }
    }

    #[test]
    fn blocks_are_read_with_their_marks() {
        let page = "# A\n\n```sh paste run\none\n\ntwo\n```\ntext\n```toml file=~/a.toml\nx = 1\n```\n```\nopen";
        let read = blocks(page);
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].language, read[0].title()), ("sh", "Terminal"));
        assert!(read[0].is_pasted && read[0].is_run && !read[1].is_pasted);
        assert_eq!(read[0].filled(&FILLING), "one\n\ntwo");
        assert_eq!(read[1].file, Some("~/a.toml"));
    }
}
