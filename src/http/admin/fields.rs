//! A JSON body taken apart member by member, so that each fault can name its field.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::members::Members;
use crate::model::merge::wrong_member;

/// The members that nobody has taken yet.
pub struct Fields(Map<String, Value>);

impl Fields {
    pub fn of(call: &Call) -> Result<Self> {
        Ok(Self(call.json::<Members>()?.0))
    }

    /// Like [`Self::of`], for endpoints whose body may be left out.
    pub fn of_optional(call: &Call) -> Result<Self> {
        Ok(Self(call.json_or_default::<Members>()?.0))
    }

    /// # Errors
    /// `invalid_request` naming the member that has the wrong type; `null` is one.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        match T::deserialize(&value) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(wrong_member(name, &value, &error)),
        }
    }

    /// # Errors
    /// `invalid_request` naming the member that is missing or has the wrong type.
    pub fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T> {
        let found = self.optional(name)?;
        found.ok_or_else(|| Error::invalid_field(name, format!("missing field {name}")))
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What is left, for [`merged`](crate::model::merge::merged), which refuses unknown members.
    pub fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// # Errors
    /// `invalid_request` naming a member that nobody has taken.
    pub fn finish(self) -> Result<()> {
        match self.0.keys().next() {
            Some(name) => Err(Error::invalid_field(name.clone(), format!("unknown field {name}"))),
            None => Ok(()),
        }
    }
}
