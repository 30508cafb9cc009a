//! Which role may call which endpoint: the one table that decides, and that the docs are made from.

use axum::http::Method;

use crate::model::role::Permission;

/// Which admins an endpoint is for, beside their role: keys, and people with a token of the built-in project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the project that the path names, and those of all.
    Project,
    /// Everybody, each for what they reach: the handler looks no further.
    Own,
    /// Those of all projects only.
    Instance,
}

/// An endpoint that admins call, by method and path as the router knows it.
pub struct Endpoint {
    pub method: Method,
    pub path: &'static str,
    pub permission: Permission,
    pub reach: Reach,
    /// What it acts on has a version, so it honours `If-Match`.
    pub versioned: bool,
}

const fn endpoint(method: Method, path: &'static str, permission: Permission) -> Endpoint {
    Endpoint { method, path, permission, reach: Reach::Project, versioned: false }
}

const fn versioned(method: Method, path: &'static str, permission: Permission) -> Endpoint {
    Endpoint { method, path, permission, reach: Reach::Project, versioned: true }
}

const fn own(method: Method, path: &'static str, permission: Permission) -> Endpoint {
    Endpoint { method, path, permission, reach: Reach::Own, versioned: false }
}

const fn instance(method: Method, path: &'static str, permission: Permission) -> Endpoint {
    Endpoint { method, path, permission, reach: Reach::Instance, versioned: false }
}

