//! The operations about what is mailed to people.

use serde_json::json;

use super::parts::{Operation, number, object, operation, text, texts};

const PROJECT: &str = "/admin/projects/{project}";

pub fn operations() -> Vec<Operation> {
    let template = format!("{PROJECT}/mail-templates/{{kind}}/{{language}}");
    vec![
        operation(&format!("GET {PROJECT}/invitations"), "list_invitations", "Invitations that wait").paged(),
        operation(
            &format!("POST {PROJECT}/invitations"),
            "create_invitation",
            "Mails somebody a link with which they make their account",
        )
        .body([
            ("email!", text()),
            ("username", text()),
            ("roles", texts()),
            ("groups", texts()),
            ("expires_in_hours", number()),
            ("language", text()),
        ])
        .answers(201, object()),
        operation(
            &format!("DELETE {PROJECT}/invitations/{{id}}"),
            "withdraw_invitation",
            "Takes an invitation back: its link leads nowhere",
        )
        .rehearsed(),
        operation(
            &format!("POST {PROJECT}/users/{{user}}/send-verification"),
            "send_verification",
            "Mails the link that confirms the mail address of a user",
        ),
        operation(
            &format!("GET {PROJECT}/mail-templates"),
            "list_mail_templates",
            "The words of every letter in every language",
        )
        .answers(200, json!({"type": "object"})),
        operation(&format!("GET {template}"), "read_mail_template", "The words of one letter"),
        operation(&format!("PUT {template}"), "set_mail_template", "Sets the project's own words")
            .body([("subject!", text()), ("text!", text())]),
        operation(
            &format!("DELETE {template}"),
            "remove_mail_template",
            "Takes the project's own words back: everybody's hold again",
        )
        .rehearsed(),
        operation(
            &format!("GET {template}/preview"),
            "preview_mail_template",
            "The letter as it would arrive, with something in each of its places",
        ),
    ]
}
