//! What an import took, and what it didn't. Values of settings never stand here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use wikigrove_tenant::storage::Survey;
use wikigrove_tenant::storage::otterwiki::CaseMode;

/// So many branches and tags that aren't taken are named.
const NAMED_REFS: usize = 5;

/// What became of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The wiki.
    pub slug: String,
    /// The directory or file it came from.
    pub source: String,
    /// What was recognised there: `git`, `otterwiki`, `platform` or `wikigrove`.
    pub kind: &'static str,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The newest revision.
    pub head: Option<String>,
    /// Files in it.
    pub files: usize,
    /// Of these, pages.
    pub pages: usize,
    /// Whether page names kept their case at the source: `lower` or `retain`.
    pub case_mode: Option<&'static str>,
    /// Rows of preferences that were taken.
    pub preferences: usize,
    /// Drafts that were taken.
    pub drafts: usize,
    /// Accounts that were taken, without their passwords. They give no rights here.
    pub users: usize,
    /// Settings whose values went into the secret store.
    pub secrets: Vec<String>,
    /// Who might do what at the source. Nothing of it holds here.
    pub access: BTreeMap<String, String>,
    /// Whom to make a member, as what. Nobody was made one.
    pub members: Vec<Hint>,
    /// What wasn't taken, or is odd.
    pub left: Vec<Left>,
    /// What an update did.
    pub updated: Option<Updated>,
}

/// An account, and the role that would be like what it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// The address.
    pub email: String,
    /// The name that was shown.
    pub name: String,
    /// Whether it had been let in.
    pub approved: bool,
    /// Whether it administered the wiki.
    pub admin: bool,
    /// What it was allowed besides: `read`, `write`, `upload`.
    pub rights: Vec<&'static str>,
    /// The role to give, if any.
    pub suggested_role: Option<&'static str>,
}

/// Something that wasn't taken, or is odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What it is: `file`, `setting`, `table`, `name`, ….
    pub what: &'static str,
    /// Which.
    pub name: String,
    /// Why.
    pub why: String,
}

/// What an update changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Updated {
    /// The newest revision before.
    pub from: Option<String>,
    /// Preferences and drafts that were taken over.
    pub taken: Vec<String>,
    /// Preferences and drafts that had changed here too, and stay.
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

    /// Says which branches and tags aren't taken: a few by name, more by number.
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

    /// Says what the files hold that couldn't be created here; `case` is how the source named pages.
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

    /// For people: a line, and a table of each thing that there is something to say about.
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

/// A stranger's text, with nothing in it that a terminal would act on.
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
