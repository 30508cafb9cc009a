//! Routes of what is mailed to people, and in which words.

use super::{invitations, mail_templates, users};
use crate::http::routing::{Routes, delete, get, post};

pub fn routes() -> Routes {
    let project = "/admin/projects/{project}";
    let template = format!("{project}/mail-templates/{{kind}}/{{language}}");
    Routes::default()
        .route(&format!("{project}/invitations"), get(invitations::list).post(invitations::create))
        .route(&format!("{project}/invitations/{{id}}"), delete(invitations::withdraw))
        .route(&format!("{project}/users/{{user}}/send-verification"), post(users::send_verification))
        .route(&format!("{project}/mail-templates"), get(mail_templates::list))
        .route(&template, get(mail_templates::read).put(mail_templates::set).delete(mail_templates::remove))
        .route(&format!("{template}/preview"), get(mail_templates::preview))
}
