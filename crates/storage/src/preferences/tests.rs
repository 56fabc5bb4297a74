use proptest::prelude::*;

use super::known::Known;
use super::*;
use crate::testing::{Scratch, ada};
use crate::*;

fn rows(rows: &[(&str, &str)]) -> RawPreferences {
    rows.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
}

fn text(text: &str) -> Option<PreferenceValue> {
    Some(PreferenceValue::Text(text.to_owned()))
}

fn change(name: &str, value: Option<PreferenceValue>) -> PreferenceChanges {
    [(name.to_owned(), value)].into()
}

#[test]
fn nothing_set_means_the_defaults() {
    let defaults = Preferences::default();
    assert_eq!(defaults.site_name(), None);
    assert_eq!(defaults.site_lang(), "en");
    assert_eq!(defaults.home_page(), "home");
    assert!(defaults.allows_robots() && defaults.git_enabled());
    assert!(defaults.retain_page_name_case());
    assert!(!defaults.treat_underscore_as_space_for_titles());
    assert_eq!(defaults.commit_message(), CommitMessage::Optional);
    assert_eq!(defaults.default_commit_message(), None);
    assert_eq!(defaults.wikilink_style(), WikilinkStyle::LinkTitle);
    assert_eq!(defaults.legacy_urls(), LegacyUrls::Off);
}

#[test]
fn rows_of_other_software_are_read_as_it_writes_them() {
    let adopted = Preferences::from_rows(&rows(&[
        ("SITE_NAME", "Fixture Wiki"),
        ("SITE_LOGO", ""),
        ("ROBOTS_TXT", "disallow"),
        ("HOME_PAGE", ""),
        ("HIDE_LOGO", "True"),
        ("COMMIT_MESSAGE", "REQUIRED"),
        ("DEFAULT_COMMIT_MESSAGE", "edit %P"),
        ("WIKILINK_STYLE", "LINK_TITLE"),
        ("RETAIN_PAGE_NAME_CASE", "False"),
        ("SIDEBAR_SHORTCUTS", ""),
        ("SIDEBAR_MENUTREE_MAXDEPTH", "3"),
        ("LEGACY_URLS", "OTTERWIKI"),
        ("GIT_ENABLED", "0"),
        ("READ_ACCESS", "ANONYMOUS"),
        // A valid value under the wrong name.
        ("site_lang", "de"),
    ]));
    assert_eq!(adopted.site_name(), Some("Fixture Wiki"));
    assert_eq!(adopted.site_logo(), None);
    assert_eq!(adopted.site_lang(), "en");
    assert!(!adopted.allows_robots() && !adopted.git_enabled());
    assert_eq!(adopted.home_page(), "home");
    assert_eq!(adopted.get("hide_logo"), Some(&PreferenceValue::Flag(true)));
    assert_eq!(adopted.commit_message(), CommitMessage::Required);
    assert_eq!(adopted.default_commit_message(), Some("edit %P"));
    assert_eq!(adopted.wikilink_style(), WikilinkStyle::LinkTitle);
    assert!(!adopted.retain_page_name_case());
    assert_eq!(adopted.get("sidebar_shortcuts"), text("").as_ref());
    assert_eq!(adopted.get("sidebar_menutree_maxdepth"), Some(&PreferenceValue::Number(3)));
    assert_eq!(adopted.legacy_urls(), LegacyUrls::OtterWiki);
    assert_eq!(adopted.get("read_access"), None);
}

#[test]
fn words_and_flags_are_read_however_they_are_written() {
    for written in ["True", "true", "TRUE", "1", "yes"] {
        assert!(Preferences::from_rows(&rows(&[("HIDE_LOGO", written)])).flag("hide_logo"));
    }
    for written in ["False", "0", "no", "", "perhaps"] {
        let of = |row| Preferences::from_rows(&rows(&[(row, written)]));
        assert!(!of("HIDE_LOGO").flag("hide_logo"), "{written}");
        // A flag without a meaning has its default.
        let says_no = ["False", "0", "no"].contains(&written);
        assert_eq!(of("GIT_ENABLED").git_enabled(), !says_no, "{written}");
    }
    for written in ["LINK_TITLE", "LINKTITLE", "link_title", "PAGENAME_TITLE"] {
        let style = Preferences::from_rows(&rows(&[("WIKILINK_STYLE", written)])).wikilink_style();
        assert_eq!(style, WikilinkStyle::LinkTitle, "{written}");
    }
}

