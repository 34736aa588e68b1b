//! A multipart form, read whole: its fields as text, and its files. The directives of such a call stand in its fields.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::stream;

use super::refusal::Refusal;

/// A form as it came in.
pub(super) struct Form {
    fields: Vec<(String, String)>,
    files: Vec<(String, Bytes)>,
}

impl Form {
    /// Reads the body; the error is what a provider answers to a body that is no such form.
    pub(super) async fn read(request: &HttpRequest, body: Bytes) -> Result<Self, Refusal> {
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(refused)?;
        let once = stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
        let mut parts = multer::Multipart::new(once, boundary);
        let mut form = Self {
            fields: Vec::new(),
            files: Vec::new(),
        };
        while let Some(part) = parts.next_field().await.map_err(refused)? {
            // A list is sent under `name[]`.
            let name = part.name().unwrap_or_default().trim_end_matches("[]").to_owned();
            if part.file_name().is_some() {
                form.files.push((name, part.bytes().await.map_err(refused)?));
            } else {
                form.fields.push((name, part.text().await.map_err(refused)?));
            }
        }
        Ok(form)
    }

    /// A field's text; the last where there are several.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().rfind(|(field, _)| field == name);
        found.map(|(_, text)| text.as_str())
    }

    /// The files under a name.
    pub(super) fn files(&self, name: &str) -> impl Iterator<Item = &Bytes> {
        self.files
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, bytes)| bytes)
    }

    /// The text of all fields.
    pub(super) fn text(&self) -> String {
        let texts: Vec<&str> = self.fields.iter().map(|(_, text)| text.as_str()).collect();
        texts.join("\n")
    }
}

fn refused(error: multer::Error) -> Refusal {
    Refusal::bad_request(format!("Could not parse multipart form: {error}"))
}
