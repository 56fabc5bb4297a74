//! What an app that embeds the platform relies on: who may do what, and hearing of changes.

use testkit::{Grove, author, slug, user};
use wikigrove_tenant::{
    Action, Base, Caller, Lagged, NewToken, Origin, Role, TenantUpdate, TokenRole, Visibility,
    spawn,
};

/// Everybody who may ask, by what they are in the wiki `garden`.
async fn callers(grove: &Grove) -> Vec<(&'static str, Caller)> {
    let garden = grove.tenant(&slug("garden")).await.unwrap().unwrap().id;
    let other = grove.tenant(&slug("kitchen")).await.unwrap().unwrap().id;
    let mut callers = vec![
        ("anonymous", Caller::anonymous()),
        ("stranger", user("stranger")),
        ("reader", user("reader")),
        ("editor", user("editor")),
        ("admin", user("admin")),
        ("given editor", user("stranger").with_role(Role::Editor)),
        // The app around us has decided: the list of members isn't asked.
        ("admin given reader", user("admin").with_role(Role::Reader)),
        ("operator", Caller::operator()),
    ];
    for (name, wiki) in [("token", garden), ("token of another wiki", other)] {
        let role = TokenRole::Wiki { wiki, role: Role::Editor };
        let new =
            NewToken { name: name.to_owned(), role, act_as: false, expires: None, subject: None };
        let (_, secret) = grove.create_token(new).await.unwrap();
        let token = grove.find_token(secret.expose()).await.unwrap().unwrap();
        callers.push((name, Caller::token(&token)));
    }
    callers
}

/// `rwa` for who may read, write and administer; `-` for what is refused, `.` for what is hidden.
async fn rights(grove: &Grove, caller: &Caller) -> String {
    let Ok(wiki) = grove.wiki("garden", caller.clone()).await else { return "...".to_owned() };
    let mut rights = String::new();
    for (action, letter) in Action::ALL.iter().zip(['r', 'w', 'a']) {
        let allowed = wiki.allow(*action).await;
        assert!(allowed.as_ref().err().is_none_or(|error| error.is_denied()));
        rights.push(if allowed.is_ok() { letter } else { '-' });
    }
    rights
}

#[tokio::test]
async fn rights_follow_visibility_and_role() {
    let grove = Grove::with(["garden", "kitchen"])
        .member("garden", "reader", Role::Reader)
        .member("garden", "editor", Role::Editor)
        .member("garden", "admin", Role::Admin)
        .member("kitchen", "stranger", Role::Owner)
        .start()
        .await;
    let callers = callers(&grove).await;
    let mut table = Vec::new();
    for (name, caller) in &callers {
        let mut row = name.to_string();
        for visibility in [Visibility::Private, Visibility::PublicRead, Visibility::PublicWrite] {
            let visibility = Some(visibility);
            let update = TenantUpdate { visibility, ..TenantUpdate::default() };
            grove.update(&slug("garden"), update).await.unwrap();
            row = format!("{row} {}", rights(&grove, caller).await);
        }
        table.push(row);
    }
    assert_eq!(
        table,
        [
            "anonymous ... r-- rw-",
            "stranger ... r-- rw-",
            "reader r-- r-- rw-",
            "editor rw- rw- rw-",
            "admin rwa rwa rwa",
            "given editor rw- rw- rw-",
            "admin given reader r-- r-- rw-",
            "operator rwa rwa rwa",
            "token rw- rw- rw-",
            "token of another wiki ... r-- rw-",
        ]
    );
}

