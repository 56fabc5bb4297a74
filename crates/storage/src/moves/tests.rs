use proptest::prelude::*;

use super::*;
use crate::testing::{Objects, Scratch, ada, numbered};
use crate::*;

fn move_page(scratch: &Scratch, from: &str, to: &str, update_links: bool) -> Result<Moved, Error> {
    let (from, to) = (ExistingPath::new(from).unwrap(), PagePath::new(to)?);
    scratch.wiki().move_page(&Move {
        from: &from,
        to: &to,
        update_links,
        author: &ada(),
        message: None,
    })
}

fn files(scratch: &Scratch) -> Vec<String> {
    let files =
        scratch.git(&["-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "main"]);
    files.lines().map(str::to_owned).collect()
}

fn garden() -> Scratch {
    let scratch = Scratch::new();
    scratch.create("garden", "# Garden\n\n[roses](garden/roses.md) ![plan](garden/plan.png)\n");
    scratch.create("garden/roses", "[up](../garden.md), [[garden/tulips#care|Tulips]]\n");
    scratch.create("garden/tulips", "text\n");
    scratch.create(
        "home",
        "[[Garden/Roses|the roses]] [g](/garden#top \"T\") `[[garden]]` <https://x.y/garden>\n",
    );
    scratch.commit_with_git("garden/plan.png", "png");
    scratch
}

#[test]
fn a_page_moves_with_all_below_it_in_one_commit_and_its_links_follow() {
    let scratch = garden();
    let before = scratch.wiki().log(None, Most::items(100)).unwrap().commits.len();
    let moved = move_page(&scratch, "garden", "land/park", true).unwrap();
    assert_eq!(
        files(&scratch),
        [
            "home.md",
            "land/park.md",
            "land/park/plan.png",
            "land/park/roses.md",
            "land/park/tulips.md"
        ]
    );
    assert_eq!(
        scratch.text("land/park"),
        "# Garden\n\n[roses](park/roses.md) ![plan](park/plan.png)\n"
    );
    assert_eq!(
        scratch.text("land/park/roses"),
        "[up](../park.md), [[land/park/tulips#care|Tulips]]\n"
    );
    assert_eq!(
        scratch.text("home"),
        "[[land/park/roses|the roses]] [g](/land/park#top \"T\") `[[garden]]` <https://x.y/garden>\n"
    );
    let log = scratch.wiki().log(None, Most::items(100)).unwrap().commits;
    assert_eq!((log.len(), log[0].revision), (before + 1, moved.revision));
    assert_eq!(log[0].changes, moved.changes);
    let kinds: Vec<_> =
        moved.changes.iter().map(|c| (c.path.as_str(), c.kind, c.old_path.as_deref())).collect();
    assert_eq!(kinds[0], ("home", ChangeKind::Modified, None));
    assert_eq!(kinds[1], ("land/park", ChangeKind::Renamed, Some("garden")));
    assert_eq!(log[0].message, "Move garden to land/park");
    let history = scratch
        .wiki()
        .history(&ExistingPath::new("land/park/tulips").unwrap(), None, Most::items(10))
        .unwrap();
    assert_eq!(history.commits.len(), 2);
    let links =
        scratch.wiki().page_links(&ExistingPath::new("land/park/roses").unwrap(), None, 9).unwrap();
    assert!(links.broken.is_empty(), "{links:?}");
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn links_stay_as_they_are_unless_it_is_asked_for() {
    let scratch = garden();
    let home = scratch.text("home");
    move_page(&scratch, "garden", "park", false).unwrap();
    assert_eq!(scratch.text("home"), home);
    assert!(scratch.wiki().read(&ExistingPath::new("garden/roses").unwrap()).is_err());
    let error = scratch.save("garden", "new", Base::Version(scratch.page("park").summary.etag));
    assert_eq!(error.unwrap_err().conflict().unwrap().moved_to.as_deref(), Some("park"));
}

#[test]
fn a_page_can_change_its_case_or_move_below_itself_and_back() {
    let scratch = garden();
    move_page(&scratch, "garden", "Garden", true).unwrap();
    assert_eq!(files(&scratch)[0], "Garden.md");
    assert_eq!(scratch.paths(), ["Garden", "Garden/roses", "Garden/tulips", "home"]);
    move_page(&scratch, "Garden", "Garden/roses", true).unwrap();
    assert_eq!(
        scratch.paths(),
        ["Garden/roses", "Garden/roses/roses", "Garden/roses/tulips", "home"]
    );
    assert!(
        scratch.text("home").starts_with("[[Garden/roses/roses|the roses]]"),
        "{}",
        scratch.text("home")
    );
    move_page(&scratch, "Garden/roses", "garden", true).unwrap();
    assert_eq!(scratch.paths(), ["garden", "garden/roses", "garden/tulips", "home"]);
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn a_move_onto_something_is_refused_and_changes_nothing() {
    let scratch = garden();
    scratch.create("Park/x", "text\n");
    scratch.create("meadow", "text\n");
    let head = scratch.wiki().head().unwrap();
    for to in ["meadow", "MEADOW", "home", "park/y"] {
        let error = move_page(&scratch, "garden", to, true).unwrap_err();
        assert!(matches!(error, Error::Collision { .. }), "{to}: {error}");
    }
    assert!(move_page(&scratch, "nothing", "x", true).unwrap_err().is_not_found());
    let onto_itself = move_page(&scratch, "garden", "garden", true).unwrap();
    assert_eq!((Some(onto_itself.revision), onto_itself.changes), (head, Vec::new()));
    let long = format!("{}/x", vec!["d"; 15].join("/"));
    let error = move_page(&scratch, "garden", &long, true).unwrap_err();
    assert!(matches!(error, Error::InvalidPath(_)), "{error}");
    assert_eq!(scratch.wiki().head().unwrap(), head);
}

#[test]
fn drafts_go_with_their_pages() {
    let scratch = garden();
    let draft = |path: &str| {
        let path = ExistingPath::new(path).unwrap();
        scratch.wiki().draft("ann", &path).map(|draft| draft.content)
    };
    for path in ["garden", "garden/roses"] {
        let path = PagePath::new(path).unwrap();
        let content = format!("draft of {}", path.as_str());
        let new = NewDraft {
            owner: "ann",
            path: &path,
            content: &content,
            base: DraftBase::Kept,
            cursor: None,
            is_guest: false,
        };
        scratch.wiki().put_draft(&new).unwrap();
    }
    move_page(&scratch, "garden", "garden/roses", false).unwrap();
    assert_eq!(draft("garden/roses/roses").unwrap(), "draft of garden/roses");
    assert_eq!(draft("garden/roses").unwrap(), "draft of garden");
    assert!(draft("garden").is_err());
}

#[test]
fn a_page_is_deleted_with_all_below_it() {
    let scratch = garden();
    let path = ExistingPath::new("garden").unwrap();
    let base = scratch.page("garden").summary.etag;
    let delete = Delete { path: &path, base, author: &ada(), message: None };
    let others = scratch.wiki().delete_recursively(&delete).unwrap().others;
    assert_eq!(others, ["garden/plan.png", "garden/roses", "garden/tulips"]);
    assert_eq!(files(&scratch), ["home.md"]);
    assert!(scratch.wiki().delete_recursively(&delete).unwrap_err().is_not_found());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// After a move and the move back, every file is as before, and no working link is broken in between.
    #[test]
    fn a_move_there_and_back_changes_nothing(to in "[a-c]{1,2}(/[a-c]{1,2})?", style in 0..3u8) {
        let scratch = garden();
        let link = match style { 0 => "[[garden/roses]]", 1 => "[x](garden/roses.md)", _ => "[x](./garden/roses#y)" };
        scratch.create("links", &format!("{link}\n"));
        let broken = |scratch: &Scratch| -> usize {
            scratch.paths().iter().map(|path| {
                let path = ExistingPath::new(path).unwrap();
                scratch.wiki().page_links(&path, None, 1).unwrap().broken.len()
            }).sum()
        };
        prop_assert_eq!(broken(&scratch), 0);
        let tree = scratch.git(&["rev-parse", "main^{tree}"]);
        move_page(&scratch, "garden", &to, true).unwrap();
        prop_assert_eq!(broken(&scratch), 0);
        move_page(&scratch, &to, "garden", true).unwrap();
        prop_assert_eq!(broken(&scratch), 0);
        // The link on the home page got the case of the page's path.
        let home = scratch.text("home").replace("[[garden/roses|", "[[Garden/Roses|");
        scratch.update("home", &home);
        prop_assert_eq!(scratch.git(&["rev-parse", "main^{tree}"]), tree);
    }
}

#[test]
fn of_very_many_changes_the_first_are_told() {
    let scratch = Scratch::new();
    scratch.create("many", "x");
    let head = scratch.wiki().head().unwrap().unwrap();
    let files: Vec<String> = (0..600).map(|n| format!("many/{n:03}.md")).collect();
    let files: Vec<(&str, Option<&str>)> =
        files.iter().map(|file| (file.as_str(), Some("text"))).collect();
    let added = scratch.loose_commit(&[head], &files);
    scratch.wiki().fast_forward(added).unwrap();

    let moved = move_page(&scratch, "many", "more", false).unwrap();
    assert_eq!((moved.changes.len(), moved.truncated), (MAX_CHANGES, true));
    assert_eq!(moved.changes[0].path, "more");
    assert_eq!(moved.changes[499].old_path.as_deref(), Some("many/498"));
    let author = ada();
    let undo = |dry_run| Undo { revision: moved.revision, author: &author, message: None, dry_run };
    for dry_run in [true, false] {
        let undone = scratch.wiki().revert(&undo(dry_run)).unwrap();
        assert_eq!((undone.changes.len(), undone.truncated), (MAX_CHANGES, true));
    }
    let (path, base) = (ExistingPath::new("many").unwrap(), scratch.page("many").summary.etag);
    let delete = Delete { path: &path, base, author: &ada(), message: None };
    let deleted = scratch.wiki().delete_recursively(&delete).unwrap();
    assert_eq!((deleted.others.len(), deleted.truncated), (MAX_CHANGES, true));
    assert_eq!(scratch.paths(), Vec::<String>::new());
}

#[test]
fn a_move_does_not_make_all_paths_together_too_long() {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    let objects = Objects(&tree);
    let folder = objects.files(&objects.blob("x"), numbered(150, |n| format!("{n}.md")));
    let folders = objects.folders(&folder, numbered(160, |n| n.to_string()));
    objects.commit(&objects.folders(&folders, std::iter::once("a".to_owned())), &[]);
    scratch.push(&tree, &PushRules { index_bytes: 1 << 30, ..PushRules::default() }).unwrap();
    let deep = |depth| ["d".repeat(60).as_str(); 15][..depth].join("/");
    let error = move_page(&scratch, "a", &deep(14), false).unwrap_err();
    assert!(
        matches!(&error, Error::ChangeTooLarge { detail } if detail.contains("24000 files")),
        "{error}"
    );
    assert_eq!(move_page(&scratch, "a", &deep(1), false).unwrap().changes.len(), MAX_CHANGES);
}

#[test]
fn a_move_does_not_make_pages_larger_than_pages_may_be() {
    let scratch = Scratch::new();
    scratch.create("b", "x");
    scratch.create("c", "x");
    scratch.create("a", &"[b](b) ".repeat(200_000));
    let far = ["d".repeat(60).as_str(); 15].join("/");
    let error = move_page(&scratch, "b", &far, true).unwrap_err();
    assert!(
        matches!(&error, Error::TooLarge { path, limit: 5_000_000, .. } if path == "a"),
        "{error}"
    );
    move_page(&scratch, "c", &far, true).unwrap();
}
