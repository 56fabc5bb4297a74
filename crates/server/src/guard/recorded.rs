//! Records calls in the audit log: the caller, the action, the origin and the result.

use axum::extract::{FromRequestParts as _, RawPathParams};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::request::Parts;
use serde_json::{Map, Value};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{AuditLog, Caller, Error, NewAuditEntry, Outside, Wiki};

use crate::auth::ClientAddress;
use crate::middleware::RequestId;

/// Maximum length of a recorded path parameter, in characters.
const KEPT: usize = 200;

/// Records one call in the audit log.
#[derive(Clone)]
pub(crate) struct Recorder {
    log: AuditLog,
    entry: NewAuditEntry,
}

impl Recorder {
    /// A call by `caller`, recorded as `word` in `log`, or else in its wiki's log.
    pub(super) async fn of(
        word: &'static str,
        log: Option<AuditLog>,
        wiki: Option<Wiki>,
        caller: Option<Caller>,
        parts: &mut Parts,
    ) -> Result<Self, Error> {
        let outside = parts.extensions.get::<Outside>().cloned();
        let log = log
            .or_else(|| wiki.as_ref().map(Wiki::audit))
            .or_else(|| outside.as_ref().map(Outside::audit));
        let log = log.ok_or(Error::NoContext)?;
        let mut entry = entry(word, wiki.as_ref(), caller.as_ref(), parts).await;
        if let Some(outside) = outside {
            entry.wiki = outside.id();
            entry.slug = outside.slug().map(ToString::to_string);
        }
        Ok(Self { log, entry })
    }

    /// Records that the call was refused. Refusals of one kind share one row per minute.
    pub(crate) async fn refused(self, status: StatusCode) {
        self.log.record_refusal(self.entry, status.as_u16()).await;
    }

    /// Records the call, runs it, and records the result. A call that can't be recorded isn't run. If
    /// the process dies in between, the row stays without a result.
    pub(crate) async fn around(self, answer: impl Future<Output = Response>) -> Response {
        let Self { log, entry } = self;
        let word = entry.action.clone();
        let id = match log.record(entry).await {
            Ok(id) => id,
            Err(error) => return error.into_response(),
        };
        let response = answer.await;
        // The outermost layer may still change the response's status to the problem's.
        let status =
            response.extensions().get::<Problem>().map_or(response.status(), Problem::status);
        if let Err(error) = log.record_result(id, status.as_u16()).await {
            // The call has been carried out, and its start is recorded.
            tracing::error!(%error, word, "the audit log doesn't know how it ended");
        }
        response
    }
}

async fn entry(
    word: &'static str,
    wiki: Option<&Wiki>,
    caller: Option<&Caller>,
    parts: &mut Parts,
) -> NewAuditEntry {
    let mut detail = parameters(parts).await;
    let slug = match wiki {
        Some(wiki) => Some(wiki.slug().to_string()),
        None => detail.remove("slug").and_then(|slug| slug.as_str().map(str::to_owned)),
    };
    if let Some(token) = caller.and_then(Caller::token_id) {
        detail.insert("token".to_owned(), token.into());
    }
    let id = parts.extensions.get::<RequestId>();
    NewAuditEntry {
        subject: caller.and_then(Caller::subject).map(str::to_owned),
        action: word.to_owned(),
        wiki: wiki.map(Wiki::id),
        slug,
        peer: ClientAddress::of(&parts.extensions),
        request_id: id.map(|id| id.as_str().to_owned()),
        detail: Value::Object(detail),
    }
}

/// The path parameters. Bodies and queries are left out, as they may contain secrets.
async fn parameters(parts: &mut Parts) -> Map<String, Value> {
    let Ok(parameters) = RawPathParams::from_request_parts(parts, &()).await else {
        return Map::new();
    };
    let kept = |text: &str| text.chars().take(KEPT).collect::<String>();
    parameters.iter().map(|(name, value)| (name.to_owned(), kept(value).into())).collect()
}
