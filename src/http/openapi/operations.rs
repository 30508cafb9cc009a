//! Every operation of the API, in the order of the guide; the admin API has a file of its own.

use serde_json::{Value, json};

use super::parts::{
    Caller, Member, Operation, answer, flag, number, object, one_of, operation, schema, text, texts, user,
};
use super::{account_operations, admin_operations, mail_operations, registration_operations};
use crate::model::bulk::Outcome;
use crate::model::client::GrantType;

const API: &str = "/projects/{project}/api";
const OIDC: &str = "/projects/{project}";

pub fn operations() -> Vec<Operation> {
    let (registration, admin) = (registration_operations::operations(), admin_operations::operations());
    let (account, mail) = (account_operations::operations(), mail_operations::operations());
    [session(), account, deletion(), protocol(), registration, admin, mail].into_iter().flatten().collect()
}

/// Credentials of a client that does not use HTTP Basic.
fn credentials() -> [Member; 4] {
    [
        ("client_id", text()),
        ("client_secret", text()),
        ("client_assertion_type", text()),
        ("client_assertion", text()),
    ]
}

fn tokens() -> Value {
    answer([
        ("id_token!", text()),
        ("access_token!", text()),
        ("refresh_token!", text()),
        ("token_type!", one_of(&["Bearer", "DPoP"])),
        ("expires_in!", number()),
        ("refresh_expires_in!", number()),
        ("scope!", text()),
    ])
}

fn session() -> Vec<Operation> {
    let api = |route: &str| route.replace("/api", API);
    let judged = json!({"oneOf": [
        answer([("active!", json!({"const": true})), ("claims!", object()), ("claims_stale!", flag()),
            ("audience_checked!", flag())]),
        answer([("active!", json!({"const": false})), ("reason!", text()), ("detail!", text())]),
    ]});
    let proof = schema([("proof!", text()), ("method!", text()), ("url!", text())]);
    let lifetimes = ["access_token", "id_token", "refresh_token", "refresh_idle"];
    let units = schema(lifetimes.map(|name| (name, one_of(&["seconds", "minutes", "hours", "days"]))));
    let change = lifetimes.map(|name| (name, number()));
    let change = [("client_id!", text())].into_iter().chain(change).chain([("units", units)]);
    let names = || schema([("add", texts()), ("remove", texts())]);
    vec![
        operation(&api("POST /api/GetTokenFromCode"), "GetTokenFromCode", "Exchanges a code for tokens")
            .by(Caller::Client)
            .body(credentials().into_iter().chain([
                ("code!", text()),
                ("redirect_uri!", text()),
                ("code_verifier", text()),
            ]))
            .answers(200, tokens()),
        operation(&api("POST /api/refresh"), "refresh", "Gives fresh tokens for a refresh token")
            .by(Caller::Client)
            .body(credentials().into_iter().chain([("refresh_token!", text()), ("scope", text())]))
            .answers(200, tokens()),
        operation(
            &api("POST /api/verifyaccesstoken"),
            "verifyaccesstoken",
            "Says whether a token lives, or why not",
        )
        .by(Caller::ClientOrAdmin)
        .body(credentials().into_iter().chain([
            ("access_token!", text()),
            ("audience", text()),
            ("required_scopes", texts()),
            ("required_roles", texts()),
            ("required_groups", texts()),
            ("required_attributes", object()),
            ("dpop", proof),
        ]))
        .answers(200, judged),
        operation(
            &api("POST /api/userinfofromaccesstoken"),
            "userinfofromaccesstoken",
            "The user's claims as they are now, limited by scope",
        )
        .by(Caller::AccessToken)
        .optional_body([("access_token", text())])
        .answers(200, answer([("sub!", text())])),
        operation(&api("POST /api/GlobalSignOut"), "GlobalSignOut", "Ends every token family of a user")
            .by(Caller::AccessTokenOrAdmin)
            .optional_body([("user", user()), ("end_browser_sessions", flag())])
            .answers(
                200,
                answer([
                    ("families_ended!", number()),
                    ("browser_sessions_ended!", number()),
                    ("effective_at!", text()),
                ]),
            ),
        operation(&api("GET /api/token-validity"), "read_token_validity", "How long a client's tokens live")
            .query([("client_id!", text())]),
        operation(
            &api("PUT /api/token-validity"),
            "token_validity",
            "Changes how long a client's tokens live",
        )
        .query([("client_id", text())])
        .body(change),
        operation(
            &api("POST /api/attribute-update"),
            "attribute_update",
            "Changes attributes, roles and groups of a user",
        )
        .by(Caller::AccessTokenOrAdmin)
        .body([
            ("user", user()),
            ("set", object()),
            ("remove", texts()),
            ("roles", names()),
            ("groups", names()),
        ]),
    ]
}

