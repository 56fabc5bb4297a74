//! Query parameters, and the paging that all lists share.

mod paging;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use wikigrove_tenant::Revision;
use wikigrove_tenant::problem::Problem;

use super::{excerpt, percent};

pub use paging::{Listing, Paging};

/// The query parameters of `T`. A duplicate parameter or an invalid value is an error that names it.
///
/// Unknown parameters are ignored on routes that read, since proxies and trackers add their own. Routes
/// that change something refuse them before any handler runs (`guard/parameters.rs`).
///
/// `T` is a flat struct of strings, numbers, booleans and options of them.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    // The parser below replaces invalid sequences, so they are refused first.
    percent::decode(query, "the query")?;
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let (path, message) = (error.path().to_string(), error.inner().to_string());
        // For a missing or duplicate parameter, serde gives its name only in the message.
        let name = match message.split('`').nth(1) {
            Some(name) if message.contains(" field `") => name.to_owned(),
            _ => path,
        };
        invalid(&name, "invalid_value", &message)
    })
}

/// A 422 error for a parameter with an invalid value.
pub(crate) fn invalid(name: &str, code: &'static str, why: &str) -> Problem {
    refused(StatusCode::UNPROCESSABLE_ENTITY, name, code, why)
}

/// An error about the parameter `name`.
pub(crate) fn refused(status: StatusCode, name: &str, code: &'static str, why: &str) -> Problem {
    let (name, why) = (excerpt(name), excerpt(why));
    Problem::new(status, code, format!("query parameter `{name}`: {why}"))
        .field("errors", [serde_json::json!({ "pointer": format!("/{name}"), "parameter": name, "code": code, "detail": why })])
}

/// Parses the parameter `name` as a revision.
///
/// # Errors
/// 422 `invalid_revision` for anything but a full commit id.
pub(crate) fn revision(name: &str, text: &str) -> Result<Revision, Problem> {
    text.parse().map_err(|error| invalid(name, "invalid_revision", &format!("{error}")))
}

/// The first parameter of a query that isn't among the `known` ones.
///
/// # Errors
/// 400 if the query can't be decoded.
pub(crate) fn unknown(query: &str, known: &[String]) -> Result<Option<String>, Problem> {
    percent::decode(query, "the query")?;
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let unknown = names.find(|name| !known.iter().any(|known| known == name));
    Ok(unknown.map(std::borrow::Cow::into_owned))
}

/// The value of a parameter, if present.
///
/// # Errors
/// 400 if the query can't be decoded; 422 if the parameter occurs several times.
fn single(query: &str, wanted: &str) -> Result<Option<String>, Problem> {
    percent::decode(query, "the query")?;
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == wanted)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(invalid(wanted, "invalid_value", "there is more than one")),
        (value, None) => Ok(value.map(std::borrow::Cow::into_owned)),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Diff {
        from: String,
        context: Option<u8>,
        #[serde(default)]
        dry_run: bool,
    }

    fn refused(query: &str) -> (u16, &'static str, String) {
        let problem = read::<Diff>(query).unwrap_err();
        (problem.status().as_u16(), problem.code(), problem.detail().to_owned())
    }

    #[test]
    fn known_parameters_are_typed_and_others_ignored() {
        let diff: Diff =
            read("from=a+b%2Bc&context=3&utm_source=x&utm_source=y&dry_run=true").unwrap();
        assert_eq!(diff, Diff { from: "a b+c".into(), context: Some(3), dry_run: true });
    }

    #[test]
    fn a_bad_value_is_named() {
        for (query, name) in [
            ("from=a&context=300", "context"),
            ("from=a&context=", "context"),
            ("from=a&dry_run=yes", "dry_run"),
            ("", "from"),
            ("from=a&from=b", "from"),
        ] {
            let (status, code, detail) = refused(query);
            assert_eq!((status, code), (422, "invalid_value"), "{query}");
            assert!(
                detail.starts_with(&format!("query parameter `{name}`: ")),
                "{query}: {detail}"
            );
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_refused_even_in_unknown_parameters() {
        assert_eq!((refused("from=%").0, refused("from=%").1), (400, "invalid_encoding"));
        assert_eq!((refused("from=a&x=%ff").0, refused("from=a&x=%ff").1), (400, "invalid_utf8"));
    }
}
