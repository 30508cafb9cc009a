//! From where a request comes.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::Call;
use crate::app::App;
use crate::events::Origin;
use crate::http::answer::header_text;
use crate::http::connections::Connection;

impl Call {
    /// What the caller says to be, cut to what we keep.
    pub fn user_agent(&self) -> String {
        user_agent(&self.headers)
    }

    /// Empty when the server does not know its peer.
    pub fn client_address(&self) -> String {
        client_address(&self.app, self.connection.as_deref(), &self.headers)
    }

    /// Whether it comes from this very machine, by no proxy's word.
    pub fn is_from_here(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.peer.ip().to_canonical().is_loopback())
    }

    /// Where a user calls from: personal, so the audit log keeps it sealed.
    pub fn origin(&self) -> Value {
        json!({"address": self.client_address(), "user_agent": self.user_agent()})
    }
}

fn user_agent(headers: &HeaderMap) -> String {
    header_text(headers, "user-agent").unwrap_or_default().chars().take(256).collect()
}

fn client_address(app: &App, connection: Option<&Connection>, headers: &HeaderMap) -> String {
    let Some(connection) = connection else { return String::new() };
    let lines = headers.get_all(app.proxies.header.name()).iter();
    let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
    app.proxies.client_address(connection.peer.ip(), &lines).to_string()
}

/// Where a request comes from, for what is noted of it.
pub(in crate::http) fn origin(app: &App, request: &Request) -> Origin {
    let connection = request.extensions().get::<Arc<Connection>>();
    let address = client_address(app, connection.map(AsRef::as_ref), request.headers());
    Origin { address, user_agent: user_agent(request.headers()) }
}