#[tokio::test]
async fn every_method_asks_for_its_right() {
    let grove = Grove::with(["garden"]).member("garden", "reader", Role::Reader).start().await;
    let operator = grove.on("garden").await;
    let saved = operator.save("home", "text", Base::New).await.unwrap();
    let wiki = grove.user("reader", "garden").await.unwrap();
    wiki.read("home").await.unwrap();
    wiki.storage().unwrap().head().unwrap();
    for refused in [
        wiki.save("new", "text", Base::New).await.map(drop),
        wiki.delete("home", saved.etag, Default::default()).await.map(drop),
        wiki.change_preferences(Default::default()).await.map(drop),
        wiki.upload("home/x.png", Base::New).await.map(drop),
        wiki.save_attachment("home/x.png", b"x", Base::New, Default::default()).await.map(drop),
        wiki.delete_attachment("home/x.png", saved.etag, Default::default()).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(error.is_denied(), "{error}");
    }
    assert!(wiki.attachments("home", None, 10).await.unwrap().is_empty());
    assert!(wiki.attachment("home/x.png", None).await.unwrap_err().is_not_found());
    assert!(wiki.for_caller(user("stranger")).await.unwrap_err().is_not_found());
    assert!(wiki.for_caller(Caller::operator()).await.unwrap().allow(Action::Write).await.is_ok());
}

