//! People: who they are, what they are in a wiki, and what becomes of it.

use http::Method;
use serde_json::{Value, json};
use testkit::{Grove, TestServer, User, encode, slug, user};
use wikigrove_server::openapi::people as shapes;
use wikigrove_tenant::{
    Base, Caller, NewInvitation, NewToken, NewUser, Platform, Role, TenantUpdate, TokenRole,
    UserUpdate,
};

const ANN: &str = "https://id.example/realm#ann/1 é";

/// A subject as one segment of a path.
fn segment(subject: &str) -> String {
    encode(subject).replace('/', "%2F")
}

fn member(operator: &User, wiki: &str, subject: &str, method: Method) -> testkit::Call {
    operator.admin(method, format!("/wikis/{wiki}/members/{}", segment(subject)))
}

async fn set(operator: &User, wiki: &str, subject: &str, role: &str) -> testkit::Answer {
    member(operator, wiki, subject, Method::PUT).json(json!({ "role": role })).await
}

/// A token of the wiki `garden` that belongs to somebody.
async fn token_of(operator: &User, subject: &str, role: &str) -> User {
    let token = json!({ "name": "mine", "role": role, "subject": subject });
    operator.token_with("garden", token).await
}

fn suspension(reason: &str) -> Value {
    json!({ "state": "suspended", "reason": reason })
}

fn fits<T: serde::de::DeserializeOwned>(answer: &Value) -> T {
    serde_json::from_value(answer.clone()).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test]
async fn members_come_change_and_go() {
    let (_server, operator, _) = TestServer::with_garden().await;
    let made = set(&operator, "garden", ANN, "editor").await.good().json();
    fits::<shapes::Member>(&made);
    assert_eq!((&made["subject"], &made["role"]), (&json!(ANN), &json!("editor")));
    set(&operator, "garden", ANN, "admin").await.good();
    set(&operator, "garden", "bob", "reader").await.good();
    let shown = member(&operator, "garden", ANN, Method::GET).await.good().json();
    assert_eq!(shown["role"], "admin");
    let first = operator.admin(Method::GET, "/wikis/garden/members").query("limit", 1).await;
    let first = first.good().json();
    fits::<shapes::MemberList>(&first);
    assert_eq!(first["items"][0]["subject"], "bob");
    let next = operator.admin(Method::GET, "/wikis/garden/members").query("limit", 1);
    let next = next.query("cursor", first["next_cursor"].as_str().unwrap()).await.good().json();
    assert_eq!((&next["items"][0]["subject"], &next["next_cursor"]), (&json!(ANN), &Value::Null));
    let gone = member(&operator, "garden", ANN, Method::DELETE).await.good();
    assert_eq!(gone.status(), 204);
    member(&operator, "garden", ANN, Method::DELETE).await.problem("member_not_found");
    member(&operator, "garden", ANN, Method::GET).await.problem("member_not_found");
    member(&operator, "none", ANN, Method::GET).await.problem("unknown_wiki");
}

#[tokio::test]
async fn what_cannot_be_a_subject_is_refused_wherever_one_comes_in() {
    let (_server, operator, _) = TestServer::with_garden().await;
    let long = "x".repeat(256);
    for subject in ["operator", "Anonymous", "token:1", "mailto:a@b", " a", "a\n", &long] {
        for refused in [
            set(&operator, "garden", subject, "reader").await,
            operator.admin(Method::POST, "/users").json(json!({ "subject": subject })).await,
            operator
                .admin(Method::POST, "/wikis/garden/tokens")
                .json(json!({ "name": "x", "role": "reader", "subject": subject }))
                .await,
            operator
                .admin(Method::POST, "/wikis")
                .json(json!({ "slug": "new", "owner": subject }))
                .await,
        ] {
            assert_eq!(refused.status(), 422, "{subject}: {refused}");
            let error = &refused.problem("invalid_value")["errors"][0];
            assert_eq!(error["code"], "invalid_subject", "{subject}");
        }
    }
    let for_all = json!({ "name": "x", "role": "operator", "subject": "ann" });
    operator.admin(Method::POST, "/tokens").json(for_all).await.problem("invalid_value");
    assert!(operator.admin(Method::GET, "/users").await.good().json()["items"][0].is_null());
    // An app that has such a user gets nowhere either.
    let grove = Grove::with(["garden"]).start().await;
    for subject in ["operator", "mailto:a@b", ""] {
        let error = grove.wiki("garden", user(subject)).await.map(drop).unwrap_err();
        assert_eq!(error.code(), "invalid_subject");
        let given = user(subject).with_role(Role::Owner);
        let error = grove.wiki("garden", given).await.map(drop).unwrap_err();
        assert_eq!(error.code(), "invalid_subject");
    }
}

