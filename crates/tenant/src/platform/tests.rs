//! Races that can't be arranged from outside: data read from the catalog before it changed.

use crate::*;

fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

async fn platform() -> Platform {
    Platform::in_memory().await.unwrap()
}

#[tokio::test]
async fn who_read_the_row_before_the_deletion_opens_neither_the_old_wiki_nor_its_successor() {
    let platform = platform().await;
    platform.create("garden").await.unwrap();
    let stale = platform.known(&slug("garden")).await.unwrap().unwrap();
    platform.delete(&slug("garden")).await.unwrap();
    let after_deletion =
        platform.bind(stale.clone(), Caller::operator()).await.map(drop).unwrap_err();
    assert!(after_deletion.is_not_found(), "{after_deletion}");

    let successor = platform.create("garden").await.unwrap();
    let after_recreation =
        platform.bind(stale.clone(), Caller::operator()).await.map(drop).unwrap_err();
    assert!(after_recreation.is_not_found(), "{after_recreation}");
    successor.save("home", "mine", Base::New).await.unwrap();
    assert_eq!(successor.read("home").await.unwrap().content, "mine");
}

#[tokio::test]
async fn a_handle_made_of_an_outdated_row_notices() {
    let platform = platform().await;
    platform.create("garden").await.unwrap();
    let stale = platform.known(&slug("garden")).await.unwrap().unwrap();
    platform.suspend(&slug("garden"), "unpaid").await.unwrap();
    if let Ok(wiki) = platform.bind(stale, Caller::operator()).await {
        assert!(wiki.save("home", "text", Base::New).await.unwrap_err().is_suspended());
    }
}

#[tokio::test]
async fn a_second_deletion_leaves_the_successor_alone() {
    let platform = platform().await;
    platform.create("garden").await.unwrap();
    let old = platform.tenant(&slug("garden")).await.unwrap().unwrap();
    platform.delete(&slug("garden")).await.unwrap();
    // The operator emptied the trash.
    std::fs::remove_dir_all(platform.dir().join("trash").join(old.id.to_string())).unwrap();
    let successor = platform.create("garden").await.unwrap();
    successor.save("home", "mine", Base::New).await.unwrap();
    let late = Tenant { state: State::Deleting, ..(*old).clone() };
    assert!(platform.finish_deleting(&late).unwrap_err().is_not_found());
    assert_eq!(successor.read("home").await.unwrap().content, "mine");
}

