//! Routes of users, of what users hold, and of what applications may ask of them.

use super::{
    attribute_definitions, consents, deletion_guards, devices, exports, factors, labels, resource_servers,
    scopes, sessions, users,
};
use crate::http::call::Call;
use crate::http::routing::{Routes, delete, get, post};
use crate::model::holding::LabelKind;
use crate::session::delete_user::guards::Guard;

pub fn routes() -> Routes {
    let project = "/admin/projects/{project}";
    Routes::default()
        .route(&format!("{project}/users"), get(users::list).post(users::create))
        .route(&format!("{project}/users/{{user}}"), get(users::read).patch(users::change))
        .route(&format!("{project}/users/{{user}}/set-password"), post(users::set_password))
        .route(&format!("{project}/users/{{user}}/sessions"), get(sessions::list))
        .route(&format!("{project}/users/{{user}}/sessions/{{sid}}"), delete(sessions::end))
        .route(&format!("{project}/users/{{user}}/devices"), get(devices::list).delete(devices::forget_all))
        .route(&format!("{project}/users/{{user}}/devices/{{device}}"), delete(devices::forget))
        .route(&format!("{project}/users/{{user}}/factors"), get(factors::list).delete(factors::reset))
        .route(&format!("{project}/users/{{user}}/factors/{{factor}}"), delete(factors::reset_one))
        .route(&format!("{project}/users/{{user}}/export"), get(exports::export))
        .route(&format!("{project}/users/{{user}}/consents"), get(consents::list))
        .route(
            &format!("{project}/users/{{user}}/legal-hold"),
            get(|call| deletion_guards::read(call, Guard::LegalHold))
                .put(|call| deletion_guards::place(call, Guard::LegalHold))
                .delete(|call| deletion_guards::lift(call, Guard::LegalHold)),
        )
        .route(
            &format!("{project}/users/{{user}}/deletion-protection"),
            get(|call| deletion_guards::read(call, Guard::Protection))
                .put(|call| deletion_guards::place(call, Guard::Protection))
                .delete(|call| deletion_guards::lift(call, Guard::Protection)),
        )
        .route(&format!("{project}/users/{{user}}/consents/{{client_id}}"), delete(consents::withdraw))
        .route(
            &format!("{project}/attribute-definitions"),
            get(attribute_definitions::list).post(attribute_definitions::create),
        )
        .route(
            &format!("{project}/attribute-definitions/{{name}}"),
            get(attribute_definitions::read)
                .patch(attribute_definitions::change)
                .delete(attribute_definitions::delete),
        )
        .route(&format!("{project}/scopes"), get(scopes::list).post(scopes::create))
        .route(
            &format!("{project}/scopes/{{name}}"),
            get(scopes::read).patch(scopes::change).delete(scopes::delete),
        )
        .route(
            &format!("{project}/resource-servers"),
            get(resource_servers::list).post(resource_servers::create),
        )
        .route(
            &format!("{project}/resource-servers/{{id}}"),
            get(resource_servers::read).patch(resource_servers::change).delete(resource_servers::delete),
        )
        .merge(of_labels("roles", LabelKind::Role))
        .merge(of_labels("groups", LabelKind::Group))
}

fn of_labels(list: &str, kind: LabelKind) -> Routes {
    let all = format!("/admin/projects/{{project}}/{list}");
    Routes::default()
        .route(
            &all,
            get(move |call: Call| labels::list(call, kind))
                .post(move |call: Call| labels::create(call, kind)),
        )
        .route(
            &format!("{all}/{{name}}"),
            get(move |call: Call| labels::read(call, kind))
                .patch(move |call: Call| labels::change(call, kind))
                .delete(move |call: Call| labels::delete(call, kind)),
        )
        .route(&format!("{all}/{{name}}/users"), get(move |call: Call| labels::users(call, kind)))
}
