//! Settings of one wiki.

use std::collections::BTreeMap;

use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use utoipa_axum::routes;
use wikigrove_tenant::{Error, PreferenceChanges, PreferenceValue, Wiki};

use crate::extract::Json;
use crate::guard::{Needs, Routes};
use crate::openapi;

pub(super) fn router() -> Routes {
    Routes::new()
        .route(Needs::INSPECT, routes!(read))
        .route(Needs::ADMINISTER.audited("preferences.change"), routes!(change))
}

/// Preferences as a client sends them: `null` means the default. Storage validates names and
/// values, all at once.
pub(crate) type Sent = BTreeMap<String, Value>;

/// Converts a client's preferences to changes.
pub(crate) fn changes(sent: Sent) -> PreferenceChanges {
    sent.into_iter().map(|(name, value)| (name, to_preference(value))).collect()
}

fn to_preference(value: Value) -> Option<PreferenceValue> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => PreferenceValue::Flag(flag),
        Value::String(text) => PreferenceValue::Text(text),
        Value::Number(number) => {
            number.as_i64().map_or(PreferenceValue::Other, PreferenceValue::Number)
        }
        Value::Array(_) | Value::Object(_) => PreferenceValue::Other,
    })
}

/// Reads all preferences, including the defaults.
#[utoipa::path(get, path = "/preferences",
    responses((status = 200, body = openapi::Preferences), (status = "4XX", body = openapi::Problem)))]
async fn read(wiki: Wiki) -> Result<Response, Error> {
    Ok(Json(&*wiki.preferences().await?).into_response())
}

/// Changes preferences by a JSON merge patch (RFC 7396): a value sets a preference, `null` resets
/// it to its default, and absent ones stay.
#[utoipa::path(patch, path = "/preferences", request_body = openapi::Preferences,
    responses((status = 200, body = openapi::Preferences), (status = "4XX", body = openapi::Problem)))]
async fn change(wiki: Wiki, Json(sent): Json<Sent>) -> Result<Response, Error> {
    Ok(Json(&*wiki.change_preferences(changes(sent)).await?).into_response())
}
