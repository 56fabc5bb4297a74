//! The report of an import: imported data and omissions. It never contains values of settings.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use wikigrove_tenant::storage::Survey;
use wikigrove_tenant::storage::otterwiki::CaseMode;

/// Maximum number of omitted branches and tags that are named.
const NAMED_REFS: usize = 5;

/// The result of importing a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The wiki's name in URLs.
    pub slug: String,
    /// The path of the source.
    pub source: String,
    /// The kind of source: `git`, `otterwiki`, `platform` or `wikigrove`.
    pub kind: &'static str,
    /// True if nothing was changed.
    pub dry_run: bool,
    /// The newest revision.
    pub head: Option<String>,
    /// Number of files in that revision.
    pub files: usize,
    /// Number of pages among the files.
    pub pages: usize,
    /// The case of page names at the source: `lower` or `retain`.
    pub case_mode: Option<&'static str>,
    /// Number of imported preferences.
    pub preferences: usize,
    /// Number of imported drafts.
    pub drafts: usize,
    /// Number of imported accounts, without passwords. They have no rights in the new wiki.
    pub users: usize,
    /// Names of the settings whose values were put into the secret store.
    pub secrets: Vec<String>,
    /// Access settings of the source. They have no effect in the new wiki.
    pub access: BTreeMap<String, String>,
    /// Suggested members. None was added.
    pub members: Vec<Hint>,
    /// Omissions and oddities.
    pub left: Vec<Left>,
    /// The changes made by an update.
    pub updated: Option<Updated>,
}

/// An account, and the role that corresponds to its rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// The account's mail address.
    pub email: String,
    /// The account's display name.
    pub name: String,
    /// True if the account was approved.
    pub approved: bool,
    /// True if the account administered the wiki.
    pub admin: bool,
    /// Its other rights: `read`, `write`, `upload`.
    pub rights: Vec<&'static str>,
    /// The suggested role, if any.
    pub suggested_role: Option<&'static str>,
}

/// An omission or oddity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The kind of thing: `file`, `setting`, `table`, `name`, ….
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// The reason.
    pub why: String,
}

/// The changes made by an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Updated {
    /// The newest revision before the update.
    pub from: Option<String>,
    /// Preferences and drafts that were updated.
    pub taken: Vec<String>,
    /// Preferences and drafts that had also changed in the wiki, and were kept.
    pub kept: Vec<String>,
}

impl Report {
    pub(super) fn leave(
        &mut self,
        what: &'static str,
        name: impl Into<String>,
        why: impl Into<String>,
    ) {
        self.left.push(Left { what, name: name.into(), why: why.into() });
    }

    /// Reports omitted branches and tags: the first ones by name, the others as a number.
    pub(super) fn note_refs(&mut self, others: &[String]) {
        let why = "only the branch that HEAD names is taken";
        if others.len() <= NAMED_REFS {
            others.iter().for_each(|name| self.leave("branch", name, why));
            return;
        }
        let count = |prefix: &str| others.iter().filter(|name| name.starts_with(prefix)).count();
        let (branches, tags) = (count("refs/heads/"), count("refs/tags/"));
        let rest = others.len() - branches - tags;
        let name = format!(
            "{} others: {branches} branches, {tags} tags, {rest} of other kinds",
            others.len()
        );
        self.leave("branch", name, why);
    }

    /// Reports files whose names couldn't be created here; `case` is the source's case of page names.
    pub(super) fn note_survey(&mut self, survey: &Survey, case: Option<CaseMode>) {
        (self.files, self.pages) = (survey.files, survey.pages);
        for (name, why) in &survey.refused {
            self.leave(
                "name",
                name,
                format!("it stays readable, but couldn't be created here: {why}"),
            );
        }
        for (one, other) in &survey.colliding {
            self.leave(
                "name",
                other,
                format!("it differs from `{one}` only in case or composition"),
            );
        }
        for link in &survey.links {
            self.leave("link", link, "it stays in the history and is never followed");
        }
        for submodule in &survey.submodules {
            self.leave("submodule", submodule, "it stays in the history; what it names isn't here");
        }
        for (name, format) in &survey.formats {
            let why = format!("its format is {format}: it stays a file, and is no page here");
            self.leave("format", name, why);
        }
        for name in &survey.beside {
            self.leave(
                "page",
                name,
                "the source shows it beside other pages; here it is a page of its own",
            );
        }
        if case == Some(CaseMode::Lower) {
            let pages = survey.with_capitals.iter().filter(|name| name.ends_with(".md"));
            for name in pages {
                self.leave(
                    "name",
                    name,
                    "it has capitals, where the source looked for lower case only",
                );
            }
        }
    }

    /// The report as text for people: one line, and a table for each kind of entries.
    pub fn to_text(&self) -> String {
        let mut text = self.first_line();
        let mut add = |line: String| {
            text += &line;
            text.push('\n');
        };
        add(format!("{} files, {} of them pages", self.files, self.pages));
        let rows = format!(
            "{} preferences, {} drafts, {} users",
            self.preferences, self.drafts, self.users
        );
        match self.case_mode {
            Some(mode) => add(format!("{rows}; page names: {mode}")),
            None if self.kind == "git" => {}
            None => add(rows),
        }
        if !self.secrets.is_empty() {
            add(format!("kept as secrets: {}", shown(&self.secrets.join(", "))));
        }
        for (setting, value) in &self.access {
            add(format!("{setting} was {value} at the source; it grants nothing here"));
        }
        if let Some(updated) = &self.updated {
            updated.taken.iter().for_each(|item| add(format!("taken over: {}", shown(item))));
            updated
                .kept
                .iter()
                .for_each(|item| add(format!("changed here too, kept: {}", shown(item))));
        }
        if !self.members.is_empty() {
            add("accounts at the source, none of them a member yet:".to_owned());
            add(self.members_table().to_string());
        }
        if !self.left.is_empty() {
            add("left behind, or odd:".to_owned());
            let mut table = table(["WHAT", "NAME", "WHY"]);
            for Left { what, name, why } in &self.left {
                table.add_row([(*what).to_owned(), shown(name), shown(why)]);
            }
            add(table.to_string());
        }
        text
    }

    fn first_line(&self) -> String {
        let head = self.head.as_deref().unwrap_or("nothing");
        let done = match (&self.updated, self.dry_run) {
            (Some(_), false) => "updated",
            (Some(_), true) => "would update",
            (None, false) => "imported",
            (None, true) => "would import",
        };
        format!("{done} {} into {} (head {head})\n", shown(&self.source), self.slug)
    }

    fn members_table(&self) -> Table {
        let mut table = table(["EMAIL", "NAME", "APPROVED", "ADMIN", "RIGHTS", "SUGGESTED ROLE"]);
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        for hint in &self.members {
            table.add_row([
                shown(&hint.email),
                shown(&hint.name),
                yes(hint.approved),
                yes(hint.admin),
                hint.rights.join(" "),
                hint.suggested_role.unwrap_or("none").to_owned(),
            ]);
        }
        table
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

/// Escapes untrusted text for terminals.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}
