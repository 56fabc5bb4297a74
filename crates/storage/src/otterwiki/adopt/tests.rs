use super::*;
use crate::testing::Scratch;

fn draft(page: &str, revision: &str, content: &str) -> Draft {
    Draft {
        page: page.into(),
        revision: Some(revision.into()),
        author: Some("mailto:a@example.org".into()),
        content: Some(content.into()),
        ..Draft::default()
    }
}

fn tables(preferences: &[(&str, Option<&str>)], drafts: &[Draft]) -> Tables {
    let preferences =
        preferences.iter().map(|(name, value)| ((*name).into(), value.map(Into::into))).collect();
    Tables { preferences, drafts: drafts.to_vec(), ..Tables::default() }
}

#[test]
fn drafts_learn_the_commit_and_the_version_they_are_based_on() {
    let scratch = Scratch::new();
    let saved = scratch.create("roses", "red");
    let full = saved.revision.to_string();
    let drafts = [
        draft("roses", &full[..6], "redder"),
        draft("tulips", "", "new"),
        draft("lost", "ffffff", "old"),
        draft("short", &full[..3], "old"),
        draft("option", "--all", "old"),
    ];
    let adopted = scratch.wiki().adopt(&tables(&[], &drafts)).unwrap();
    assert_eq!(adopted.unresolved, ["lost", "short", "option"]);
    let kept = scratch.wiki().source_tables().unwrap().drafts;
    assert_eq!(kept[0].revision.as_deref(), Some(&*full));
    assert_eq!(kept[0].base, Some(saved.etag));
    assert_eq!((kept[1].revision.as_deref(), kept[1].base), (Some(""), None));
    assert_eq!((kept[2].revision.as_deref(), kept[2].base), (Some("ffffff"), None));
}

#[test]
fn what_changed_only_there_is_taken_over_and_what_changed_here_stays() {
    let scratch = Scratch::new();
    let wiki = scratch.wiki();
    let before = tables(
        &[("A", Some("1")), ("B", Some("1")), ("C", None)],
        &[draft("mine", "", "1"), draft("theirs", "", "1"), draft("saved", "", "1")],
    );
    wiki.adopt(&before).unwrap();
    assert_eq!(wiki.refresh(&before).unwrap(), Refresh::default());

    wiki.set_raw_preferences(&[("A".to_owned(), "ours".to_owned())].into()).unwrap();
    let change = "update drafts set content = 'ours' where pagepath = 'mine'";
    wiki.database().unwrap().write(|t| t.execute(change, []).map_err(DbError::from)).unwrap();
    let after = tables(
        &[("A", Some("2")), ("B", Some("2")), ("C", Some("2")), ("D", Some("2"))],
        &[draft("mine", "", "2"), draft("theirs", "", "2"), draft("new", "", "2")],
    );
    let refresh = wiki.refresh(&after).unwrap();
    let of = |page: &str| format!("draft {page} of mailto:a@example.org");
    assert_eq!(
        refresh.taken,
        ["preference B", "preference C", "preference D", &of("new"), &of("theirs"), &of("saved")]
    );
    assert_eq!(refresh.kept, ["preference A", &of("mine")]);
    let now = wiki.source_tables().unwrap();
    let value = |name: &str| {
        now.preferences.iter().find(|(found, _)| found == name).unwrap().1.clone().unwrap()
    };
    assert_eq!([value("A"), value("B"), value("C"), value("D")], ["ours", "2", "2", "2"]);
    let mut texts: Vec<_> =
        now.drafts.iter().map(|d| (d.page.as_str(), d.content.as_deref().unwrap())).collect();
    texts.sort_unstable();
    assert_eq!(texts, [("mine", "ours"), ("new", "2"), ("theirs", "2")]);

    // Refreshed again: nothing more to take, and the conflicts remain.
    let again = wiki.refresh(&after).unwrap();
    assert_eq!((again.taken, again.kept.len()), (vec![], 2));
}
