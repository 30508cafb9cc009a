//! `acr_values`: how sure the application would like the sign-in to be (OpenID Connect Core, 3.1.2.1).

use crate::error::{Result, invalid_request};
use crate::oauth::parameters::Parameters;

const MOST: usize = 10;

/// The values in the order of preference. Those that nobody knows here are asked for in vain, and that is no error.
pub fn check_acr_values(parameters: &Parameters) -> Result<Vec<String>> {
    let text = parameters.get("acr_values").unwrap_or_default();
    let values: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    if values.len() > MOST {
        return Err(invalid_request("acr_values has at most 10 values"));
    }
    Ok(values)
}
