//! Which APIs an access token is for (RFC 8707), and what it may do there.

use super::parameters::Parameters;
use crate::cache::ProjectEntry;
use crate::error::{Result, invalid_target};
use crate::model::client::Client;

/// The one parameter that may be repeated.
pub const RESOURCE: &str = "resource";

/// A request names at most so many.
pub const MOST: usize = 10;

/// The resource servers that a posted form names.
pub fn named(form: &Parameters) -> Vec<String> {
    form.all(RESOURCE).into_iter().map(str::to_owned).collect()
}

/// What a client may get tokens for: registered with it, and there.
pub fn is_open_to(entry: &ProjectEntry, client: &Client, resource: &str) -> bool {
    let is_registered = client.settings.resource_servers.iter().any(|known| known == resource);
    is_registered && entry.resource_servers.iter().any(|server| server.identifier == resource)
}

/// The resource servers that a request names, each once. Empty: the client's own audience.
///
/// # Errors
/// `invalid_target` for one that is unknown, or that the client is not registered for.
pub fn check_resources(entry: &ProjectEntry, client: &Client, asked: &[&str]) -> Result<Vec<String>> {
    if asked.len() > MOST {
        return Err(invalid_target(format!("at most {MOST} resources are named at once")));
    }
    let mut resources = Vec::<String>::new();
    for resource in asked {
        if !is_open_to(entry, client, resource) {
            return Err(invalid_target("this client is registered for no such resource server"));
        }
        if !resources.iter().any(|known| known == resource) {
            resources.push((*resource).to_owned());
        }
    }
    Ok(resources)
}

/// The audience of the next access token, as words: what was granted and is still open to the client, or the part of it
/// that `asked` names. It never grows (RFC 8707, 2.2).
///
/// # Errors
/// `invalid_target` when more is asked for, or nothing is left.
pub fn narrowed(
    entry: &ProjectEntry,
    client: &Client,
    (granted, for_resources): (&str, bool),
    asked: &[String],
) -> Result<String> {
    let words = granted.split(' ').filter(|word| !for_resources || is_open_to(entry, client, word));
    let living: Vec<&str> = words.collect();
    if living.is_empty() {
        return Err(invalid_target("the resource servers of this grant are no longer there for this client"));
    }
    if !asked.iter().all(|resource| living.contains(&resource.as_str())) {
        return Err(invalid_target("resource names something that was not granted"));
    }
    let is_asked = |word: &&str| asked.is_empty() || asked.iter().any(|resource| resource == word);
    Ok(living.into_iter().filter(is_asked).collect::<Vec<_>>().join(" "))
}

/// The part of a granted scope that a token for this audience carries: what the project still defines, and no scope that
/// means something at other resource servers only.
pub fn scope_for(entry: &ProjectEntry, scope: &str, audience: &str) -> String {
    let named = |identifier: &str| audience.split(' ').any(|word| word == identifier);
    let is_for_servers = entry.resource_servers.iter().any(|server| named(&server.identifier));
    let fits = |scope: &&str| {
        let mut homes = entry.resource_servers.iter().filter(|server| server.scopes.has(scope)).peekable();
        entry.knows_scope(scope)
            && (!is_for_servers || homes.peek().is_none() || homes.any(|server| named(&server.identifier)))
    };
    scope.split(' ').filter(fits).collect::<Vec<_>>().join(" ")
}
