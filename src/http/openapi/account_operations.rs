//! What a project's own application does with the account of whoever is signed in.

use serde_json::{Value, json};

use super::parts::{Caller, Operation, answer, flag, number, object, operation, text, texts};
use super::people_operations::{claims, devices, devices_forgotten, held};

fn ended() -> Value {
    answer([("families_ended!", number()), ("browser_sessions_ended!", number()), ("effective_at!", text())])
}

fn passkey() -> Value {
    answer([
        ("id!", text()),
        ("name!", text()),
        ("created_at!", text()),
        ("last_used_at", json!({"type": ["string", "null"]})),
        ("backed_up!", flag()),
        ("usable!", flag()),
    ])
}

pub fn operations() -> Vec<Operation> {
    let of = |route: &str, id: &str, summary: &'static str| {
        operation(&route.replace("/~", "/projects/{project}/api/account"), id, summary)
            .by(Caller::AccessToken)
    };
    let user = || answer([("id!", text()), ("attributes!", object()), ("version!", number())]);
    vec![
        of("GET /~/profile", "read_own_profile", "The own record").answers(200, user()),
        of("PATCH /~/profile", "change_own_profile", "Changes standard claims and user_writable attributes")
            .body([("attributes", object())].into_iter().chain(claims()))
            .answers(200, user()),
        of("GET /~/sessions", "list_own_sessions", "The own sessions that live, the newest first").paged(),
        of(
            "POST /~/sessions/end-others",
            "end_own_other_sessions",
            "Ends every session of the user but the one that asks",
        )
        .answers(200, ended()),
        of("DELETE /~/sessions/{sid}", "end_own_session", "Ends one session").answers(200, ended()),
        of("GET /~/consents", "list_own_consents", "What the user has allowed applications of others")
            .paged(),
        of(
            "DELETE /~/consents/{client_id}",
            "withdraw_own_consent",
            "Withdraws a consent, and ends what came of it",
        )
        .answers(
            200,
            answer([("client_id!", text()), ("families_ended!", number()), ("effective_at!", text())]),
        ),
        of("GET /~/passkeys", "list_own_passkeys", "The own passkeys")
            .answers(200, answer([("items!", json!({"type": "array", "items": passkey()}))])),
        of("POST /~/passkeys/begin", "begin_own_passkey", "What a browser is asked for a new passkey")
            .optional_body([])
            .answers(200, answer([("options!", object()), ("challenge!", text())])),
        of("POST /~/passkeys/finish", "finish_own_passkey", "Takes the passkey that a browser made")
            .body([("challenge!", text()), ("credential!", object()), ("name", text())])
            .answers(201, passkey()),
        of("PATCH /~/passkeys/{id}", "rename_own_passkey", "Gives a passkey another name")
            .body([("name!", text())])
            .answers(200, passkey()),
        of("DELETE /~/passkeys/{id}", "remove_own_passkey", "Removes a passkey")
            .answers(200, answer([("id!", text())])),
        of("GET /~/factors", "list_own_factors", "The own second factors")
            .answers(200, answer([("items!", Value::Bool(true)), ("recovery_codes_left!", number())])),
        of("PATCH /~/factors/{id}", "rename_own_factor", "Gives a second factor another name")
            .body([("name!", text())])
            .answers(200, answer([("id!", text()), ("kind!", text()), ("name!", text())])),
        of("DELETE /~/factors/{id}", "remove_own_factor", "Removes a second factor")
            .answers(200, answer([("id!", text())])),
        of(
            "POST /~/factors/app",
            "begin_own_app",
            "What an authenticator app is told; nothing is stored yet",
        )
        .optional_body([])
        .answers(200, answer([("key!", text()), ("uri!", text()), ("enrolment!", text())])),
        of("POST /~/factors/app/confirm", "confirm_own_app", "Adds the app, once it has shown a code")
            .body([("enrolment!", text()), ("code!", text()), ("name!", text())])
            .answers(201, answer([("factor!", object())])),
        of(
            "POST /~/recovery-codes",
            "make_own_recovery_codes",
            "New recovery codes, which void the former ones",
        )
        .optional_body([])
        .answers(201, answer([("recovery_codes!", texts())])),
        of("GET /~/devices", "list_own_devices", "The browsers that are not asked again for a second factor")
            .answers(200, devices()),
        of("DELETE /~/devices", "forget_own_devices", "Asks for the second factor again in all of them")
            .answers(200, devices_forgotten()),
        of("DELETE /~/devices/{id}", "forget_own_device", "Asks for the second factor again in one browser")
            .answers(200, devices_forgotten()),
        of("POST /~/email", "change_own_address", "Mails the link that moves the account to another address")
            .body([("email!", text())])
            .answers(202, answer([("sent_to!", text())])),
        of("POST /~/email/verify", "verify_own_address", "Mails the link that verifies the address")
            .optional_body([])
            .answers(202, object()),
        of(
            "POST /~/password",
            "change_own_password",
            "Changes the password, and ends every session but the one that asks",
        )
        .body([("current_password", text()), ("new_password!", text())])
        .answers(200, ended()),
        of(
            "GET /~/data",
            "download_own_data",
            "Everything that is held on the user; signed with Accept: application/jwt",
        )
        .answers(200, held()),
        of("POST /~/delete", "delete_own_account", "Deletes the account, where the project allows it")
            .body([("confirmation!", text())])
            .answers(200, answer([("deletion_id!", text()), ("state!", text()), ("execute_at", text())])),
    ]
}
