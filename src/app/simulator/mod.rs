//! The simulated provider: the interfaces of OpenAI, Anthropic, Google and AWS Bedrock over HTTP, with exact books.
//! It answers deterministic text at no cost, misbehaves as a call directs it to, and keeps a ledger of what it
//! really served, against which a gateway's own books are checked. It uses nothing else of this crate and is meant
//! for loopback only: any credential but `bad` is taken. Nothing of it outlives the process.

mod answer;
mod anthropic;
mod bedrock;
mod beside;
mod call;
mod control;
mod conversation;
mod credential;
mod dialect;
mod directive;
mod flavoured;
mod form;
mod google;
mod images;
mod ledger;
mod models;
mod openai;
mod provider;
mod reel;
mod refusal;
mod reply;
mod request;
mod responses;
mod signature;
mod sound;
mod speech;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod thinking;
mod tls;
mod tools;
mod transcription;
mod turn;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use tokio::net::TcpSocket;

use ledger::Ledger;
pub use tls::TlsListener;

/// The largest body that is read.
const BODY_BYTES_MAXIMUM: usize = 64 * 1024 * 1024;

/// The connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// How long an idle connection is kept; longer than any gateway keeps its own.
const KEEP_ALIVE: Duration = Duration::from_secs(300);

/// What an address may end with, by which a gateway reaches the provider.
const PREFIXES: [&str; 5] = ["/v1", "/v1beta", "", "/v1/openai", "/v1beta/openai"];

/// A simulated provider that is bound but does not serve before `server` is awaited or spawned.
pub struct Simulator {
    /// The server; its handle stops it, signals do not.
    pub server: Server,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens for TLS.
    pub tls_address: Option<SocketAddr>,
}

/// What a simulated provider is started with.
pub struct SimulatorOptions {
    /// The bound socket; its queue of unaccepted connections is the caller's choice.
    pub listener: TcpListener,
    /// The count of worker threads, at least one.
    pub workers: usize,
    /// The same over TLS.
    pub tls: Option<TlsListener>,
}

/// Binds a socket whose queue of unaccepted connections is long enough for thousands that come at once; the standard
/// library's is 128. To be called inside an actix or tokio runtime.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Starts a simulated provider. To be called inside an actix or tokio runtime.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(options: SimulatorOptions) -> std::io::Result<Simulator> {
    let address = options.listener.local_addr()?;
    let ledger = web::Data::from(Arc::new(Ledger::default()));
    let tls_address = options.tls.as_ref().map(TlsListener::address).transpose()?;
    let server = HttpServer::new(move || App::new().app_data(ledger.clone()).configure(routes))
        .workers(options.workers.max(1))
        .keep_alive(KEEP_ALIVE)
        .tcp_nodelay(true)
        .h1_allow_half_closed(false)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(options.listener)?;
    let server = match options.tls {
        Some(tls) => server.listen_rustls_0_23(tls.listener, tls.config)?,
        None => server,
    };
    Ok(Simulator {
        server: server.run(),
        address,
        tls_address,
    })
}

fn media_routes(prefix: &str, config: &mut web::ServiceConfig) {
    config
        .route(
            &format!("{prefix}/images/generations"),
            web::post().to(images::generations),
        )
        .route(&format!("{prefix}/images/edits"), web::post().to(images::edits))
        .route(&format!("{prefix}/audio/speech"), web::post().to(speech::speak))
        .route(
            &format!("{prefix}/audio/transcriptions"),
            web::post().to(transcription::transcribe),
        )
        .route(
            &format!("{prefix}/audio/translations"),
            web::post().to(transcription::translate),
        )
        .route(
            &format!("{prefix}/text-to-speech/{{voice}}"),
            web::post().to(speech::elevenlabs),
        )
        .route(
            &format!("{prefix}/text-to-speech/{{voice}}/stream"),
            web::post().to(speech::elevenlabs),
        );
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(BODY_BYTES_MAXIMUM))
        .default_service(web::to(models::unknown));
    for prefix in PREFIXES {
        media_routes(prefix, config);
        config
            .route(
                &format!("{prefix}/chat/completions"),
                web::post().to(call::chat_completions),
            )
            .route(&format!("{prefix}/messages"), web::post().to(call::messages))
            .route(&format!("{prefix}/completions"), web::post().to(beside::completions))
            .route(&format!("{prefix}/embeddings"), web::post().to(beside::embeddings))
            .route(
                &format!("{prefix}/messages/count_tokens"),
                web::post().to(beside::count_tokens),
            )
            .route(&format!("{prefix}/responses"), web::post().to(responses::create))
            .route(&format!("{prefix}/models/{{action}}"), web::post().to(google::act))
            .route(
                &format!("{prefix}/model/{{id}}/converse"),
                web::post().to(bedrock::converse),
            )
            .route(
                &format!("{prefix}/model/{{id}}/converse-stream"),
                web::post().to(bedrock::converse_stream),
            )
            .route(&format!("{prefix}/models"), web::get().to(models::list))
            .route(&format!("{prefix}/models/{{id}}"), web::get().to(models::one));
    }
    config
        .route("/_sim/ledger", web::get().to(control::ledger))
        .route("/_sim/requests", web::get().to(control::requests))
        .route("/_sim/reset", web::post().to(control::reset))
        .route("/_sim/health", web::get().to(control::health));
}
