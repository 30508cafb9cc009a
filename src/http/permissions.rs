//! Which role may call which endpoint: the one table that decides, and that the docs are made from.

use axum::http::Method;

use crate::model::role::Permission;

/// An endpoint that takes an admin key, by method and path as the router knows it.
pub struct Endpoint {
    pub method: Method,
    pub path: &'static str,
    pub permission: Permission,
}

const fn endpoint(method: Method, path: &'static str, permission: Permission) -> Endpoint {
    Endpoint { method, path, permission }
}

/// An endpoint that is missing here takes no admin key.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint(Method::POST, "/projects/{project}/api/verifyaccesstoken", Permission::ReadUsers),
    endpoint(Method::POST, "/projects/{project}/api/GlobalSignOut", Permission::ManageUsers),
    endpoint(Method::GET, "/projects/{project}/api/token-validity", Permission::Read),
    endpoint(Method::PUT, "/projects/{project}/api/token-validity", Permission::Administer),
    endpoint(Method::POST, "/projects/{project}/api/attribute-update", Permission::ManageUsers),
    endpoint(Method::POST, "/projects/{project}/api/delete-user", Permission::Administer),
    endpoint(Method::POST, "/projects/{project}/api/delete-user/confirm", Permission::Administer),
    endpoint(Method::POST, "/projects/{project}/api/delete-user/cancel", Permission::Administer),
    endpoint(Method::GET, "/projects/{project}/api/delete-user/{deletion_id}", Permission::Read),
    endpoint(Method::POST, "/admin/projects/{project}/users", Permission::ManageUsers),
    endpoint(Method::GET, "/admin/projects/{project}/users", Permission::ReadUsers),
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}", Permission::ReadUsers),
    endpoint(Method::PATCH, "/admin/projects/{project}/users/{user}", Permission::ManageUsers),
    endpoint(Method::POST, "/admin/projects/{project}/users/{user}/set-password", Permission::ManageUsers),
    endpoint(Method::GET, "/admin/projects/{project}/users/{user}/sessions", Permission::ReadUsers),
    endpoint(
        Method::DELETE,
        "/admin/projects/{project}/users/{user}/sessions/{sid}",
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

/// What the endpoint asks of the role; `None` where no admin key may call.
pub fn required(method: &Method, path: &str) -> Option<Permission> {
    let found = ENDPOINTS.iter().find(|endpoint| endpoint.method == *method && endpoint.path == path);
    found.map(|endpoint| endpoint.permission)
}
