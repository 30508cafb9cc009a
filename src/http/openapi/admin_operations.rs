//! The operations of the admin API.

use serde_json::json;

use super::parts::{Member, Operation, answer, flag, number, object, one_of, operation, schema, text, texts};
use super::people_operations;
use crate::events::Kind;
use crate::model::client::GrantType;
use crate::model::sign_in_policy::FactorKind;
use crate::projects::outbox::STATES;

pub(super) const PROJECT: &str = "/admin/projects/{project}";

pub fn operations() -> Vec<Operation> {
    [projects(), audit(), webhooks(), sandbox(), clients(), people_operations::operations(), instance()]
        .into_iter()
        .flatten()
        .collect()
}

fn projects() -> Vec<Operation> {
    let status = || ("status", one_of(&["active", "disabled"]));
    vec![
        operation("GET /admin/projects", "list_projects", "The projects that the key reaches").paged(),
        operation("POST /admin/projects", "create_project", "Makes a project with its issuer and keys")
            .body([
                ("slug!", text()),
                ("name", text()),
                ("kind", one_of(&["live", "sandbox"])),
                ("settings", object()),
            ])
            .answers(201, object()),
        operation(&format!("GET {PROJECT}"), "read_project", "One project"),
        operation(&format!("PATCH {PROJECT}"), "change_project", "Changes what is named").body([
            ("name", text()),
            status(),
            ("settings", object()),
        ]),
        operation(
            &format!("DELETE {PROJECT}"),
            "delete_project",
            "Asks for the deletion of a project and everybody in it",
        )
        .optional_body([("reason", text())])
        .rehearsed()
        .answers(202, object())
        .or_ok(),
        operation(
            &format!("GET {PROJECT}/confirmations/{{id}}"),
            "read_confirmation",
            "What waits to be confirmed before it ends",
        ),
        operation(
            &format!("POST {PROJECT}/confirmations/{{id}}"),
            "confirm",
            "Confirms, and ends what was asked for",
        )
        .optional_body([("confirmation", text())]),
        operation(&format!("DELETE {PROJECT}/confirmations/{{id}}"), "cancel_confirmation", "Calls it off"),
        operation(
            &format!("PUT {PROJECT}/logo"),
            "put_logo",
            "Shows a picture on the pages: PNG, JPEG or WebP, at most 24 KiB",
        )
        .picture(),
        operation(&format!("DELETE {PROJECT}/logo"), "delete_logo", "Shows no picture on the pages")
            .rehearsed(),
        operation(
            &format!("POST {PROJECT}/end-all-sessions"),
            "end_all_sessions",
            "Signs everybody out at once",
        )
        .rehearsed()
        .optional_body([("reason", text())]),
        operation(
            &format!("GET {PROJECT}/audit"),
            "read_audit",
            "What happened in the project, and from where",
        )
        .paged()
        .of(audited())
        .query(["order", "since", "until", "actor", "action", "target", "user"].map(|name| (name, text()))),
        operation(
            &format!("GET {PROJECT}/outbox"),
            "list_outbox",
            "Messages by state; without one, those that were given up",
        )
        .paged()
        .query([("state", one_of(&STATES))]),
        operation(
            &format!("POST {PROJECT}/outbox/{{id}}/retry"),
            "retry_message",
            "Has a dead message sent again",
        ),
    ]
}

fn webhooks() -> Vec<Operation> {
    let all = format!("{PROJECT}/webhooks");
    vec![
        operation(&format!("GET {all}"), "list_webhooks", "Where the project is told of its users"),
        operation(&format!("POST {all}"), "create_webhook", "Registers an address; its secret is told once")
            .body([("uri!", text())])
            .answers(201, object()),
        operation(&format!("DELETE {all}/{{id}}"), "delete_webhook", "Sends nothing there any more")
            .rehearsed(),
    ]
}

