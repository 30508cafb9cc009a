//! The operations of the admin API that are about people, and about what a project knows of them.

use serde_json::{Value, json};

use super::admin_operations::PROJECT;
use super::parts::{Member, Operation, answer, flag, number, object, one_of, operation, text, texts};

pub fn operations() -> Vec<Operation> {
    [people(), guards(), definitions(), scopes()].into_iter().flatten().collect()
}

pub(super) fn claims() -> Vec<Member> {
    let names =
        ["name", "given_name", "family_name", "nickname", "picture", "locale", "zoneinfo", "phone_number"];
    names.into_iter().map(|name| (name, text())).collect()
}

/// All that is held on somebody.
pub(super) fn held() -> Value {
    answer([
        ("made_at!", text()),
        ("issuer!", text()),
        ("user!", object()),
        ("name_in_log!", text()),
        ("credentials!", Value::Bool(true)),
        ("sessions!", Value::Bool(true)),
        ("consents!", Value::Bool(true)),
        ("factors!", object()),
        ("passkeys!", Value::Bool(true)),
        ("remembered!", Value::Bool(true)),
        ("links!", Value::Bool(true)),
        ("messages!", Value::Bool(true)),
        ("guards!", Value::Bool(true)),
        ("deletions!", Value::Bool(true)),
        ("events!", Value::Bool(true)),
        ("sign_ins!", Value::Bool(true)),
        ("complete!", flag()),
    ])
}

/// The browsers that are not asked again for a second factor.
pub(super) fn devices() -> Value {
    let one = answer([
        ("id!", text()),
        ("device!", json!({"type": ["object", "null"]})),
        ("user_agent!", text()),
        ("address!", text()),
        ("created_at!", text()),
        ("last_used_at!", text()),
        ("expires_at!", text()),
    ]);
    answer([("items!", json!({"type": "array", "items": one}))])
}

pub(super) fn devices_forgotten() -> Value {
    answer([("devices_forgotten!", number())])
}

fn people() -> Vec<Operation> {
    let one = format!("{PROJECT}/users/{{user}}");
    let new = [
        ("username!", text()),
        ("email", json!({"type": ["string", "null"]})),
        ("email_verified", flag()),
        ("password", text()),
        ("attributes", object()),
        ("roles", texts()),
        ("groups", texts()),
    ];
    let change = [
        ("status", one_of(&["active", "disabled"])),
        ("username", text()),
        ("email", json!({"type": ["string", "null"]})),
        ("email_verified", flag()),
    ];
    vec![
        operation(
            &format!("GET {PROJECT}/users"),
            "list_users",
            "People, by the beginning of a name or an address",
        )
        .paged()
        .query([("search", text()), ("status", one_of(&["active", "disabled"]))]),
        operation(&format!("POST {PROJECT}/users"), "create_user", "Makes a user")
            .body(new.into_iter().chain(claims()))
            .answers(201, object()),
        operation(&format!("GET {one}"), "read_user", "One user"),
        operation(
            &format!("PATCH {one}"),
            "change_user",
            "Changes what is named; disabling ends all sessions",
        )
        .body(change.into_iter().chain(claims())),
        operation(
            &format!("POST {one}/set-password"),
            "set_password",
            "Sets the password and ends all sessions",
        )
        .body([("password!", text())]),
        operation(&format!("GET {one}/sessions"), "list_sessions", "Where the user is signed in").paged(),
        operation(&format!("DELETE {one}/sessions/{{sid}}"), "end_session", "Ends one session").rehearsed(),
        operation(&format!("GET {one}/factors"), "list_factors", "What the user has beside a password"),
        operation(
            &format!("DELETE {one}/factors"),
            "reset_factors",
            "Takes all second factors and recovery codes away and ends all sessions",
        )
        .rehearsed(),
        operation(
            &format!("DELETE {one}/factors/{{factor}}"),
            "reset_factor",
            "Takes one second factor away and ends all sessions",
        )
        .rehearsed(),
        operation(
            &format!("GET {one}/devices"),
            "list_devices",
            "The browsers in which the user is not asked again for a second factor",
        )
        .answers(200, devices()),
        operation(
            &format!("DELETE {one}/devices"),
            "forget_devices",
            "Asks for the second factor again in all of them",
        )
        .rehearsed()
        .answers(200, devices_forgotten()),
        operation(
            &format!("DELETE {one}/devices/{{device}}"),
            "forget_device",
            "Asks for the second factor again in one browser",
        )
        .rehearsed()
        .answers(200, devices_forgotten()),
        operation(
            &format!("GET {one}/export"),
            "export_user",
            "Everything that is held on the user; signed with Accept: application/jwt",
        )
        .answers(200, held()),
        operation(&format!("GET {one}/consents"), "list_consents", "What the user has allowed applications")
            .paged(),
        operation(
            &format!("DELETE {one}/consents/{{client_id}}"),
            "withdraw_consent",
            "Withdraws it; the application's sessions of the user end",
        )
        .rehearsed(),
    ]
}

