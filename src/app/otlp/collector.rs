//! The way to the operator's collector: a small client that blocks, on the exporters' own threads. A collector that is
//! away, or refuses, is told in the log once, and once more when it takes something again.

use std::env;
use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// The default of the specification.
const TIMEOUT_MS: u64 = 10_000;
/// No collector has more to say.
const ANSWER_LIMIT_BYTES: u64 = 1 << 20;

/// Why there is no way to the collector.
#[derive(Debug, thiserror::Error)]
#[error("OTEL_EXPORTER_OTLP_CERTIFICATE names a file without certificates that can be read: {0}")]
pub struct CertificateError(String);

/// A client of the collector.
pub struct Collector {
    agent: ureq::Agent,
    is_away: AtomicBool,
}

impl Collector {
    /// With the time limit and the certificates that the usual variables name.
    pub fn from_environment() -> Result<Self, CertificateError> {
        let timeout_ms = env::var("OTEL_EXPORTER_OTLP_TIMEOUT")
            .ok()
            .and_then(|text| text.parse().ok());
        let trusted = match env::var("OTEL_EXPORTER_OTLP_CERTIFICATE") {
            Ok(path) if !path.is_empty() => trusted(&path)?,
            Ok(_) | Err(_) => RootCerts::WebPki,
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_millis(timeout_ms.unwrap_or(TIMEOUT_MS))))
            .max_redirects(0)
            .tls_config(TlsConfig::builder().root_certs(trusted).build())
            .build();
        Ok(Self {
            agent: config.new_agent(),
            is_away: AtomicBool::new(false),
        })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let response = self.agent.run(Request::from_parts(parts, body.to_vec()))?;
        let (parts, mut body) = response.into_parts();
        let answer = body.with_config().limit(ANSWER_LIMIT_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, answer.into()))
    }

    fn note(&self, sent: &Result<Response<Bytes>, ureq::Error>) {
        let reason = match sent {
            Ok(answer) if answer.status().is_success() => {
                if self.is_away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the collector of OpenTelemetry takes what is sent again");
                }
                return;
            }
            Ok(answer) => format!("it answered {}", answer.status()),
            Err(error) => error.to_string(),
        };
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                reason,
                "the collector of OpenTelemetry does not take what is sent; this is said once"
            );
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Collector").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        self.note(&sent);
        Ok(sent?)
    }
}

fn trusted(path: &str) -> Result<RootCerts, CertificateError> {
    let wrong = |error: String| CertificateError(format!("{path}: {error}"));
    let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(wrong("there is none in it".to_owned()));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}
