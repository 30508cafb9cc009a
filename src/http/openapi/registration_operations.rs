//! The operations of dynamic client registration.

use super::parts::{Caller, Member, Operation, answer, flag, number, object, one_of, operation, text, texts};

const ONE: &str = "/projects/{project}/oauth2/register/{client_id}";
const TOKENS: &str = "/admin/projects/{project}/initial-access-tokens";

/// RFC 7591, 2; other members are passed over.
fn metadata() -> Vec<Member> {
    vec![
        ("client_name", text()),
        ("redirect_uris", texts()),
        ("grant_types", texts()),
        ("response_types", texts()),
        (
            "token_endpoint_auth_method",
            one_of(&["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]),
        ),
        ("scope", text()),
        ("jwks", object()),
        ("jwks_uri", text()),
        ("client_uri", text()),
        ("policy_uri", text()),
        ("tos_uri", text()),
        ("post_logout_redirect_uris", texts()),
        ("backchannel_logout_uri", text()),
        ("backchannel_logout_session_required", flag()),
        ("id_token_signed_response_alg", one_of(&["ES256", "RS256", "EdDSA"])),
        ("subject_type", one_of(&["public", "pairwise"])),
        ("require_pushed_authorization_requests", flag()),
        ("dpop_bound_access_tokens", flag()),
    ]
}

fn registered(more: impl IntoIterator<Item = Member>) -> serde_json::Value {
    let always = [
        ("client_id!", text()),
        ("client_id_issued_at!", number()),
        ("registration_client_uri!", text()),
        ("registration_access_token!", text()),
    ];
    answer(always.into_iter().chain(more).chain(metadata()))
}

pub fn operations() -> Vec<Operation> {
    let secret = [("client_secret", text()), ("client_secret_expires_at", number())];
    let own = [("client_id!", text()), ("client_secret", text())];
    let mut delete = operation(
        &format!("DELETE {ONE}"),
        "delete_registration",
        "Deletes the client; everything granted to it ends",
    )
    .by(Caller::Registration);
    delete.status = 204;
    vec![
        operation(
            "POST /projects/{project}/oauth2/register",
            "register_client",
            "An application registers itself (RFC 7591); off unless the project's settings say otherwise",
        )
        .by(Caller::InitialAccessToken)
        .body(metadata())
        .answers(201, registered(secret)),
        operation(&format!("GET {ONE}"), "read_registration", "What the client registered (RFC 7592, 2.1)")
            .by(Caller::Registration)
            .answers(200, registered([])),
        operation(&format!("PUT {ONE}"), "replace_registration", "Other metadata in its place")
            .by(Caller::Registration)
            .body(own.into_iter().chain(metadata()))
            .answers(200, registered([])),
        delete,
        operation(&format!("GET {TOKENS}"), "list_initial_access_tokens", "Who may register clients").paged(),
        operation(
            &format!("POST {TOKENS}"),
            "create_initial_access_token",
            "Lets somebody register clients; the token is told once",
        )
        .body([
            ("name!", text()),
            ("max_uses", number()),
            ("expires_in_seconds", number()),
            ("expires_at", text()),
        ])
        .answers(201, object()),
        operation(
            &format!("DELETE {TOKENS}/{{id}}"),
            "revoke_initial_access_token",
            "Lets nobody register with it any more",
        )
        .rehearsed(),
    ]
}
