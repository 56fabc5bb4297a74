use std::collections::BTreeMap;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::tenant::all_states;
use crate::token::{Token, TokenRole};
use crate::{Author, TenantId};

fn wiki(visibility: Visibility, state: State) -> Tenant {
    Tenant {
        id: TenantId::random(),
        slug: "garden".parse().unwrap(),
        title: "Garden".to_owned(),
        owner: None,
        visibility,
        state,
        preferences: BTreeMap::new(),
        created: OffsetDateTime::UNIX_EPOCH,
    }
}

fn ann() -> Caller {
    Caller::user("ann", Author::new("Ann", "ann@example.org"))
}

fn bearer(role: TokenRole, act_as: bool) -> Caller {
    let created = OffsetDateTime::UNIX_EPOCH;
    Caller::token(&Token {
        id: "0123".to_owned(),
        name: "CI".to_owned(),
        role,
        act_as,
        created,
        expires: None,
    })
}

/// One letter a decision: Allowed, Hidden, Denied, Read-only, Suspended.
fn letter(decision: &Decision) -> char {
    match decision {
        Decision::Allowed(_) => 'A',
        Decision::Hidden => 'H',
        Decision::Denied { .. } => 'D',
        Decision::ReadOnly => 'R',
        Decision::Suspended { .. } => 'S',
    }
}

/// Three letters: reading, writing, administering.
fn letters(visibility: Visibility, state: &State, caller: &Caller, member: Option<Role>) -> String {
    let wiki = wiki(visibility, state.clone());
    let actions = [Action::Read, Action::Write, Action::Administer];
    actions.into_iter().map(|action| letter(&decide(&wiki, caller, member, action))).collect()
}

/// The columns: a stranger, reader, editor, admin, owner, operator.
fn row(visibility: Visibility, state: &State) -> String {
    let mut cells = vec![letters(visibility, state, &ann(), None)];
    cells.extend(Role::ALL.iter().map(|role| letters(visibility, state, &ann(), Some(*role))));
    cells.push(letters(visibility, state, &Caller::operator(), None));
    cells.join(" ")
}

#[test]
fn every_combination_is_decided() {
    let settled = [
        (Visibility::Private, "active", "HHH ADD AAD AAA AAA AAA"),
        (Visibility::Private, "read_only", "HHH ADD ARD ARR ARR ARA"),
        (Visibility::Private, "suspended", "HHH SSS SSS SSS SSS SSA"),
        (Visibility::PublicRead, "active", "ADD ADD AAD AAA AAA AAA"),
        (Visibility::PublicRead, "read_only", "ADD ADD ARD ARR ARR ARA"),
        (Visibility::PublicRead, "suspended", "SSS SSS SSS SSS SSS SSA"),
        (Visibility::PublicWrite, "active", "AAD AAD AAD AAA AAA AAA"),
        (Visibility::PublicWrite, "read_only", "ARD ARD ARD ARR ARR ARA"),
        (Visibility::PublicWrite, "suspended", "SSS SSS SSS SSS SSS SSA"),
    ];
    for visibility in Visibility::ALL {
        for state in all_states() {
            let expected = settled
                .iter()
                .find(|(v, s, _)| v == visibility && *s == state.as_str())
                .map_or("HHH HHH HHH HHH HHH HHH", |(_, _, row)| row);
            assert_eq!(row(*visibility, &state), expected, "{visibility} {state}");
        }
    }
}

#[test]
fn settings_are_seen_by_those_who_may_change_them_and_also_where_nothing_may_be_changed() {
    for visibility in Visibility::ALL {
        for role in Role::ALL {
            for state in [State::Active, State::ReadOnly] {
                let decision =
                    decide(&wiki(*visibility, state), &ann(), Some(*role), Action::Inspect);
                let allowed = matches!(decision, Decision::Allowed(_));
                assert_eq!(allowed, *role >= Role::Admin, "{visibility} {role}: {decision:?}");
            }
        }
    }
}

#[test]
fn an_anonymous_caller_is_a_stranger_whatever_the_list_says() {
    for visibility in Visibility::ALL {
        for state in all_states() {
            let stranger = letters(*visibility, &state, &ann(), None);
            for member in [None, Some(Role::Owner)] {
                assert_eq!(letters(*visibility, &state, &Caller::anonymous(), member), stranger);
            }
        }
    }
}

