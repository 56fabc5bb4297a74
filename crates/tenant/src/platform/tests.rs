//! Races that no caller from outside can arrange: what was read from the catalog before it changed.

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
