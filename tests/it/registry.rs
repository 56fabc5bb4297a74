//! Open wikis: opened once, bounded in number, closed when idle, never while in use.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use testkit::{Grove, slug};
use wikigrove_tenant::{Base, Caller, Wiki};

/// Waits until something comes true, for at most five seconds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} never came true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Descriptors of this process on a file.
#[cfg(target_os = "linux")]
fn descriptors(file: &Path) -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    entries.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == file)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_first_requests_open_a_wiki_once() {
    let grove = Grove::with(["garden"]).on_disk().start().await.restarted(|_| ()).await;
    assert_eq!(grove.open_wikis(), 0);
    let saves = (0..100).map(|number| {
        let platform = (*grove).clone();
        wikigrove_tenant::spawn(async move {
            let wiki = platform.wiki("garden", Caller::operator()).await.unwrap();
            wiki.save(&format!("page-{number}"), "text", Base::New).await.unwrap();
        })
    });
    for saved in join_all(saves.collect::<Vec<_>>()).await {
        saved.unwrap();
    }
    assert_eq!(grove.open_wikis(), 1);
    let wiki = grove.on("garden").await;
    assert_eq!(wiki.pages("", None, 1_000).await.unwrap().len(), 100);
    // Two handles on one directory would have made two histories.
    assert_eq!(wiki.changes_since(None).await.unwrap().len(), 100);
}

