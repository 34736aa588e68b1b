//! The price book that is in force: the shipped file or the one in its place, and the operator's own merged into it. It
//! can be read anew while calls run; a call keeps the price that it was admitted with. A book that cannot be read, or in
//! which a price leaps that nobody said is meant, is refused whole, and the one before stays in force.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::domain::price::{Leap, PriceBook, PriceError};

/// How many leaps a refusal lists.
const LEAPS_LISTED: usize = 20;

/// Where the prices stand; an empty path means none.
#[derive(Clone, Debug, Default)]
pub struct PriceFiles {
    pub shipped: &'static str,
    /// In place of the shipped file.
    pub prices: PathBuf,
    /// The operator's own entries.
    pub more_prices: PathBuf,
}

/// Why a book is refused.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    #[error("{path} cannot be read: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Entry(#[from] PriceError),
    #[error("{}", leaps_text(.0))]
    Leaps(Vec<Leap>),
}

/// What a reload has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    pub version: u32,
    pub model_count: usize,
    /// Models whose price is new, other or gone.
    pub changed_count: usize,
    pub warnings: Vec<String>,
}

/// The book in force, and where it comes from.
pub struct Prices {
    files: PriceFiles,
    book: ArcSwap<PriceBook>,
    /// Those of the book in force. Held for the whole of a reload, so that reloads take turns.
    warnings: Mutex<Vec<String>>,
}

impl Prices {
    /// Reads the files. The operator's entries must not leap from what they replace.
    pub fn load(files: PriceFiles) -> Result<Self, PricesError> {
        let texts = Texts::read(&files)?;
        let (book, warnings) = texts.book()?;
        if texts.own.is_some() {
            let (replaced, _) = PriceBook::parse(&texts.base)?;
            refuse_leaps(book.leaps_from(&replaced))?;
        }
        Ok(Self {
            files,
            book: ArcSwap::from_pointee(book),
            warnings: Mutex::new(warnings),
        })
    }

    /// The book, cheaply and for a moment; a reload waits for nobody.
    pub fn book(&self) -> Guard<Arc<PriceBook>> {
        self.book.load()
    }

    /// What is to be known of the book in force.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files anew. `accepted` are models whose price may leap this once. Blocks.
    pub fn reload(&self, accepted: &[String]) -> Result<Reloaded, PricesError> {
        let mut kept = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let (book, mut warnings) = Texts::read(&self.files)?.book()?;
        let before = self.book.load_full();
        let (meant, leaps): (Vec<Leap>, Vec<Leap>) = book
            .leaps_from(&before)
            .into_iter()
            .partition(|leap| accepted.contains(&leap.model));
        refuse_leaps(leaps)?;
        warnings.extend(meant.iter().map(|leap| {
            let model = &leap.model;
            format!(
                "the new price of {model} is accepted until the next start only, without caldera_accept in its entry"
            )
        }));
        let reloaded = Reloaded {
            version: book.version(),
            model_count: book.models().count(),
            changed_count: book.count_changes_from(&before),
            warnings: warnings.clone(),
        };
        *kept = warnings;
        self.book.store(Arc::new(book));
        Ok(reloaded)
    }
}

/// The texts of the files.
struct Texts {
    base: String,
    own: Option<String>,
}

impl Texts {
    fn read(files: &PriceFiles) -> Result<Self, PricesError> {
        Ok(Self {
            base: read(&files.prices)?.unwrap_or_else(|| files.shipped.to_owned()),
            own: read(&files.more_prices)?,
        })
    }

    fn book(&self) -> Result<(PriceBook, Vec<String>), PriceError> {
        PriceBook::merge(&self.base, self.own.as_deref())
    }
}

fn read(path: &Path) -> Result<Option<String>, PricesError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path);
    text.map(Some).map_err(|error| PricesError::File {
        path: path.to_owned(),
        error,
    })
}

fn refuse_leaps(leaps: Vec<Leap>) -> Result<(), PricesError> {
    if leaps.is_empty() {
        return Ok(());
    }
    Err(PricesError::Leaps(leaps))
}