/// An endpoint that is missing here is not for admins.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint(Method::POST, "/projects/{project}/api/verifyaccesstoken", Permission::ReadUsers),
    endpoint(Method::POST, "/projects/{project}/api/GlobalSignOut", Permission::ManageUsers),
    endpoint(Method::GET, "/projects/{project}/api/token-validity", Permission::Read),
    versioned(Method::PUT, "/projects/{project}/api/token-validity", Permission::Administer),
    versioned(Method::POST, "/projects/{project}/api/attribute-update", Permission::ManageUsers),
    endpoint(Method::POST, "/projects/{project}/api/delete-user", Permission::DeleteUsers),
    endpoint(Method::POST, "/projects/{project}/api/delete-user/confirm", Permission::DeleteUsers),
    endpoint(Method::POST, "/projects/{project}/api/delete-user/cancel", Permission::DeleteUsers),
    endpoint(Method::GET, "/projects/{project}/api/delete-user/{deletion_id}", Permission::ReadDeletions),
    endpoint(Method::GET, "/projects/{project}/api/delete-user/{deletion_id}/record", Permission::Read),
    endpoint(Method::POST, "/projects/{project}/api/delete-users", Permission::Administer),
    endpoint(Method::POST, "/projects/{project}/api/delete-users/cancel", Permission::Administer),
    endpoint(Method::GET, "/projects/{project}/api/delete-users/{deletion_id}", Permission::Read),
    endpoint(Method::GET, "/projects/{project}/api/delete-users/{deletion_id}/results", Permission::Read),
    own(Method::GET, "/admin/projects", Permission::Read),
    instance(Method::POST, "/admin/projects", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}", Permission::Read),
    versioned(Method::PATCH, "/admin/projects/{project}", Permission::Administer),
    versioned(Method::DELETE, "/admin/projects/{project}", Permission::Own),
    endpoint(Method::GET, "/admin/projects/{project}/confirmations/{id}", Permission::Read),
    // What a project's end takes beside this, the handler asks for.
    endpoint(Method::POST, "/admin/projects/{project}/confirmations/{id}", Permission::Administer),
    endpoint(Method::DELETE, "/admin/projects/{project}/confirmations/{id}", Permission::Administer),
    versioned(Method::PUT, "/admin/projects/{project}/logo", Permission::Administer),
    versioned(Method::DELETE, "/admin/projects/{project}/logo", Permission::Administer),
    endpoint(Method::POST, "/admin/projects/{project}/end-all-sessions", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/audit", Permission::Read),
    endpoint(Method::GET, "/admin/projects/{project}/audit/export", Permission::Read),
    endpoint(Method::GET, "/admin/projects/{project}/audit/checkpoints", Permission::Read),
    // Auditors too: it changes nothing, and what they keep is what it is for.
    endpoint(Method::POST, "/admin/projects/{project}/audit/checkpoints", Permission::Read),
    endpoint(Method::GET, "/admin/projects/{project}/events", Permission::Read),
    endpoint(Method::GET, "/admin/projects/{project}/outbox", Permission::Read),
    endpoint(Method::POST, "/admin/projects/{project}/outbox/{id}/retry", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/webhooks", Permission::Read),
    endpoint(Method::POST, "/admin/projects/{project}/webhooks", Permission::Administer),
    endpoint(Method::DELETE, "/admin/projects/{project}/webhooks/{id}", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/sandbox/clock", Permission::Read),
    endpoint(Method::POST, "/admin/projects/{project}/sandbox/clock", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/sandbox/messages", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/sandbox/faults", Permission::Read),
    endpoint(Method::POST, "/admin/projects/{project}/sandbox/faults", Permission::Administer),
    endpoint(Method::DELETE, "/admin/projects/{project}/sandbox/faults", Permission::Administer),
    endpoint(Method::POST, "/admin/projects/{project}/sandbox/seed", Permission::Administer),
    endpoint(Method::POST, "/admin/projects/{project}/sandbox/reset", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/clients", Permission::Read),
    endpoint(Method::POST, "/admin/projects/{project}/clients", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/clients/{client_id}", Permission::Read),
    versioned(Method::PATCH, "/admin/projects/{project}/clients/{client_id}", Permission::Administer),
    versioned(Method::DELETE, "/admin/projects/{project}/clients/{client_id}", Permission::Administer),
    versioned(
        Method::POST,
        "/admin/projects/{project}/clients/{client_id}/rotate-secret",
        Permission::Administer,
    ),
    versioned(
        Method::DELETE,
        "/admin/projects/{project}/clients/{client_id}/secrets/{slot}",
        Permission::Administer,
    ),
    endpoint(Method::POST, "/admin/projects/{project}/initial-access-tokens", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/initial-access-tokens", Permission::Read),
    endpoint(Method::DELETE, "/admin/projects/{project}/initial-access-tokens/{id}", Permission::Administer),
    own(Method::GET, "/admin/admin-keys", Permission::Own),
    own(Method::POST, "/admin/admin-keys", Permission::Own),
    own(Method::GET, "/admin/admin-keys/{id}", Permission::Own),
    own(Method::DELETE, "/admin/admin-keys/{id}", Permission::Own),
    own(Method::GET, "/admin/admins", Permission::Own),
    own(Method::POST, "/admin/admins", Permission::Own),
    own(Method::GET, "/admin/admins/{id}", Permission::Own),
    own(Method::DELETE, "/admin/admins/{id}", Permission::Own),
    instance(Method::GET, "/admin/audit", Permission::Read),
    instance(Method::GET, "/admin/audit/export", Permission::Read),
    instance(Method::GET, "/admin/audit/checkpoints", Permission::Read),
    instance(Method::POST, "/admin/audit/checkpoints", Permission::Read),
    instance(Method::GET, "/admin/jobs", Permission::Read),
    endpoint(Method::POST, "/admin/projects/{project}/users", Permission::ManageUsers),
    endpoint(Method::GET, "/admin/projects/{project}/users", Permission::ReadUsers),
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}", Permission::ReadUsers),
    versioned(Method::PATCH, "/admin/projects/{project}/users/{user}", Permission::ManageUsers),
    versioned(Method::POST, "/admin/projects/{project}/users/{user}/set-password", Permission::ManageUsers),
    endpoint(
        Method::POST,
        "/admin/projects/{project}/users/{user}/send-verification",
        Permission::ManageUsers,
    ),
    endpoint(Method::POST, "/admin/projects/{project}/invitations", Permission::ManageUsers),
    endpoint(Method::GET, "/admin/projects/{project}/invitations", Permission::ReadUsers),
    endpoint(Method::DELETE, "/admin/projects/{project}/invitations/{id}", Permission::ManageUsers),
    endpoint(Method::GET, "/admin/projects/{project}/mail-templates", Permission::Read),
    endpoint(Method::GET, "/admin/projects/{project}/mail-templates/{kind}/{language}", Permission::Read),
    endpoint(
        Method::PUT,
        "/admin/projects/{project}/mail-templates/{kind}/{language}",
        Permission::Administer,
    ),
    endpoint(
        Method::DELETE,
        "/admin/projects/{project}/mail-templates/{kind}/{language}",
        Permission::Administer,
    ),
    endpoint(
        Method::GET,
        "/admin/projects/{project}/mail-templates/{kind}/{language}/preview",
        Permission::Read,
    ),
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}/sessions", Permission::ReadUsers),
    endpoint(
        Method::DELETE,
        "/admin/projects/{project}/users/{user}/sessions/{sid}",
        Permission::ManageUsers,
    ),
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}/factors", Permission::ReadUsers),
    endpoint(Method::DELETE, "/admin/projects/{project}/users/{user}/factors", Permission::ManageUsers),
    endpoint(
        Method::DELETE,
        "/admin/projects/{project}/users/{user}/factors/{factor}",
        Permission::ManageUsers,
    ),
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}/devices", Permission::ReadUsers),
    endpoint(Method::DELETE, "/admin/projects/{project}/users/{user}/devices", Permission::ManageUsers),
    endpoint(
        Method::DELETE,
        "/admin/projects/{project}/users/{user}/devices/{device}",
        Permission::ManageUsers,
    ),
    // As much as the deletion itself: a whole person, with what the audit log keeps sealed of them, in one file. Auditors read
    // what was done, and user managers who is there; neither has a use for it.
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}/export", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}/consents", Permission::ReadUsers),
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}/legal-hold", Permission::ReadUsers),
    endpoint(Method::PUT, "/admin/projects/{project}/users/{user}/legal-hold", Permission::Administer),
    // It binds those who may delete.
    endpoint(Method::DELETE, "/admin/projects/{project}/users/{user}/legal-hold", Permission::Own),
    endpoint(
        Method::GET,
        "/admin/projects/{project}/users/{user}/deletion-protection",
        Permission::ReadUsers,
    ),
    endpoint(
        Method::PUT,
        "/admin/projects/{project}/users/{user}/deletion-protection",
        Permission::ManageUsers,
    ),
    endpoint(
        Method::DELETE,
        "/admin/projects/{project}/users/{user}/deletion-protection",
        Permission::Administer,
    ),
    endpoint(
        Method::DELETE,
        "/admin/projects/{project}/users/{user}/consents/{client_id}",
        Permission::ManageUsers,
    ),
    endpoint(Method::POST, "/admin/projects/{project}/attribute-definitions", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/attribute-definitions", Permission::ReadUsers),
    endpoint(Method::GET, "/admin/projects/{project}/attribute-definitions/{name}", Permission::ReadUsers),
    endpoint(Method::PATCH, "/admin/projects/{project}/attribute-definitions/{name}", Permission::Administer),
    endpoint(
        Method::DELETE,
        "/admin/projects/{project}/attribute-definitions/{name}",
        Permission::Administer,
    ),
    endpoint(Method::POST, "/admin/projects/{project}/scopes", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/scopes", Permission::Read),
    endpoint(Method::GET, "/admin/projects/{project}/scopes/{name}", Permission::Read),
    endpoint(Method::PATCH, "/admin/projects/{project}/scopes/{name}", Permission::Administer),
    endpoint(Method::DELETE, "/admin/projects/{project}/scopes/{name}", Permission::Administer),
    endpoint(Method::POST, "/admin/projects/{project}/resource-servers", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/resource-servers", Permission::Read),
    endpoint(Method::GET, "/admin/projects/{project}/resource-servers/{id}", Permission::Read),
    endpoint(Method::PATCH, "/admin/projects/{project}/resource-servers/{id}", Permission::Administer),
    endpoint(Method::DELETE, "/admin/projects/{project}/resource-servers/{id}", Permission::Administer),
    endpoint(Method::POST, "/admin/projects/{project}/roles", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/roles", Permission::ReadUsers),
    endpoint(Method::GET, "/admin/projects/{project}/roles/{name}", Permission::ReadUsers),
    endpoint(Method::PATCH, "/admin/projects/{project}/roles/{name}", Permission::Administer),
    endpoint(Method::DELETE, "/admin/projects/{project}/roles/{name}", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/roles/{name}/users", Permission::ReadUsers),
    endpoint(Method::POST, "/admin/projects/{project}/groups", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/groups", Permission::ReadUsers),
    endpoint(Method::GET, "/admin/projects/{project}/groups/{name}", Permission::ReadUsers),
    endpoint(Method::PATCH, "/admin/projects/{project}/groups/{name}", Permission::Administer),
    endpoint(Method::DELETE, "/admin/projects/{project}/groups/{name}", Permission::Administer),
    endpoint(Method::GET, "/admin/projects/{project}/groups/{name}/users", Permission::ReadUsers),
];

/// The row of the table; `None` where no admin may call.
pub fn find(method: &Method, path: &str) -> Option<&'static Endpoint> {
    // The router answers HEAD with what answers GET.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    ENDPOINTS.iter().find(|endpoint| endpoint.method == *method && endpoint.path == path)
}

/// Endpoints that honour `If-Match` and are not for admins.
const OF_USERS: [(Method, &str); 1] = [(Method::PATCH, "/projects/{project}/api/account/profile")];

/// Whether this is an endpoint that honours `If-Match`.
pub fn is_versioned(method: &Method, path: &str) -> bool {
    find(method, path).is_some_and(|endpoint| endpoint.versioned)
        || OF_USERS.iter().any(|(known, of)| known == method && *of == path)
}

/// Whether this is an endpoint of the APIs that cannot honour `If-Match`.
pub fn has_no_version(method: &Method, path: &str) -> bool {
    let is_api = path.starts_with("/admin/") || path.starts_with("/projects/{project}/api/");
    is_api && !is_versioned(method, path)
}
