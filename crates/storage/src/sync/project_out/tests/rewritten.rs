//! The remote's history was replaced, or the link now covers another part of it.

use super::*;

/// Makes a wiki with a page that was pushed and then taken back at the remote, by a rewind of its branch.
fn taken_back() -> (Project, Revision) {
    let project = Project::new(&[("code/main.rs", "1"), ("docs/home.md", "text\n")]);
    project.pull();
    let kept = project.tip().unwrap();
    project.wiki.create("secret", "oops\n");
    project.wiki.update("secret", "oops again\n");
    project.push();
    let seen = project.tip().unwrap();
    project.rewind(kept);
    (project, seen)
}

#[test]
fn what_was_taken_back_there_is_seen_and_can_be_followed() {
    let (project, seen) = taken_back();
    let compared = project.compare(seen);
    assert!(compared.rewritten && !compared.has_own && !compared.is_unrelated, "{compared:?}");
    let tip = project.tip();
    let preview = project.pull_from(Some(seen));
    assert_eq!(preview, Some(Preview { pages: 2, deleted: 1, conflicts: 0 }));
    assert_eq!(project.wiki.paths(), ["home"]);
    assert_eq!((project.push().commits, project.tip()), (0, tip));
    assert!(!project.compare(tip.unwrap()).rewritten);
    // The wiki's own history still has the text.
    assert_eq!(project.wiki.git(&["show", "main~1:secret.md"]), "oops again");
}

/// The withdrawn text never returns to the remote, not even in its history.
#[test]
fn what_was_saved_here_since_stays_on_top_of_what_is_followed() {
    let (project, seen) = taken_back();
    project.work(&[("docs/instead.md", "theirs\n")]);
    project.wiki.create("ours", "text\n");
    project.wiki.update("ours", "more\n");
    let compared = project.compare(seen);
    assert!(compared.rewritten && compared.has_own, "{compared:?}");
    project.pull_from(Some(seen));
    assert_eq!(project.wiki.paths(), ["home", "instead", "ours"]);
    project.push();
    assert_eq!(project.log("%an %s")[..2], ["Ada Update ours", "Ada Create ours"]);
    assert!(!project.remote.git(&["log", "-p", "main"]).contains("oops"));
    assert_eq!(project.files().iter().filter(|file| file.starts_with("docs/")).count(), 3);
}

#[test]
fn what_was_taken_back_there_and_is_gone_here_is_not_told_again() {
    let (project, seen) = taken_back();
    project.wiki.remove_with_git("secret.md");
    assert!(!project.compare(seen).rewritten);
    project.wiki.create("ours", "text\n");
    assert_eq!(project.push().commits, 1);
    assert!(!project.remote.git(&["log", "-p", "main"]).contains("oops"));
}

#[test]
fn what_was_taken_back_there_can_be_brought_back() {
    for base in [false, true] {
        let (project, _) = taken_back();
        project.work(&[("docs/instead.md", "theirs\n")]);
        project.pull_from(project.tip().filter(|_| base));
        let pages: &[&str] =
            if base { &["home", "secret"] } else { &["home", "instead", "secret"] };
        assert_eq!(project.wiki.paths(), pages);
        project.push();
        let files = project.files();
        assert_eq!(files.len(), pages.len() + 1, "{files:?}");
        assert!(project.remote.git(&["log", "--format=%s", "main"]).contains("Create secret"));
    }
}

/// A wiki that only pulls has commits that the remote never had, so the content of the lost tip is unknown.
#[test]
fn where_what_was_seen_is_not_known_what_is_there_is_taken() {
    let project = Project::new(&[("docs/home.md", "text\n")]);
    let first = project.tip().unwrap();
    project.wiki.create("ours", "text\n");
    project.work(&[("docs/more.md", "more\n")]);
    project.pull();
    let seen = project.tip().unwrap();
    project.rewind(first);
    let compared = project.compare(seen);
    assert!(compared.rewritten && compared.has_own, "{compared:?}");
    project.pull_from(Some(seen));
    assert_eq!(project.wiki.paths(), ["home"]);
    assert_eq!(project.push().commits, 0);
}

