//! From the table to the document.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::operations::operations;
use super::parts::{Caller, Operation};
use crate::http::permissions::{self, Endpoint};
use crate::model::logo::LogoKind;
use crate::model::role::Role;

/// OpenAPI 3.1.0.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let shown = show(&operation);
        let item = paths.entry(operation.path.clone()).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(operation.method.to_owned(), shown);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tessera",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "A multi-tenant identity service: hosted sign-in, OpenID Connect tokens, and a sign-out that holds.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": error()},
            "responses": refusals(),
            "securitySchemes": {
                "client": {"type": "http", "scheme": "basic",
                    "description": "client_id and client_secret; or both in the body, or client_id alone for public clients"},
                "access_token": {"type": "http", "scheme": "bearer", "description": "A user's access token"},
                "initial_access_token": {"type": "http", "scheme": "bearer",
                    "description": "Lets an application register itself: tia_…"},
                "registration_access_token": {"type": "http", "scheme": "bearer",
                    "description": "By which an application manages what it registered: tra_…"},
                "admin_key": {"type": "http", "scheme": "bearer",
                    "description": "An admin key, tak_…, or an access token of the built-in project with the scope admin"},
            },
        },
    })
}

fn show(operation: &Operation) -> Value {
    let done = match operation.status {
        204 => json!({"description": "Done"}),
        _ => json!({"description": "Done", "content": {operation.answer_type: {"schema": operation.answer}}}),
    };
    let mut responses = json!({operation.status.to_string(): done});
    if operation.or_ok {
        responses["200"] = done;
    }
    if let Some(responses) = responses.as_object_mut() {
        for status in REFUSALS.iter().map(|(status, _)| status) {
            responses.insert((*status).into(), json!({"$ref": format!("#/components/responses/{status}")}));
        }
    }
    let mut shown = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(&operation.path)],
        "parameters": parameters(operation),
        "responses": responses,
        "security": security(operation.caller),
    });
    if let Some(shown) = shown.as_object_mut() {
        if let Some(roles) = roles(operation) {
            shown.insert("x-admin-roles".into(), roles);
        }
        if operation.picture {
            let kinds = LogoKind::ALL.map(|kind| (kind.content_type().to_owned(), json!({})));
            let body = json!({"required": true, "content": Map::from_iter(kinds)});
            shown.insert("requestBody".into(), body);
        }
        if let Some(members) = &operation.body {
            let kind = if operation.form { "application/x-www-form-urlencoded" } else { "application/json" };
            let schema = super::parts::schema(members.iter().cloned());
            let body = json!({"required": !operation.body_optional, "content": {kind: {"schema": schema}}});
            shown.insert("requestBody".into(), body);
        }
    }
    shown
}

fn tag(path: &str) -> &'static str {
    match path {
        _ if path.starts_with("/admin") => "Admin API",
        _ if path.contains("/api/") => "Session API",
        _ => "OpenID Connect",
    }
}

/// What stands in braces in the path, and the query.
fn parameters(operation: &Operation) -> Vec<Value> {
    let in_path = operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let in_path = in_path.map(
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}),
    );
    let in_query = operation.query.iter().map(|(name, schema)| {
        let bare = name.trim_end_matches('!');
        json!({"name": bare, "in": "query", "required": bare != *name, "schema": schema})
    });
    let mut all: Vec<Value> = in_path.chain(in_query).collect();
    if method(operation).is_some_and(|method| permissions::is_versioned(&method, &operation.path)) {
        all.push(json!({"name": "If-Match", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "The ETag that was read"}));
    }
    all
}

fn security(caller: Caller) -> Value {
    let names: &[&str] = match caller {
        Caller::Anyone => return json!([]),
        Caller::Client => &["client"],
        Caller::AccessToken => &["access_token"],
        Caller::Admin => &["admin_key"],
        Caller::ClientOrAdmin => &["client", "admin_key"],
        Caller::InitialAccessToken => &["initial_access_token"],
        Caller::Registration => &["registration_access_token"],
        Caller::AccessTokenOrAdmin => &["access_token", "admin_key"],
    };
    names.iter().map(|name| json!({*name: []})).collect()
}

/// The operation's row in the table of those that take an admin key.
fn endpoint(operation: &Operation) -> Option<&'static Endpoint> {
    permissions::find(&method(operation)?, &operation.path)
}

fn method(operation: &Operation) -> Option<Method> {
    Method::from_bytes(operation.method.to_ascii_uppercase().as_bytes()).ok()
}

/// The roles whose admin keys may call.
fn roles(operation: &Operation) -> Option<Value> {
    let endpoint = endpoint(operation)?;
    let roles = Role::ALL.into_iter().filter(|role| role.may(endpoint.permission));
    Some(roles.map(|role| Value::from(role.as_str())).collect())
}

/// What every operation may answer.
const REFUSALS: [(&str, &str); 11] = [
    ("400", "The request is malformed, or what it presents is not valid"),
    ("401", "The caller does not prove who it is"),
    ("403", "The caller may not do this"),
    ("404", "There is no such project, or no such object in it"),
    ("405", "This address takes another method"),
    ("408", "The body did not arrive in time"),
    ("409", "It exists already, or its state does not allow this"),
    ("412", "It was changed since the version that If-Match names"),
    ("413", "The body is larger than 64 KiB"),
    ("415", "The body has another content type"),
    ("503", "The store is away or too busy: try again after Retry-After seconds"),
];

fn refusals() -> Value {
    let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}});
    let all = REFUSALS.iter().map(|(status, description)| {
        ((*status).to_owned(), json!({"description": description, "content": content}))
    });
    Value::Object(all.collect())
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error", "error_description", "request_id"],
        "properties": {
            "error": {"type": "string", "description": "OAuth's code where OAuth has one"},
            "error_description": {"type": "string", "description": "For whoever reads it; may change"},
            "field": {"type": "string", "description": "The field or parameter at fault"},
            "reason": {"type": "string", "description": "Why an access token is not valid, as verifyaccesstoken names it"},
            "request_id": {"type": "string", "description": "Stands in the server's log as well"},
        },
    })
}
