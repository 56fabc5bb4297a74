//! Query parameters of routes that change something.
//!
//! An unknown parameter is harmless on a route that reads, where proxies and trackers add their own. On
//! a route that changes something it may be a misunderstanding: `POST /moves?dry_run=true` would move.
//! The names come from the OpenAPI document, so an undocumented parameter is refused.

use std::sync::Arc;

use http::{Method, StatusCode, Uri};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use wikigrove_tenant::problem::Problem;

use crate::extract::query;

/// The accepted names for each method of a path that changes something.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Arc<[(Method, Vec<String>)]>);

impl Parameters {
    /// Collects the names from the documentation of a path.
    pub(super) fn of(item: &PathItem) -> Self {
        let PathItem { put, post, delete, patch, .. } = item;
        let operations = [
            (Method::PUT, put),
            (Method::POST, post),
            (Method::DELETE, delete),
            (Method::PATCH, patch),
        ];
        let named = operations.into_iter().filter_map(|(method, operation)| {
            operation.as_ref().map(|operation| (method, names(operation)))
        });
        Self(named.collect())
    }

    /// Returns `true` if no method of the path changes anything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the query of a request.
    ///
    /// # Errors
    /// 422 `unknown_parameter` for a name that the method doesn't take; 400 for a query that can't be
    /// decoded.
    pub(super) fn check(&self, method: &Method, uri: &Uri) -> Result<(), Problem> {
        let Some(query) = uri.query().filter(|query| !query.is_empty()) else { return Ok(()) };
        let Some((_, known)) = self.0.iter().find(|(changing, _)| changing == method) else {
            return Ok(());
        };
        match query::unknown(query, known)? {
            None => Ok(()),
            Some(name) => Err(unknown(&name, known)),
        }
    }
}

fn names(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten().filter_map(|one| match one {
        RefOr::T(one) if matches!(one.parameter_in, ParameterIn::Query) => Some(one.name.clone()),
        _ => None,
    });
    parameters.collect()
}

fn unknown(name: &str, known: &[String]) -> Problem {
    let why = match known {
        [] => "this route takes no query parameters, and nothing was changed".to_owned(),
        known => format!("this route takes `{}` only, and nothing was changed", known.join("`, `")),
    };
    query::refused(StatusCode::UNPROCESSABLE_ENTITY, name, "unknown_parameter", &why)
}
