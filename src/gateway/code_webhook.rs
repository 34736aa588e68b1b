//! Sends one-time codes by a POST to an address of the operator's, where he passes them on as text messages. It fails
//! closed: any answer but a 2xx means that the code was not sent.

use std::time::Duration;

use actix_web::http::Uri;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use futures_util::future::LocalBoxFuture;
use serde_json::json;

use super::egress::{GuardedConnector, PrivateHosts, Trust};
use crate::domain::secret::Secret;
use crate::engine::codes::{CodeMessage, CodeNotSent, CodeSender};

const TIMEOUT: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone)]
pub struct CodeWebhook {
    url: Uri,
    /// Sent as a bearer token, so that the receiver knows who posts.
    secret: Option<Secret<String>>,
    trust: Trust,
    private: PrivateHosts,
}

impl CodeWebhook {
    /// `None` where the address is none. It is the operator's own, so it may be anywhere.
    pub fn new(url: &str, secret: Option<Secret<String>>, trust: Trust) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        let port = match (url.port_u16(), url.scheme_str()?) {
            (Some(port), "http" | "https") => port,
            (None, "https") => 443,
            (None, "http") => 80,
            (_, _) => return None,
        };
        let private = PrivateHosts::new([(url.host()?.to_ascii_lowercase(), port)]);
        Some(Self {
            url,
            secret,
            trust,
            private,
        })
    }
}

impl CodeSender for CodeWebhook {
    fn send(&self, message: CodeMessage) -> LocalBoxFuture<'static, Result<(), CodeNotSent>> {
        let webhook = self.clone();
        Box::pin(async move { post(&webhook, &message).await })
    }
}

/// On a connection of its own: codes are few.
async fn post(webhook: &CodeWebhook, message: &CodeMessage) -> Result<(), CodeNotSent> {
    let connector = awc::Connector::new()
        .connector(GuardedConnector::new(webhook.private.clone()))
        .rustls_0_23(webhook.trust.client_config())
        .timeout(TIMEOUT)
        .handshake_timeout(TIMEOUT);
    let client = awc::Client::builder()
        .connector(connector)
        .disable_redirects()
        .no_default_headers()
        .timeout(TIMEOUT)
        .finish();
    let mut request = client.post(webhook.url.clone()).force_close();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(secret) = &webhook.secret {
        let bearer = HeaderValue::try_from(format!("Bearer {}", secret.expose()));
        let bearer = bearer.map_err(|_| CodeNotSent("its secret is no header".to_owned()))?;
        headers.insert(AUTHORIZATION, bearer);
    }
    let code = message.code.expose();
    let body = json!({
        "merchant_id": message.merchant_id,
        "checkout_session_id": message.session_id,
        "phone": message.phone,
        "code": code,
        "message": format!("Your code is {code}. It is good for ten minutes."),
    });
    let answer = request.send_body(body.to_string()).await;
    let answer = answer.map_err(|error| CodeNotSent(error.to_string()))?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(CodeNotSent(format!("the answer was {}", answer.status().as_u16())))
    }
}
