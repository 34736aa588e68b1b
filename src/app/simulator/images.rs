//! OpenAI's images: made from a text, or from a form with images. Every image is the same tiny one; what differs is
//! what it costs. The GPT image models report tokens and can be streamed, all others cost by the image and report
//! nothing. Sizes, qualities and their tokens are those of the public guide.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{Usage, unix_seconds};
use super::directive::Directives;
use super::form::Form;
use super::ledger::{Ledger, OpenEntry};
use super::provider::Provider;
use super::reel::Reel;
use super::refusal::Refusal;
use super::reply::{Incoming, Reply};
use super::stream::{Frame, Part, Reported};

/// A picture of one dot, as PNG and in base64.
const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// Tokens of an image that comes in, and of each partial one that goes out.
const INPUT_IMAGE_TOKENS: u64 = 323;
const PARTIAL_IMAGE_TOKENS: u64 = 100;
const IMAGE_COUNT_MAXIMUM: u64 = 10;
const PARTIAL_COUNT_MAXIMUM: u64 = 3;

/// What is asked for, from JSON or from a form.
struct Order {
    model: String,
    prompt: String,
    count: u64,
    size: String,
    quality: String,
    response_format: Option<String>,
    streamed: bool,
    partial_count: u64,
    input_image_count: u64,
    work: Work,
}

/// Which of the two endpoints is called; events are named after it.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Work {
    Generation,
    Edit,
}