#[tokio::test]
async fn the_last_owner_stays_also_when_two_go_at_once() {
    let (_server, operator, _) = TestServer::with_garden().await;
    set(&operator, "garden", "ann", "owner").await.good();
    let refused = set(&operator, "garden", "ann", "admin").await;
    assert_eq!(refused.status(), 409);
    refused.problem("last_owner");
    member(&operator, "garden", "ann", Method::DELETE).await.problem("last_owner");
    for _ in 0..10 {
        set(&operator, "garden", "ann", "owner").await.good();
        set(&operator, "garden", "bob", "owner").await.good();
        let (one, other) = tokio::join!(
            member(&operator, "garden", "ann", Method::DELETE),
            set(&operator, "garden", "bob", "reader"),
        );
        let refused = [one, other].iter().filter(|answer| answer.status() == 409).count();
        assert_eq!(refused, 1);
    }
}

#[tokio::test]
async fn users_are_made_shown_listed_and_changed() {
    let (_server, operator) = TestServer::start().await;
    let new = json!({ "subject": ANN, "name": "Ann", "email": "ann@example.org" });
    let made = operator.admin(Method::POST, "/users").json(new.clone()).await.good();
    assert_eq!(made.status(), 201);
    fits::<shapes::User>(&made.json());
    let again = operator.admin(Method::POST, "/users").json(new).await;
    assert_eq!(again.status(), 409);
    again.problem("user_exists");
    let path = format!("/users/{}", segment(ANN));
    assert_eq!(operator.admin(Method::GET, &path).await.good().json(), made.json());
    let change = json!({ "name": "Ann B.", "email": null });
    let changed = operator.admin(Method::PATCH, &path).json(change).await.good().json();
    assert_eq!((&changed["name"], &changed["email"]), (&json!("Ann B."), &Value::Null));
    let changed = operator.admin(Method::PATCH, &path).json(suspension("spam")).await.good().json();
    let shape: shapes::User = fits(&changed);
    assert_eq!((shape.state.as_str(), shape.reason.as_deref()), ("suspended", Some("spam")));
    assert!(shape.suspended_at.is_some());
    let changed = operator.admin(Method::PATCH, &path).json(json!({ "state": "active" })).await;
    let changed = changed.good().json();
    assert!(changed.get("reason").is_none() && changed["name"] == "Ann B.", "{changed}");
    for wrong in [
        json!({ "state": "suspended" }),
        json!({ "reason": "x" }),
        json!({ "state": "gone" }),
        json!({ "name": "<b>" }),
        json!({ "email": "a\u{2028}b" }),
        json!({ "name": "" }),
        json!({ "subject": "bob" }),
    ] {
        let refused = operator.admin(Method::PATCH, &path).json(wrong.clone()).await;
        assert_eq!(refused.status(), 422, "{wrong}");
    }
    operator.admin(Method::GET, "/users/bob").await.problem("user_not_found");
    operator.admin(Method::PATCH, "/users/bob").json(json!({})).await.problem("user_not_found");
    fits::<shapes::UserList>(&operator.admin(Method::GET, "/users").await.good().json());
}

#[tokio::test]
async fn a_login_is_remembered_and_kept_up_to_date() {
    let grove = Grove::with(["garden"]).start().await;
    let ann = Caller::user("ann", testkit::author("ann"));
    grove.see_user(&ann).await.unwrap();
    let known = Platform::user(&grove, "ann").await.unwrap().unwrap();
    assert_eq!(
        (known.name.as_deref(), known.email.as_deref()),
        (Some("ann"), Some("ann@example.org"))
    );
    // Nobody else is a user.
    for other in [Caller::anonymous(), Caller::operator()] {
        grove.see_user(&other).await.unwrap();
    }
    assert_eq!(grove.users(None, 9).await.unwrap().len(), 1);
    assert_eq!(grove.see_user(&user("operator")).await.unwrap_err().code(), "invalid_subject");
    // What changes at once is written a little later; what was made known otherwise is taken over.
    grove.create_user(NewUser { subject: "bob".to_owned(), ..NewUser::default() }).await.unwrap();
    grove.see_user(&Caller::user_without_email("bob", "Bob")).await.unwrap();
    let bob = Platform::user(&grove, "bob").await.unwrap().unwrap();
    assert_eq!((bob.name.as_deref(), bob.email), (Some("Bob"), None));
}

