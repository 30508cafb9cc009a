//! The admin API on the wire. Every route stands in [`super::permissions`] too, which decides who may call it.

mod admin_keys;
mod admins;
mod attribute_definitions;
mod audit;
mod audit_checkpoints;
mod audit_export;
mod clients;
mod confirmations;
mod consents;
mod deletion_guards;
mod devices;
mod events;
mod exports;
mod factors;
mod fields;
mod initial_access_tokens;
mod invitations;
mod jobs;
mod labels;
mod logos;
mod mail;
mod mail_templates;
mod outbox;
pub mod paging;
mod people;
mod projects;
mod rehearsal;
mod resource_servers;
mod sandbox;
mod scopes;
mod sessions;
pub(in crate::http) mod users;
mod webhooks;
mod within;

use super::routing::{Routes, delete, get, post, put};

/// Routes under `/admin`, a file each for what they are about.
pub fn routes() -> Routes {
    Routes::default()
        .route("/admin/projects", get(projects::list).post(projects::create))
        .route(
            "/admin/projects/{project}",
            get(projects::read).patch(projects::change).delete(projects::delete),
        )
        .route(
            "/admin/projects/{project}/confirmations/{id}",
            get(confirmations::read).post(confirmations::confirm).delete(confirmations::cancel),
        )
        .route("/admin/projects/{project}/logo", put(logos::put).delete(logos::remove))
        .route("/admin/projects/{project}/end-all-sessions", post(projects::end_all_sessions))
        .route("/admin/projects/{project}/audit", get(audit::of_project))
        .route("/admin/projects/{project}/audit/export", get(audit_export::of_project))
        .route(
            "/admin/projects/{project}/audit/checkpoints",
            get(audit_checkpoints::list).post(audit_checkpoints::make),
        )
        .route("/admin/projects/{project}/events", get(events::list))
        .route("/admin/projects/{project}/clients", get(clients::list).post(clients::create))
        .route(
            "/admin/projects/{project}/clients/{client_id}",
            get(clients::read).patch(clients::change).delete(clients::delete),
        )
        .route("/admin/projects/{project}/clients/{client_id}/rotate-secret", post(clients::rotate_secret))
        .route("/admin/projects/{project}/clients/{client_id}/secrets/{slot}", delete(clients::remove_secret))
        .route(
            "/admin/projects/{project}/initial-access-tokens",
            get(initial_access_tokens::list).post(initial_access_tokens::create),
        )
        .route("/admin/projects/{project}/initial-access-tokens/{id}", delete(initial_access_tokens::revoke))
        .route("/admin/projects/{project}/outbox", get(outbox::list))
        .route("/admin/projects/{project}/outbox/{id}/retry", post(outbox::retry))
        .route(
            "/admin/projects/{project}/sandbox/clock",
            get(sandbox::read_clock).post(sandbox::advance_clock),
        )
        .route("/admin/projects/{project}/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/admin/projects/{project}/webhooks/{id}", delete(webhooks::delete))
        .route("/admin/projects/{project}/sandbox/messages", get(sandbox::messages))
        .route(
            "/admin/projects/{project}/sandbox/faults",
            get(sandbox::faults).post(sandbox::arm).delete(sandbox::disarm),
        )
        .route("/admin/projects/{project}/sandbox/seed", post(sandbox::plant))
        .route("/admin/projects/{project}/sandbox/reset", post(sandbox::reset))
        .route("/admin/admin-keys", get(admin_keys::list).post(admin_keys::create))
        .route("/admin/admin-keys/{id}", get(admin_keys::read).delete(admin_keys::revoke))
        .route("/admin/admins", get(admins::list).post(admins::create))
        .route("/admin/admins/{id}", get(admins::read).delete(admins::revoke))
        .route("/admin/audit", get(audit::of_instance))
        .route("/admin/audit/export", get(audit_export::of_instance))
        .route(
            "/admin/audit/checkpoints",
            get(audit_checkpoints::list_of_instance).post(audit_checkpoints::make_of_instance),
        )
        .route("/admin/jobs", get(jobs::list))
        .merge(people::routes())
        .merge(mail::routes())
}