/// `POST /v1/images/generations`
pub(super) async fn generations(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let incoming = Incoming::new(Provider::OpenAi, ledger, request, body);
    incoming
        .answer_json(|body, directives, entry| {
            let text = |name: &str| match &body[name] {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                Value::Bool(flag) => Some(flag.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            };
            Order::read(Work::Generation, 0, text)?.reply(directives, entry)
        })
        .await
}

/// `POST /v1/images/edits`
pub(super) async fn edits(ledger: web::Data<Ledger>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let form = Form::read(&request, body.clone()).await;
    let text = form.as_ref().map(Form::text).unwrap_or_default();
    Incoming::new(Provider::OpenAi, ledger, request, body)
        .answer(&text, |directives, entry| {
            let form = form?;
            let input_image_count = form.files("image").count() as u64;
            if input_image_count == 0 {
                return Err(Refusal::bad_request("Missing required parameter: 'image'.".to_owned()));
            }
            let order = Order::read(Work::Edit, input_image_count, |name| {
                form.field(name).map(str::to_owned)
            })?;
            order.reply(directives, entry)
        })
        .await
}

impl Order {
    fn read(work: Work, input_image_count: u64, field: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let number = |name: &str, default: u64| match field(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Refusal::bad_request(format!("Invalid type for '{name}': expected an integer."))),
        };
        let prompt = field("prompt").filter(|prompt| !prompt.is_empty());
        let order = Self {
            model: field("model").unwrap_or_else(|| "dall-e-2".to_owned()),
            prompt: prompt.ok_or_else(|| Refusal::bad_request("Missing required parameter: 'prompt'.".to_owned()))?,
            count: number("n", 1)?,
            size: field("size").unwrap_or_else(|| "auto".to_owned()),
            quality: field("quality").unwrap_or_else(|| "auto".to_owned()),
            response_format: field("response_format"),
            streamed: field("stream").as_deref() == Some("true"),
            partial_count: number("partial_images", 0)?,
            input_image_count,
            work,
        };
        order.check()?;
        Ok(order)
    }

    fn check(&self) -> Result<(), Refusal> {
        let most = if self.model == "dall-e-3" {
            1
        } else {
            IMAGE_COUNT_MAXIMUM
        };
        let wrong = if !(1..=most).contains(&self.count) {
            format!("Invalid 'n': expected a value between 1 and {most}.")
        } else if self.partial_count > PARTIAL_COUNT_MAXIMUM {
            format!("Invalid 'partial_images': expected a value between 0 and {PARTIAL_COUNT_MAXIMUM}.")
        } else if self.streamed && !self.costs_tokens() {
            "Unknown parameter: 'stream'.".to_owned()
        } else if self.response_format.is_some() && self.costs_tokens() {
            "Unknown parameter: 'response_format'.".to_owned()
        } else {
            return Ok(());
        };
        Err(Refusal::bad_request(wrong))
    }

    fn reply(&self, directives: &Directives, entry: &mut OpenEntry) -> Result<Reply, Refusal> {
        entry.model = self.model.as_str().into();
        entry.stream = self.streamed;
        entry.id = format!("img_{}", unix_seconds());
        entry.sums.images = self.count;
        if !self.costs_tokens() {
            let body = json!({"created": unix_seconds(), "data": vec![self.image(); self.count as usize]});
            return Ok(Reply::json(&body, None));
        }
        let input_tokens = self.text_tokens() + self.image_tokens();
        let partials = if self.streamed { self.partial_count } else { 0 };
        let made = self.count * directives.output_tokens.unwrap_or_else(|| self.tokens_of_one());
        let output_tokens = made + partials * PARTIAL_IMAGE_TOKENS;
        entry.sums.input_tokens = input_tokens;
        let usage = Usage::reported(&directives.report, input_tokens, output_tokens);
        let reported = usage.as_ref().map(Reported::whole);
        let usage = usage.map(|usage| self.usage(&usage));
        if self.streamed {
            return Ok(Reply::events(self.reel(made, usage, reported)));
        }
        entry.sums.output_tokens = output_tokens;
        let mut body = json!({
            "created": unix_seconds(), "background": "opaque", "output_format": "png", "quality": self.quality,
            "size": self.size, "data": vec![self.image(); self.count as usize],
        });
        if let Some(usage) = usage {
            body["usage"] = usage;
        }
        Ok(Reply::json(&body, reported))
    }

    fn reel(&self, made_tokens: u64, usage: Option<Value>, reported: Option<Reported>) -> Reel {
        let kind = match self.work {
            Work::Generation => "image_generation",
            Work::Edit => "image_edit",
        };
        let image = json!({
            "b64_json": IMAGE, "created_at": unix_seconds(), "size": self.size, "quality": self.quality,
            "background": "opaque", "output_format": "png",
        });
        let mut reel = Reel::default();
        for index in 0..self.partial_count {
            let mut partial = image.clone();
            partial["partial_image_index"] = json!(index);
            reel.push_content(PARTIAL_IMAGE_TOKENS, event(&format!("{kind}.partial_image"), partial));
        }
        let mut completed = image;
        if let Some(usage) = usage {
            completed["usage"] = usage;
        }
        let completed = event(&format!("{kind}.completed"), completed).reporting(reported);
        reel.push_content(made_tokens, completed);
        // What comes after the last image, so that a stream may be cut there.
        reel.push(Part::Closing, Frame::silent("\n"));
        reel
    }

    fn costs_tokens(&self) -> bool {
        self.model.starts_with("gpt-image") || self.model.starts_with("chatgpt-image")
    }

    fn image(&self) -> Value {
        let mut image = match self.response_format.as_deref() {
            Some("b64_json") => json!({"b64_json": IMAGE}),
            None if self.costs_tokens() => json!({"b64_json": IMAGE}),
            Some(_) | None => json!({"url": "https://images.example.com/simulated.png"}),
        };
        if self.model == "dall-e-3" {
            image["revised_prompt"] = json!(self.prompt);
        }
        image
    }

    fn text_tokens(&self) -> u64 {
        (self.prompt.len() as u64).div_ceil(4)
    }

    fn image_tokens(&self) -> u64 {
        self.input_image_count * INPUT_IMAGE_TOKENS
    }

    fn tokens_of_one(&self) -> u64 {
        let of_sizes = |square, portrait, landscape| match self.size.as_str() {
            "1024x1536" => portrait,
            "1536x1024" => landscape,
            _ => square,
        };
        match self.quality.as_str() {
            "low" => of_sizes(272, 408, 400),
            "high" => of_sizes(4160, 6240, 6208),
            _ => of_sizes(1056, 1584, 1568),
        }
    }

    fn usage(&self, usage: &Usage) -> Value {
        json!({
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"text_tokens": self.text_tokens(), "image_tokens": self.image_tokens()},
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
        })
    }
}

fn event(kind: &str, mut body: Value) -> Frame {
    body["type"] = json!(kind);
    Frame::silent(format!("event: {kind}\ndata: {body}\n\n"))
}
