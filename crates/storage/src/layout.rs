//! File names in a wiki's directory, and the opening and repair of its wiki.db.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};

use crate::db::{self, Database, DbError, Scheduler, Schema, Sizing, with_suffix};
use crate::error::Error;
use crate::files;
use crate::files::At as _;
use crate::preferences;
use crate::salvage::Salvage;
use crate::wiki::Options;

mod embedded {
    refinery::embed_migrations!("../../migrations/wiki");
}

/// The schema of every wiki.db.
pub(crate) static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::new(embedded::migrations::runner().get_migrations().clone()));

/// A small pool: an idle open wiki should cost little, and a busy one reads mostly from memory.
const SIZING: Sizing = Sizing { connections: 3, cache_kib: 64 };

/// Path of the wiki's git repository.
pub(crate) fn repo(dir: &Path) -> PathBuf {
    dir.join("repo")
}

fn database(dir: &Path) -> PathBuf {
    dir.join("wiki.db")
}

/// Returns `true` if there is a wiki.db, or a damaged one that is being set aside.
///
/// # Errors
/// The path isn't a file: a link could lead to another wiki's database.
pub(crate) fn has_database(dir: &Path) -> Result<bool, Error> {
    Ok(is_file(&database(dir))? || is_file(&damaged(dir))?)
}

fn is_file(path: &Path) -> Result<bool, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(kind) if kind.is_file() => Ok(true),
        Ok(_) => Err(Error::Damaged {
            detail: format!("`{}` is not a file but a link or a directory", path.display()),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("read", path)?,
    }
}

/// Creates wiki.db with the preferences of the options.
pub(crate) fn create_database(
    dir: &Path,
    options: &Options,
    scheduler: &Scheduler,
) -> Result<Database, Error> {
    set_aside_a_log_alone(dir)?;
    db::create(&database(dir), &SCHEMA, |connection| seed(connection, options))?;
    open_database(dir, options, scheduler)
}

/// Writes the initial rows of a new wiki.db.
fn seed(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    connection.execute("update wiki set id = ?1", [&options.id])?;
    let mut preferences = options.preferences.iter();
    preferences.try_for_each(|(name, value)| preferences::set(connection, name, value))
}

/// Opens wiki.db. A corrupt one is set aside: its readable rows are copied into a new one, and the rest is rebuilt from
/// git.
pub(crate) fn open_database(
    dir: &Path,
    options: &Options,
    scheduler: &Scheduler,
) -> Result<Database, Error> {
    let path = database(dir);
    if damaged(dir).exists() {
        // A process died during the rebuild.
        rebuild_database(dir, options, "it was being set aside")?;
    }
    // Check the log before SQLite opens it and starts a new one.
    if let Some(lost) = db::loss(&path)? {
        tracing::error!(
            wiki.id = options.id,
            path = %path.display(),
            lost,
            "the log of wiki.db is damaged: drafts, preferences and saves that were written last may be lost, unless \
             they are in the repository. After a power cut that can be what nobody was told to be there"
        );
    }
    let open = || {
        refuse_empty(&path)?;
        let database = Database::open(&path, &SCHEMA, scheduler, SIZING)?;
        check_readable(&database)?;
        Ok(database)
    };
    let opened = match open() {
        Err(DbError::Corrupt { source, .. }) => {
            rebuild_database(dir, options, &source.to_string())?;
            open()?
        }
        opened => opened?,
    };
    check_owner(&opened, options)?;
    Ok(opened)
}

/// Opens the file that has replaced an open wiki.db, or creates a new one if there is none.
pub(crate) fn take_over_database(
    dir: &Path,
    options: &Options,
    scheduler: &Scheduler,
) -> Result<(), Error> {
    let opened = match has_database(dir)? {
        true => open_database(dir, options, scheduler)?,
        false => create_database(dir, options, scheduler)?,
    };
    drop(opened);
    Ok(())
}