fn deletion() -> Vec<Operation> {
    let api = |route: &str| route.replace("/api", API);
    let mut request = operation(
        &api("POST /api/delete-user"),
        "delete_user",
        "Asks for the deletion of a user; nothing goes yet",
    )
    .body([
        ("user!", user()),
        ("reason!", text()),
        ("notify", flag()),
        ("notify_reason", text()),
        ("dry_run", flag()),
    ]);
    request.status = 202;
    let filter = schema([
        ("status", one_of(&["active", "disabled"])),
        ("username_prefix", text()),
        ("created_before", text()),
        ("inactive_since", text()),
        ("group", text()),
        ("role", text()),
    ]);
    vec![
        request,
        operation(
            &api("POST /api/delete-user/confirm"),
            "confirm_deletion",
            "Confirms, and deletes or schedules",
        )
        .body([("deletion_id!", text()), ("confirmation", text())]),
        operation(
            &api("POST /api/delete-user/cancel"),
            "cancel_deletion",
            "Cancels what is not executed yet",
        )
        .body([("deletion_id!", text())]),
        operation(&api("GET /api/delete-user/{deletion_id}"), "read_deletion", "The state of a deletion"),
        operation(
            &api("GET /api/delete-user/{deletion_id}/record"),
            "read_erasure_record",
            "A signed statement of what was erased and when, to be checked with the JWK Set",
        )
        .answers_as("application/jwt", text()),
        operation(
            &api("POST /api/delete-users"),
            "delete_users",
            "Asks for the deletion of many users; nothing goes yet",
        )
        .body([
            ("users", texts()),
            ("filter", filter),
            ("reason!", text()),
            ("notify", flag()),
            ("notify_reason", text()),
        ])
        .answers(202, object()),
        operation(
            &api("POST /api/delete-users/cancel"),
            "cancel_deletion_of_many",
            "Stops what waits or runs; nobody else is deleted",
        )
        .body([("deletion_id!", text())]),
        operation(
            &api("GET /api/delete-users/{deletion_id}"),
            "read_deletion_of_many",
            "How far a deletion of many is",
        ),
        operation(
            &api("GET /api/delete-users/{deletion_id}/results"),
            "list_results",
            "What has become of each user",
        )
        .paged()
        .query([("outcome", one_of(&Outcome::ALL.map(Outcome::as_str)))]),
    ]
}

fn protocol() -> Vec<Operation> {
    let oidc = |route: &str| route.replace("/~", OIDC);
    vec![
        operation(
            &oidc("GET /~/.well-known/openid-configuration"),
            "discovery",
            "OpenID Connect Discovery 1.0",
        )
        .by(Caller::Anyone),
        operation(
            &oidc("GET /~/.well-known/oauth-authorization-server"),
            "discovery_by_suffix",
            "The same (RFC 8414)",
        )
        .by(Caller::Anyone),
        operation(
            "GET /.well-known/oauth-authorization-server/projects/{project}",
            "discovery_by_path",
            "The same, at the location of RFC 8414, 3.1",
        )
        .by(Caller::Anyone),
        operation(&oidc("GET /~/.well-known/jwks.json"), "jwks", "The keys that verify tokens (RFC 7517)")
            .by(Caller::Anyone),
        operation(&oidc("POST /~/oauth2/token"), "token", "The token endpoint (RFC 6749, 3.2)")
            .by(Caller::Client)
            .form()
            .body(credentials().into_iter().chain([
                ("grant_type!", one_of(&GrantType::ALL.map(GrantType::as_str))),
                ("code", text()),
                ("redirect_uri", text()),
                ("code_verifier", text()),
                ("device_code", text()),
                ("refresh_token", text()),
                ("scope", text()),
                ("subject_token", text()),
                ("subject_token_type", text()),
                ("requested_token_type", text()),
                ("audience", text()),
            ]))
            .answers(
                200,
                answer([
                    ("access_token!", text()),
                    ("token_type!", one_of(&["Bearer", "DPoP"])),
                    ("expires_in!", number()),
                    ("scope", text()),
                    ("id_token", text()),
                    ("refresh_token", text()),
                    ("refresh_expires_in", number()),
                    ("issued_token_type", text()),
                ]),
            ),
        operation(
            &oidc("POST /~/oauth2/introspect"),
            "introspect",
            "How a token of the client, or meant for it, stands now (RFC 7662)",
        )
        .by(Caller::Client)
        .form()
        .body(credentials().into_iter().chain([("token!", text()), ("token_type_hint", text())]))
        .answers(200, answer([("active!", flag())])),
        operation(&oidc("POST /~/oauth2/revoke"), "revoke", "Ends a token of the client (RFC 7009)")
            .by(Caller::Client)
            .form()
            .body(credentials().into_iter().chain([("token!", text()), ("token_type_hint", text())])),
        operation(
            &oidc("POST /~/oauth2/par"),
            "push_authorization_request",
            "Takes an authorization request ahead (RFC 9126)",
        )
        .by(Caller::Client)
        .form()
        .body(credentials().into_iter().chain([
            ("response_type!", one_of(&["code"])),
            ("redirect_uri", text()),
            ("scope", text()),
            ("state", text()),
            ("nonce", text()),
            ("code_challenge", text()),
            ("code_challenge_method", one_of(&["S256"])),
        ]))
        .answers(201, answer([("request_uri!", text()), ("expires_in!", number())])),
        operation(
            &oidc("POST /~/oauth2/device_authorization"),
            "device_authorization",
            "Gives a device its codes (RFC 8628, 3.1)",
        )
        .by(Caller::Client)
        .form()
        .body(credentials().into_iter().chain([
            ("scope", text()),
            ("acr_values", text()),
            ("max_age", number()),
        ]))
        .answers(
            200,
            answer([
                ("device_code!", text()),
                ("user_code!", text()),
                ("verification_uri!", text()),
                ("verification_uri_complete!", text()),
                ("expires_in!", number()),
                ("interval!", number()),
            ]),
        ),
        operation(
            &oidc("GET /~/oauth2/userinfo"),
            "userinfo",
            "Claims about the user (OpenID Connect Core, 5.3)",
        )
        .by(Caller::AccessToken),
        operation(&oidc("POST /~/oauth2/userinfo"), "userinfo_by_post", "The same by POST")
            .by(Caller::AccessToken),
    ]
}