#[test]
fn what_is_rewritten_elsewhere_is_no_news_and_is_built_upon() {
    let project = Project::new(&[("code/main.rs", "1"), ("docs/home.md", "text\n")]);
    project.pull();
    let first = project.tip().unwrap();
    project.wiki.create("ours", "text\n");
    project.work(&[("code/main.rs", "2")]);
    let seen = project.tip().unwrap();
    project.compare(first);
    project.rewind(first);
    let amended = project.work(&[("code/main.rs", "3")]);
    let head = project.head();
    let compared = project.compare(seen);
    assert!(!compared.rewritten && !compared.is_unrelated, "{compared:?}");
    assert_eq!((project.push().commits, project.head()), (1, head));
    assert_eq!(project.remote.git(&["rev-parse", "main^"]), amended.to_string());
}

#[test]
fn what_was_taken_back_and_is_there_again_comes_back() {
    let (project, seen) = taken_back();
    project.pull_from(Some(seen));
    project.rewind(seen);
    assert!(matches!(project.pull(), Integrated::Merged { .. }));
    assert_eq!(project.wiki.paths(), ["home", "secret"]);
    assert_eq!(project.push().commits, 0);
}

#[test]
fn ends_with_the_same_files_are_in_step_whatever_their_histories() {
    let project = Project::new(&[("docs/home.md", "text\n")]);
    project.wiki.create("home", "text\n");
    let compared = project.compare(project.tip().unwrap());
    assert!(!compared.is_unrelated && !compared.rewritten, "{compared:?}");
    assert_eq!(project.push().commits, 0);
    project.wiki.update("home", "more\n");
    assert_eq!(project.push().commits, 1);
}

/// Files outside the new part must not count as deleted.
#[test]
fn a_link_that_comes_to_cover_another_part_begins_anew() {
    let mut project = Project::new(&[("docs/home.md", "text\n"), ("other/page.md", "theirs\n")]);
    project.pull();
    project.wiki.create("ours", "text\n");
    project.push();
    let tip = project.tip().unwrap();
    project.mapping = Mapping::new("other", "").unwrap();
    assert!(project.compare(tip).is_unrelated);
    let path = project.fetch();
    let early = project.wiki.wiki().project(&path, Some(tip), LINK, &project.mapping);
    assert!(matches!(early, Err(Error::Sync(SyncError::NotIntegrated))));
    project.pull();
    project.push();
    assert_eq!(project.wiki.paths(), ["home", "ours", "page"]);
    assert_eq!(project.remote.git(&["show", "main:other/page.md"]), "theirs");
}

/// Pairs of an earlier version don't record which commit the remote contains.
#[test]
fn pairs_of_an_earlier_version_still_hold() {
    let (project, seen) = taken_back();
    let tip = project.tip().unwrap();
    let forget = |transaction: &rusqlite::Transaction<'_>| {
        let sql = "update sync_map set told = null, directory = null, prefix = null";
        Ok::<_, Error>(transaction.execute(sql, []).map_err(crate::DbError::from)?)
    };
    project.wiki.wiki().database().unwrap().write(forget).unwrap();
    project.rewind(seen);
    project.wiki.create("ours", "text\n");
    let compared = project.compare(seen);
    assert!(!compared.rewritten && !compared.is_unrelated, "{compared:?}");
    assert_eq!(project.push().commits, 1);

    project.wiki.wiki().database().unwrap().write(forget).unwrap();
    project.rewind(tip);
    let compared = project.compare(seen);
    assert!(compared.rewritten && compared.has_own, "{compared:?}");
    project.pull_from(Some(seen));
    assert_eq!(project.wiki.paths(), ["home"]);
}

/// The tip is still known after many runs whose pushes never arrived.
#[test]
fn what_is_made_again_and_again_is_one_pair() {
    let (project, _) = taken_back();
    let count = || project.wiki.wiki().pairs(LINK, None, None).unwrap().len();
    let (path, tip) = (project.fetch(), project.tip());
    let make = || project.wiki.wiki().project(&path, tip, LINK, &project.mapping).unwrap();
    assert_eq!(make().unwrap().commits, 2);
    let made = count();
    make();
    assert_eq!(count(), made);
}

#[test]
fn a_tip_that_is_kept_is_kept_as_the_commit_that_holds_everything_of_it() {
    let (project, seen) = taken_back();
    let (wiki, head) = (project.wiki.wiki(), project.head());
    wiki.back_up(LINK, seen).unwrap();
    let kept: Vec<_> = wiki.backups(LINK).unwrap().into_iter().map(|(_, tip)| tip).collect();
    assert_eq!(kept, [head]);
    let nobodys = Revision::from_bytes([7; 20]);
    assert!(matches!(wiki.back_up(LINK, nobodys), Err(Error::UnknownRevision { .. })));
}