/// Refuses an empty file: SQLite would treat it as a new database, and discard its log.
fn refuse_empty(path: &Path) -> Result<(), DbError> {
    let metadata = std::fs::metadata(path).at("read", path)?;
    if metadata.len() > 0 {
        return Ok(());
    }
    Err(DbError::Corrupt { path: path.to_owned(), source: "it is empty".into() })
}

/// Reads the rows that every open needs, so that damage there is found now and not in the middle of a save.
fn check_readable(database: &Database) -> Result<(), DbError> {
    database.read(|connection| {
        crate::redo::pending(connection)?;
        crate::index::indexed(connection)?;
        preferences::all(connection)?;
        Ok(())
    })
}

/// Checks that the database belongs to this wiki. An imported one without an id gets this wiki's.
fn check_owner(database: &Database, options: &Options) -> Result<(), Error> {
    let id: Option<String> = database.read::<_, DbError>(|connection| {
        Ok(connection.query_row("select id from wiki", [], |row| row.get(0))?)
    })?;
    match id {
        Some(id) if id == options.id => Ok(()),
        Some(found) => Err(Error::WrongWiki {
            path: database.path().to_owned(),
            expected: options.id.clone(),
            found,
        }),
        None => Ok(database.write::<_, DbError>(|transaction| {
            transaction.execute("update wiki set id = ?1", params![options.id])?;
            Ok(())
        })?),
    }
}

/// Sets a damaged wiki.db aside and replaces it by a new one with all readable rows. The new file gets its name only
/// once it is complete, since redo rows may be the only place of acknowledged saves. Can be repeated after a crash at
/// any point. No connection to the file may be open.
pub(crate) fn rebuild_database(dir: &Path, options: &Options, why: &str) -> Result<(), Error> {
    let (path, damaged) = (database(dir), damaged(dir));
    if !damaged.exists() {
        rename_if_there(&path, &damaged)?;
    }
    if !path.exists() {
        // The log belongs to the damaged file: beside a new file, it would be replayed into that.
        for suffix in ["-wal", "-shm"] {
            rename_if_there(&with_suffix(&path, suffix), &with_suffix(&damaged, suffix))?;
        }
        files::sync_dir(dir)?;
        let salvage = Salvage::read(&damaged);
        db::create(&path, &SCHEMA, |connection| {
            seed(connection, options)?;
            salvage.write(connection)
        })?;
        tracing::error!(
            wiki.id = options.id,
            path = %path.display(),
            why,
            salvaged = %salvage,
            "wiki.db was corrupt: it was set aside, what could be read was carried over, the index is rebuilt from git"
        );
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let kept = unused(dir, &format!("wiki.db.corrupt-{seconds}"));
    // The database itself is renamed last: as long as it exists, the rebuild counts as unfinished.
    for suffix in ["-wal", "-shm", ""] {
        rename_if_there(&with_suffix(&damaged, suffix), &with_suffix(&kept, suffix))?;
    }
    Ok(files::sync_dir(dir)?)
}

/// Path of a damaged wiki.db that is being set aside.
fn damaged(dir: &Path) -> PathBuf {
    dir.join("wiki.db.damaged")
}

/// Sets aside a log without its database: it would be replayed into a new one.
fn set_aside_a_log_alone(dir: &Path) -> Result<(), Error> {
    let log = with_suffix(&database(dir), "-wal");
    if database(dir).exists() || !log.exists() {
        return Ok(());
    }
    let kept = unused(dir, "wiki.db.lost-wal");
    tracing::error!(log = %log.display(), kept = %kept.display(), "wiki.db is gone, but its log is there: it is set aside");
    rename_if_there(&log, &kept)?;
    files::remove_if_there(&with_suffix(&database(dir), "-shm"))?;
    Ok(files::sync_dir(dir)?)
}

fn unused(dir: &Path, name: &str) -> PathBuf {
    let mut path = dir.join(name);
    let mut number = 1;
    while path.exists() {
        path = dir.join(format!("{name}-{number}"));
        number += 1;
    }
    path
}

fn rename_if_there(from: &Path, to: &Path) -> Result<(), Error> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        renamed => Ok(renamed.at("set aside", from)?),
    }
}

