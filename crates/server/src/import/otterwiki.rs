//! The data of an OtterWiki besides its repository, converted for import.

mod secret;
mod settings;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use wikigrove_tenant::storage::otterwiki::{CaseMode, Draft, Tables, Unread, User};
use wikigrove_tenant::{Secret, storage};

use super::foreign::{Folder, Kind};
use super::report::{Hint, Report};
use super::repository::Repository;
use super::{ImportError, Options};
use settings::Value;

/// Maximum size of the database or its write-ahead log, in bytes.
const DATABASE: u64 = 1 << 30;
/// Maximum size of `settings.cfg`, in bytes.
const SETTINGS: u64 = 1 << 20;

/// The parts of a wiki's directory.
#[derive(Debug)]
pub(super) struct Layout {
    /// The kind of source in reports.
    pub(super) kind: &'static str,
    /// The repository.
    pub(super) repository: Repository,
    /// The directory with the checked-out files, if there is one.
    pub(super) work_tree: Option<PathBuf>,
    folder: Folder,
    /// The file name of the database.
    database: &'static str,
    settings: Option<String>,
    /// Files and directories that are none of these.
    others: Vec<String>,
}

/// Recognises a directory of an OtterWiki, or of one wiki of a platform of OtterWikis.
///
/// # Errors
/// A part of it is a link.
pub(super) fn recognise(folder: &Folder) -> Result<Option<Layout>, ImportError> {
    for (kind, repository, database) in
        [("otterwiki", "repository", "db.sqlite"), ("platform", "repo", "wiki.db")]
    {
        if !matches!(folder.kind(database)?, Some(Kind::File | Kind::Link)) {
            continue;
        }
        let Some(work_tree) = folder.folder(repository)? else { continue };
        let path = work_tree.path().to_owned();
        let Some(found) = Repository::find(work_tree)? else { continue };
        folder.file(database)?;
        return layout(folder, kind, (repository, found, path), database).map(Some);
    }
    Ok(None)
}

fn layout(
    folder: &Folder,
    kind: &'static str,
    (name, repository, work_tree): (&str, Repository, PathBuf),
    database: &'static str,
) -> Result<Layout, ImportError> {
    let settings = folder.read("settings.cfg", SETTINGS)?;
    let is_known = |other: &str| {
        let rest = other.strip_prefix(database);
        let is_database =
            rest.is_some_and(|rest| matches!(rest, "" | "-wal" | "-shm" | "-journal"));
        is_database || other == name || other == "settings.cfg"
    };
    let names = folder.entries()?.into_iter();
    let names = names.map(|(name, _)| name.to_string_lossy().into_owned());
    Ok(Layout {
        kind,
        work_tree: (repository.path() != work_tree).then_some(work_tree),
        repository,
        folder: folder.try_clone()?,
        database,
        settings: settings.map(|settings| String::from_utf8_lossy(&settings).into_owned()),
        others: names.filter(|name| !is_known(name)).collect(),
    })
}

impl Layout {
    /// Reads a copy of the database, so that not even its write-ahead log changes.
    fn tables(&self) -> Result<Tables, ImportError> {
        let path = self.folder.path().join(self.database);
        let scratch = tempfile::tempdir()
            .map_err(|source| ImportError::Unreadable { path: std::env::temp_dir(), source })?;
        for suffix in ["", "-wal", "-journal"] {
            let name = format!("{}{suffix}", self.database);
            let Some(file) = self.folder.file(&name)? else { continue };
            let copy = scratch.path().join(&name);
            let copied = File::create_new(copy)
                .and_then(|mut copy| io::copy(&mut file.take(DATABASE + 1), &mut copy));
            let length =
                copied.map_err(|source| ImportError::Unreadable { path: path.clone(), source })?;
            if length > DATABASE {
                let why = format!("it is larger than {DATABASE} bytes");
                return Err(ImportError::Foreign { path: self.folder.path().join(name), why });
            }
        }
        Tables::read(&scratch.path().join(self.database))
            .map_err(|source| ImportError::Source { path, source })
    }
}