#[tokio::test]
async fn a_suspension_stops_tokens_handles_and_event_streams_at_once() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    set(&operator, "garden", "ann", "editor").await.good();
    let ann = token_of(&operator, "ann", "editor").await;
    let page = ann.on("garden").create("home", "hello").await.good();
    let mut events = ann.on("garden").events(None).listen().await;
    let path = "/users/ann";
    operator.admin(Method::PATCH, path).json(suspension("spam")).await.good();
    for refused in [
        ann.on("garden").read("home").await,
        ann.on("garden").save("home", page.etag(), "more").await,
    ] {
        assert_eq!(refused.status(), 401);
        refused.problem("unauthenticated");
    }
    // A change gives the stream something to say; it ends instead.
    editor.on("garden").create("new", "text").await.good();
    while let Some(event) = events.next().await {
        assert_ne!(event.kind, "change");
    }
    operator.admin(Method::PATCH, path).json(json!({ "state": "active" })).await.good();
    ann.on("garden").read("home").await.good();
}

#[tokio::test]
async fn a_suspended_user_may_do_nothing_anywhere_and_is_told_why() {
    let grove =
        Grove::with(["garden", "kitchen"]).member("garden", "ann", Role::Owner).start().await;
    let wiki = grove.user("ann", "garden").await.unwrap();
    let storage = wiki.storage().unwrap();
    wiki.save("home", "text", Base::New).await.unwrap();
    let given = grove.wiki("garden", user("ann").with_role(Role::Admin)).await.unwrap();
    let suspended = Some(Some("spam".to_owned()));
    grove.update_user("ann", UserUpdate { suspended, ..UserUpdate::default() }).await.unwrap();
    for error in [
        wiki.read("home").await.map(drop).unwrap_err(),
        wiki.save("more", "text", Base::New).await.map(drop).unwrap_err(),
        given.read("home").await.map(drop).unwrap_err(),
        storage.head().map(drop).unwrap_err(),
        grove.user("ann", "garden").await.map(drop).unwrap_err(),
    ] {
        assert_eq!((error.code(), error.status().as_u16()), ("user_suspended", 403));
        assert!(error.to_string().contains("spam"));
    }
    // What they couldn't see stays hidden.
    assert!(grove.user("ann", "kitchen").await.map(drop).unwrap_err().is_not_found());
    let suspended = Some(None);
    grove.update_user("ann", UserUpdate { suspended, ..UserUpdate::default() }).await.unwrap();
    wiki.save("more", "text", Base::New).await.unwrap();
}

#[tokio::test]
async fn a_users_token_is_worth_what_the_user_is() {
    let (_server, operator, _) = TestServer::with_garden().await;
    let new = json!({ "subject": "ann", "name": "Ann", "email": "ann@example.org" });
    operator.admin(Method::POST, "/users").json(new).await.good();
    let ann = token_of(&operator, "ann", "admin").await;
    ann.on("garden").list().await.problem("unknown_wiki");
    set(&operator, "garden", "ann", "editor").await.good();
    ann.on("garden").create("home", "hello").await.good();
    ann.on("garden").preferences().await.problem("forbidden");
    set(&operator, "garden", "ann", "reader").await.good();
    ann.on("garden").create("more", "hello").await.problem("forbidden");
    set(&operator, "garden", "ann", "owner").await.good();
    ann.on("garden").preferences().await.good();
    let read = ann.on("garden").read("home").await.good().json();
    assert_eq!(read["author"], json!({ "name": "Ann", "email": "ann@example.org" }));
    let change = json!({ "name": "Ann B.", "email": null });
    operator.admin(Method::PATCH, "/users/ann").json(change).await.good();
    ann.on("garden").create("new", "hello").await.good();
    let read = ann.on("garden").read("new").await.good().json();
    assert_eq!(read["author"], json!({ "name": "Ann B.", "email": "ann@users.invalid" }));
    // Drafts are the user's, whichever token they show.
    ann.on("garden").put_draft("new", "draft").await.good();
    let other = token_of(&operator, "ann", "editor").await;
    assert_eq!(other.on("garden").drafts().await, ["new"]);
}