/// What keeps a user from being deleted.
fn guards() -> Vec<Operation> {
    let of = |(path, id, what): (&str, &str, &'static str)| {
        let one = format!("{PROJECT}/users/{{user}}/{path}");
        let placed = || answer(["user!", "reason!", "placed_by!", "placed_at!"].map(|name| (name, text())));
        [
            operation(&format!("GET {one}"), format!("read_{id}"), what).answers(200, placed()),
            operation(&format!("PUT {one}"), format!("place_{id}"), "Nobody deletes the user from now on")
                .body([("reason!", text())])
                .answers(201, placed()),
            operation(&format!("DELETE {one}"), format!("lift_{id}"), "Lifts it").body([("reason!", text())]),
        ]
    };
    let kinds = [
        ("legal-hold", "legal_hold", "The legal hold on the user"),
        (
            "deletion-protection",
            "deletion_protection",
            "What protects the user from being deleted by mistake",
        ),
    ];
    kinds.into_iter().flat_map(of).collect()
}

fn definitions() -> Vec<Operation> {
    let attributes = format!("{PROJECT}/attribute-definitions");
    let members = || {
        [
            ("description", text()),
            ("user_writable", flag()),
            ("in_access_token", flag()),
            ("max_bytes", json!({"type": "integer", "maximum": 2048})),
        ]
    };
    let kinds = one_of(&["string", "number", "boolean", "string_list"]);
    let new = [("name!", text()), ("type!", kinds)];
    let mut all = vec![
        operation(
            &format!("GET {attributes}"),
            "list_attribute_definitions",
            "What the project knows of its users",
        ),
        operation(&format!("POST {attributes}"), "define_attribute", "Defines an attribute")
            .body(new.into_iter().chain(members()))
            .answers(201, object()),
        operation(&format!("GET {attributes}/{{name}}"), "read_attribute_definition", "One definition"),
        operation(
            &format!("PATCH {attributes}/{{name}}"),
            "change_attribute_definition",
            "Changes what is named",
        )
        .body(members()),
        operation(
            &format!("DELETE {attributes}/{{name}}"),
            "delete_attribute_definition",
            "Deletes a definition",
        )
        .rehearsed(),
    ];
    for (list, one) in [("roles", "role"), ("groups", "group")] {
        let path = format!("{PROJECT}/{list}");
        let new = [("name!", text()), ("description", text())];
        all.extend([
            operation(&format!("GET {path}"), format!("list_{list}"), "Names that users hold").paged(),
            operation(&format!("POST {path}"), format!("create_{one}"), "Makes one")
                .body(new)
                .answers(201, object()),
            operation(&format!("GET {path}/{{name}}"), format!("read_{one}"), "One of them"),
            operation(&format!("PATCH {path}/{{name}}"), format!("change_{one}"), "Describes it")
                .body([("description!", text())]),
            operation(&format!("DELETE {path}/{{name}}"), format!("delete_{one}"), "Takes it from everybody")
                .rehearsed(),
            operation(&format!("GET {path}/{{name}}/users"), format!("list_users_of_{one}"), "Who holds it")
                .paged(),
        ]);
    }
    all
}

fn scopes() -> Vec<Operation> {
    let (scopes, servers) = (format!("{PROJECT}/scopes"), format!("{PROJECT}/resource-servers"));
    let shows = || [("description", text()), ("claims", texts()), ("attributes", texts())];
    let knows = || [("name", text()), ("scopes", texts())];
    let (one, server) = (format!("{scopes}/{{name}}"), format!("{servers}/{{id}}"));
    vec![
        operation(&format!("GET {scopes}"), "list_scopes", "What applications may ask for"),
        operation(&format!("POST {scopes}"), "define_scope", "Defines a scope")
            .body([("name!", text())].into_iter().chain(shows()))
            .answers(201, object()),
        operation(&format!("GET {one}"), "read_scope", "One scope"),
        operation(&format!("PATCH {one}"), "change_scope", "Changes what is named").body(shows()),
        operation(&format!("DELETE {one}"), "delete_scope", "Deletes a scope; it is granted no more")
            .rehearsed(),
        operation(&format!("GET {servers}"), "list_resource_servers", "The APIs that take tokens"),
        operation(&format!("POST {servers}"), "create_resource_server", "Makes a resource server")
            .body([("identifier!", text())].into_iter().chain(knows()))
            .answers(201, object()),
        operation(&format!("GET {server}"), "read_resource_server", "One resource server"),
        operation(&format!("PATCH {server}"), "change_resource_server", "Changes what is named")
            .body(knows()),
        operation(
            &format!("DELETE {server}"),
            "delete_resource_server",
            "Deletes a resource server; no more tokens are made for it",
        )
        .rehearsed(),
    ]
}
