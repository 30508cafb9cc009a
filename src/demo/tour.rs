//! Every endpoint of the session API, in an order in which the lines work one after the other.

use super::lines::{Caller, JSON, Text, curl, exchange, keep, object, take};
use super::{Demo, DemoClient};

/// What a person does, and the lines that do it.
pub struct Step {
    pub title: &'static str,
    pub lines: Vec<String>,
}

/// The steps with the demo's own ids and secrets in them, as its confidential client.
pub fn tour(demo: &Demo) -> Vec<Step> {
    let Some(client) = demo.clients.iter().find(|client| client.client_secret.is_some()) else {
        return Vec::new();
    };
    let secret = client.client_secret.as_deref().unwrap_or_default();
    let guide = Guide {
        demo,
        client,
        secret,
        as_client: format!("-u '{}:{secret}'", client.client_id),
        as_admin: format!("-H 'Authorization: Bearer {}'", demo.admin_key),
    };
    guide.tokens().into_iter().chain(guide.settings()).chain(guide.endings()).collect()
}

struct Guide<'a> {
    demo: &'a Demo,
    client: &'a DemoClient,
    secret: &'a str,
    as_client: String,
    as_admin: String,
}

const AS_USER: &str = r#"-H "Authorization: Bearer $ACCESS_TOKEN""#;

impl Guide<'_> {
    fn tokens(&self) -> [Step; 4] {
        let secret = Some(Text::Literal(self.secret));
        let caller = Caller { client_id: self.client.client_id, client_secret: secret, code_verifier: None };
        let issuer = &self.demo.issuer;
        let exchange = exchange(issuer, &caller, Text::Variable("CODE"), &self.client.redirect_uri);
        let refresh_token = object(&[("refresh_token", Text::Variable("REFRESH_TOKEN"))]);
        let refresh = curl(issuer, "refresh", &self.as_client, &refresh_token);
        let take_both = format!("{} {}", take("TOKENS", "access_token"), take("TOKENS", "refresh_token"));
        [
            Step {
                title: "GetTokenFromCode: the code, which lives for 60 seconds and works once, becomes tokens",
                lines: vec![
                    "CODE='the code that the page shows'".into(),
                    keep("TOKENS", &exchange),
                    take_both.clone(),
                ],
            },
            Step { title: "verifyaccesstoken: does the token still hold?", lines: vec![self.verify()] },
            Step {
                title: "userinfofromaccesstoken: who is it?",
                lines: vec![format!("curl -sw '\\n' -X POST {issuer}/api/userinfofromaccesstoken {AS_USER}")],
            },
            Step { title: "refresh: fresh tokens", lines: vec![keep("TOKENS", &refresh), take_both] },
        ]
    }

    fn settings(&self) -> [Step; 2] {
        let (issuer, as_admin) = (&self.demo.issuer, &self.as_admin);
        let validity = format!("{issuer}/api/token-validity");
        let id = self.client.client_id;
        let change = format!("{{\"client_id\": \"{id}\", \"access_token\": 2}}");
        let department = format!("{{{}, \"set\": {{\"department\": \"sales\"}}}}", self.user());
        [
            Step {
                title: "token-validity: how long tokens live (read, change)",
                lines: vec![
                    format!("curl -sw '\\n' '{validity}?client_id={id}' {as_admin}"),
                    format!("curl -sw '\\n' -X PUT {validity} {as_admin} {JSON} -d '{change}'"),
                ],
            },
            Step {
                title: "attribute-update: what is known about the person",
                lines: vec![curl(issuer, "attribute-update", as_admin, &department)],
            },
        ]
    }

    fn endings(&self) -> [Step; 2] {
        let (issuer, as_admin) = (&self.demo.issuer, &self.as_admin);
        let asked = format!("{{{}, \"reason\": \"trying out how it works\"}}", self.user());
        let confirmation = object(&[
            ("deletion_id", Text::Variable("DELETION_ID")),
            ("confirmation", Text::Literal(&self.demo.user.username)),
        ]);
        [
            Step {
                title: "GlobalSignOut: the person signs out everywhere, and the token is dead at once",
                lines: vec![
                    format!("curl -sw '\\n' -X POST {issuer}/api/GlobalSignOut {AS_USER}"),
                    self.verify(),
                ],
            },
            Step {
                title: "delete-user: asked for with a reason, done when the user name is typed again",
                lines: vec![
                    keep("DELETION", &curl(issuer, "delete-user", as_admin, &asked)),
                    take("DELETION", "deletion_id"),
                    curl(issuer, "delete-user/confirm", as_admin, &confirmation),
                ],
            },
        ]
    }

    fn verify(&self) -> String {
        let token = object(&[("access_token", Text::Variable("ACCESS_TOKEN"))]);
        curl(&self.demo.issuer, "verifyaccesstoken", &self.as_client, &token)
    }

    /// The demo's user as a field of a JSON body.
    fn user(&self) -> String {
        format!(r#""user": {{"username": "{}"}}"#, self.demo.user.username)
    }
}
