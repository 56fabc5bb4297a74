//! An explanation of a caller's rights in a wiki.

use super::{Action, Caller, Decision, Grant, Membership, Role, Source, decide, effective};
use crate::{State, Tenant};

/// The rights of a subject in a wiki at present, and their source.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Permissions {
    /// The subject: a user's, `anonymous`, `operator`, or `token:` and a token's id.
    pub subject: String,
    /// The effective role, if any.
    pub role: Option<Role>,
    /// The source of the role.
    pub source: Option<Source>,
    /// An explanation in one or two sentences.
    pub why: String,
    /// The reason of the user's suspension, if the user is suspended.
    pub suspended: Option<String>,
    /// The decision about every action.
    pub actions: Vec<Permission>,
}

/// The decision about one action.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Permission {
    /// The action.
    pub action: Action,
    /// `true` if it is permitted.
    pub allowed: bool,
    /// The reason of the decision.
    pub why: String,
}

impl Permissions {
    /// Collects the decisions of [`decide`] about every action.
    pub(crate) fn of(subject: &str, wiki: &Tenant, caller: &Caller, known: &Membership) -> Self {
        let grant = effective(wiki, caller, known.role);
        let actions = Action::ALL.iter().map(|action| {
            let decision = decide(wiki, caller, known, *action);
            let allowed = matches!(decision, Decision::Allowed(_));
            Permission { action: *action, allowed, why: because(&decision, *action) }
        });
        Self {
            subject: subject.to_owned(),
            role: grant.map(|grant| grant.role),
            source: grant.map(|grant| grant.source),
            why: explanation(wiki, grant, known),
            suspended: known.suspended.as_ref().map(|suspension| suspension.reason.clone()),
            actions: actions.collect(),
        }
    }
}

fn because(decision: &Decision, action: Action) -> String {
    match decision {
        Decision::Allowed(Grant { role, .. }) => {
            format!("{} needs the role {}, and theirs is {role}", action, action.needs())
        }
        Decision::Hidden => "for them the wiki doesn't exist".to_owned(),
        Decision::Denied { has, needs } => {
            format!("{action} needs the role {needs}, and theirs is {has}")
        }
        Decision::ReadOnly => "the wiki is read-only".to_owned(),
        Decision::Suspended { reason } => format!("the wiki is suspended: {reason}"),
        Decision::UserSuspended { reason } => format!("the user is suspended: {reason}"),
    }
}

fn explanation(wiki: &Tenant, grant: Option<Grant>, known: &Membership) -> String {
    let visibility = wiki.visibility;
    let mut why = match grant {
        None => format!("They aren't a member, and the wiki is {visibility}."),
        Some(Grant { role, source }) => match source {
            Source::Visibility => {
                format!("The wiki is {visibility}, which makes everybody {role}.")
            }
            Source::Member => format!("They are a member with the role {role}."),
            Source::Token => format!("The token gives the role {role} in this wiki."),
            Source::Application => format!("The application around us gave the role {role}."),
            Source::Operator => "They run the platform.".to_owned(),
        },
    };
    match &wiki.state {
        State::ReadOnly => why.push_str(" The wiki is read-only."),
        State::Suspended { reason } => why.push_str(&format!(" The wiki is suspended: {reason}")),
        _ => {}
    }
    if let Some(suspension) = &known.suspended {
        why.push_str(&format!(" The user is suspended: {}", suspension.reason));
    }
    why
}
