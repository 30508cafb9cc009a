//! The built-in project, with alice in it and a console that she signs in to.

use serde_json::{Value, json};
use tessera::ids::{ProjectId, UserId};
use tessera::model::client::{ClientSettings, GrantType};
use tessera::model::sign_in_policy::SecondFactor;
use tessera::projects;
use tessera::projects::admins::home;
use tessera::secret::Secret;

use super::second_factor::Authenticator;
use super::{Answer, PASSWORD, REDIRECT, Shop, TestApp, code_of};

/// What a bad key, and whoever is no admin here, is told.
pub const STRANGER: &str = "the admin key is not valid here";

pub struct Hall<'a> {
    pub app: &'a TestApp,
    /// Its console: a first-party client that an owner registered.
    pub console: Shop,
    /// The client that is there from the beginning.
    pub built_in: Shop,
    /// A key for everything.
    pub owner: String,
}

impl<'a> Hall<'a> {
    pub async fn new(app: &'a TestApp) -> Self {
        let home = home::ensure(&app.app, SecondFactor::Optional).await.unwrap().unwrap();
        let settings = ClientSettings {
            redirect_uris: vec![REDIRECT.into()],
            require_pkce: false,
            scope: Some("openid profile email offline_access account admin".into()),
            grant_types: GrantType::ALL.into(),
            ..ClientSettings::default()
        };
        let (client, secret) =
            projects::create_client(&app.app, home.project, "Console", "confidential", settings)
                .await
                .unwrap();
        let alice = person(app, home.project, "alice").await;
        let secret = secret.map(|secret| secret.expose().to_owned());
        let shop = |id: String, secret| Shop {
            project: home.project,
            slug: "admin".into(),
            id,
            secret,
            user: alice,
        };
        let owner = app.admin_key(None, "owner").await;
        let console = shop(client.id.to_string(), secret);
        Self { app, console, built_in: shop(home.client.to_string(), None), owner }
    }

    pub async fn person(&self, name: &str) -> UserId {
        person(self.app, self.console.project, name).await
    }

    /// Gives a role, and gives its id.
    pub async fn give(&self, user: UserId, role: &str, project: Option<ProjectId>) -> String {
        let mut body = json!({"user": user, "role": role});
        if let Some(project) = project {
            body["project"] = json!(project);
        }
        let made = self.app.admin_post(&self.owner, "/admins", body).await.created();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Whatever the person gets by signing in to the console.
    pub async fn tokens(&self, name: &str, scope: &str) -> Value {
        let more = format!("&scope={scope}");
        let (cookie, sealed) = self.app.sign_in_page(&self.console, &more).await;
        let answer = self.app.submit_as(&self.console, &cookie, &sealed, (name, PASSWORD)).await;
        self.app.exchange(&self.console, &code_of(&answer)).await.ok()
    }

    pub async fn token(&self, name: &str) -> String {
        access(&self.tokens(name, "openid+admin").await)
    }

    /// A person with a role, and their token.
    pub async fn admin(&self, name: &str, role: &str, project: Option<ProjectId>) -> (UserId, String) {
        let user = self.person(name).await;
        self.give(user, role, project).await;
        (user, self.token(name).await)
    }

    /// Alice shows both factors.
    pub async fn proven(&self, more: &str, authenticator: &Authenticator) -> String {
        let more = format!("&scope=openid+admin{more}");
        let answer = self.app.signed_in_with(&self.console, &more, authenticator).await;
        access(&self.app.exchange(&self.console, &code_of(&answer)).await.ok())
    }

    pub async fn out(&self, user: UserId) -> Answer {
        self.app.bearer(&self.console, "GlobalSignOut", &self.owner, json!({"user": user})).await
    }
}

async fn person(app: &TestApp, home: ProjectId, name: &str) -> UserId {
    projects::create_user(&app.app, home, name, None, Secret::new(PASSWORD)).await.unwrap()
}

pub fn access(tokens: &Value) -> String {
    tokens["access_token"].as_str().unwrap().to_owned()
}