#[tokio::test]
async fn when_a_token_was_last_used_is_shown() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let used = || async {
        let list = operator.admin(Method::GET, "/wikis/garden/tokens").await.good().json();
        list["items"][0]["used_at"].clone()
    };
    assert_eq!(used().await, Value::Null);
    editor.on("garden").list().await.good();
    assert!(used().await.as_str().is_some_and(|time| time.ends_with('Z')));
}

async fn invite(operator: &User, invitation: Value) -> (String, String) {
    let made = operator.admin(Method::POST, "/wikis/garden/invitations").json(invitation).await;
    let made = made.good().json();
    fits::<shapes::Invitation>(&made);
    (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

fn accept(user: &User, wiki: &str, secret: &str) -> testkit::Call {
    user.on(wiki).api(Method::POST, "/invitations/accept").json(json!({ "token": secret }))
}

#[tokio::test]
async fn an_invitation_lets_in_who_does_not_see_the_wiki_yet() {
    let (server, operator, editor) = TestServer::with_garden().await;
    operator.create_wiki("kitchen").await.good();
    let (_, secret) = invite(&operator, json!({ "role": "editor", "email": "a@b" })).await;
    let ann = token_of(&operator, "ann", "admin").await;
    ann.on("garden").list().await.problem("unknown_wiki");
    // A wiki without this invitation, one that isn't there and a wrong secret are all alike.
    let unknown = [
        accept(&ann, "kitchen", &secret).await,
        accept(&ann, "none", &secret).await,
        accept(&ann, "garden", "wgi_wrong").await,
    ];
    for refused in &unknown {
        assert_eq!(refused.status(), 404);
        assert_eq!(refused.problem("unknown_wiki")["detail"], unknown[0].json()["detail"]);
    }
    // So are a private wiki and none when the body makes no sense.
    for wiki in ["kitchen", "none"] {
        let odd = ann.on(wiki).api(Method::POST, "/invitations/accept").json(json!({})).await;
        assert_eq!(odd.status(), 422);
    }
    // Who is no user is told so before anything is read, wherever it is.
    for nobody in [&server.anonymous(), &editor, &operator] {
        for (wiki, secret) in [("garden", secret.as_str()), ("garden", "wgi_wrong"), ("none", "x")]
        {
            let refused = accept(nobody, wiki, secret).await;
            assert_eq!(refused.status(), 403);
            refused.problem("identity_required");
        }
    }
    let accepted = accept(&ann, "garden", &secret).await.good().json();
    fits::<shapes::Accepted>(&accepted);
    assert_eq!(accepted, json!({ "slug": "garden", "role": "editor" }));
    ann.on("garden").create("home", "hello").await.good();
    assert_eq!(accept(&ann, "garden", &secret).await.good().json(), accepted);
    let list = operator.admin(Method::GET, "/wikis/garden/invitations").await.good();
    assert!(!list.text().contains(&secret));
    let list: shapes::InvitationList = fits(&list.json());
    assert_eq!(list.items[0].state, "accepted");
    assert_eq!(list.items[0].accepted_by.as_deref(), Some("ann"));
    // Nothing else of a private wiki is reached that way.
    let stranger = token_of(&operator, "cid", "admin").await;
    for (method, path) in [
        (Method::GET, "/invitations/accept"),
        (Method::POST, "/invitations/accept/"),
        (Method::POST, "/pages/invitations/accept"),
        (Method::POST, "//invitations/accept"),
    ] {
        let refused = stranger.on("garden").api(method.clone(), path).json(json!({})).await;
        assert_eq!(refused.status(), 404, "{method} {path}: {refused}");
    }
}

#[tokio::test]
async fn an_invitation_is_good_once_for_a_time_and_until_taken_back() {
    let (_server, operator, _) = TestServer::with_garden().await;
    let ann = token_of(&operator, "ann", "admin").await;
    let bob = token_of(&operator, "bob", "admin").await;
    let late = json!({ "role": "reader", "expires_at": "2001-01-01T00:00:00Z" });
    let (id, secret) = invite(&operator, late).await;
    let refused = accept(&ann, "garden", &secret).await;
    assert_eq!(refused.status(), 409);
    refused.problem("invitation_expired");
    let revoke =
        |id: String| operator.admin(Method::DELETE, format!("/wikis/garden/invitations/{id}"));
    assert_eq!(revoke(id.clone()).await.good().status(), 204);
    revoke(id).await.problem("invitation_not_found");
    accept(&ann, "garden", &secret).await.problem("unknown_wiki");
    for _ in 0..10 {
        let (_, secret) = invite(&operator, json!({ "role": "editor" })).await;
        let (one, other) =
            tokio::join!(accept(&ann, "garden", &secret), accept(&bob, "garden", &secret));
        let mut statuses = [one.status(), other.status()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let loser = if one.status() == 409 { one } else { other };
        loser.problem("invitation_used");
    }
    // A role is never lowered.
    set(&operator, "garden", "ann", "admin").await.good();
    let (_, secret) = invite(&operator, json!({ "role": "reader" })).await;
    assert_eq!(accept(&ann, "garden", &secret).await.good().json()["role"], "admin");
    // Nor does a suspended user get in; their token doesn't even count.
    let (_, secret) = invite(&operator, json!({ "role": "reader" })).await;
    operator.admin(Method::PATCH, "/users/bob").json(suspension("spam")).await.good();
    assert_eq!(accept(&bob, "garden", &secret).await.status(), 401);
}

#[tokio::test]
async fn an_invitation_sent_twice_with_a_key_is_made_once_and_its_secret_shown_once() {
    let (_server, operator, _) = TestServer::with_garden().await;
    let send = || {
        operator
            .admin(Method::POST, "/wikis/garden/invitations")
            .header("idempotency-key", "k")
            .json(json!({ "role": "reader" }))
    };
    let (first, second) = (send().await.good().json(), send().await.good().json());
    assert!(first["token"].as_str().is_some_and(|secret| secret.starts_with("wgi_")));
    assert_eq!((&second["id"], second.get("token")), (&first["id"], None));
    for wrong in [json!({}), json!({ "role": "operator" }), json!({ "role": "reader", "x": 1 })] {
        let refused = operator.admin(Method::POST, "/wikis/garden/invitations").json(wrong).await;
        refused.problem("invalid_value");
    }
}

#[tokio::test]
async fn an_app_of_its_own_lets_people_in_and_a_deleted_wiki_takes_its_invitations_along() {
    let grove = Grove::with(["garden"]).start().await;
    let garden = slug("garden");
    let new = || NewInvitation { role: Role::Reader, email: None, expires: None };
    let (_, secret) = grove.create_invitation(&garden, new()).await.unwrap();
    let role = grove.accept_invitation(&garden, secret.expose(), &user("ann")).await.unwrap();
    assert_eq!(role, Role::Reader);
    grove.user("ann", "garden").await.unwrap().pages("", None, 9).await.unwrap();
    let (_, secret) = grove.create_invitation(&garden, new()).await.unwrap();
    grove.delete(&garden).await.unwrap();
    grove.create("garden").await.unwrap();
    let late = grove.accept_invitation(&garden, secret.expose(), &user("bob")).await;
    assert!(late.unwrap_err().is_not_found());
    assert!(grove.invitations(&garden, None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn permissions_say_what_somebody_may_do_and_why() {
    let (_server, operator, _) = TestServer::with_garden().await;
    set(&operator, "garden", "ann", "editor").await.good();
    let ask = |subject: &str| {
        operator.admin(Method::GET, "/wikis/garden/permissions").query("subject", subject)
    };
    let ann: shapes::Permissions = fits(&ask("ann").await.good().json());
    assert_eq!((ann.role.as_deref(), ann.source.as_deref()), (Some("editor"), Some("member")));
    let allowed: Vec<_> = ann.actions.iter().filter(|one| one.allowed).collect();
    assert_eq!(allowed.len(), 2);
    let stranger: shapes::Permissions = fits(&ask("bob").await.good().json());
    assert_eq!((stranger.role, stranger.source), (None, None));
    assert!(stranger.why.contains("private"), "{}", stranger.why);
    let boss: shapes::Permissions = fits(&ask("operator").await.good().json());
    assert_eq!(boss.source.as_deref(), Some("operator"));
    operator.admin(Method::PATCH, "/users/ann").json(suspension("spam")).await.good();
    let ann: shapes::Permissions = fits(&ask("ann").await.good().json());
    assert!(ann.actions.iter().all(|one| !one.allowed && one.why.contains("spam")));
    operator.change_wiki("garden", json!({ "visibility": "public_read" })).await.good();
    let nobody: shapes::Permissions = fits(&ask("anonymous").await.good().json());
    assert_eq!(nobody.source.as_deref(), Some("visibility"));
    let tokens = operator.admin(Method::GET, "/wikis/garden/tokens").await.good().json();
    let id = tokens["items"][0]["id"].as_str().unwrap();
    let token: shapes::Permissions = fits(&ask(&format!("token:{id}")).await.good().json());
    assert_eq!(token.source.as_deref(), Some("token"));
    ask("token:none").await.problem("token_not_found");
    ask("mailto:a@b").await.problem("invalid_subject");
    operator.admin(Method::GET, "/wikis/garden/permissions").await.problem("invalid_value");
    operator
        .admin(Method::GET, "/wikis/none/permissions")
        .query("subject", "ann")
        .await
        .problem("unknown_wiki");
}

#[tokio::test]
async fn only_the_operator_manages_people() {
    let (server, _operator, editor) = TestServer::with_garden().await;
    for (method, path) in [
        (Method::GET, "/users"),
        (Method::GET, "/wikis/garden/members"),
        (Method::PUT, "/wikis/garden/members/x"),
        (Method::GET, "/wikis/garden/permissions?subject=x"),
        (Method::GET, "/wikis/garden/invitations"),
        (Method::GET, "/audit"),
    ] {
        editor.admin(method.clone(), path).await.problem("forbidden");
        server.anonymous().admin(method, path).await.problem("unauthenticated");
    }
}

#[tokio::test]
async fn a_token_of_a_user_in_one_wiki_is_worth_nothing_in_another() {
    let grove = Grove::with(["garden", "kitchen"])
        .member("garden", "ann", Role::Owner)
        .member("kitchen", "ann", Role::Owner)
        .start()
        .await;
    let wiki = grove.on("garden").await.id();
    let role = TokenRole::Wiki { wiki, role: Role::Admin };
    let subject = Some("ann".to_owned());
    let new = NewToken { name: "ci".to_owned(), role, act_as: false, expires: None, subject };
    let (_, secret) = grove.create_token(new).await.unwrap();
    let caller = Caller::token(&grove.find_token(secret.expose()).await.unwrap().unwrap());
    grove.wiki("garden", caller.clone()).await.unwrap().preferences().await.unwrap();
    assert!(grove.wiki("kitchen", caller).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_revoked_token_is_worth_nothing_in_handles_that_are_out() {
    let grove = Grove::with(["garden"]).start().await;
    let wiki = grove.on("garden").await.id();
    let role = TokenRole::Wiki { wiki, role: Role::Admin };
    let new =
        || NewToken { name: "ci".to_owned(), role, act_as: false, expires: None, subject: None };
    let (token, secret) = grove.create_token(new()).await.unwrap();
    let (other, _) = grove.create_token(new()).await.unwrap();
    let caller = Caller::token(&grove.find_token(secret.expose()).await.unwrap().unwrap());
    let held = grove.wiki("garden", caller).await.unwrap();
    let storage = held.storage().unwrap();
    grove.revoke_token(Some(wiki), &other.id).await.unwrap();
    held.save("home", "text", Base::New).await.unwrap();
    storage.head().unwrap();
    grove.revoke_token(Some(wiki), &token.id).await.unwrap();
    for error in [
        held.save("more", "text", Base::New).await.map(drop).unwrap_err(),
        held.read("home").await.map(drop).unwrap_err(),
        storage.head().map(drop).unwrap_err(),
    ] {
        assert_eq!((error.code(), error.status().as_u16()), ("unauthenticated", 401));
    }
}

#[tokio::test]
async fn a_limit_is_a_number_or_none() {
    let (_server, operator, _) = TestServer::with_garden().await;
    let change = |change: Value| operator.change_wiki("garden", change);
    let limited = change(json!({ "max_pages": 10, "max_bytes": 0 })).await.good().json();
    assert_eq!((&limited["max_pages"], &limited["max_bytes"]), (&json!(10), &json!(0)));
    let other = change(json!({ "max_bytes": null })).await.good().json();
    assert_eq!((&other["max_pages"], &other["max_bytes"]), (&json!(10), &Value::Null));
    for wrong in
        [json!({ "max_pages": -1 }), json!({ "max_bytes": "1" }), json!({ "max_bytes": 1.5 })]
    {
        change(wrong).await.problem("invalid_value");
    }
    let grove = Grove::with(["garden"]).on_disk().start().await;
    let update = TenantUpdate { max_pages: Some(Some(3)), ..TenantUpdate::default() };
    grove.update(&slug("garden"), update).await.unwrap();
    let grove = grove.restarted(|_| ()).await;
    let tenant = grove.tenant(&slug("garden")).await.unwrap().unwrap();
    assert_eq!((tenant.quota.pages, tenant.quota.bytes), (Some(3), None));
}

#[tokio::test]
async fn people_outlive_the_program() {
    let grove =
        Grove::with(["garden"]).member("garden", "ann", Role::Owner).on_disk().start().await;
    let suspended = Some(Some("spam".to_owned()));
    grove.update_user("ann", UserUpdate { suspended, ..UserUpdate::default() }).await.unwrap();
    let grove = grove.restarted(|_| ()).await;
    let error = grove.user("ann", "garden").await.map(drop).unwrap_err();
    assert_eq!(error.code(), "user_suspended");
}

#[tokio::test]
async fn a_quota_holds_for_saves_and_attachments_and_is_told() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let garden = editor.on("garden");
    let page = garden.create("a", "1234567890").await.good();
    garden.create("b", "x").await.good();
    let usage = || async {
        let usage = operator.admin(Method::GET, "/wikis/garden/usage").await.good().json();
        fits::<shapes::Usage>(&usage)
    };
    let before = usage().await;
    assert_eq!((before.pages, before.attachments, before.bytes), (2, 0, 11));
    assert!(before.repository_bytes > 0 && before.quota.max_pages.is_none());
    let limit = json!({ "max_pages": 2, "max_bytes": 20 });
    operator.change_wiki("garden", limit).await.good();
    let refused = garden.create("c", "x").await;
    assert_eq!(refused.status(), 413);
    let problem = refused.problem("quota_exceeded");
    assert_eq!((&problem["what"], &problem["limit"]), (&json!("pages"), &json!(2)));
    let refused = garden.create_attachment("a/x.bin", vec![0; 10]).await;
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.problem("quota_exceeded")["what"], "bytes");
    garden.create_attachment("a/x.bin", vec![0; 9]).await.good();
    garden.save("a", page.etag(), "12345678901").await.problem("quota_exceeded");
    // What makes the wiki smaller is always possible.
    garden.save("a", page.etag(), "123").await.good();
    let after = usage().await;
    assert_eq!((after.pages, after.attachments, after.bytes), (2, 1, 13));
    assert_eq!((after.quota.max_pages, after.quota.max_bytes), (Some(2), Some(20)));
    operator.change_wiki("garden", json!({ "max_pages": null })).await.good();
    garden.create("c", "x").await.good();
    // The operator sees it also when nobody may enter.
    let suspended = json!({ "state": "suspended", "reason": "unpaid" });
    operator.change_wiki("garden", suspended).await.good();
    assert_eq!(usage().await.pages, 3);
    operator.admin(Method::GET, "/wikis/none/usage").await.problem("unknown_wiki");
}

#[tokio::test]
async fn a_quota_holds_after_the_wiki_was_closed_and_for_whoever_changes_it_while_it_opens() {
    let grove = Grove::with(["garden", "kitchen"]).open_wikis(1).start().await;
    let limit = |pages| TenantUpdate { max_pages: Some(pages), ..TenantUpdate::default() };
    grove.update(&slug("garden"), limit(Some(1))).await.unwrap();
    grove.save("garden", "a", "x").await.unwrap();
    grove.save("kitchen", "a", "x").await.unwrap();
    let error = grove.save("garden", "b", "x").await.unwrap_err();
    assert_eq!((error.code(), error.status().as_u16()), ("quota_exceeded", 413));
    let garden = slug("garden");
    for pages in [Some(1), None].repeat(20) {
        // Whoever opens it now reads the row of before or of after.
        let (opened, updated) =
            tokio::join!(grove.save("kitchen", "a", "x"), grove.update(&garden, limit(pages)));
        drop((opened, updated.unwrap()));
        let (opened, updated) = tokio::join!(
            grove.wiki("garden", Caller::operator()),
            grove.update(&garden, limit(pages))
        );
        drop(updated.unwrap());
        let wiki = opened.unwrap();
        let saved = wiki.save("b", "x", Base::New).await;
        assert_eq!(saved.is_ok(), pages.is_none(), "{saved:?}");
        if let Ok(saved) = saved {
            wiki.delete("b", saved.etag, Default::default()).await.unwrap();
        }
    }
}
