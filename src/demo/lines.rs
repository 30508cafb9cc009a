//! Lines to paste into a shell. Ids and secrets stand in them; what an earlier line answered is taken from variables.

use crate::ids::ClientId;

/// The verifier and the challenge of RFC 7636, appendix B: known to everybody, so that nobody has to make one to try the
/// public client.
const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CODE_CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A text of a JSON body: itself, or what a shell variable holds.
#[derive(Clone, Copy)]
pub enum Text<'a> {
    Literal(&'a str),
    Variable(&'a str),
}

/// Who exchanges a code.
pub struct Caller<'a> {
    pub client_id: ClientId,
    /// `None` for a public client.
    pub client_secret: Option<Text<'a>>,
    pub code_verifier: Option<Text<'a>>,
}

/// The link that starts a sign-in: the login link, with the challenge that a public client needs to get a code.
pub fn sign_in_link(issuer: &str, client: ClientId, is_public: bool) -> String {
    let challenge = format!("&code_challenge={CODE_CHALLENGE}&code_challenge_method=S256");
    format!("{issuer}/sign-in?client_id={client}{}", if is_public { challenge.as_str() } else { "" })
}

/// What answers a challenge of an authorization request.
pub fn code_verifier(code_challenge: &str) -> Text<'static> {
    if code_challenge == CODE_CHALLENGE {
        Text::Literal(CODE_VERIFIER)
    } else {
        Text::Variable("CODE_VERIFIER")
    }
}

/// The `GetTokenFromCode` of this caller for this code.
pub fn exchange(issuer: &str, caller: &Caller<'_>, code: Text<'_>, redirect_uri: &str) -> String {
    let id = caller.client_id.to_string();
    let mut fields = vec![("code", code), ("redirect_uri", Text::Literal(redirect_uri))];
    fields.extend(caller.code_verifier.map(|verifier| ("code_verifier", verifier)));
    let authorization = match caller.client_secret {
        Some(Text::Literal(secret)) => format!("-u '{id}:{secret}'"),
        Some(Text::Variable(name)) => format!("-u \"{id}:${name}\""),
        None => {
            fields.push(("client_id", Text::Literal(&id)));
            String::new()
        }
    };
    curl(issuer, "GetTokenFromCode", &authorization, &object(&fields))
}

pub(super) const JSON: &str = "-H 'Content-Type: application/json'";

pub(super) fn curl(issuer: &str, endpoint: &str, authorization: &str, body: &str) -> String {
    let space = if authorization.is_empty() { "" } else { " " };
    format!("curl -sw '\\n' {issuer}/api/{endpoint}{space}{authorization} {JSON} -d '{body}'")
}

/// Keeps the answer in a variable, and shows it.
pub(super) fn keep(variable: &str, line: &str) -> String {
    format!("{variable}=$({line}); printf '%s\\n' \"${variable}\"")
}

/// Takes a text out of a JSON answer that a variable holds, into a variable of its own.
pub(super) fn take(variable: &str, field: &str) -> String {
    let pattern = format!(r#"s/.*"{field}":"\([^"]*\)".*/\1/p"#);
    format!("{}=$(printf '%s' \"${variable}\" | sed -n '{pattern}')", field.to_uppercase())
}

/// A JSON object inside single quotes; a variable ends the quotes for its own length.
pub(super) fn object(fields: &[(&str, Text<'_>)]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, text)| match text {
            Text::Literal(text) => {
                format!(r#""{name}": {}"#, serde_json::Value::from(*text).to_string().replace('\'', r"'\''"))
            }
            Text::Variable(variable) => format!(r#""{name}": "'${variable}'""#),
        })
        .collect();
    format!("{{{}}}", fields.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_be_broken_out_of() {
        let caller = Caller { client_id: uuid::Uuid::nil().into(), client_secret: None, code_verifier: None };
        let line = exchange("http://i", &caller, Text::Literal("tco_x"), r#"https://a/'; rm -rf / #"$(id)"#);
        assert!(line.ends_with(
            r#"-d '{"code": "tco_x", "redirect_uri": "https://a/'\''; rm -rf / #\"$(id)", "client_id": "00000000-0000-0000-0000-000000000000"}'"#
        ), "{line}");
    }

    #[test]
    fn the_challenge_fits_the_verifier() {
        let challenge = crate::secret::encode_base64url(&crate::secret::sha256(CODE_VERIFIER.as_bytes()));
        assert_eq!(challenge, CODE_CHALLENGE);
    }
}