#[tokio::test]
async fn more_wikis_are_used_in_turn_than_may_be_open() {
    let grove = Grove::of(20).open_wikis(3).start().await;
    for round in 0..3 {
        for number in 0..20 {
            let wiki = format!("wiki-{number}");
            grove.save(&wiki, &format!("page-{round}"), "text").await.unwrap();
            assert!(grove.open_wikis() <= 3);
        }
    }
    for number in 0..20 {
        let wiki = grove.on(&format!("wiki-{number}")).await;
        assert_eq!(wiki.pages("", None, 10).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_wiki_is_not_closed_while_a_handle_is_held() {
    let grove = Grove::of(6).open_wikis(2).idle(Duration::from_millis(20)).start().await;
    let held = grove.on("wiki-0").await;
    for number in 1..6 {
        grove.save(&format!("wiki-{number}"), "home", "text").await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    held.save("home", "still open", Base::New).await.unwrap();
    assert_eq!(held.read("home").await.unwrap().content, "still open");
    assert!(grove.open_wikis() >= 1);
}

#[tokio::test]
async fn with_all_places_held_one_more_is_busy_until_one_is_free() {
    let grove = Grove::of(4).open_wikis(3).start().await;
    let mut held: Vec<Wiki> = Vec::new();
    for number in 0..3 {
        held.push(grove.on(&format!("wiki-{number}")).await);
    }
    let error = grove.wiki("wiki-3", Caller::operator()).await.unwrap_err();
    assert!(error.is_busy(), "{error}");
    // Those that are open go on.
    held[0].save("home", "text", Base::New).await.unwrap();
    assert_eq!(grove.on("wiki-0").await.read("home").await.unwrap().content, "text");
    // Whoever waits is served as soon as a handle is dropped.
    let platform = (*grove).clone();
    let waiting = wikigrove_tenant::spawn(async move {
        platform.wiki("wiki-3", Caller::operator()).await.map(drop)
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    held.pop();
    waiting.await.unwrap().unwrap();
    assert_eq!(grove.open_wikis(), 3);
}

#[tokio::test]
async fn an_idle_wiki_is_closed_and_opens_again_with_everything_in_it() {
    let grove = Grove::with(["garden"]).idle(Duration::from_millis(40)).start().await;
    grove.save("garden", "home", "text").await.unwrap();
    assert_eq!(grove.open_wikis(), 1);
    until("the idle wiki is closed", || grove.open_wikis() == 0).await;
    let file = grove.dir().join("wikis/garden/wiki.db");
    #[cfg(target_os = "linux")]
    until("its files are closed", || descriptors(&file) == 0).await;
    assert_eq!(grove.on("garden").await.read("home").await.unwrap().content, "text");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_opener_that_goes_away_leaves_nothing_half_open() {
    let grove = Grove::of(30).open_wikis(4).start().await;
    for round in 0..200_u64 {
        let wiki = format!("wiki-{}", round % 30);
        let opening = grove.wiki(&wiki, Caller::operator());
        let patience = Duration::from_micros(round * 37 % 1_500);
        tokio::time::timeout(patience, opening).await.ok();
    }
    // Every place is free again.
    let held =
        join_all(
            (0..4).map(|number| {
                let platform = (*grove).clone();
                async move {
                    platform.wiki(&format!("wiki-{number}"), Caller::operator()).await.unwrap()
                }
            }),
        );
    let held = held.await;
    assert_eq!(grove.open_wikis(), 4);
    drop(held);
    for number in 0..30 {
        grove.save(&format!("wiki-{number}"), "home", "text").await.unwrap();
    }
}

#[tokio::test]
async fn closing_the_platform_is_final_and_says_so() {
    let grove = Grove::with(["garden", "kitchen"]).on_disk().start().await;
    let (held, mut changes) = (grove.on("garden").await, grove.changes());
    held.save("home", "text", Base::New).await.unwrap();
    grove.close().await;
    assert_eq!(grove.open_wikis(), 0);
    for error in [
        held.read("home").await.map(drop).unwrap_err(),
        held.save("more", "text", Base::New).await.map(drop).unwrap_err(),
        held.storage().and_then(|storage| storage.head()).map(drop).unwrap_err(),
        grove.wiki("kitchen", Caller::operator()).await.map(drop).unwrap_err(),
    ] {
        assert!(error.is_busy() && !error.is_not_found(), "{error}");
    }
    assert_eq!(changes.next().await.unwrap().unwrap().paths, ["home"]);
    assert!(changes.next().await.is_none());
    assert!(grove.changes().next().await.is_none());
    drop(held);
    let grove = grove.restarted(|_| ()).await;
    assert_eq!(grove.on("garden").await.read("home").await.unwrap().content, "text");
}

#[tokio::test]
async fn one_damaged_wiki_is_an_error_for_itself_alone() {
    let wikis = ["garden", "borrowing", "newer", "no-directory"];
    let grove = Grove::with(wikis).on_disk().start().await;
    for wiki in wikis {
        grove.save(wiki, "home", wiki).await.unwrap();
    }
    let grove = grove.restarted(|data| {
        let dir = data.join("wikis");
        let info = dir.join("borrowing/repo/objects/info");
        std::fs::create_dir_all(&info).unwrap();
        std::fs::write(info.join("alternates"), "/elsewhere/objects\n").unwrap();
        let newer = rusqlite::Connection::open(dir.join("newer/wiki.db")).unwrap();
        newer.pragma_update(None, "user_version", 999).unwrap();
        std::fs::remove_dir_all(dir.join("no-directory")).unwrap();
    });
    let grove = grove.await;
    for wiki in &wikis[1..] {
        let error = grove.wiki(wiki, Caller::operator()).await.map(drop).unwrap_err();
        assert_eq!(error.code(), "internal", "{wiki}: {error}");
        assert!(error.to_string().contains(wiki), "{error}");
    }
    grove.save("garden", "more", "text").await.unwrap();
    assert_eq!(grove.open_wikis(), 1);
    // Looking didn't make it.
    assert!(!grove.dir().join("wikis/no-directory").exists());
    let newer = rusqlite::Connection::open(grove.dir().join("wikis/newer/wiki.db")).unwrap();
    let version: i64 = newer.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 999);
    // They are still on the list, and can be deleted.
    assert_eq!(grove.wikis(None, 10).await.unwrap().len(), 4);
    for wiki in &wikis[1..] {
        grove.delete(&slug(wiki)).await.unwrap();
        grove.create(wiki).await.unwrap();
        grove.save(wiki, "home", "new").await.unwrap();
    }
}