/// The data to write into the new wiki.
pub(super) struct Plan {
    pub(super) tables: Tables,
    pub(super) secrets: Vec<(String, Secret)>,
    pub(super) site_name: Option<String>,
    pub(super) case: CaseMode,
}

/// Settings of the program or the host, which don't belong to the wiki.
const OF_THE_PROCESS: [&str; 14] = [
    "REPOSITORY",
    "DEBUG",
    "TESTING",
    "AUTH_METHOD",
    "AUTH_HEADERS_USERNAME",
    "AUTH_HEADERS_EMAIL",
    "AUTH_HEADERS_PERMISSIONS",
    "MAX_FORM_MEMORY_SIZE",
    "SECURITY_HEADERS",
    "SESSION_COOKIE_SAMESITE",
    "GIT_ALLOW_EXTERNAL_SYMLINKS",
    "LOG_LEVEL",
    "LOG_LEVEL_WERKZEUG",
    "MINIFY_HTML",
];

/// Access settings, which OtterWiki has defaults for.
const ACCESS: [&str; 3] = ["READ_ACCESS", "WRITE_ACCESS", "ATTACHMENT_ACCESS"];

impl Plan {
    /// Reads database and settings, and reports omitted data.
    pub(super) fn read(
        layout: &Layout,
        options: &Options,
        report: &mut Report,
    ) -> Result<Self, ImportError> {
        let mut tables = layout.tables()?;
        note_unread(&tables, report);
        for name in &layout.others {
            report.leave("file", name, "it belongs to no part of a wiki that is known");
        }
        let case = case_of(&tables, layout);
        let mut secrets = Vec::new();
        if let Some(settings) = &layout.settings {
            add_settings(&mut tables, &mut secrets, settings, report);
        }
        take_secrets(&mut tables, &mut secrets);
        report.secrets = secrets.iter().map(|(name, _)| name.clone()).collect();
        note_access(&tables, report);
        report.members = tables.users.iter().filter_map(|user| hint(user, report)).collect();
        tables.drafts = drafts(&tables.drafts, case, options, report);
        // Old URLs redirect to the pages.
        set(&mut tables, "LEGACY_URLS", "OTTERWIKI");
        // OtterWiki's default differs from ours.
        set_if_empty(&mut tables, "WIKILINK_STYLE", "TITLE_LINK");
        set_if_empty(
            &mut tables,
            "RETAIN_PAGE_NAME_CASE",
            if case == CaseMode::Retain { "True" } else { "False" },
        );
        report.case_mode = Some(match case {
            CaseMode::Lower => "lower",
            CaseMode::Retain => "retain",
        });
        report.preferences = tables.preferences.len();
        report.drafts = tables.drafts.len();
        report.users = tables.users.len();
        let site_name = value(&tables, "SITE_NAME").filter(|name| !name.trim().is_empty());
        let site_name = site_name.map(str::to_owned);
        Ok(Self { tables, secrets, site_name, case })
    }
}

fn value<'a>(tables: &'a Tables, name: &str) -> Option<&'a str> {
    let row = tables.preferences.iter().find(|(other, _)| other == name);
    row.and_then(|(_, value)| value.as_deref())
}

fn set(tables: &mut Tables, name: &str, value: &str) {
    tables.preferences.retain(|(other, _)| other != name);
    tables.preferences.push((name.to_owned(), Some(value.to_owned())));
}

fn set_if_empty(tables: &mut Tables, name: &str, text: &str) {
    if value(tables, name).is_none_or(str::is_empty) {
        set(tables, name, text);
    }
}

fn note_unread(tables: &Tables, report: &mut Report) {
    for unread in &tables.unread {
        match unread {
            Unread::Table { name, rows } => {
                report.leave("table", name, format!("it is not known here; it has {rows} rows"));
            }
            Unread::Column { table, name } => {
                report.leave("column", format!("{table}.{name}"), "it is not known here");
            }
            Unread::Row { table, number } => {
                report.leave(
                    "row",
                    format!("{table}, row {number}"),
                    "it holds something that isn't text",
                );
            }
        }
    }
    if !tables.users.is_empty() {
        report.leave("column", "user.password_hash", "passwords don't move; people sign in anew");
    }
}

