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
        quota: crate::Quota::default(),
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
        subject: None,
        author: None,
        used: None,
    })
}

/// One letter per decision: Allowed, Hidden, Denied, Read-only, Suspended, User suspended.
fn letter(decision: &Decision) -> char {
    match decision {
        Decision::Allowed(_) => 'A',
        Decision::Hidden => 'H',
        Decision::Denied { .. } => 'D',
        Decision::ReadOnly => 'R',
        Decision::Suspended { .. } => 'S',
        Decision::UserSuspended { .. } => 'U',
    }
}

/// Three letters: reading, writing, administering.
fn letters(visibility: Visibility, state: &State, caller: &Caller, member: Option<Role>) -> String {
    let wiki = wiki(visibility, state.clone());
    let actions = [Action::Read, Action::Write, Action::Administer];
    actions
        .into_iter()
        .map(|action| letter(&decide(&wiki, caller, &member.into(), action)))
        .collect()
}

/// One column per caller: a stranger, reader, editor, admin, owner, operator.
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
                    decide(&wiki(*visibility, state), &ann(), &Some(*role).into(), Action::Inspect);
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
        decide(&here, &caller, &None.into(), Action::Write),
        Decision::Allowed(Grant { role: Role::Editor, source: Source::Token })
    );
    assert_eq!(
        decide(&here, &caller, &Some(Role::Owner).into(), Action::Administer),
        Decision::Denied { has: Role::Editor, needs: Role::Admin }
    );
    for action in Action::ALL {
        assert_eq!(decide(&there, &caller, &Some(Role::Owner).into(), *action), Decision::Hidden);
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
    let decision = decide(&suspended, &Caller::anonymous(), &None.into(), Action::Read);
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
        let allowed = |member: Option<Role>| matches!(decide(&wiki, &ann(), &member.into(), action), Decision::Allowed(_));
        prop_assert!(!allowed(one.min(other)) || allowed(one.max(other)));
    }

    #[test]
    fn any_subject_and_name_make_an_author(subject in "\\PC{0,20}|[\\x00-\\x7f]{0,20}", name in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
        let author = Caller::user_without_email(subject, &name).author().clone();
        prop_assert_eq!(Author::parse(author.name(), author.email()), Ok(author.clone()));
        prop_assert!(author.email().ends_with("@users.invalid"));
    }
}

fn suspended(role: Option<Role>) -> Membership {
    let since = OffsetDateTime::UNIX_EPOCH;
    let suspension = Suspension { since, reason: "spam".to_owned() };
    Membership { role, suspended: Some(Arc::new(suspension)) }
}

/// A token for the wiki that belongs to the user `ann`.
fn anns_token(wiki: &Tenant, role: Role) -> Caller {
    Caller::token(&Token {
        id: "0123".to_owned(),
        name: "CI".to_owned(),
        role: TokenRole::Wiki { wiki: wiki.id, role },
        act_as: false,
        created: OffsetDateTime::UNIX_EPOCH,
        expires: None,
        subject: Some("ann".to_owned()),
        author: Some(Author::new("Ann", "ann@example.org")),
        used: None,
    })
}