#[tokio::test]
async fn closed_wikis_leave_no_trace_in_the_registry() {
    let platform = platform().await;
    for name in ["a", "b", "c"] {
        platform.create(name).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    platform.0.registry.tidy(std::time::Duration::ZERO).await;
    assert_eq!((platform.open_wikis(), platform.0.registry.slots()), (0, 0));
}

#[tokio::test]
async fn what_is_held_in_the_background_gives_way_to_whoever_needs_the_place() {
    let settings = Settings { open_wikis: 1, ..Settings::default() };
    let platform = Platform::in_memory_with(settings).await.unwrap();
    // The platform's first check must be over, because it would take the flag before this test does.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    platform.create("garden").await.unwrap().save("home", "text", Base::New).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let mut held = platform.0.registry.written();
    assert_eq!(held.len(), 1);
    assert!(platform.0.registry.written().is_empty(), "it is told once");
    // Being idle alone doesn't end background work.
    platform.0.registry.tidy(std::time::Duration::ZERO).await;
    assert_eq!(platform.open_wikis(), 1);
    let kitchen = platform.create("kitchen").await.unwrap();
    let held = held.pop().unwrap();
    assert!(held.wiki().with(|wiki| wiki.head()).is_err());
    held.wiki().maintain();
    drop(kitchen);
    // The wiki can be opened again beside the old handle, and dropping the old handle does no harm.
    let garden = platform.wiki("garden", Caller::operator()).await.unwrap();
    drop(held);
    assert_eq!(garden.read("home").await.unwrap().content, "text");
    drop(garden);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    platform.0.registry.tidy(std::time::Duration::ZERO).await;
    assert_eq!((platform.open_wikis(), platform.0.registry.slots()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_saves_leave_is_packed_in_the_background() {
    // Tidied every few milliseconds.
    let settings = Settings { idle: std::time::Duration::from_secs(1), ..Settings::default() };
    let platform = Platform::in_memory_with(settings).await.unwrap();
    let garden = platform.create("garden").await.unwrap();
    // The number of loose objects is estimated from a sample: 800 saves are enough by any estimate.
    for number in 0..800 {
        let page = format!("page-{number}");
        garden.save(&page, format!("text {number}"), Base::New).await.unwrap();
    }
    let packs = platform.dir().join("wikis/garden/repo/objects/pack");
    let is_packed = || {
        let entries = std::fs::read_dir(&packs).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().ends_with(".pack"))
    };
    let started = std::time::Instant::now();
    while !is_packed() {
        assert!(started.elapsed().as_secs() < 60, "nothing was packed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for number in [0, 200, 399] {
        garden.read(&format!("page-{number}")).await.unwrap();
    }
    garden.save("more", "text", Base::New).await.unwrap();
    // Running work ends when the platform is closed.
    tokio::time::timeout(std::time::Duration::from_secs(30), platform.close()).await.unwrap();
}

/// The number of catalog calls for a caller who may not see the wiki: in the layer, and for an invitation.
async fn asked(platform: &Platform, resolution: &Resolution, caller: &Caller) -> (u64, u64) {
    let calls = || platform.0.catalog_calls.load(std::sync::atomic::Ordering::Relaxed);
    let before = calls();
    let found = platform.resolved_for(resolution.clone(), caller).await;
    assert!(matches!(found, Ok(None) | Err(Error::UnknownWiki)), "{}", found.is_ok());
    let between = calls();
    let outside = platform.resolved(resolution.clone()).await.unwrap();
    let outside = Outside::new(platform.clone(), outside.map(|known| known.tenant), caller.clone());
    assert!(outside.check_invitation("wgi_wrong").await.unwrap_err().is_not_found());
    (between - before, calls() - between)
}

#[tokio::test]
async fn a_wiki_that_is_hidden_takes_as_many_queries_as_none() {
    let platform = platform().await;
    for name in ["private", "suspended", "deleted", "other"] {
        platform.create(name).await.unwrap();
    }
    platform.suspend(&slug("suspended"), "unpaid").await.unwrap();
    platform.delete(&slug("deleted")).await.unwrap();
    let owned: Domain = "private.example".parse().unwrap();
    platform.add_domain(&slug("private"), owned.clone()).await.unwrap();
    let other = platform.tenant(&slug("other")).await.unwrap().unwrap().id;
    let token = |subject: Option<&str>| NewToken {
        name: "bot".to_owned(),
        role: TokenRole::Wiki { wiki: other, role: Role::Admin },
        act_as: false,
        expires: None,
        subject: subject.map(str::to_owned),
    };
    let (bot, _) = platform.create_token(token(None)).await.unwrap();
    let (anns, _) = platform.create_token(token(Some("ann"))).await.unwrap();
    let callers = [
        Caller::anonymous(),
        Caller::user_without_email("ann", "Ann"),
        Caller::user_without_email("nobody-knows-me", "X"),
        Caller::token(&bot),
        Caller::token(&anns),
    ];
    let by_domain = |domain: &str| Resolution::Domain {
        domain: domain.parse().unwrap(),
        otherwise: Box::new(Resolution::NotFound),
    };
    let names = ["none", "private", "suspended", "deleted"];
    let by_name = names.map(|name| Resolution::Slug(slug(name)));
    let by_domain = ["none.example", "private.example"].map(by_domain);
    for caller in &callers {
        for all in [&by_name[..], &by_domain[..]] {
            let mut seen = Vec::new();
            // First with an empty cache, then with the rows that the first requests cached.
            for _ in 0..2 {
                platform.0.memory.tenants.invalidate_all();
                platform.0.memory.members.invalidate_all();
                for _ in 0..3 {
                    for resolution in all {
                        seen.push(asked(&platform, resolution, caller).await);
                    }
                }
            }
            assert!(seen.iter().all(|calls| *calls == seen[0]), "{caller:?}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiki_that_stays_in_use_keeps_no_other_from_being_closed() {
    let platform = platform().await;
    let mut wikis = Vec::new();
    for number in 0..8 {
        let wiki = platform.create(&format!("wiki-{number}")).await.unwrap();
        wiki.save("home", "text", Base::New).await.unwrap();
        wikis.push(wiki);
    }
    let _used = wikis[3].open_repository().await.unwrap();
    let closed = tokio::time::timeout(std::time::Duration::from_secs(1), platform.close());
    assert!(closed.await.is_err(), "it waits for the one");
    for (number, wiki) in wikis.iter().enumerate().filter(|(number, _)| *number != 3) {
        let file = platform.dir().join("wikis").join(wiki.slug().as_str()).join("wiki.db");
        let connection = rusqlite::Connection::open(file).unwrap();
        let redo: i64 =
            connection.query_row("select count(*) from redo", [], |row| row.get(0)).unwrap();
        assert_eq!(redo, 0, "{number} isn't closed");
    }
}