/// The database takes precedence over the file, as in OtterWiki.
fn case_of(tables: &Tables, layout: &Layout) -> CaseMode {
    const NAME: &str = "RETAIN_PAGE_NAME_CASE";
    let row = tables.preferences.iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME));
    let retains = match (row, &layout.settings) {
        (Some((_, value)), _) => {
            let value = value.as_deref().unwrap_or_default().to_lowercase();
            matches!(value.as_str(), "true" | "yes")
        }
        (None, Some(text)) => {
            let (settings, _) = settings::parse(text);
            let found = settings.into_iter().find(|(name, _)| name == NAME);
            match found {
                Some((_, Value::Text(text))) => !text.is_empty(),
                Some((_, Value::Number(number))) => number.parse::<f64>().is_ok_and(|n| n != 0.0),
                Some((_, value)) => value == Value::Bool(true),
                None => false,
            }
        }
        (None, None) => false,
    };
    if retains { CaseMode::Retain } else { CaseMode::Lower }
}

/// Adds the settings of the file. A row in the database takes precedence, even if it is empty.
fn add_settings(
    tables: &mut Tables,
    secrets: &mut Vec<(String, Secret)>,
    text: &str,
    report: &mut Report,
) {
    let (settings, unknown) = settings::parse(text);
    for unknown in unknown {
        let name = unknown.name.unwrap_or_else(|| "settings.cfg".to_owned());
        let why = format!("line {} of settings.cfg isn't a name and a plain value", unknown.line);
        report.leave("setting", name, why);
    }
    for (name, value) in settings {
        if is_of_the_process(&name) {
            report.leave("setting", name, "it is one of the program, not of the wiki");
        } else if tables.preferences.iter().any(|(other, _)| *other == name) {
            let why = "the database has it too, and wins as it did in OtterWiki";
            report.leave("setting", name, why);
        } else {
            let mut value = value.into_row();
            let secret = secret::take(&name, &mut value);
            // A row with an empty value would count as set.
            if secret.is_none() || value.as_deref() != Some("") {
                tables.preferences.push((name.clone(), value));
            }
            secrets.extend(secret.map(|secret| (name, secret)));
        }
    }
}

fn is_of_the_process(name: &str) -> bool {
    OF_THE_PROCESS.contains(&name) || name.starts_with("SQLALCHEMY_") || name.starts_with("WTF_")
}

fn take_secrets(tables: &mut Tables, secrets: &mut Vec<(String, Secret)>) {
    for (name, value) in &mut tables.preferences {
        if let Some(secret) = secret::take(name, value) {
            secrets.retain(|(other, _)| other != name);
            secrets.push((name.clone(), secret));
        }
    }
}

fn access<'a>(tables: &'a Tables, name: &str) -> &'a str {
    let known = ["ANONYMOUS", "REGISTERED", "APPROVED", "ADMIN"];
    match value(tables, name) {
        None => "ANONYMOUS",
        Some(value) => {
            known.into_iter().find(|known| *known == value).unwrap_or("something unknown")
        }
    }
}

fn note_access(tables: &Tables, report: &mut Report) {
    let found = ACCESS.map(|name| (name.to_owned(), access(tables, name).to_owned()));
    report.access = BTreeMap::from(found);
}

fn hint(user: &User, report: &Report) -> Option<Hint> {
    let rights =
        [(user.allow_read, "read"), (user.allow_write, "write"), (user.allow_upload, "upload")];
    let may = |name: &str| match report.access.get(name).map(String::as_str) {
        Some("ANONYMOUS" | "REGISTERED") => true,
        Some("APPROVED") => user.is_approved,
        _ => false,
    };
    let suggested_role = if user.is_admin {
        Some("admin")
    } else if user.allow_write || user.allow_upload || may("WRITE_ACCESS") {
        Some("editor")
    } else if user.allow_read || may("READ_ACCESS") {
        Some("reader")
    } else {
        None
    };
    Some(Hint {
        email: user.email.clone()?,
        name: user.name.clone().unwrap_or_default(),
        approved: user.is_approved,
        admin: user.is_admin,
        rights: rights.into_iter().filter(|(has, _)| *has).map(|(_, right)| right).collect(),
        suggested_role,
    })
}