/// Removes temporary copies of wiki.db that a killed process hadn't linked into place.
pub(crate) fn sweep(dir: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(dir).at("read directory", dir)? {
        let entry = entry.at("read directory", dir)?;
        let is_file = entry.file_type().at("read", &entry.path())?.is_file();
        if is_file && files::is_leftover(&entry.file_name().to_string_lossy()) {
            std::fs::remove_file(entry.path()).at("remove", &entry.path())?;
        }
    }
    Ok(())
}

/// Replaces wiki.db by one of an older version.
#[cfg(test)]
pub(crate) fn create_older(
    dir: &Path,
    version: i32,
    seed: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) {
    let path = database(dir);
    std::fs::remove_file(&path).unwrap();
    let older = embedded::migrations::runner().get_migrations().clone();
    let older = older.into_iter().filter(|one| one.version() <= version).collect();
    db::create(&path, &Schema::new(older), seed).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExistingPath;
    use crate::testing::Scratch;

    #[test]
    fn every_migration_file_is_embedded_and_they_are_numbered_from_one() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/wiki");
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let embedded: Vec<String> = embedded::migrations::runner()
            .get_migrations()
            .iter()
            .map(|m| format!("V{}__{}.sql", m.version(), m.name()))
            .collect();
        assert_eq!(names, embedded);
        assert_eq!(SCHEMA.latest(), names.len() as i64);
    }

    #[test]
    fn an_index_of_an_older_version_is_built_anew_with_all_its_links() {
        let mut scratch = Scratch::new();
        scratch.create("roses", "red\n");
        scratch.create("garden/home", "[[Roses]] [t](tulips.md#care) ![p](p.png)\n");
        let at = |path: &str| ExistingPath::new(path).unwrap();
        let links =
            |scratch: &Scratch, path| scratch.wiki().page_links(&at(path), None, 9).unwrap();
        let (home, roses) = (links(&scratch, "garden/home"), links(&scratch, "roses"));
        assert_eq!((home.outgoing.len(), home.broken.len(), roses.incoming.len()), (1, 2, 1));
        let usage = scratch.wiki().usage().unwrap();
        let head = scratch.wiki().head().unwrap().unwrap();

        scratch.wiki().close().unwrap();
        create_older(&scratch.dir(), 7, |connection| {
            connection.execute("update wiki set indexed = ?1", [head.as_bytes()])?;
            connection.execute_batch(
                "insert into page values (1, 'gone', 'gone', 'Gone', x'', 4, x'', '', '', 0);
                 insert into link values (1, 0, 0, 'wiki', 'Roses', 'roses', null);
                 insert into search (rowid, path, title, body) values (1, 'gone', 'Gone', 'red');
                 insert into drafts (pagepath, author_email, content) values ('a', 'ada', 'mine')",
            )
        });
        scratch.open().unwrap();
        scratch.wiki().update_index(|_| ()).unwrap();
        assert_eq!(links(&scratch, "garden/home"), home);
        assert_eq!(links(&scratch, "roses"), roses);
        assert_eq!(scratch.paths(), ["garden/home", "roses"]);
        let found = scratch.wiki().search("red", "", 0, 9).unwrap();
        assert_eq!(found.iter().map(|found| &*found.page.path).collect::<Vec<_>>(), ["roses"]);
        let now = scratch.wiki().usage().unwrap();
        assert_eq!((now.pages, now.bytes), (usage.pages, usage.bytes));
        assert_eq!(scratch.wiki().drafts("ada", None, 9).unwrap().len(), 1);
    }
}
