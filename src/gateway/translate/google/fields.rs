//! Members of Google's objects: the API takes each name in camel case and in snake case, and one thing where a list of
//! one is meant.

use serde_json::Number;
use serde_json::value::RawValue;

use crate::gateway::translate::inner::Untranslatable;
use crate::gateway::translate::members::{Element, Kind, Members, elements, kind};

type Result<T> = std::result::Result<T, Untranslatable>;

/// The members of one object. Names are given in camel case.
#[derive(Debug)]
pub(super) struct Fields<'a>(Members<'a>);

impl<'a> Fields<'a> {
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self> {
        Members::of_body(body).map(Self)
    }

    pub(super) fn of(element: Element<'a>) -> Result<Self> {
        Members::read(element.raw, element.path).map(Self)
    }

    pub(super) fn at(&self, name: &str) -> String {
        self.0.at(name)
    }

    pub(super) fn refuse(&self, name: &str, message: impl Into<String>) -> Untranslatable {
        self.0.refuse(name, message)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.0.take(&self.spelled(name))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.0.text(&self.spelled(name))
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String> {
        self.0.required_text(&self.spelled(name))
    }

    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>> {
        self.0.count(&self.spelled(name))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        self.0.flag(&self.spelled(name))
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<Number>> {
        self.0.number(&self.spelled(name))
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>> {
        Ok(self.0.object(&self.spelled(name))?.map(Self))
    }

    /// Takes a list, or one thing as a list of one.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Element<'a>>> {
        let name = self.spelled(name);
        let path = self.0.at(&name);
        match self.0.take(&name) {
            None => Ok(Vec::new()),
            Some(raw) if kind(raw) == Kind::Object => Ok(vec![Element { raw, path }]),
            Some(raw) => elements(raw, &path),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names()
    }

    /// The name as the caller wrote it.
    fn spelled(&self, name: &str) -> String {
        let snake = snake(name);
        if self.0.names().any(|said| said == snake) {
            snake
        } else {
            name.to_owned()
        }
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