/// The drafts of identifiable users, with our page paths and subjects.
fn drafts(found: &[Draft], case: CaseMode, options: &Options, report: &mut Report) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for draft in found {
        let Some(email) = draft.author.as_deref().filter(|author| author.contains('@')) else {
            report.leave("draft", &draft.page, "nobody is named as its author");
            continue;
        };
        let file = case.file_name(&draft.page);
        let page = file.strip_suffix(".md").unwrap_or(&file).to_owned();
        if let Err(error) = storage::PagePath::new(&page) {
            report.leave("name", &draft.page, format!("of a draft, which is kept: {error}"));
        }
        drafts.push(Draft { page, author: Some(options.subject(email)), ..draft.clone() });
    }
    drafts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &str, preferences: &[(&str, &str)]) -> (Plan, Report) {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("repository");
        std::fs::create_dir_all(repository.join("objects")).unwrap();
        std::fs::write(repository.join("HEAD"), "ref: refs/heads/main").unwrap();
        std::fs::write(dir.path().join("settings.cfg"), settings).unwrap();
        let preferences = preferences
            .iter()
            .map(|(name, value)| ((*name).into(), Some((*value).into())))
            .collect();
        Tables { preferences, ..Tables::default() }
            .write_new(&dir.path().join("db.sqlite"))
            .unwrap();
        let layout = recognise(&Folder::open(dir.path()).unwrap()).unwrap().unwrap();
        let mut report = Report::default();
        let plan = Plan::read(&layout, &Options::default(), &mut report).unwrap();
        (plan, report)
    }

    #[test]
    fn the_database_wins_over_the_file() {
        let settings = "SITE_NAME = 'file'\nRETAIN_PAGE_NAME_CASE = True\nSITE_LANG = 'de'\nMAIL_PASSWORD = 'canary-1'\n\
            SECRET_KEY = 'canary-2'\nREPOSITORY = '/canary-3'\nX = canary()";
        let rows =
            [("SITE_NAME", "db"), ("MAIL_PASSWORD", "canary-4"), ("READ_ACCESS", "canary-5")];
        let (plan, report) = read(settings, &rows);
        assert_eq!(plan.case, CaseMode::Retain);
        assert_eq!(plan.site_name.as_deref(), Some("db"));
        let rows: Vec<_> = plan
            .tables
            .preferences
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or("null")))
            .collect();
        assert_eq!(
            rows,
            [
                ("SITE_NAME", "db"),
                ("MAIL_PASSWORD", ""),
                ("READ_ACCESS", "canary-5"),
                ("RETAIN_PAGE_NAME_CASE", "True"),
                ("SITE_LANG", "de"),
                ("LEGACY_URLS", "OTTERWIKI"),
                ("WIKILINK_STYLE", "TITLE_LINK"),
            ]
        );
        let secrets: Vec<_> =
            plan.secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
        assert_eq!(secrets, [("SECRET_KEY", "canary-2"), ("MAIL_PASSWORD", "canary-4")]);
        let said = format!("{}{}", report.to_text(), serde_json::to_string(&report).unwrap());
        assert!(!said.contains("canary"), "{said}");
        let left: Vec<_> = report.left.iter().map(|left| left.name.as_str()).collect();
        assert_eq!(left, ["X", "SITE_NAME", "MAIL_PASSWORD", "REPOSITORY"]);
    }

    #[test]
    fn a_row_decides_about_names_even_if_it_says_no() {
        let (plan, _) = read("RETAIN_PAGE_NAME_CASE = True", &[("RETAIN_PAGE_NAME_CASE", "False")]);
        assert_eq!(plan.case, CaseMode::Lower);
        assert_eq!(read("", &[("RETAIN_PAGE_NAME_CASE", "yes")]).0.case, CaseMode::Retain);
    }
}