fn leaps_text(leaps: &[Leap]) -> String {
    let listed: Vec<String> = leaps.iter().take(LEAPS_LISTED).map(ToString::to_string).collect();
    let more = match leaps.len().saturating_sub(LEAPS_LISTED) {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    format!(
        "prices are ten times off those before, which is refused unless the entry has \"caldera_accept\": true: {}{more}",
        listed.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6, "max_input_tokens": 1000}}"#;

    struct Desk {
        directory: tempfile::TempDir,
    }

    impl Desk {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            Self { directory }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("more.json")
        }

        fn write(&self, text: &str) {
            std::fs::write(self.path(), text).unwrap();
        }

        fn load(&self) -> Result<Prices, PricesError> {
            Prices::load(PriceFiles {
                shipped: BASE,
                prices: PathBuf::new(),
                more_prices: self.path(),
            })
        }
    }

    fn entry(model: &str, fields: &str) -> String {
        format!(r#"{{"{model}": {{"litellm_provider": "openai", "mode": "chat", {fields}}}}}"#)
    }

    fn input(prices: &Prices, model: &str) -> Option<i64> {
        prices.book().get(model).map(|price| price.standard.base.input)
    }

    #[test]
    fn an_own_entry_replaces_or_adds_and_the_version_is_that_of_both_texts() {
        let desk = Desk::new();
        desk.write(&entry("mine", r#""input_cost_per_token": 3e-6"#));
        let prices = desk.load().unwrap();
        assert_eq!(
            (input(&prices, "m"), input(&prices, "mine")),
            (Some(1_000_000_000), Some(3_000_000_000))
        );
        let first = prices.book().version();
        assert_ne!(first, crc32fast::hash(BASE.as_bytes()));
        let kept = prices.book().get("mine").unwrap().clone();
        desk.write(&entry(
            "m",
            r#""input_cost_per_token": 2e-6, "output_cost_per_token": 2e-6"#,
        ));
        let reloaded = prices.reload(&[]).unwrap();
        assert_eq!((reloaded.model_count, reloaded.changed_count), (1, 2));
        assert_eq!(
            (input(&prices, "m"), input(&prices, "mine")),
            (Some(2_000_000_000), None)
        );
        let texts = format!("{BASE}{}", std::fs::read_to_string(desk.path()).unwrap());
        assert_eq!(reloaded.version, crc32fast::hash(texts.as_bytes()));
        // Who was admitted before goes on with his price and its version.
        assert_eq!(
            (kept.standard.base.input, kept.book_version),
            (3_000_000_000, Some(first))
        );
        assert_eq!(prices.book().get("m").unwrap().book_version, Some(reloaded.version));
    }

    #[test]
    fn what_an_own_entry_leaves_out_is_told() {
        let desk = Desk::new();
        desk.write(&entry(
            "m",
            r#""input_cost_per_token": 2e-6, "output_cost_per_token": 2e-6"#,
        ));
        let with_fee = BASE.replacen("1e-6", r#"1e-6, "search_context_cost_per_query": {"high": 0.01}"#, 1);
        let base = desk.directory.path().join("base.json");
        std::fs::write(&base, with_fee).unwrap();
        let files = PriceFiles {
            shipped: BASE,
            prices: base,
            more_prices: desk.path(),
        };
        let told = Prices::load(files).unwrap().warnings();
        assert!(
            told.len() == 1 && told[0].contains("m: ") && told[0].contains("web search"),
            "{told:?}"
        );
    }

    #[test]
    fn a_broken_entry_is_named_and_changes_nothing() {
        let desk = Desk::new();
        let good = entry("mine", r#""input_cost_per_token": 3e-6"#);
        desk.write(&good);
        let prices = desk.load().unwrap();
        let version = prices.book().version();
        let table = [
            entry("bad", r#""input_cost_per_token": -3e-6"#),
            entry("bad", r#""input_cost_per_token": NaN"#),
            entry("bad", r#""input_cost_per_token": "3e-6""#),
            entry("bad", r#""input_cost_per_token": null"#),
            entry("bad", r#""input_cost_per_token": 1e30"#),
            entry("bad", r#""input_cost_per_tokn": 3e-6"#),
            entry("bad", r#""input_cost_per_token": 3e-6, "input_cost_per_token": 4e-6"#),
            entry("bad", r#""max_input_tokens": 5"#),
            entry("bad", r#""input_cost_per_token": 3e-6, "max_input_tokens": "5""#),
            entry("bad", r#""input_cost_per_token": 3e-6, "caldera_accept": "yes""#),
            entry(
                "bad",
                r#""input_cost_per_token": 3e-6, "off_peak_pricing": {"windows": []}"#,
            ),
            r#"{"bad": {"input_cost_per_token": 3e-6}}"#.to_owned(),
            r#"{"bad": 5}"#.to_owned(),
            r#"{"bad": {"litellm_provider": "x", "input_cost_per_token": 1}, "bad": {}}"#.to_owned(),
        ];
        for text in table {
            desk.write(&text);
            let refused = prices.reload(&[]).unwrap_err().to_string();
            assert!(refused.contains("bad"), "{text}: {refused}");
            assert!(desk.load().is_err(), "{text}");
            assert_eq!((prices.book().version(), prices.book().models().count()), (version, 2));
        }
        for text in ["", "[]", "{"] {
            desk.write(text);
            assert!(prices.reload(&[]).is_err(), "{text}");
        }
        std::fs::remove_file(desk.path()).unwrap();
        assert!(prices.reload(&[]).is_err());
        desk.write(&good);
        assert_eq!(prices.reload(&[]).unwrap().changed_count, 0);
    }

    #[test]
    fn a_price_ten_times_off_is_refused_until_it_is_said_to_be_meant() {
        let desk = Desk::new();
        desk.write("{}");
        let prices = desk.load().unwrap();
        let leap = r#""input_cost_per_token": 1e-5, "output_cost_per_token": 2e-6"#;
        desk.write(&entry("m", leap));
        let refused = prices.reload(&["other".to_owned()]).unwrap_err().to_string();
        assert!(refused.contains("m: a million units (input token"), "{refused}");
        assert_eq!(input(&prices, "m"), Some(1_000_000_000));
        assert!(matches!(desk.load(), Err(PricesError::Leaps(_))));
        let reloaded = prices.reload(&["m".to_owned()]).unwrap();
        assert_eq!(
            (input(&prices, "m"), reloaded.warnings.len()),
            (Some(10_000_000_000), 1)
        );
        assert_eq!(prices.warnings(), reloaded.warnings);
        assert!(prices.reload(&[]).unwrap().warnings.is_empty(), "it is in force now");
        desk.write(&entry("m", &format!(r#"{leap}, "caldera_accept": true"#)));
        assert_eq!(input(&desk.load().unwrap(), "m"), Some(10_000_000_000));
    }
}
