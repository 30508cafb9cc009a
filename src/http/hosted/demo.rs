//! The redirect page of the demo clients: shows the code and the line that exchanges it. Served by `tessera dev` alone.

use axum::response::Response;

use super::page::Page;
use super::pages::{self, DemoCallbackPage};
use crate::error::Result;
use crate::model::client::Client;
use crate::oauth::authorize::parse;
use crate::oauth::login_link;
use crate::secret::Secret;
use crate::store::{clients, codes};

pub async fn callback(page: Page) -> Response {
    page.answer(show(&page).await)
}

async fn show(page: &Page) -> Result<Response> {
    let parameters = parse(page.call.raw_query())?;
    // What stands in a command line is only what we make: letters, digits, - and _.
    let is_ours = |code: &&str| code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let code = parameters.get("code").filter(is_ours);
    let client = match code {
        Some(code) => client_of(page, code).await?,
        None => None,
    };
    let issuer = &page.ctx.project.issuer;
    let login_link = client.as_ref().and_then(|client| login_link(issuer, client));
    let page = DemoCallbackPage {
        code,
        error: parameters.get("error"),
        error_description: parameters.get("error_description"),
        curl: &exchange_line(issuer, client.as_ref(), code.unwrap_or_default()),
        login_link: login_link.as_deref(),
    };
    pages::html(200, &page, &[])
}

/// The client that a code was made for, while the code is there.
async fn client_of(page: &Page, code: &str) -> Result<Option<Client>> {
    let (hash, project) = (&Secret::new(code).sha256(), page.ctx.project.id);
    page.ctx
        .app
        .db
        .read(|conn| async move {
            match codes::client(&conn, project, hash).await? {
                Some(id) => clients::find(&conn, project, id).await,
                None => Ok(None),
            }
        })
        .await
}

fn exchange_line(issuer: &str, client: Option<&Client>, code: &str) -> String {
    let id = client.map_or_else(|| "'$CLIENT_ID'".to_owned(), |client| client.id.to_string());
    let (credentials, more) = match client.is_some_and(Client::is_public) {
        true => {
            (String::new(), format!(", \"client_id\": \"{id}\", \"code_verifier\": \"'$CODE_VERIFIER'\""))
        }
        false => (format!(" \\\n  -u \"{}:$CLIENT_SECRET\"", id.trim_matches('\'')), String::new()),
    };
    format!(
        "curl -s {issuer}/api/GetTokenFromCode{credentials} \\\n  -H 'Content-Type: application/json' \\\n  \
         -d '{{\"code\": \"{code}\", \"redirect_uri\": \"{issuer}/demo/callback\"{more}}}'"
    )
}
