//! The two servers beside the real one: the one that says `starting` until there is something to serve, and the
//! operator's.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::http::KeepAlive;
use actix_web::{App, HttpServer, web};

use crate::gateway::Gateway;
use crate::http;
use crate::http::state::AppState;

/// Answers health, and 503 `starting` to everything else.
pub fn start_waiting(listener: TcpListener) -> std::io::Result<ServerHandle> {
    let server = HttpServer::new(|| App::new().configure(http::configure_starting))
        .workers(1)
        // A connection that it kept would hold up its stop, and be refused after the start.
        .keep_alive(KeepAlive::Disabled)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(handle)
}

/// Metrics, and the routes of the command line.
pub fn start_operator(
    listener: TcpListener,
    state: web::Data<AppState>,
    gateway: Arc<Gateway>,
) -> std::io::Result<ServerHandle> {
    let gateway = web::Data::from(gateway);
    let app = move || {
        App::new()
            .app_data(state.clone())
            .app_data(gateway.clone())
            .configure(http::operator::configure)
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(handle)
}
