//! A simulated Stripe on the loopback: as much of its API as the server uses, with the well-known test cards. It counts
//! what it did, knows idempotency keys, and can be told to break.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

/// The secret key that it takes.
pub const SECRET_KEY: &str = "sk_test_simulated";

/// A listening Stripe; it ends with the test.
pub struct SimulatedStripe {
    address: SocketAddr,
    books: Books,
    handle: ServerHandle,
}

type Books = Arc<Mutex<Ledger>>;

/// What it knows.
#[derive(Default)]
struct Ledger {
    next: u64,
    /// By id; whatever it is.
    objects: HashMap<String, Value>,
    /// The number of the card on file, by payment method.
    numbers: HashMap<String, String>,
    /// Form and answer, by key.
    answered: HashMap<String, (String, u16, Value)>,
    /// The dollars that moved, in cents.
    taken_cents: i64,
    calls: Vec<String>,
    /// Statuses that come before the next answers; 0 does what is asked and breaks off then.
    trouble: Vec<u16>,
}

impl SimulatedStripe {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let books = Books::default();
        let data = web::Data::new(books.clone());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let app = move || App::new().app_data(data.clone()).default_service(web::to(answer));
                let server = HttpServer::new(app).workers(1).disable_signals();
                let server = server.listen(listener).expect("it listens").run();
                sender.send(server.handle()).expect("the test waits");
                server.await.expect("it runs");
            });
        });
        let handle = receiver.recv().expect("it starts");
        Self { address, books, handle }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the payer's browser does with his card.
    pub fn finish_setup(&self, setup: &str, number: &str) {
        let mut books = self.books();
        let refusal = refusal(number, "setup");
        let method = books.mint("pm");
        books.numbers.insert(method.clone(), number.to_owned());
        let intent = books.objects.get_mut(setup).expect("the setup was begun");
        match refusal {
            Some(code) => {
                intent["status"] = json!("requires_payment_method");
                intent["last_setup_error"] = error_of(code);
            }
            None => {
                intent["status"] = json!("succeeded");
                intent["payment_method"] = json!({ "id": method, "card": {
                    "brand": "visa", "last4": number[number.len() - 4..], "exp_month": 12, "exp_year": 2034,
                } });
            }
        }
    }

    /// What the payer's bank hears from him.
    pub fn confirm_payment(&self, reference: &str) {
        let mut books = self.books();
        let intent = books.objects.get_mut(reference).expect("there is such a payment");
        assert_eq!(intent["status"], "requires_action");
        intent["status"] = json!("succeeded");
        let amount = intent["amount"].as_i64().unwrap();
        books.taken_cents += amount;
    }

    /// The setup that was begun last.
    pub fn last_setup(&self) -> String {
        self.last("seti_")
    }

    /// The payment that was asked for last.
    pub fn last_payment(&self) -> String {
        self.last("pi_")
    }

    fn last(&self, prefix: &str) -> String {
        let books = self.books();
        let ids = books.objects.keys().filter(|id| id.starts_with(prefix));
        ids.max().expect("there was one").clone()
    }

    /// What it has taken and not given back.
    pub fn taken_cents(&self) -> i64 {
        self.books().taken_cents
    }

    /// `METHOD path`, of all calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.books().calls.clone()
    }

    /// Answers the next calls with these statuses; 0 does what is asked, and the answer is lost.
    pub fn fail_next(&self, statuses: &[u16]) {
        self.books().trouble = statuses.iter().rev().copied().collect();
    }

    /// A member of an object that it holds.
    pub fn field(&self, id: &str, name: &str) -> Value {
        self.books().objects[id][name].clone()
    }

    fn books(&self) -> MutexGuard<'_, Ledger> {
        self.books.lock().expect("nobody panicked")
    }
}

