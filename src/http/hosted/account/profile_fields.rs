//! The fields of the profile's form: standard claims, and the attributes that are for users to write.

use serde_json::{Map, Value};

use crate::app::Ctx;
use crate::error::Error;
use crate::identity::account::profile::ProfileChange;
use crate::model::attribute::{AttributeDefinition, AttributeType};
use crate::model::user::User;
use crate::oauth::parameters::Parameters;
use crate::texts::{Text, Texts};

/// How a claim is typed.
struct Claim {
    name: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    label: fn(&Texts) -> &Text,
}

/// Those that people look after themselves. What is not here is left as it is.
const CLAIMS: [Claim; 9] = [
    Claim { name: "name", kind: "text", autocomplete: "name", label: |t| &t.account_profile.name },
    Claim {
        name: "given_name",
        kind: "text",
        autocomplete: "given-name",
        label: |t| &t.account_profile.given_name,
    },
    Claim {
        name: "family_name",
        kind: "text",
        autocomplete: "family-name",
        label: |t| &t.account_profile.family_name,
    },
    Claim {
        name: "nickname",
        kind: "text",
        autocomplete: "nickname",
        label: |t| &t.account_profile.nickname,
    },
    Claim { name: "birthdate", kind: "text", autocomplete: "bday", label: |t| &t.account_profile.birthdate },
    Claim {
        name: "phone_number",
        kind: "tel",
        autocomplete: "tel",
        label: |t| &t.account_profile.phone_number,
    },
    Claim { name: "website", kind: "url", autocomplete: "url", label: |t| &t.account_profile.website },
    Claim { name: "locale", kind: "text", autocomplete: "language", label: |t| &t.account_profile.locale },
    Claim { name: "zoneinfo", kind: "text", autocomplete: "off", label: |t| &t.account_profile.zoneinfo },
];

/// A field as the page shows it.
pub struct Field {
    /// Of the form: `claim.name`, `attribute.colour`.
    pub name: String,
    pub label: String,
    pub hint: String,
    pub kind: &'static str,
    pub autocomplete: &'static str,
    pub value: String,
    pub invalid: bool,
}

/// The fields with what is stored, or with what was typed before.
pub fn fields(ctx: &Ctx, user: &User, typed: Option<&Parameters>, invalid: Option<&str>) -> Vec<Field> {
    let t = &ctx.texts.account_profile;
    let value_of = |name: &str, stored: Option<&Value>| match typed {
        Some(typed) => typed.get(name).unwrap_or_default().to_owned(),
        None => stored.map(as_text).unwrap_or_default(),
    };
    let claims = CLAIMS.iter().map(|claim| {
        let name = format!("claim.{}", claim.name);
        Field {
            value: value_of(&name, user.profile.get(claim.name)),
            label: (claim.label)(ctx.texts).to_string(),
            hint: match claim.name {
                "birthdate" => t.birthdate_hint.to_string(),
                "phone_number" => t.phone_hint.to_string(),
                "locale" => t.locale_hint.to_string(),
                "zoneinfo" => t.zoneinfo_hint.to_string(),
                _ => String::new(),
            },
            kind: claim.kind,
            autocomplete: claim.autocomplete,
            invalid: invalid == Some(claim.name),
            name,
        }
    });
    let attributes = writable(ctx).map(|definition| {
        let name = format!("attribute.{}", definition.name);
        Field {
            value: value_of(&name, user.attributes.get(&definition.name)),
            label: match definition.description.as_str() {
                "" => definition.name.clone(),
                description => description.to_owned(),
            },
            hint: if is(definition, AttributeType::StringList) {
                t.list_hint.to_string()
            } else {
                String::new()
            },
            kind: match definition.kind.as_str() {
                "boolean" => "boolean",
                "string_list" => "lines",
                "number" => "number",
                _ => "text",
            },
            autocomplete: "off",
            invalid: invalid.and_then(|field| field.strip_prefix("attributes."))
                == Some(definition.name.as_str()),
            name,
        }
    });
    claims.chain(attributes).collect()
}

