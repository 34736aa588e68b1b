//! A person with a browser without scripts: keeps the cookie, follows where a form leads, and reads the token of forms.

use super::http::{Answer, Client};
use super::server::Server;

/// See the module.
pub struct Visitor {
    client: Client,
    pub cookie: Option<String>,
}

impl Visitor {
    pub fn new(server: &Server) -> Self {
        let client = Client::new(&server.url()).with_header("content-type", "application/x-www-form-urlencoded");
        Self { client, cookie: None }
    }

    /// Somebody who has signed in with this secret key.
    pub fn signed_in(server: &Server, secret_key: &str) -> Self {
        let mut visitor = Self::new(server);
        let answer = visitor.send("/dashboard/sign_in", &[("secret_key", secret_key)]);
        assert_eq!(answer.status, 303, "{}", answer.text());
        visitor
    }

    pub fn get(&self, path: &str) -> Answer {
        self.client().get(path)
    }

    /// The page, which must be there.
    pub fn page(&self, path: &str) -> String {
        self.get(path).expect_status(200).text()
    }

    /// Posts a form as it is, and keeps the cookie that comes back.
    pub fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let answer = self.client().send("POST", path, Some(body.into_bytes()));
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        answer
    }

    /// Posts a form with the token that the page at `from` carries.
    pub fn submit(&mut self, from: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = form_token(&self.page(from));
        let mut fields = fields.to_vec();
        fields.push(("form_token", &token));
        self.send(path, &fields)
    }

    fn client(&self) -> Client {
        match &self.cookie {
            Some(cookie) => self.client.clone().with_header("cookie", cookie),
            None => self.client.clone(),
        }
    }
}

/// The token in a page's forms.
pub fn form_token(page: &str) -> String {
    hidden(page, "form_token")
}

/// The value of the first hidden field of this name on a page.
pub fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .expect("the page has a form");
    rest.split('"').next().unwrap_or("").to_owned()
}
