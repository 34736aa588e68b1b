//! A collector of OpenTelemetry of a few lines: it takes what is sent to it, decodes it, and keeps it for the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// A listening collector; its thread ends with the test.
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

/// What came.
#[derive(Clone, Default)]
pub struct Taken {
    pub spans: Vec<Span>,
    /// The last export.
    pub metrics: Vec<Metric>,
    pub resource: Vec<KeyValue>,
    /// Heads of the requests, in lower case.
    pub heads: Vec<String>,
    /// All bodies, for what must not stand in them.
    pub bytes: Vec<u8>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let kept = taken.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if let Some((head, body)) = read_request(&socket) {
                    kept.lock().unwrap().take(head, &body);
                }
                let _ = (&socket).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Self { address, taken }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn taken(&self) -> Taken {
        self.taken.lock().unwrap().clone()
    }
}

impl Taken {
    fn take(&mut self, head: String, body: &[u8]) {
        if head.starts_with("post /v1/traces ") {
            let told = ExportTraceServiceRequest::decode(body).expect("spans are sent as the protocol says");
            for spans in told.resource_spans {
                self.resource = spans.resource.map(|resource| resource.attributes).unwrap_or_default();
                self.spans
                    .extend(spans.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        } else {
            assert!(head.starts_with("post /v1/metrics "), "{head}");
            let told = ExportMetricsServiceRequest::decode(body).expect("metrics are sent as the protocol says");
            let scopes = told
                .resource_metrics
                .into_iter()
                .flat_map(|metrics| metrics.scope_metrics);
            self.metrics = scopes.flat_map(|scope| scope.metrics).collect();
        }
        self.heads.push(head);
        self.bytes.extend_from_slice(body);
    }
}

/// An attribute's value as text.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

fn read_request(socket: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while reader.read_line(&mut head).ok()? > 2 {}
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
