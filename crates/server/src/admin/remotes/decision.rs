//! Pending decisions of a remote: the choices with their previews, and the operator's choice.

use axum::extract::{RawPathParams, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Link, Revision};

use super::body::LinkBody;
use super::named;
use crate::admin::wikis::invalid;
use crate::admin::{Admin, SlugInPath};
use crate::extract::Json;
use crate::guard::{Needs, Routes};
use crate::openapi;
use crate::sync::runner::{Previewed, preview, state_of};
use crate::sync::{Choice, DecisionReason, Event, Phase};

pub(super) fn router() -> Routes<Admin> {
    Routes::new()
        .route(Needs::OPERATOR, routes!(show))
        .route(Needs::OPERATOR.audited("remote.decide"), routes!(decide))
}

#[derive(Serialize)]
struct Question {
    /// Reason for the decision.
    reason: DecisionReason,
    /// The remote's tip in question.
    revision: Revision,
    choices: Vec<Offered>,
    /// The reason if no previews could be made.
    error: Option<String>,
}

#[derive(Serialize)]
struct Offered {
    choice: Choice,
    /// Explanation of the choice.
    meaning: &'static str,
    /// Changes to the wiki's pages under this choice; null if unknown.
    preview: Option<Previewed>,
}

/// Shows the pending decision and a preview of each choice.
///
/// Both histories stay reachable under every choice.
#[utoipa::path(get, path = "/wikis/{slug}/remotes/{id}/decision", params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::remotes::Decision), (status = "4XX", body = openapi::Problem)))]
async fn show(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
) -> Result<Json<Question>, Problem> {
    let link = named(&admin, &slug, &params).await?;
    let (reason, revision) = question(&link).ok_or_else(nothing_to_decide)?;
    let (mut previews, error) = match preview(&admin.remotes, &link, reason, revision).await {
        Ok(previews) => (previews, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let mut taken = |choice: Choice| {
        let at = previews.iter().position(|(of, _)| *of == choice)?;
        Some(previews.swap_remove(at).1)
    };
    let offered = |choice: &Choice| Offered {
        choice: *choice,
        meaning: meaning(*choice),
        preview: taken(*choice),
    };
    let choices = reason.choices().iter().map(offered).collect();
    Ok(Json(Question { reason, revision, choices, error }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decide {
    /// `remote`, `wiki`, `both` or `retry`, if offered.
    #[schema(value_type = String)]
    choice: Choice,
    /// The remote's tip that was shown with the question. If the tip has changed since, the decision is
    /// refused.
    revision: Option<String>,
}

/// Decides a pending question. The remote runs at once.
#[utoipa::path(post, path = "/wikis/{slug}/remotes/{id}/decision", request_body = Decide,
    params(("slug" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = openapi::remotes::Remote), (status = "4XX", body = openapi::Problem)))]
async fn decide(
    State(admin): State<Admin>,
    SlugInPath(slug): SlugInPath,
    params: RawPathParams,
    Json(Decide { choice, revision }): Json<Decide>,
) -> Result<Json<LinkBody>, Problem> {
    let link = named(&admin, &slug, &params).await?;
    let (reason, tip) = question(&link).ok_or_else(nothing_to_decide)?;
    if !reason.choices().contains(&choice) {
        let offered: Vec<_> = reason.choices().iter().map(|choice| choice.as_str()).collect();
        let why = format!("one of {} is possible here", offered.join(", "));
        return Err(invalid("choice", "not_offered", &why));
    }
    let shown: Option<Revision> = revision
        .map(|text| text.parse())
        .transpose()
        .map_err(|error| invalid("revision", "invalid_revision", &format!("{error}")))?;
    if shown.is_some_and(|shown| shown != tip) {
        let detail = "the question is about another state of the remote by now";
        return Err(
            Problem::new(StatusCode::CONFLICT, "another_decision", detail).field("revision", tip)
        );
    }
    let link = admin.tell(&link, Event::Decided { choice, tip: Some(tip) }).await?;
    LinkBody::of(&admin, &link).await.map(Json)
}

fn question(link: &Link) -> Option<(DecisionReason, Revision)> {
    match state_of(link).phase {
        Phase::NeedsDecision { reason, tip } => Some((reason, tip)),
        _ => None,
    }
}

fn nothing_to_decide() -> Problem {
    Problem::new(StatusCode::CONFLICT, "nothing_to_decide", "this remote waits for no decision")
}

fn meaning(choice: Choice) -> &'static str {
    match choice {
        Choice::Remote => "the wiki takes over what the remote has",
        Choice::Wiki => "the wiki's pages stay as they are, and the remote gets them",
        Choice::Both => "both are merged; what can't be merged is kept side by side",
        Choice::Retry => "look again, once the cause has been removed",
    }
}
