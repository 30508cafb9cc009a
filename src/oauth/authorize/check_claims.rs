//! `claims`: single claims that the application asks for (OpenID Connect Core, 5.5).
//!
//! A voluntary claim and an essential one are shown alike, when they are there; what is not known is ignored. Two claims
//! decide whether there is an answer at all: `sub`, which must be one of those that are named, and an essential `acr`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, invalid_request};
use crate::model::claim::{is_claim, standard_scope};
use crate::model::claims_request::ClaimsRequest;
use crate::model::client::Client;
use crate::model::proven::Acr;
use crate::oauth::parameters::Parameters;

/// The parameter as it was understood.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskedClaims {
    /// As it came.
    pub text: String,
    pub names: ClaimsRequest,
    /// The subjects one of whom will do.
    pub subjects: Option<Vec<String>>,
    /// The ways of signing in one of which is needed.
    pub acrs: Option<Vec<String>>,
    /// Those that are asked for and not needed.
    #[serde(default)]
    pub wished_acrs: Vec<String>,
}

/// # Errors
/// `invalid_request` for what is not such a document; `unmet_authentication_requirements` for an essential `acr` that
/// nobody reaches here (OpenID Connect Core, 5.5.1.1).
pub fn check_claims(client: &Client, parameters: &Parameters) -> Result<Option<AskedClaims>> {
    let Some(text) = parameters.get("claims") else { return Ok(None) };
    let document: Value = serde_json::from_str(text).map_err(|_| malformed())?;
    let document = document.as_object().ok_or_else(malformed)?;
    let (userinfo, id_token) = (members(document, "userinfo")?, members(document, "id_token")?);
    let mut asked = AskedClaims {
        text: text.to_owned(),
        names: ClaimsRequest { userinfo: names(client, &userinfo), id_token: names(client, &id_token) },
        subjects: None,
        acrs: None,
        wished_acrs: Vec::new(),
    };
    for single in [&userinfo, &id_token].into_iter().filter_map(|members| members.get("sub")) {
        let wanted = single.values()?;
        asked.subjects = match (asked.subjects.take(), wanted) {
            (Some(before), Some(wanted)) => {
                Some(before.into_iter().filter(|subject| wanted.contains(subject)).collect())
            }
            (before, wanted) => before.or(wanted),
        };
    }
    if let Some(acr) = id_token.get("acr").filter(|acr| acr.essential) {
        asked.acrs = acr.values()?;
    } else if let Some(acr) = id_token.get("acr") {
        asked.wished_acrs = acr.values().ok().flatten().unwrap_or_default();
    }
    if asked.acrs.as_ref().is_some_and(|wanted| !wanted.iter().any(|acr| Acr::named(acr).is_some())) {
        return Err(unmet());
    }
    Ok(Some(asked))
}

/// The person signed in in a way that is not enough.
pub fn unmet() -> Error {
    Error::new(Code::UnmetAuthenticationRequirements, "no sign-in here has the acr that is asked for")
}

fn malformed() -> Error {
    invalid_request("claims is not a JSON document as OpenID Connect Core, 5.5 has it")
}

/// What is said of one claim.
#[derive(Default, Deserialize)]
struct Single {
    #[serde(default)]
    essential: bool,
    value: Option<Value>,
    values: Option<Vec<Value>>,
}

impl Single {
    /// The values one of which it should have; all of them texts where they decide.
    fn values(&self) -> Result<Option<Vec<String>>> {
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(malformed);
        match (&self.value, &self.values) {
            (None, None) => Ok(None),
            (Some(value), None) => Ok(Some(vec![text(value)?])),
            (None, Some(values)) => values.iter().map(text).collect::<Result<_>>().map(Some),
            (Some(_), Some(_)) => Err(malformed()),
        }
    }
}

type Singles = std::collections::BTreeMap<String, Single>;

fn members(document: &Map<String, Value>, name: &str) -> Result<Singles> {
    let Some(value) = document.get(name) else { return Ok(Singles::new()) };
    let members = value.as_object().ok_or_else(malformed)?;
    let read = |(name, value): (&String, &Value)| {
        let single = match value {
            Value::Null => Single::default(),
            value => Single::deserialize(value).map_err(|_| malformed())?,
        };
        Ok((name.clone(), single))
    };
    members.iter().map(read).collect()
}

/// Those that there are and the client may ask for: a standard claim goes with its scope, our own are for first parties.
fn names(client: &Client, asked: &Singles) -> Vec<String> {
    let may = |name: &&String| match standard_scope(name) {
        Some(scope) => client.may_ask_for(scope),
        None => is_claim(name) && client.settings.first_party,
    };
    asked.keys().filter(may).cloned().collect()
}