/// For projects of the kind sandbox; a live one answers 409.
fn sandbox() -> Vec<Operation> {
    let at = |method: &str, name: &str| format!("{method} {PROJECT}/sandbox/{name}");
    vec![
        operation(&at("GET", "clock"), "read_sandbox_clock", "What the clock of the sandbox shows"),
        operation(
            &at("POST", "clock"),
            "advance_sandbox_clock",
            "Moves the clock forwards and does what is due by then",
        )
        .body([("advance_seconds", number()), ("now", text())]),
        operation(&at("GET", "messages"), "list_sandbox_messages", "Mail and messages that were caught")
            .paged(),
        operation(&at("GET", "faults"), "list_sandbox_faults", "Faults that wait for their requests"),
        operation(&at("POST", "faults"), "arm_sandbox_fault", "Has the next requests fail")
            .body([
                ("endpoint!", text()),
                ("kind!", one_of(&["unavailable", "lose_response", "delay"])),
                ("delay_ms", number()),
                ("times", number()),
            ])
            .answers(201, object()),
        operation(&at("DELETE", "faults"), "disarm_sandbox_faults", "Takes all faults back"),
        operation(&at("POST", "seed"), "plant_sandbox_seed", "Remembers everybody who is there, for a reset"),
        operation(&at("POST", "reset"), "reset_sandbox", "Goes back to the people of the seed"),
    ]
}

/// JSON Lines, an event on each.
fn exported(path: &str, id: &'static str, summary: &'static str) -> Operation {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 500});
    operation(path, id, summary)
        .query([("after", number()), ("limit", limit)])
        .answers_as("application/x-ndjson", text())
}

/// An entry of a log. Without an origin: no request was behind it, or the person whose it was is gone.
fn audited() -> serde_json::Value {
    let mut origin = schema([("address!", text()), ("user_agent!", text())]);
    origin["type"] = json!(["object", "null"]);
    answer([
        ("seq!", number()),
        ("at!", text()),
        ("actor!", text()),
        ("actor_kind!", text()),
        ("action!", text()),
        ("target!", text()),
        ("reason!", text()),
        ("detail!", object()),
        ("request_id!", text()),
        ("personal!", json!({"type": ["object", "null"]})),
        ("origin!", origin),
    ])
}

fn audit() -> Vec<Operation> {
    let signed = || answer([("seq!", number()), ("at!", text()), ("kid!", text()), ("jws!", text())]);
    vec![
        exported(&format!("GET {PROJECT}/audit/export"), "export_audit", "The project's log as JSON Lines"),
        exported("GET /admin/audit/export", "export_instance_audit", "The instance's log as JSON Lines"),
        operation(
            &format!("GET {PROJECT}/audit/checkpoints"),
            "list_audit_checkpoints",
            "What the project's key has signed of its log, newest first",
        )
        .paged(),
        operation(
            &format!("POST {PROJECT}/audit/checkpoints"),
            "make_audit_checkpoint",
            "Signs the end of the log; 200 with the last one when nothing has happened since",
        )
        .optional_body([])
        .answers(201, signed())
        .or_ok(),
        operation(
            "GET /admin/audit/checkpoints",
            "list_instance_audit_checkpoints",
            "What the key of the project admin has signed of the instance's log, newest first",
        )
        .paged(),
        operation(
            "POST /admin/audit/checkpoints",
            "make_instance_audit_checkpoint",
            "Signs the end of the instance's log; 200 with the last one when nothing has happened since",
        )
        .optional_body([])
        .answers(201, signed())
        .or_ok(),
        operation(
            &format!("GET {PROJECT}/events"),
            "list_events",
            "Sign-ins, refreshes and failures, newest first",
        )
        .paged()
        .query(["since", "until", "outcome", "client_id", "user"].map(|name| (name, text())))
        .query([("kind", one_of(&Kind::ALL.map(Kind::as_str)))]),
    ]
}

