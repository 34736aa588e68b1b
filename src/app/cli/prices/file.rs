//! The texts of which a price book is made, the file that is proposed to be among them, and its writing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::app::cli::failure::{Failure, Outcome};
use crate::app::config::Config;
use crate::app::serving;
use crate::domain::key::matches_wildcard;
use crate::domain::price::{PriceBook, PriceFile, Sifted};

use super::ChoiceArguments;

/// What readers of the file may do with it, where it is new.
const MODE: u32 = 0o644;

/// The texts of the book in force.
pub struct Texts {
    shipped: &'static str,
    base: String,
    own: Option<String>,
}

impl Texts {
    pub fn read(config: &Config) -> Result<Self, Failure> {
        let files = serving::price_files(config);
        Ok(Self {
            shipped: files.shipped,
            base: read_if_named(&files.prices)?.unwrap_or_else(|| files.shipped.to_owned()),
            own: read_if_there(&files.more_prices)?,
        })
    }

    pub fn shipped_book(&self) -> Result<PriceBook, Failure> {
        book(self.shipped, None)
    }

    pub fn book_in_force(&self) -> Result<PriceBook, Failure> {
        book(&self.base, self.own.as_deref())
    }
}

/// The operator's own file as it would be.
pub struct Proposal {
    pub own: PriceFile,
    sifted: Sifted,
}

impl Proposal {
    pub fn read(path: &Path, choice: &ChoiceArguments, texts: &Texts) -> Result<Self, Failure> {
        let mut file = PriceFile::read(&read_or_input(path)?).map_err(refusal)?;
        let is_published = file.is_published();
        let sifted = if is_published {
            file.sift(&texts.base).map_err(refusal)?
        } else {
            Sifted::default()
        };
        if !choice.models.is_empty() {
            file.retain(|model| choice.models.iter().any(|pattern| matches_wildcard(pattern, model)));
        }
        if is_published {
            let (published, base) = (book(&texts.base, Some(&file.write()))?, book(&texts.base, None)?);
            file.retain(|model| published.differs_at(&base, model));
        }
        let mut own = match &texts.own {
            Some(text) if !choice.replace => PriceFile::read(text).map_err(refusal)?,
            Some(_) | None => PriceFile::default(),
        };
        own.lay_over(file);
        Ok(Self { own, sifted })
    }

    /// Says of these models that their leaps are meant.
    pub fn accept(&mut self, models: &[String]) -> Outcome {
        match models.iter().find(|model| !self.own.accept(model)) {
            None => Ok(()),
            Some(model) => Err(Failure::Usage(format!(
                "--accept {model}: your prices have no such entry"
            ))),
        }
    }

    /// The book that it would make.
    pub fn book(&self, texts: &Texts) -> Result<PriceBook, Failure> {
        book(&texts.base, Some(&self.own.write()))
    }

    /// What of the file could not be taken.
    pub fn left_out(&self) -> Value {
        let entries = self
            .sifted
            .entries
            .iter()
            .map(|(model, why)| json!({ "model": model, "why": why }));
        json!({ "entries": entries.collect::<Vec<_>>(), "fields": self.sifted.fields })
    }
}

/// Puts the text where the file is in one step: who reads it has the one before or the new one.
pub fn write(path: &Path, text: &str) -> Outcome {
    let failed = |error: std::io::Error| Failure::Failed(format!("{} cannot be written: {error}", path.display()));
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let mode = fs::metadata(path).map_or(MODE, |found| found.permissions().mode() & 0o777);
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))
        .map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn book(base: &str, own: Option<&str>) -> Result<PriceBook, Failure> {
    PriceBook::merge(base, own).map(|(book, _)| book).map_err(refusal)
}

fn refusal(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("nothing is written: {error}"))
}

fn read_or_input(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::read_to_string(path).map(|read| text = read)
    };
    read.map(|()| text).map_err(|error| unreadable(path, &error))
}

fn read_if_named(path: &Path) -> Result<Option<String>, Failure> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    fs::read_to_string(path)
        .map(Some)
        .map_err(|error| unreadable(path, &error))
}

/// The operator's own file may be written here for the first time.
fn read_if_there(path: &Path) -> Result<Option<String>, Failure> {
    if path.exists() { read_if_named(path) } else { Ok(None) }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{} cannot be read: {error}", path.display()))
}
