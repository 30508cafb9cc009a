//! Routes of what is mailed to people, and in which words.

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

use super::{invitations, mail_templates, users};
use crate::app::App;

pub fn routes() -> Router<Arc<App>> {
    let project = "/admin/projects/{project}";
    let template = format!("{project}/mail-templates/{{kind}}/{{language}}");
    Router::new()
        .route(&format!("{project}/invitations"), get(invitations::list).post(invitations::create))
        .route(&format!("{project}/invitations/{{id}}"), delete(invitations::withdraw))
        .route(&format!("{project}/users/{{user}}/send-verification"), post(users::send_verification))
        .route(&format!("{project}/mail-templates"), get(mail_templates::list))
        .route(&template, get(mail_templates::read).put(mail_templates::set).delete(mail_templates::remove))
        .route(&format!("{template}/preview"), get(mail_templates::preview))
}
