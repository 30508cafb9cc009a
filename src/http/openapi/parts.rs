//! What the table of operations is written with.

use serde_json::{Map, Value, json};

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    Anyone,
    Client,
    AccessToken,
    Admin,
    ClientOrAdmin,
    AccessTokenOrAdmin,
    InitialAccessToken,
    Registration,
}

/// A body's member or a parameter: its name, with `!` at the end where it must be there, and its JSON Schema.
pub type Member = (&'static str, Value);

/// One operation, as the document shows it.
pub struct Operation {
    pub method: &'static str,
    pub path: String,
    pub id: String,
    pub summary: &'static str,
    pub caller: Caller,
    pub query: Vec<Member>,
    pub body: Option<Vec<Member>>,
    pub body_optional: bool,
    pub form: bool,
    /// The body is a picture.
    pub picture: bool,
    pub status: u16,
    /// 200 as well, with the same answer: what was asked for was there already.
    pub or_ok: bool,
    pub answer: Value,
    pub answer_type: &'static str,
}

/// `"GET /path"`, `id`, and a sentence.
pub fn operation(route: &str, id: impl Into<String>, summary: &'static str) -> Operation {
    let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
    let method = match method {
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "get",
    };
    Operation {
        method,
        path: path.to_owned(),
        id: id.into(),
        summary,
        caller: Caller::Admin,
        query: Vec::new(),
        body: None,
        body_optional: false,
        form: false,
        picture: false,
        status: 200,
        or_ok: false,
        answer: json!({"type": "object"}),
        answer_type: "application/json",
    }
}

impl Operation {
    pub fn by(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    pub fn query(mut self, members: impl IntoIterator<Item = Member>) -> Self {
        self.query.extend(members);
        self
    }

    pub fn body(mut self, members: impl IntoIterator<Item = Member>) -> Self {
        self.body = Some(members.into_iter().collect());
        self
    }

    pub fn picture(mut self) -> Self {
        self.picture = true;
        self
    }

    /// A body that may be left out.
    pub fn optional_body(mut self, members: impl IntoIterator<Item = Member>) -> Self {
        self.body_optional = true;
        self.body(members)
    }

    pub fn form(mut self) -> Self {
        self.form = true;
        self
    }

    pub fn answers(mut self, status: u16, schema: Value) -> Self {
        (self.status, self.answer) = (status, schema);
        self
    }

    pub fn or_ok(mut self) -> Self {
        self.or_ok = true;
        self
    }

    /// 200 with another content type than JSON.
    pub fn answers_as(mut self, content_type: &'static str, schema: Value) -> Self {
        self.answer_type = content_type;
        self.answers(200, schema)
    }

    /// A page of a list.
    pub fn paged(self) -> Self {
        let page = json!({"type": "object", "required": ["items", "next"], "properties": {
            "items": {"type": "array", "items": {"type": "object"}}, "next": {"type": ["string", "null"]}}});
        let limit = ("limit", json!({"type": "integer", "minimum": 1, "maximum": 200}));
        self.query([limit, ("after", text())]).answers(200, page)
    }

    /// What a page of a list is made of.
    pub fn of(mut self, item: Value) -> Self {
        self.answer["properties"]["items"]["items"] = item;
        self
    }

    /// Tells what would go, and changes nothing.
    pub fn rehearsed(self) -> Self {
        self.query([("dry_run", flag())])
    }
}

pub fn text() -> Value {
    json!({"type": "string"})
}

pub fn flag() -> Value {
    json!({"type": "boolean"})
}

pub fn number() -> Value {
    json!({"type": "integer"})
}

pub fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

pub fn object() -> Value {
    json!({"type": "object"})
}

pub fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// An id, or `{"username": "…"}`.
pub fn user() -> Value {
    let named = schema([("username!", text())]);
    json!({"oneOf": [{"type": "string", "format": "uuid"}, named]})
}

/// An object of these members and no others.
pub fn schema(members: impl IntoIterator<Item = Member>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in members {
        let bare = name.trim_end_matches('!');
        if bare != name {
            required.push(Value::from(bare));
        }
        properties.insert(bare.to_owned(), schema);
    }
    json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required})
}

/// An object of at least these members.
pub fn answer(members: impl IntoIterator<Item = Member>) -> Value {
    let mut answer = schema(members);
    if let Some(object) = answer.as_object_mut() {
        object.remove("additionalProperties");
    }
    answer
}