impl Drop for SimulatedStripe {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn answer(request: HttpRequest, body: String, books: web::Data<Books>) -> HttpResponse {
    let mut books = books.lock().expect("nobody panicked");
    books.calls.push(format!("{} {}", request.method(), request.path()));
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header("authorization") != Some(&format!("Bearer {SECRET_KEY}")) || header("stripe-version").is_none() {
        return HttpResponse::Unauthorized().json(json!({ "error": { "message": "Invalid API Key provided" } }));
    }
    let trouble = books.trouble.pop();
    if let Some(status) = trouble.filter(|status| *status != 0) {
        let status = StatusCode::from_u16(status).unwrap();
        return HttpResponse::build(status).json(json!({ "error": { "message": "trouble" } }));
    }
    let key = header("idempotency-key").map(str::to_owned);
    let (status, answer) = match key.as_ref().and_then(|key| books.answered.get(key).cloned()) {
        Some((form, ..)) if form != body => (400, json!({ "error": { "message": "another form under this key" } })),
        Some((_, status, answer)) => (status, answer),
        None => books.act(request.method().as_str(), request.path(), &body),
    };
    if let Some(key) = key {
        books.answered.insert(key, (body, status, answer.clone()));
    }
    if trouble == Some(0) {
        return HttpResponse::BadGateway().finish();
    }
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(answer)
}

impl Ledger {
    fn mint(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}_{:04}", self.next)
    }

    fn act(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match (method, parts.as_slice()) {
            ("POST", ["customers"]) => self.keep("cus", json!({ "email": form.get("email") })),
            ("POST", ["setup_intents"]) => self.keep(
                "seti",
                json!({
                    "customer": form["customer"], "usage": form["usage"], "status": "requires_payment_method",
                    "client_secret": "seti_secret",
                }),
            ),
            ("POST", ["payment_intents"]) => self.charge(&form),
            ("POST", ["refunds"]) => {
                self.taken_cents -= form["amount"].parse::<i64>().unwrap();
                self.keep("re", json!({ "status": "succeeded" }))
            }
            ("POST", ["payment_methods", id, "detach"]) => {
                self.numbers.remove(*id);
                (200, json!({ "id": id }))
            }
            ("GET", [_, id]) => match self.objects.get(*id) {
                Some(object) => (200, object.clone()),
                None => (404, json!({ "error": { "message": "no such thing" } })),
            },
            _ => (404, json!({ "error": { "message": "no such path" } })),
        }
    }

    fn charge(&mut self, form: &HashMap<String, String>) -> (u16, Value) {
        assert!(form["customer"].starts_with("cus_") && form["currency"] == "usd" && form["confirm"] == "true");
        let amount: i64 = form["amount"].parse().unwrap();
        let number = self.numbers.get(&form["payment_method"]).cloned().unwrap_or_default();
        let intent = json!({
            "amount": amount, "client_secret": "pi_secret", "description": form["description"],
            "metadata": { "payment_id": form["metadata[payment_id]"] },
            "status": if number == "4000002760003184" { "requires_action" } else { "succeeded" },
        });
        let moment = if form.contains_key("off_session") {
            "off_session"
        } else {
            "payment"
        };
        if let Some(code) = refusal(&number, moment) {
            let (_, mut intent) = self.keep("pi", intent);
            intent["status"] = json!("requires_payment_method");
            let mut error = error_of(code);
            intent["last_payment_error"] = error.clone();
            self.objects
                .insert(intent["id"].as_str().unwrap().to_owned(), intent.clone());
            error["payment_intent"] = intent;
            return (402, json!({ "error": error }));
        }
        if intent["status"] == "succeeded" {
            self.taken_cents += amount;
        }
        self.keep("pi", intent)
    }

    fn keep(&mut self, prefix: &str, mut object: Value) -> (u16, Value) {
        let id = self.mint(prefix);
        object["id"] = json!(id);
        self.objects.insert(id, object.clone());
        (200, object)
    }
}

/// How a card refuses at a moment, if it does.
fn refusal(number: &str, moment: &str) -> Option<&'static str> {
    match (number, moment) {
        ("4000000000000002", _) | ("4000000000000341", "payment" | "off_session") | ("", _) => Some("card_declined"),
        ("4000000000009995", _) => Some("insufficient_funds"),
        ("4000002760003184", "off_session") => Some("authentication_required"),
        _ => None,
    }
}

fn error_of(code: &str) -> Value {
    json!({ "type": "card_error", "code": code, "message": format!("Your card says {code}.") })
}
