//! Read-only connections for an embedder's code, never reused for anything else.

use std::path::Path;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};

use super::{Sizing, configure, open_own};

/// Without `URI`, so that a plain path is never parsed as one.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Such a connection lives for one unit of work.
const SIZING: Sizing = Sizing { connections: 1, cache_kib: 1024 };

/// Pragmas whose argument selects what to read. The argument of any other pragma is a setting, sometimes for the whole
/// process (`temp_store_directory`, `hard_heap_limit`).
const LOOKING: &[&str] = &[
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = open_own(path, FLAGS)?;
    configure(&mut connection, SIZING)?;
    connection.authorizer(Some(|context: AuthContext<'_>| authorise(&context.action)))?;
    Ok(connection)
}

/// Keeps SQL from reaching other files. [`FLAGS`] keep it from changing this one.
fn authorise(action: &AuthAction<'_>) -> Authorization {
    let is_allowed = match action {
        // `attach` of a file whose name is an expression is unknown; `vacuum into` attaches, too.
        AuthAction::Attach { .. } | AuthAction::Detach { .. } | AuthAction::Unknown { .. } => false,
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let name = pragma_name.to_ascii_lowercase();
            name != "wal_checkpoint" && (pragma_value.is_none() || LOOKING.contains(&&*name))
        }
        _ => true,
    };
    if is_allowed { Authorization::Allow } else { Authorization::Deny }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{create_one, notes, scratch};
    use super::super::{Database, DbError, PoolUse};
    use super::*;

    fn fails(db: &Database, sql: &str) -> String {
        db.look(|c| c.execute_batch(sql)).expect_err(sql).to_string()
    }

    #[test]
    fn nothing_can_be_written_whatever_is_switched_off_first() {
        let (dir, path) = scratch();
        let db = create_one(&path);
        let copy = dir.path().join("copy");
        let other = dir.path().join("other.db");
        create_one(&other);
        for sql in [
            "delete from note",
            "create table mine (x)",
            "pragma user_version = 9",
            "pragma query_only = off; delete from note",
            "pragma writable_schema = on; delete from sqlite_schema",
            "pragma journal_mode = delete",
            "pragma wal_checkpoint(truncate)",
            "pragma WAL_Checkpoint",
            "pragma temp_store_directory = '/tmp'",
            "pragma hard_heap_limit = 1",
            "vacuum",
            &format!("vacuum into '{}'", copy.display()),
            &format!("attach '{}' as other", other.display()),
            &format!("attach 'file:{}?mode=rwc' as other", other.display()),
            &format!("attach '{}' || '' as other", other.display()),
            "attach ':memory:' as other",
            "select load_extension('x')",
        ] {
            fails(&db, sql);
        }
        // Read-only even without the authoriser.
        let freed = db.look(|c| {
            c.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
            c.execute_batch("pragma query_only = off; pragma writable_schema = on")?;
            c.execute("delete from note", [])
        });
        assert!(freed.unwrap_err().to_string().contains("readonly"));
        assert!(!copy.exists());
        assert_eq!((notes(&db), notes(&create_one(&other))), (1, 1));
    }

    #[test]
    fn all_that_reads_works() {
        let (_dir, path) = scratch();
        let db = create_one(&path);
        db.look(|c| {
            c.execute_batch(
                "pragma user_version; pragma table_info(note); pragma integrity_check;
                 select * from pragma_table_info('note');
                 begin; select * from note; commit;
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < 9) select * from n;
                 create temp table t as select * from note; insert into t values ('more');",
            )
        })
        .unwrap();
        // Committed writes are visible before they are in the database file itself.
        db.write::<_, DbError>(|t| Ok(t.execute("insert into note values ('new')", [])?)).unwrap();
        let count =
            db.look(|c| c.query_row("select count(*) from note", [], |r| r.get::<_, i64>(0)));
        assert_eq!(count.unwrap(), 2);
    }

    #[test]
    fn nothing_is_left_behind_for_others() {
        let (_dir, path) = scratch();
        let db = create_one(&path);
        for _ in 0..2 {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                db.look::<()>(|c| {
                    c.execute_batch("begin immediate; create temp table note (x)")?;
                    c.busy_timeout(std::time::Duration::ZERO)?;
                    c.commit_hook(Some(|| true))?;
                    let mut select = c.prepare("select * from sqlite_schema")?;
                    select.query([])?.next()?;
                    panic!("in the app")
                })
            }));
            assert!(panicked.is_err());
            fails(&db, "begin immediate; select * from missing");
            let again =
                db.look(|c| c.query_row("select text from note", [], |r| r.get::<_, String>(0)));
            assert_eq!(again.unwrap(), "seed".to_owned());
            db.write::<_, DbError>(|t| Ok(t.execute("update note set text = 'seed'", [])?))
                .unwrap();
        }
        assert_eq!(db.pool_use(), PoolUse { connections: 1, busy: 0 });
        db.checkpoint().unwrap();
    }

    #[test]
    fn a_look_never_makes_a_file() {
        let (_dir, path) = scratch();
        assert!(connect(&path).is_err());
        assert!(!path.exists());
    }
}
