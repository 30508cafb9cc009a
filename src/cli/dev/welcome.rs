//! What `dev` prints: where to sign in, and lines to paste.

use std::fmt::{self, Write};
use std::path::Path;

use crate::demo::Demo;
use crate::demo::lines::sign_in_link;
use crate::demo::tour::tour;

/// The whole text; `user_is_there` is false when the demo's user has been deleted.
pub fn text(demo: &Demo, data: &Path, user_is_there: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, demo, data, user_is_there);
    text
}

fn write(text: &mut String, demo: &Demo, data: &Path, user_is_there: bool) -> fmt::Result {
    let link = |is_public: bool| {
        let client = demo.clients.iter().find(|client| client.client_secret.is_none() == is_public);
        client.map(|client| sign_in_link(&demo.issuer, client.client_id, is_public)).unwrap_or_default()
    };
    writeln!(text, "\nTessera is ready: {}\n", demo.issuer)?;
    writeln!(text, "Sign in    {}", link(false))?;
    writeln!(text, "User name  {}", demo.user.username)?;
    writeln!(text, "Password   {}", demo.user.password)?;
    if !user_is_there {
        let name = &demo.user.username;
        writeln!(text, "\n{name} has been deleted. To begin anew: tessera dev --fresh")?;
    }
    writeln!(
        text,
        "\nThe page after the sign-in shows a code. These lines drive the session API with it; paste them in this order."
    )?;
    for step in tour(demo) {
        writeln!(text, "\n{}\n", step.title)?;
        for line in step.lines {
            writeln!(text, "    {line}")?;
        }
    }
    writeln!(text, "\nThe public client, which has no secret, signs in at\n{}", link(true))?;
    writeln!(text, "and its page shows the GetTokenFromCode line for it.\n")?;
    writeln!(text, "Mail is not sent: each message becomes a file in {}.", data.join("mail").display())?;
    writeln!(text, "All of this is in {} for scripts. Ctrl-C stops.", data.join("dev.json").display())
}