#[tokio::test]
async fn a_role_that_changes_changes_what_held_handles_may_do() {
    let grove = Grove::with(["garden"]).member("garden", "alice", Role::Reader).start().await;
    let wiki = grove.user("alice", "garden").await.unwrap();
    let storage = wiki.storage().unwrap();
    assert!(wiki.save("home", "text", Base::New).await.unwrap_err().is_denied());
    grove.set_member(&slug("garden"), "alice", Role::Editor).await.unwrap();
    wiki.save("home", "text", Base::New).await.unwrap();
    assert!(grove.remove_member(&slug("garden"), "alice").await.unwrap());
    assert!(wiki.read("home").await.unwrap_err().is_not_found());
    assert!(storage.head().unwrap_err().is_not_found());
    assert!(wiki.save("more", "text", Base::New).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_token_that_was_revoked_or_whose_wiki_is_gone_is_refused_at_once() {
    let grove = Grove::with(["garden"]).start().await;
    let wiki = grove.on("garden").await.id();
    let role = TokenRole::Wiki { wiki, role: Role::Editor };
    let new =
        || NewToken { name: "robot".to_owned(), role, act_as: false, expires: None, subject: None };
    let (first, first_secret) = grove.create_token(new()).await.unwrap();
    let (_, second_secret) = grove.create_token(new()).await.unwrap();
    for secret in [&first_secret, &second_secret] {
        assert!(grove.find_token(secret.expose()).await.unwrap().is_some());
    }
    assert!(grove.revoke_token(Some(wiki), &first.id).await.unwrap());
    assert!(grove.find_token(first_secret.expose()).await.unwrap().is_none());
    assert!(grove.find_token(second_secret.expose()).await.unwrap().is_some());
    grove.delete(&slug("garden")).await.unwrap();
    assert!(grove.find_token(second_secret.expose()).await.unwrap().is_none());
}

#[tokio::test]
async fn changes_tell_of_every_save_once_it_is_durable() {
    let grove = Grove::with(["garden", "kitchen"]).on_disk().start().await;
    let mut changes = grove.changes();
    let alice = grove.wiki("garden", user("alice").with_role(Role::Editor)).await.unwrap();
    let saved = alice.save("roses", "red", Base::New).await.unwrap();
    // Nothing changes, so nobody is told.
    alice.save("roses", "red", Base::New).await.unwrap();
    grove.save("kitchen", "soup", "hot").await.unwrap();
    let deleted = alice.delete("roses", saved.etag, Default::default()).await.unwrap();

    let first = changes.next().await.unwrap().unwrap();
    assert_eq!((first.wiki, first.slug.as_str()), (alice.id(), "garden"));
    assert_eq!((first.revision, &*first.paths), (saved.revision, &["roses".to_owned()][..]));
    assert_eq!((first.author, first.origin), (author("alice"), Origin::Api));
    assert_eq!(changes.next().await.unwrap().unwrap().slug.as_str(), "kitchen");
    assert_eq!(changes.next().await.unwrap().unwrap().revision, deleted);
    // What was told survives a crash.
    drop(alice);
    let grove = grove.restarted(|_| ()).await;
    let known = grove.on("garden").await.changes_since(None).await.unwrap();
    assert_eq!(known.last().unwrap().revision, deleted);
}

#[tokio::test]
async fn a_slow_listener_is_told_and_can_catch_up() {
    let grove = Grove::with(["garden"]).start().await;
    let (wiki, mut slow) = (grove.on("garden").await, grove.changes());
    let first = wiki.save("page-0", "text", Base::New).await.unwrap().revision;
    for number in 1..1_100 {
        wiki.save(&format!("page-{number}"), "text", Base::New).await.unwrap();
    }
    let Lagged { missed } = slow.next().await.unwrap().unwrap_err();
    assert!(missed > 0);
    let missed_too = wiki.changes_since(Some(first)).await.unwrap();
    assert_eq!(missed_too.len(), 1_099);
    assert_eq!(missed_too[0].changes[0].path, "page-1");
    // It goes on with what is still there.
    let next = slow.next().await.unwrap().unwrap();
    assert_eq!(next.paths, [format!("page-{missed}")]);
}

#[tokio::test]
async fn the_app_keeps_its_own_tables_beside_ours_and_reads_ours() {
    let grove = Grove::with(["garden"]).start().await;
    let wiki = grove.on("garden").await;
    wiki.save("home", "text", Base::New).await.unwrap();
    wiki.pages("", None, 10).await.unwrap();
    let title = wiki
        .db(|db| db.query_row("select title from page", [], |row| row.get::<_, String>(0)))
        .await;
    assert_eq!(title.unwrap(), "home");
    let app = rusqlite::Connection::open(wiki.app_db().unwrap()).unwrap();
    app.execute_batch("create table likes (page text)").unwrap();
    assert_eq!(wiki.app_db().unwrap().parent(), Some(&*grove.dir().join("wikis/garden")));
}

#[tokio::test]
async fn no_reader_changes_our_tables() {
    let grove = Grove::with(["garden"]).visible(Visibility::PublicRead).start().await;
    grove.save("garden", "home", "text").await.unwrap();
    for caller in [Caller::anonymous(), Caller::operator()] {
        let wiki = grove.wiki("garden", caller).await.unwrap();
        for sql in [
            "delete from page",
            "insert into preferences values ('SITE_NAME', 'theirs')",
            "create table mine (x)",
            "pragma query_only = off; delete from page",
        ] {
            let error = wiki.db(|db| db.execute_batch(sql)).await.expect_err(sql);
            assert!(error.to_string().contains("wiki.db"), "{error}");
        }
        assert_eq!(wiki.pages("", None, 10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_transaction_that_the_app_leaves_open_stops_no_save() {
    let grove = Grove::with(["garden"]).start().await;
    let wiki = grove.on("garden").await;
    for number in 0..20 {
        let left = wiki.db(|db| db.execute_batch("begin immediate; select * from missing"));
        let said = left.await.unwrap_err().to_string();
        assert!(said.ends_with("wiki.db`: no such table: missing"), "{said}");
        let panics = {
            let wiki = wiki.clone();
            spawn(async move {
                wiki.db::<()>(|db| {
                    db.execute_batch("begin immediate; create temp table page (x)")?;
                    db.busy_timeout(std::time::Duration::ZERO)?;
                    let mut select = db.prepare("select * from sqlite_schema")?;
                    select.query([])?.next()?;
                    panic!("in the app")
                })
                .await
            })
        };
        assert!(panics.await.unwrap_err().is_panic());
        wiki.save(&format!("page-{number}"), "text", Base::New).await.unwrap();
    }
    let titles =
        wiki.db(|db| db.query_row("select count(*) from page", [], |row| row.get::<_, u32>(0)));
    assert_eq!(titles.await.unwrap(), 20);
    grove.delete(&slug("garden")).await.unwrap();
}