#[test]
fn a_given_role_counts_and_the_list_does_not() {
    for state in all_states() {
        for role in Role::ALL {
            let given =
                letters(Visibility::Private, &state, &ann().with_role(*role), Some(Role::Owner));
            assert_eq!(given, letters(Visibility::Private, &state, &ann(), Some(*role)));
        }
    }
    assert_eq!(ann().with_role(Role::Reader).member_subject(), None);
    assert_eq!(ann().member_subject(), Some("ann"));
}

#[test]
fn a_token_counts_in_its_own_wiki_only() {
    let (here, there) =
        (wiki(Visibility::Private, State::Active), wiki(Visibility::Private, State::Active));
    let caller = bearer(TokenRole::Wiki { wiki: here.id, role: Role::Editor }, false);
    assert_eq!(
        decide(&here, &caller, None, Action::Write),
        Decision::Allowed(Grant { role: Role::Editor, source: Source::Token })
    );
    assert_eq!(
        decide(&here, &caller, Some(Role::Owner), Action::Administer),
        Decision::Denied { has: Role::Editor, needs: Role::Admin }
    );
    for action in Action::ALL {
        assert_eq!(decide(&there, &caller, Some(Role::Owner), *action), Decision::Hidden);
    }
}

#[test]
fn an_operators_token_is_the_operator() {
    let caller = bearer(TokenRole::Operator, false);
    assert!(caller.is_operator() && Caller::operator().is_operator() && !ann().is_operator());
    assert_eq!(letters(Visibility::Private, &State::Active, &caller, None), "AAA");
}

#[test]
fn the_reason_of_a_suspension_is_passed_on() {
    let suspended = wiki(Visibility::PublicRead, State::Suspended { reason: "unpaid".to_owned() });
    let decision = decide(&suspended, &Caller::anonymous(), None, Action::Read);
    assert_eq!(decision, Decision::Suspended { reason: "unpaid".to_owned() });
}

#[test]
fn the_source_of_a_role_is_named() {
    let public = wiki(Visibility::PublicWrite, State::Active);
    let source = |member| effective(&public, &ann(), member).map(|grant| grant.source);
    assert_eq!(source(None), Some(Source::Visibility));
    assert_eq!(source(Some(Role::Reader)), Some(Source::Visibility));
    assert_eq!(source(Some(Role::Editor)), Some(Source::Member));
}

#[test]
fn only_some_tokens_may_name_another_author() {
    let author = Author::new("Ann", "ann@example.org");
    let caller = bearer(TokenRole::Operator, true).acting_as(author.clone()).unwrap();
    assert_eq!((caller.author(), caller.subject()), (&author, Some("token:0123")));
    for caller in
        [bearer(TokenRole::Operator, false), Caller::operator(), ann(), Caller::anonymous()]
    {
        assert_eq!(caller.acting_as(author.clone()), None);
    }
}

#[test]
fn callers_without_an_address_get_one_that_cannot_receive_mail() {
    assert_eq!(Caller::user_without_email("u 1", "Ann").author().email(), "u-1@users.invalid");
    assert_eq!(bearer(TokenRole::Operator, false).author().email(), "token:0123@users.invalid");
    assert_eq!(bearer(TokenRole::Operator, false).author().name(), "CI");
    assert_eq!(
        (Caller::anonymous().subject(), Caller::anonymous().author().name()),
        (None, "anonymous")
    );
}

fn any_role() -> impl Strategy<Value = Option<Role>> {
    proptest::option::of(proptest::sample::select(Role::ALL))
}

proptest! {
    #[test]
    fn a_greater_role_never_loses_a_right(
        visibility in proptest::sample::select(Visibility::ALL),
        state in proptest::sample::select(all_states().to_vec()),
        action in proptest::sample::select(Action::ALL),
        (one, other) in (any_role(), any_role()),
    ) {
        let wiki = wiki(visibility, state);
        let allowed = |member| matches!(decide(&wiki, &ann(), member, action), Decision::Allowed(_));
        prop_assert!(!allowed(one.min(other)) || allowed(one.max(other)));
    }

    #[test]
    fn any_subject_and_name_make_an_author(subject in "\\PC{0,20}|[\\x00-\\x7f]{0,20}", name in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
        let author = Caller::user_without_email(subject, &name).author().clone();
        prop_assert_eq!(Author::parse(author.name(), author.email()), Ok(author.clone()));
        prop_assert!(author.email().ends_with("@users.invalid"));
    }
}
