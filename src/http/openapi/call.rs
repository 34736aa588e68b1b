//! One call of the API as the reference describes it: who may make it, what it takes, what it answers, and every code
//! with which it may be refused. What follows from who calls and from what is taken is not said again by each.

use serde_json::Value;
use utoipa::openapi::{Object, ObjectBuilder, Ref};

use crate::http::error::ErrorCode;

use super::envelope::Envelope;
use super::refusals;
use super::schema::{Field, Shape, any_text, anything, integer, text, word};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Anyone,
    /// A merchant's secret key.
    Secret,
    /// That, or a wallet key.
    Manager,
    /// Whoever is signed in at the dashboard.
    Session,
    /// A spend key, a secret key or a forward token.
    Gateway,
    /// Nobody, or as [`Access::Gateway`]: the answer depends on it.
    Anybody,
}

/// What a call takes.
#[derive(Clone)]
pub struct Body {
    pub media_type: &'static str,
    pub shape: Shape,
    pub is_required: bool,
    pub example: Option<Value>,
}

/// What a call answers with one status.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub says: String,
    /// Media types and what comes in them.
    pub contents: Vec<(&'static str, Shape)>,
}

/// See the module.
#[derive(Clone)]
pub struct Call {
    pub id: &'static str,
    pub title: &'static str,
    pub says: String,
    pub access: Access,
    pub envelope: Envelope,
    pub path: Vec<Field>,
    pub query: Vec<Field>,
    /// Query parameters that hold JSON.
    pub json_query: Vec<Field>,
    pub headers: Vec<Field>,
    pub bodies: Vec<Body>,
    pub answers: Vec<Answer>,
    /// In the order of the table.
    pub codes: Vec<ErrorCode>,
}

/// A call that is open to all.
pub fn public(id: &'static str, title: &'static str) -> Call {
    Call::new(id, title, Access::Anyone).refuses(refusals::NOT_READY)
}

/// A page for whoever is signed in at the dashboard.
pub fn session(id: &'static str, title: &'static str) -> Call {
    Call::new(id, title, Access::Session)
}

/// A management call with a secret key.
pub fn secret(id: &'static str, title: &'static str) -> Call {
    Call::new(id, title, Access::Secret).refuses(refusals::MANAGEMENT)
}

/// A management call with a secret key or a wallet key.
pub fn manager(id: &'static str, title: &'static str) -> Call {
    Call::new(id, title, Access::Manager).refuses(refusals::MANAGEMENT)
}

/// A call of the gateway; `envelope` is the shape of its refusals.
pub fn gateway(id: &'static str, title: &'static str, envelope: Envelope) -> Call {
    let mut call = Call::new(id, title, Access::Gateway).refuses(refusals::GATEWAY);
    call.envelope = envelope;
    call
}

