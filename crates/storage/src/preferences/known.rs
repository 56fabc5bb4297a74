//! The known preferences. The rows of the table have the same names in capitals.

use super::value::{Kind, PreferenceValue};

/// One preference.
#[derive(Debug)]
pub(super) struct Known {
    /// The name in the API.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Absent,
}

/// The default value.
#[derive(Debug)]
pub(super) enum Absent {
    Null,
    Flag(bool),
    Text(&'static str),
}

impl Known {
    /// The name of its row.
    pub(super) fn row(&self) -> String {
        self.name.to_ascii_uppercase()
    }
}

impl Absent {
    pub(super) fn value(&self) -> Option<PreferenceValue> {
        match self {
            Self::Null => None,
            Self::Flag(flag) => Some(PreferenceValue::Flag(*flag)),
            Self::Text(text) => Some(PreferenceValue::Text((*text).to_owned())),
        }
    }
}

const fn known(name: &'static str, kind: Kind, default: Absent) -> Known {
    Known { name, kind, default }
}

pub(super) static KNOWN: &[Known] = &[
    // Information for readers. Without a name, the wiki has its title on the platform.
    known("site_name", Kind::Line(256), Absent::Null),
    known("site_description", Kind::Line(2048), Absent::Null),
    known("site_lang", Kind::Language, Absent::Text("en")),
    known("site_logo", Kind::Line(2048), Absent::Null),
    known("site_icon", Kind::Line(2048), Absent::Null),
    known("hide_logo", Kind::Flag, Absent::Flag(false)),
    // Permission for search engines. The words are stored in lower case.
    known(
        "robots_txt",
        Kind::Word(&[("allow", "allow"), ("disallow", "disallow")]),
        Absent::Text("allow"),
    ),
    known("home_page", Kind::Page, Absent::Text("home")),
    // The rule for commit messages, and the default message.
    known(
        "commit_message",
        Kind::Word(&[("optional", "OPTIONAL"), ("required", "REQUIRED"), ("disabled", "DISABLED")]),
        Absent::Text("optional"),
    ),
    known("default_commit_message", Kind::Line(1024), Absent::Null),
    // Two stored spellings of one word: the first is the one that is written.
    known(
        "wikilink_style",
        Kind::Word(&[
            ("link_title", "LINK_TITLE"),
            ("link_title", "PAGENAME_TITLE"),
            ("title_link", "TITLE_LINK"),
        ]),
        Absent::Text("link_title"),
    ),
    // Whether `[[Roses]]` finds the only page of that name in whatever directory.
    known("links_by_name", Kind::Flag, Absent::Flag(true)),
    known("open_links_in_new_tab", Kind::Flag, Absent::Flag(false)),
    // Whether readers' browsers load images of other sites, which then see the readers' addresses.
    known("external_images", Kind::Flag, Absent::Flag(true)),
    // Names keep their case unless the wiki comes from where they didn't.
    known("retain_page_name_case", Kind::Flag, Absent::Flag(true)),
    known("treat_underscore_as_space_for_titles", Kind::Flag, Absent::Flag(false)),
    // For clients that display the sidebar.
    known("sidebar_custom_menu", Kind::Verbatim, Absent::Null),
    known("sidebar_shortcuts", Kind::Verbatim, Absent::Null),
    known("sidebar_menutree_mode", Kind::Line(64), Absent::Null),
    known("sidebar_menutree_focus", Kind::Line(64), Absent::Null),
    known("sidebar_menutree_maxdepth", Kind::Number(1, 1000), Absent::Null),
    known("sidebar_menutree_ignore_case", Kind::Flag, Absent::Flag(false)),
    // The URLs of the software that the wiki was imported from.
    known(
        "legacy_urls",
        Kind::Word(&[("off", "OFF"), ("otterwiki", "OTTERWIKI")]),
        Absent::Text("off"),
    ),
    known("git_enabled", Kind::Flag, Absent::Flag(true)),
    // Permission for the wiki's admins to push a rewritten history.
    known("git_force_push", Kind::Flag, Absent::Flag(false)),
];
