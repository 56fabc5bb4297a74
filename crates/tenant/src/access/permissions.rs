//! What somebody may do in a wiki, and why, in words.

use super::{Action, Caller, Decision, Grant, Membership, Role, Source, decide, effective};
use crate::{State, Tenant};

/// What somebody may do in a wiki at this moment, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Permissions {
    /// Who: a user's subject, `anonymous`, `operator`, or `token:` and a token's id.
    pub subject: String,
    /// Their effective role, if they have any.
    pub role: Option<Role>,
    /// Where the role comes from.
    pub source: Option<Source>,
    /// All that matters, in a sentence or two.
    pub why: String,
    /// Why the user may do nothing anywhere, if that is so.
    pub suspended: Option<String>,
    /// Every action.
    pub actions: Vec<Permission>,
}

/// Whether somebody may do one thing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Permission {
    /// What.
    pub action: Action,
    /// Whether they may.
    pub allowed: bool,
    /// Why, or why not.
    pub why: String,
}

impl Permissions {
    /// Asks [`decide`] about every action.
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
