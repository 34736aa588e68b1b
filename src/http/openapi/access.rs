//! How programs come in by the browser, and agents by the Model Context Protocol, in the reference.

use serde_json::json;

use crate::http::error::ErrorCode;

use super::call::{Call, events, public, session};
use super::checkout::html;
use super::envelope::Envelope;
use super::part::Part;
use super::schema::{Field, Unknown, anything, body, id, object, open, text, the, word};

/// What the protocol's server may be refused with, whatever the method.
const OF_MCP: [ErrorCode; 13] = [
    ErrorCode::InvalidRequest,
    ErrorCode::InvalidApiKey,
    ErrorCode::WrongKeyKind,
    ErrorCode::OriginNotAllowed,
    ErrorCode::NotFound,
    ErrorCode::NotAcceptable,
    ErrorCode::RequestTimeout,
    ErrorCode::Conflict,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::RateLimited,
    ErrorCode::Internal,
    ErrorCode::Overloaded,
];

pub fn sign_in() -> Part {
    let about = "A program on the user's own computer asks for a secret key: it listens on a port of 127.0.0.1 and opens the \
                 browser at `/auth/connect` (command lines at `/auth/cli`). When the user, who is signed in at the \
                 dashboard, authorises it, the browser takes a code to that port, and the program exchanges the code.";
    let credentials = object(vec![
        text("secret_key", "The new secret key, which is shown this once."),
        id("secret_key_id", "sec", "Its id."),
        id("merchant_id", "mer", "Whose it is."),
        id("wallet_id", "wal", "His default wallet."),
        id("account_id", "mer", "As `merchant_id`.").older(),
        anything("wallet_key", "Always null.").older(),
        anything("wallet_key_id", "Always null.").older(),
    ]);
    let code = text("code", "The code, which serves once, within 60 seconds.")
        .most(255)
        .required();
    let exchange = public("exchangeCode", "Exchange a code for a secret key")
        .takes(body(Unknown::Ignored, vec![code]), json!({ "code": "3f9a..." }))
        .answers(200, "The credentials.", the("Credentials"))
        .refuses(&[ErrorCode::RateLimited, ErrorCode::Internal, ErrorCode::Unavailable]);
    Part::new("Signing in", about)
        .thing("Credentials", credentials)
        .post(&["/v1/auth/callback"], exchange)
        .get(
            &["/auth/connect"],
            page_call("getConnectPage", "Ask the user for access"),
        )
        .post(
            &["/auth/connect"],
            decide_call("decideConnect", "Say what the user decided"),
        )
        .get(
            &["/auth/cli"],
            page_call("getCliPage", "Ask the user for access, from a command line"),
        )
        .post(
            &["/auth/cli"],
            decide_call("decideCli", "Say what the user decided, to a command line"),
        )
}

fn page_call(name: &'static str, title: &'static str) -> Call {
    let asked = asked().into_iter();
    asked
        .fold(session(name, title), Call::query)
        .says("A page for people. Without a session it leads to the sign-in and back. Either `port` and `state`, or `request`.")
        .answers_in(200, "The page that says who asks.", vec![("text/html", html())])
        .answers_in(303, "The sign-in comes first.", vec![])
        .fails_as_page()
}

fn decide_call(name: &'static str, title: &'static str) -> Call {
    let decision = word("decision", &["authorize", "cancel"], "What the user decided.");
    let token = text("form_token", "The token of the session, which is in the page.");
    let form = [vec![decision.required(), token.required()], asked()].concat();
    session(name, title)
        .says("The form of that page. The code, or `error=access_denied`, goes to `http://127.0.0.1:{port}/callback`, with `state`.")
        .takes_form("application/x-www-form-urlencoded", body(Unknown::Ignored, form))
        .answers_in(303, "The browser goes to the program.", vec![])
        .answers_in(200, "The agent's session is let in, or is not.", vec![("text/html", html())])
        .fails_as_page()
}

fn asked() -> Vec<Field> {
    let state = text("state", "What the program made up, and gets back.").most(256);
    vec![
        text("port", "Where the program listens, from 1024 on.")
            .like(r"^\d{4,5}$")
            .example("49152"),
        state.example("af0ifjsldkj"),
        text("request", "The code that an agent's session waits with."),
    ]
}

pub fn mcp() -> Part {
    let about = "The server of the Model Context Protocol, for agents (streamable HTTP). A secret key may use every tool, a \
                 spend key makes calls, and without a key there are the directory and the sign-in. Web pages may call it \
                 only where the operator lists their origin.";
    let message = object(vec![
        word("jsonrpc", &["2.0"], "Always the same."),
        anything("id", "The message's own id.").optional(),
        text("method", "What is asked for.").optional(),
        open("params", "With what.").optional(),
    ]);
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "agent", "version": "1" } },
    });
    let answers = vec![
        ("text/event-stream", events()),
        ("application/json", anything("", "").into()),
    ];
    let send = call("sendMcpMessage", "Send a message")
        .says("A client says that it takes both media types: `accept: application/json, text/event-stream`.")
        .takes(message, hello)
        .answers_in(
            200,
            "What came of it. The first answer has the session's id in `mcp-session-id`.",
            answers,
        )
        .answers_in(202, "It is taken; there is no answer to it.", vec![]);
    let listen = call("listenToMcp", "Listen to a session").answers_in(
        200,
        "What the server says by itself, until the session ends.",
        vec![("text/event-stream", events())],
    );
    let end = call("endMcpSession", "End a session")
        .says("Its spend keys are revoked with it.")
        .answers_in(202, "It is no more.", vec![]);
    Part::new("MCP", about)
        .post(&["/mcp"], send)
        .get(&["/mcp"], listen)
        .delete(&["/mcp"], end)
}

fn call(name: &'static str, title: &'static str) -> Call {
    let mut call = public(name, title).open_to_all().refuses(&OF_MCP);
    call.envelope = Envelope::Mcp;
    call.header(text("mcp-session-id", "The session, once there is one."))
}