#[test]
fn a_suspended_user_may_do_nothing_and_is_told_only_where_there_is_something_to_see() {
    for visibility in Visibility::ALL {
        for state in all_states() {
            let wiki = wiki(*visibility, state);
            for role in Role::ALL.iter().copied().map(Some).chain([None]) {
                for caller in [ann(), ann().with_role(Role::Owner)] {
                    for action in Action::ALL {
                        let before = decide(&wiki, &caller, &role.into(), *action);
                        let now = decide(&wiki, &caller, &suspended(role), *action);
                        match before {
                            Decision::Hidden => assert_eq!(now, Decision::Hidden),
                            _ => assert_eq!(letter(&now), 'U', "{visibility} {role:?} {action}"),
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_users_token_is_worth_what_the_user_is_at_most() {
    let here = wiki(Visibility::Private, State::Active);
    for (token, member, expected) in [
        (Role::Admin, Some(Role::Editor), Some(Role::Editor)),
        (Role::Reader, Some(Role::Owner), Some(Role::Reader)),
        (Role::Admin, None, None),
    ] {
        let grant = effective(&here, &anns_token(&here, token), member);
        assert_eq!(grant.map(|grant| grant.role), expected);
        assert!(grant.is_none_or(|grant| grant.source == Source::Token));
    }
    let caller = anns_token(&here, Role::Editor);
    assert_eq!(caller.member_subject(), Some("ann"));
    assert_eq!((caller.subject(), caller.token_id()), (Some("ann"), Some("0123")));
    assert_eq!(caller.author(), &Author::new("Ann", "ann@example.org"));
    assert_eq!(letter(&decide(&here, &caller, &suspended(Some(Role::Owner)), Action::Read)), 'U');
    // The bearer of a token has at least the rights that the visibility gives to every caller.
    let public = Tenant { visibility: Visibility::PublicWrite, ..here };
    assert_eq!(letter(&decide(&public, &caller, &None.into(), Action::Write)), 'A');
}

#[test]
fn who_is_a_user_and_who_is_not() {
    let here = wiki(Visibility::Private, State::Active);
    let of_nobody = bearer(TokenRole::Wiki { wiki: here.id, role: Role::Editor }, false);
    assert_eq!(ann().user_subject(), Some("ann"));
    assert_eq!(ann().with_role(Role::Reader).user_subject(), Some("ann"));
    assert_eq!(anns_token(&here, Role::Reader).user_subject(), Some("ann"));
    for nobody in [Caller::anonymous(), Caller::operator(), of_nobody] {
        assert_eq!(nobody.user_subject(), None);
        assert_eq!(nobody.with_role(Role::Owner).user_subject(), None);
    }
}

#[test]
fn a_limit_holds_whatever_grants_the_role() {
    let public = wiki(Visibility::PublicWrite, State::Active);
    let callers = [
        ann(),
        ann().with_role(Role::Owner),
        Caller::operator(),
        Caller::anonymous(),
        bearer(TokenRole::Wiki { wiki: public.id, role: Role::Admin }, false),
        anns_token(&public, Role::Admin),
    ];
    for caller in callers {
        let role =
            |caller: &Caller| effective(&public, caller, Some(Role::Owner)).map(|grant| grant.role);
        let reader = caller.clone().limited_to(Some(Role::Reader));
        assert_eq!(role(&reader), Some(Role::Reader), "{caller:?}");
        assert_eq!(role(&reader.limited_to(Some(Role::Owner))), Some(Role::Reader));
        let nobody = caller.clone().limited_to(None);
        assert_eq!(role(&nobody), None);
        assert_eq!(letter(&decide(&public, &nobody, &None.into(), Action::Read)), 'H');
        assert_eq!(role(&nobody.limited_to(Some(Role::Owner))), None);
        assert_eq!(role(&caller.clone().limited_to(Some(Role::Owner))), role(&caller));
    }
    assert!(!Caller::operator().limited_to(Some(Role::Owner)).is_operator());
}

#[test]
fn permissions_say_why() {
    let garden = wiki(Visibility::PublicRead, State::Active);
    let of = |known: &Membership| Permissions::of("ann", &garden, &ann(), known);
    let member = of(&Some(Role::Editor).into());
    assert_eq!((member.role, member.source), (Some(Role::Editor), Some(Source::Member)));
    assert_eq!(member.why, "They are a member with the role editor.");
    let words: Vec<_> =
        member.actions.iter().map(|one| (one.action.as_str(), one.allowed, &*one.why)).collect();
    assert_eq!(
        words,
        [
            ("read", true, "read needs the role reader, and theirs is editor"),
            ("write", true, "write needs the role editor, and theirs is editor"),
            ("inspect", false, "inspect needs the role admin, and theirs is editor"),
            ("administer", false, "administer needs the role admin, and theirs is editor"),
        ]
    );
    let stranger = of(&None.into());
    assert_eq!(stranger.why, "The wiki is public_read, which makes everybody reader.");
    let banned = of(&suspended(None));
    assert_eq!(banned.suspended.as_deref(), Some("spam"));
    assert!(banned.actions.iter().all(|one| !one.allowed && one.why.contains("spam")));
}

proptest! {
    #[test]
    fn a_limit_never_gives_a_right(
        visibility in proptest::sample::select(Visibility::ALL),
        state in proptest::sample::select(all_states().to_vec()),
        action in proptest::sample::select(Action::ALL),
        (member, limit) in (any_role(), any_role()),
    ) {
        let wiki = wiki(visibility, state);
        let may = |caller: &Caller| {
            matches!(decide(&wiki, caller, &member.into(), action), Decision::Allowed(_))
        };
        for caller in [ann(), Caller::operator(), Caller::anonymous()] {
            prop_assert!(may(&caller) || !may(&caller.clone().limited_to(limit)));
        }
    }
}
