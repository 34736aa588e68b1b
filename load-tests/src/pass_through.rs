//! The yardstick: the least that a proxy on actix-web and awc can do. It buffers the request's body, replaces the credential,
//! forwards, and streams the answer back. No limits, no books, no redirects, no decompression, no checks.
//! Its settings are those of Caldera where they bear on speed: allocator, build profile, `tcp_nodelay`, connections without limit.

use std::net::SocketAddr;
use std::process::ExitCode;

use actix_web::body::SizedStream;
use actix_web::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use awc::error::SendRequestError;
use clap::Args;

use crate::failure::{Doing, Failure};

const BODY_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Arguments of `pass-through`.
#[derive(Args)]
pub struct PassThroughArguments {
    /// The address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// Where requests go, such as http://127.0.0.1:9000; the path is kept as it came.
    #[arg(long)]
    upstream: String,
    /// How many worker threads serve.
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

/// Serves until SIGTERM or SIGINT.
pub fn serve(arguments: &PassThroughArguments) -> Result<ExitCode, Failure> {
    let upstream = Data::new(arguments.upstream.trim_end_matches('/').to_owned());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(upstream.clone())
            .app_data(Data::new(client()))
            .app_data(PayloadConfig::new(BODY_LIMIT_BYTES))
            .default_service(web::to(forward))
    })
    .workers(arguments.workers)
    .tcp_nodelay(true)
    .shutdown_timeout(1)
    .bind(arguments.listen)
    .doing("listening")?;
    println!("listening on {}", arguments.listen);
    actix_rt::System::new().block_on(server.run()).doing("serving")?;
    Ok(ExitCode::SUCCESS)
}

fn client() -> awc::Client {
    awc::Client::builder()
        .connector(awc::Connector::new().limit(0))
        .disable_timeout()
        .disable_redirects()
        .no_default_headers()
        .finish()
}

async fn forward(request: HttpRequest, body: Bytes, client: Data<awc::Client>, upstream: Data<String>) -> HttpResponse {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut outgoing = client
        .request(request.method().clone(), format!("{}{path}", upstream.as_str()))
        .no_decompress();
    copy_headers(request.headers(), outgoing.headers_mut());
    outgoing
        .headers_mut()
        .insert(AUTHORIZATION, HeaderValue::from_static("Bearer sim"));
    let answer = match outgoing.send_body(body).await {
        Ok(answer) => answer,
        Err(error) => return refuse(&error),
    };
    let mut response = HttpResponse::build(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| crosses(name)) {
        response.append_header((name, value));
    }
    let length = answer
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(length) => response.body(SizedStream::new(length, answer)),
        None => response.streaming(answer),
    }
}

fn copy_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from.iter().filter(|(name, _)| crosses(name)) {
        to.append(name.clone(), value.clone());
    }
}

/// Headers of one connection, and those that each side sets for itself, stay behind.
fn crosses(name: &HeaderName) -> bool {
    ![HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, AUTHORIZATION].contains(name)
}

fn refuse(error: &SendRequestError) -> HttpResponse {
    HttpResponse::BadGateway().body(error.to_string())
}