impl Call {
    fn new(id: &'static str, title: &'static str, access: Access) -> Self {
        Self {
            id,
            title,
            says: String::new(),
            access,
            envelope: Envelope::Lava,
            path: Vec::new(),
            query: Vec::new(),
            json_query: Vec::new(),
            headers: Vec::new(),
            bodies: Vec::new(),
            answers: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// The same under another id, for another method.
    pub fn named(&self, id: &'static str) -> Self {
        Self { id, ..self.clone() }
    }

    /// More of what it does.
    pub fn says(mut self, text: &str) -> Self {
        self.says = text.to_owned();
        self
    }

    /// With or without a credential.
    pub fn open_to_all(mut self) -> Self {
        self.access = Access::Anybody;
        self
    }

    /// A part of the path.
    pub fn at(mut self, part: Field) -> Self {
        self.path.push(part.required());
        self
    }

    /// What a path names that may not be there.
    pub fn of_one(self, part: Field) -> Self {
        self.at(part).refuses(&[ErrorCode::NotFound])
    }

    pub fn query(mut self, parameter: Field) -> Self {
        let older = parameter.in_older_words();
        self.query.push(parameter);
        self.query.extend(older);
        self.refuses(&[ErrorCode::InvalidRequest])
    }

    /// A parameter whose value is JSON.
    pub fn json_query(mut self, parameter: Field) -> Self {
        self.json_query.push(parameter);
        self.refuses(&[ErrorCode::InvalidRequest])
    }

    /// It answers a page of a list.
    pub fn page(self) -> Self {
        let limit = integer("limit", 1..=100, "How many to answer.").usually(10);
        let cursor = text("cursor", "Where to go on: the `next_cursor` of the page before.");
        self.query(limit).query(cursor.like("^[A-Za-z0-9_-]{21}[AQgw]$"))
    }

    /// It may be narrowed to what has these words.
    pub fn search(self, says: &str) -> Self {
        self.query(text("search", says).most(255))
    }

    /// What it answers may be had as a table.
    pub fn or_table(mut self) -> Self {
        for answer in self.answers.iter_mut().filter(|answer| answer.status == 200) {
            answer.contents.push(("text/csv", any_text("", "").into()));
        }
        let says = "`csv` gives a table of everything that is chosen, whatever `limit` says.";
        self.query(word("format", &["json", "csv"], says).usually("json"))
    }

    pub fn header(mut self, header: Field) -> Self {
        self.headers.push(header);
        self
    }

    /// A JSON body; `example` is one that works.
    pub fn takes(mut self, object: Object, example: Value) -> Self {
        if object.additional_properties.is_some() {
            self = self.refuses(&[ErrorCode::UnknownField]);
        }
        self.bodies.push(Body {
            media_type: "application/json",
            is_required: !object.required.is_empty(),
            shape: object.into(),
            example: Some(example).filter(|example| !example.is_null()),
        });
        self.refuses(refusals::BODY)
    }

    /// A body of which nothing is known.
    pub fn takes_anything(mut self) -> Self {
        self.bodies.push(Body {
            media_type: "*/*",
            is_required: false,
            shape: anything("", "").into(),
            example: None,
        });
        self
    }

    /// A body that is a form.
    pub fn takes_form(mut self, media_type: &'static str, object: Object) -> Self {
        self.bodies.push(Body {
            media_type,
            is_required: !object.required.is_empty(),
            shape: object.into(),
            example: None,
        });
        self
    }

    /// A JSON answer.
    pub fn answers(self, status: u16, says: &str, shape: impl Into<Shape>) -> Self {
        self.answers_in(status, says, vec![("application/json", shape.into())])
    }

    /// An answer in whatever media types.
    pub fn answers_in(mut self, status: u16, says: &str, contents: Vec<(&'static str, Shape)>) -> Self {
        self.answers.push(Answer {
            status,
            says: says.to_owned(),
            contents,
        });
        self
    }

    /// What is wrong is said on a page, not in an envelope.
    pub fn fails_as_page(mut self) -> Self {
        self.codes.clear();
        let page = ("text/html", any_text("", "").into());
        self.answers_in(0, "A page that says what is wrong.", vec![page])
    }

    /// A page of these things, newest first.
    pub fn answers_page(self, thing: &str) -> Self {
        let list = Ref::from_schema_name(format!("{thing}List"));
        self.page().answers(200, "One page, newest first.", list)
    }

    /// It says only that it is done.
    pub fn answers_success(self) -> Self {
        self.answers(200, "It is done.", Ref::from_schema_name("Success"))
    }

    /// It says what is no more.
    pub fn answers_deleted(self) -> Self {
        self.answers(200, "It is no more.", Ref::from_schema_name("Deleted"))
    }

    pub fn refuses(mut self, codes: &[ErrorCode]) -> Self {
        self.codes.extend(codes);
        let all = ErrorCode::ALL.iter().copied();
        self.codes = all.filter(|code| self.codes.contains(code)).collect();
        self
    }
}

/// Bytes of which nothing more is said.
pub fn bytes() -> Shape {
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::Type::String)
        .content_media_type("application/octet-stream")
        .into()
}

/// Server-sent events, each of them as its dialect has it.
pub fn events() -> Shape {
    anything("", "").into()
}