/// What the form changes. A field that came empty takes its value away; one that did not come leaves it.
pub fn change(ctx: &Ctx, user: &User, form: &Parameters) -> ProfileChange {
    let mut claims = Map::new();
    for claim in &CLAIMS {
        let name = format!("claim.{}", claim.name);
        if !form.has(&name) {
            continue;
        }
        let value = form.get(&name).map(str::trim).filter(|text| !text.is_empty()).map(Value::from);
        let stored = user.profile.get(claim.name);
        if value.as_ref() != stored {
            claims.insert(claim.name.to_owned(), value.unwrap_or_default());
        }
    }
    let mut attributes = Map::new();
    for definition in writable(ctx) {
        let name = format!("attribute.{}", definition.name);
        let value = form.get(&name).and_then(|text| from_text(definition, text));
        let stored = user.attributes.get(&definition.name);
        if form.has(&name) && value.as_ref() != stored {
            attributes.insert(definition.name.clone(), value.unwrap_or_default());
        }
    }
    ProfileChange::new(claims, attributes)
}

/// What is wrong, in words for the person who typed it.
pub fn in_words(ctx: &Ctx, error: &Error) -> String {
    let t = &ctx.texts.account_profile;
    let field = error.field().unwrap_or_default();
    if let Some(name) = field.strip_prefix("attributes.") {
        let known = writable(ctx).find(|definition| definition.name == name);
        let max = known.map_or(0, |definition| definition.max_bytes).to_string();
        return match known {
            Some(definition) if is(definition, AttributeType::Number) => t.invalid_number.to_string(),
            _ => t.invalid_attribute.with("max", &max).to_string(),
        };
    }
    match field {
        "birthdate" => &t.invalid_birthdate,
        "phone_number" => &t.invalid_phone,
        "website" => &t.invalid_link,
        "locale" => &t.invalid_locale,
        "zoneinfo" => &t.invalid_zone,
        _ => &t.invalid_text,
    }
    .to_string()
}

fn writable(ctx: &Ctx) -> impl Iterator<Item = &AttributeDefinition> {
    ctx.entry.definitions.iter().filter(|definition| definition.user_writable)
}

fn is(definition: &AttributeDefinition, kind: AttributeType) -> bool {
    definition.kind == kind.as_str()
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value of the attribute's type; text that is none stays text, which the definition then refuses.
fn from_text(definition: &AttributeDefinition, text: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    Some(match definition.kind.as_str() {
        "number" => {
            serde_json::from_str::<Value>(text).ok().filter(Value::is_number).unwrap_or_else(|| text.into())
        }
        "boolean" => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        "string_list" => {
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Value::from).collect()
        }
        _ => text.replace("\r\n", "\n").into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::timestamp::Timestamp;

    #[test]
    fn text_becomes_what_the_attribute_holds() {
        for (kind, text, value) in [
            (AttributeType::String, " a\r\nb ", Some(json!("a\nb"))),
            (AttributeType::Number, "1.5", Some(json!(1.5))),
            (AttributeType::Number, "a lot", Some(json!("a lot"))),
            (AttributeType::Number, "true", Some(json!("true"))),
            (AttributeType::Boolean, "true", Some(json!(true))),
            (AttributeType::Boolean, "maybe", Some(json!("maybe"))),
            (AttributeType::StringList, "a\r\n\r\n b \n", Some(json!(["a", "b"]))),
            (AttributeType::String, "  ", None),
        ] {
            let definition = AttributeDefinition {
                name: "x".into(),
                kind: kind.as_str().into(),
                description: String::new(),
                user_writable: true,
                in_access_token: false,
                max_bytes: 100,
                created_at: Timestamp::from_unix(0),
            };
            assert_eq!(from_text(&definition, text), value, "{text}");
        }
        assert_eq!(as_text(&json!(["a", "b"])), "a\nb");
        assert_eq!(as_text(&json!(false)), "false");
    }
}