#[test]
fn values_are_stored_as_other_software_spells_them() {
    use PreferenceValue::{Flag, Number};
    for (name, value, row, stored) in [
        ("hide_logo", Some(Flag(true)), "HIDE_LOGO", "True"),
        ("git_enabled", Some(Flag(false)), "GIT_ENABLED", "False"),
        ("commit_message", text("disabled"), "COMMIT_MESSAGE", "DISABLED"),
        ("robots_txt", text("disallow"), "ROBOTS_TXT", "disallow"),
        ("wikilink_style", text("link_title"), "WIKILINK_STYLE", "LINK_TITLE"),
        ("sidebar_menutree_maxdepth", Some(Number(7)), "SIDEBAR_MENUTREE_MAXDEPTH", "7"),
        ("site_lang", text("pt-BR"), "SITE_LANG", "pt-BR"),
        ("home_page", text("Guide/Start"), "HOME_PAGE", "Guide/Start"),
    ] {
        assert_eq!(preference_rows(&change(name, value)).unwrap(), rows(&[(row, stored)]));
    }
    assert!(preference_rows(&change("hide_logo", None)).unwrap().is_empty());
}

#[test]
fn what_cannot_be_set_is_named_all_at_once() {
    use PreferenceValue::{Flag, Number, Other};
    let changes: PreferenceChanges = [
        ("READ_ACCESS", text("ANONYMOUS")),
        ("commit_message", text("REQUIRED")),
        ("git_enabled", text("True")),
        ("hide_logo", Some(Number(1))),
        ("home_page", text("../etc/passwd")),
        ("read_access", None),
        ("sidebar_custom_menu", Some(Other)),
        ("sidebar_menutree_maxdepth", Some(Number(0))),
        ("site_description", text("fine")),
        ("site_lang", text("not a language")),
        ("site_logo", text("a\nb")),
        ("site_name", text(&"x".repeat(257))),
        ("wikilink_style", Some(Flag(true))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let refused = preference_rows(&changes).unwrap_err();
    let codes: Vec<_> = refused.all().iter().map(|one| (&*one.name, one.code)).collect();
    assert_eq!(
        codes,
        [
            ("READ_ACCESS", "unknown_preference"),
            ("commit_message", "invalid_value"),
            ("git_enabled", "wrong_type"),
            ("hide_logo", "wrong_type"),
            ("home_page", "invalid_value"),
            ("read_access", "unknown_preference"),
            ("sidebar_custom_menu", "wrong_type"),
            ("sidebar_menutree_maxdepth", "invalid_value"),
            ("site_lang", "invalid_value"),
            ("site_logo", "invalid_value"),
            ("site_name", "invalid_value"),
            ("wikilink_style", "wrong_type"),
        ]
    );
    assert!(refused.to_string().contains("`optional` or `required` or `disabled`"), "{refused}");
}

#[test]
fn a_change_is_all_or_nothing_and_leaves_other_rows_alone() {
    let mut scratch = Scratch::new();
    let wiki = scratch.wiki();
    wiki.set_raw_preferences(&rows(&[("READ_ACCESS", "APPROVED"), ("SITE_NAME", "Old")])).unwrap();
    assert_eq!(wiki.preferences().unwrap().site_name(), Some("Old"));
    let mut changes = change("site_name", text("New"));
    changes.insert("colour".to_owned(), text("red"));
    assert!(matches!(wiki.change_preferences(&changes), Err(Error::InvalidPreferences(_))));
    assert_eq!(wiki.preferences().unwrap().site_name(), Some("Old"));
    let changed = wiki.change_preferences(&change("site_name", text("New"))).unwrap();
    assert_eq!(changed.site_name(), Some("New"));
    wiki.change_preferences(&change("site_name", None)).unwrap();
    assert_eq!(wiki.raw_preferences().unwrap(), rows(&[("READ_ACCESS", "APPROVED")]));
    scratch.open().unwrap();
    assert_eq!(scratch.wiki().raw_preferences().unwrap(), rows(&[("READ_ACCESS", "APPROVED")]));
}

fn save(scratch: &Scratch, page: &str, message: Option<&str>) -> Result<Saved, Error> {
    let path = PagePath::new(page)?;
    let (content, base) = (b"text".as_slice(), Base::New);
    let author = &ada();
    scratch.wiki().save(&Save { path: &path, content, base, author, message, merge: true })
}

fn newest_message(scratch: &Scratch) -> String {
    scratch.git(&["log", "-1", "--format=%B"])
}

#[test]
fn a_required_message_is_required_of_saves_and_deletions() {
    let scratch = Scratch::new();
    let saved = save(&scratch, "home", Some("begin")).unwrap();
    let required = change("commit_message", text("required"));
    scratch.wiki().change_preferences(&required).unwrap();
    for message in [None, Some(""), Some(" \n ")] {
        let refused = save(&scratch, "other", message).unwrap_err();
        assert!(matches!(refused, Error::MessageRequired), "{refused}");
        let path = ExistingPath::new("home").unwrap();
        let delete = Delete { path: &path, base: saved.etag, author: &ada(), message };
        assert!(matches!(scratch.wiki().delete(&delete), Err(Error::MessageRequired)));
    }
    assert_eq!(scratch.paths(), ["home"]);
    // Nothing is written, so no message is required.
    assert!(!save(&scratch, "home", None).unwrap().changed);
    save(&scratch, "other", Some("because")).unwrap();
    assert_eq!(newest_message(&scratch), "because");
}

#[test]
fn the_default_message_is_used_where_none_is_given() {
    let scratch = Scratch::new();
    let default = change("default_commit_message", text("edit %P (%P)"));
    scratch.wiki().change_preferences(&default).unwrap();
    save(&scratch, "a/b", None).unwrap();
    assert_eq!(newest_message(&scratch), "edit a/b (a/b)");
    save(&scratch, "c", Some("my words")).unwrap();
    assert_eq!(newest_message(&scratch), "my words");
    scratch.wiki().change_preferences(&change("commit_message", text("disabled"))).unwrap();
    save(&scratch, "d", Some("my words")).unwrap();
    assert_eq!(newest_message(&scratch), "edit d (d)");
}

proptest! {
    /// Any value is read back as it was written, for every preference.
    #[test]
    fn what_is_accepted_is_shown_again(
        at in 0..KNOWN.len(),
        value in prop_oneof![
            any::<bool>().prop_map(PreferenceValue::Flag),
            any::<i64>().prop_map(PreferenceValue::Number),
            (0..2000i64).prop_map(PreferenceValue::Number),
            ".{1,40}".prop_map(PreferenceValue::Text),
            "[a-z]{2,8}(-[A-Za-z0-9]{1,8})?".prop_map(PreferenceValue::Text),
            prop::sample::select(vec!["optional", "link_title", "allow", "otterwiki", "off"])
                .prop_map(|word| PreferenceValue::Text(word.to_owned())),
        ],
    ) {
        let name = KNOWN[at].name;
        if let Ok(rows) = preference_rows(&change(name, Some(value.clone()))) {
            let shown = Preferences::from_rows(&rows);
            prop_assert_eq!(shown.get(name), Some(&value));
        }
    }

    /// Any texts of other software can be read.
    #[test]
    fn any_rows_can_be_read(texts in prop::collection::vec(any::<String>(), KNOWN.len())) {
        let rows = KNOWN.iter().map(Known::row).zip(texts).collect();
        let preferences = Preferences::from_rows(&rows);
        prop_assert!(!preferences.home_page().is_empty() && !preferences.site_lang().is_empty());
    }
}