/// What a client has beside its name, as RFC 7591 names it where it does.
fn client_settings() -> Vec<Member> {
    vec![
        ("redirect_uris", texts()),
        ("grant_types", json!({"type": "array", "items": one_of(&GrantType::ALL.map(GrantType::as_str))})),
        ("jwks", json!({"type": ["object", "null"]})),
        ("jwks_uri", json!({"type": ["string", "null"]})),
        ("token_endpoint_auth_signing_alg", json!({"enum": ["ES256", "RS256", "EdDSA", null]})),
        ("token_exchange_audiences", texts()),
        (
            "token_endpoint_auth_method",
            json!({"enum": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none", null]}),
        ),
        ("scope", json!({"type": ["string", "null"]})),
        ("first_party", flag()),
        ("client_uri", json!({"type": ["string", "null"]})),
        ("policy_uri", json!({"type": ["string", "null"]})),
        ("tos_uri", json!({"type": ["string", "null"]})),
        ("subject_type", one_of(&["public", "pairwise"])),
        ("sector_identifier_uri", json!({"type": ["string", "null"]})),
        ("default_max_age", json!({"type": ["integer", "null"]})),
        ("second_factor", json!({"enum": ["optional", "required", null]})),
        (
            "factors",
            json!({"type": ["array", "null"], "items": one_of(&FactorKind::ALL.map(FactorKind::as_str))}),
        ),
        ("remember_device_days", json!({"type": ["integer", "null"]})),
        ("require_pkce", flag()),
        ("require_pushed_authorization_requests", flag()),
        ("dpop_bound_access_tokens", flag()),
        ("require_dpop_nonce", flag()),
        ("refresh_rotation", json!({"type": ["boolean", "null"]})),
        ("refresh_retry", one_of(&["window", "until_used"])),
        ("refresh_grace_seconds", number()),
        ("audience", json!({"type": ["string", "null"]})),
        ("resource_servers", texts()),
        ("serves", texts()),
        ("initiate_login_uri", json!({"type": ["string", "null"]})),
        ("post_logout_redirect_uris", texts()),
        ("backchannel_logout_uri", json!({"type": ["string", "null"]})),
        ("backchannel_logout_session_required", flag()),
        ("allowed_origins", texts()),
        ("id_token_signed_response_alg", one_of(&["ES256", "RS256", "EdDSA"])),
        ("access_token_signed_response_alg", one_of(&["ES256", "RS256", "EdDSA"])),
    ]
}

fn clients() -> Vec<Operation> {
    let one = format!("{PROJECT}/clients/{{client_id}}");
    let kinds = one_of(&["confidential", "public", "service"]);
    let new = [("client_name!", text()), ("type!", kinds)].into_iter().chain(client_settings());
    let change = [("client_name", text()), ("status", one_of(&["active", "disabled"]))];
    vec![
        operation(&format!("GET {PROJECT}/clients"), "list_clients", "The project's applications").paged(),
        operation(
            &format!("POST {PROJECT}/clients"),
            "create_client",
            "Registers an application; its secret is told once",
        )
        .body(new)
        .answers(201, object()),
        operation(&format!("GET {one}"), "read_client", "One application"),
        operation(&format!("PATCH {one}"), "change_client", "Changes what is named")
            .body(change.into_iter().chain(client_settings())),
        operation(
            &format!("DELETE {one}"),
            "delete_client",
            "Asks for the deletion of an application; its sessions end with it",
        )
        .optional_body([("reason", text())])
        .rehearsed()
        .answers(202, object())
        .or_ok(),
        operation(
            &format!("POST {one}/rotate-secret"),
            "rotate_secret",
            "Makes another secret; two may live at once",
        )
        .optional_body([("old_secret_lives_seconds", number()), ("leaked", flag())]),
        operation(&format!("DELETE {one}/secrets/{{slot}}"), "remove_secret", "Ends one of the two secrets")
            .rehearsed(),
    ]
}

/// OpenID Connect Core, 5.1, as an admin may set them.
fn instance() -> Vec<Operation> {
    vec![
        operation("GET /admin/admin-keys", "list_admin_keys", "Admin keys that the key reaches")
            .paged()
            .query([("project", text())]),
        operation("POST /admin/admin-keys", "create_admin_key", "Makes an admin key, which is told once")
            .body([
                ("name!", text()),
                ("role!", one_of(&["owner", "admin", "user_manager", "auditor"])),
                ("project", text()),
            ])
            .answers(201, object()),
        operation("GET /admin/admin-keys/{id}", "read_admin_key", "One admin key"),
        operation("DELETE /admin/admin-keys/{id}", "revoke_admin_key", "Revokes an admin key at once")
            .rehearsed(),
        operation("GET /admin/admins", "list_admins", "Roles of people, as far as the caller reaches")
            .paged()
            .query([("project", text())]),
        operation("POST /admin/admins", "grant_role", "Gives a person of the built-in project a role")
            .body([
                ("user!", json!({"type": ["string", "object"]})),
                ("role!", one_of(&["owner", "admin", "user_manager", "auditor"])),
                ("project", text()),
            ])
            .answers(201, object()),
        operation("GET /admin/admins/{id}", "read_role_of_admin", "One role of a person"),
        operation("DELETE /admin/admins/{id}", "revoke_role_of_admin", "Takes the role away at once")
            .rehearsed(),
        operation(
            "GET /admin/audit",
            "read_instance_audit",
            "What happened above the projects, and from where",
        )
        .paged()
        .of(audited())
        .query(["order", "since", "until", "actor", "action", "target"].map(|name| (name, text()))),
        operation("GET /admin/jobs", "list_jobs", "When each background job ran last, and how it ended"),
    ]
}
