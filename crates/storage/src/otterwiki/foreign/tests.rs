use super::*;
use crate::otterwiki::{Draft, Unread, User};

fn some() -> Tables {
    Tables {
        preferences: vec![("SITE_NAME".into(), Some("A".into())), ("SERVER_NAME".into(), None)],
        drafts: vec![Draft { page: "New Idea".into(), ..Draft::default() }],
        users: vec![User {
            email: Some("a@example.org".into()),
            is_admin: true,
            ..User::default()
        }],
        unread: Vec::new(),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sqlite");
    some().write_new(&path).unwrap();
    assert_eq!(Tables::read(&path).unwrap(), some());
    some().write_new(&path).unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_is_not_known_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sqlite");
    some().write_new(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "create table plugin (a); insert into plugin values (1), (2);
             alter table drafts add column colour; update drafts set colour = 'red';
             alter table user add column empty;
             insert into preferences values ('ODD', x'00ff');",
        )
        .unwrap();
    drop(connection);
    let tables = Tables::read(&path).unwrap();
    assert_eq!(tables.preferences, some().preferences);
    assert_eq!(
        tables.unread,
        [
            Unread::Column { table: "drafts".into(), name: "colour".into() },
            Unread::Table { name: "plugin".into(), rows: 2 },
            Unread::Row { table: "preferences".into(), number: 3 },
        ]
    );
}

#[test]
fn a_file_that_is_no_such_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sqlite");
    std::fs::write(&path, "not a database").unwrap();
    Tables::read(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("create table a (b)").unwrap();
    let error = Tables::read(&path).unwrap_err().to_string();
    assert!(error.contains("no table of preferences"), "{error}");
}

/// Returns the error for a file made by these statements, either with the tables of an OtterWiki or alone.
fn refused(statements: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sqlite");
    Connection::open(&path).unwrap().execute_batch(statements).unwrap();
    Tables::read(&path).map(|tables| tables.preferences.len()).unwrap_err().to_string()
}

#[test]
fn tables_that_are_computed_are_refused() {
    for (statements, why) in [
        (
            "create table preferences (name, value generated always as (hex(zeroblob(30000000))));
             insert into preferences (name) values ('A');",
            "`preferences` is computed",
        ),
        (
            "create table preferences (name, value, x as (name || value) stored);",
            "`preferences` is computed",
        ),
        ("create virtual table preferences using fts5(name, value);", "virtual table"),
        (
            "create table preferences (name, value);
             create virtual table place using rtree(id, a, b);",
            "virtual table",
        ),
        (
            "pragma writable_schema = on;
             insert into sqlite_schema values ('table', 'preferences', 'preferences', 0,
                 'create /**/ virtual table preferences using fts5(name, value)');",
            "virtual table",
        ),
        (
            "create view preferences as
                 with recursive n(n) as (select 1 union all select n + 1 from n)
                 select 'A' || n as name, n as value from n;",
            "no table of preferences",
        ),
        (
            "create table preferences (name primary key, value) without rowid;",
            "`preferences` is computed",
        ),
    ] {
        let error = refused(statements);
        assert!(error.contains(why), "{statements}: {error}");
    }
}

#[test]
fn more_than_an_otterwiki_ever_has_is_refused() {
    let many = |rows: u64, columns: &str| {
        format!(
            "create table preferences (name, value); create table drafts (pagepath, content);
             create table user (email); create table cache (key, value);
             with recursive n(n) as (select 1 union all select n + 1 from n limit {rows})
             insert into {columns} from n;"
        )
    };
    for (statements, why) in [
        (many(10_001, "preferences select n, n"), "`preferences` has more than 10000 rows"),
        (many(100_001, "drafts select n, n"), "`drafts` has more than 100000 rows"),
        (many(100_001, "user select n"), "`user` has more than 100000 rows"),
        (
            many(5, "preferences select n, hex(zeroblob(500000))"),
            "its preferences have more than 4194304 bytes",
        ),
        (
            many(7, "drafts select n, hex(zeroblob(5000000))"),
            "its rows have more than 67108864 bytes",
        ),
        (many(1, "drafts select n, zeroblob(20000000)"), "too big"),
        // A column missing in stored rows gets its default text in each row.
        (
            many(5000, "drafts (pagepath) select n")
                + &format!(
                    "alter table drafts add column author_email default '{}'",
                    "a".repeat(50_000)
                ),
            "its rows have more than 67108864 bytes",
        ),
    ] {
        let error = refused(&statements);
        assert!(error.contains(why), "{statements:.200}: {error}");
    }
    let tables: String = (0..300).map(|n| format!("create table t{n} (a);")).collect();
    let error = refused(&(tables + "create table preferences (name, value);"));
    assert!(error.contains("more than 200 tables"), "{error}");
    let columns = (0..200).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
    let error = refused(&format!("create table preferences ({columns});"));
    assert!(error.contains("too many columns"), "{error}");
}

/// Makes a file of a few pages whose table has any number of rows: each page of the tree refers to the next one,
/// seventy times.
fn without_end(path: &Path, table: &str) {
    const SIZE: usize = 512;
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "pragma page_size = {SIZE}; create table preferences (name, value);
             create table {table} (a, b); insert into {table} values (1, 2);
             create table filling (a);
             with recursive n(n) as (select 1 union all select n + 1 from n limit 60)
             insert into filling select hex(zeroblob(200)) from n;"
        ))
        .unwrap();
    let root = |name: &str| {
        let sql = "select rootpage from sqlite_schema where name = ?1";
        let root: i64 = connection.query_row(sql, [name], |row| row.get(0)).unwrap();
        usize::try_from(root).unwrap()
    };
    let (top, filling) = (root(table), root("filling"));
    connection.close().unwrap();
    let mut file = std::fs::read(path).unwrap();
    let leaf = file[(top - 1) * SIZE..top * SIZE].to_vec();
    let levels: Vec<usize> = [top].into_iter().chain(filling..filling + 12).collect();
    for pair in levels.windows(2) {
        let child = u32::try_from(pair[1]).unwrap().to_be_bytes();
        let mut page = vec![0; SIZE];
        page[0] = 5;
        page[4] = 70;
        let start = SIZE - 70 * 5;
        page[5..7].copy_from_slice(&u16::try_from(start).unwrap().to_be_bytes());
        page[8..12].copy_from_slice(&child);
        for cell in 0..70 {
            let at = start + cell * 5;
            page[12 + 2 * cell..14 + 2 * cell]
                .copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
            page[at..at + 4].copy_from_slice(&child);
            page[at + 4] = 1;
        }
        file[(pair[0] - 1) * SIZE..pair[0] * SIZE].copy_from_slice(&page);
    }
    let last = levels[levels.len() - 1];
    file[(last - 1) * SIZE..last * SIZE].copy_from_slice(&leaf);
    std::fs::write(path, file).unwrap();
}

#[test]
fn a_table_without_end_is_not_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    for (table, why) in [
        ("drafts", Some("`drafts` has more than 100000 rows")),
        ("cache", Some("`cache` has more than 1000000 rows")),
        ("plugin", None),
    ] {
        let path = dir.path().join(table);
        without_end(&path, table);
        match (Tables::read(&path), why) {
            (Ok(tables), None) => {
                let unread = Unread::Table { name: table.into(), rows: 1_000_000 };
                assert!(tables.unread.contains(&unread), "{:?}", tables.unread);
            }
            (Err(error), Some(why)) => assert!(error.to_string().contains(why), "{error}"),
            (read, _) => panic!("{table}: {read:?}"),
        }
    }
}

#[test]
fn a_journal_that_names_a_file_does_not_have_it_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, precious) = (dir.path().join("db.sqlite"), dir.path().join("precious"));
    some().write_new(&path).unwrap();
    std::fs::write(&precious, "precious").unwrap();
    let pages = u32::try_from(std::fs::metadata(&path).unwrap().len() / 4096).unwrap();
    let name = precious.to_str().unwrap().as_bytes();
    let number = |number: u32| number.to_be_bytes();
    let mut journal = NAMES_ANOTHER.to_vec();
    for part in [0, 0, pages, 512, 4096] {
        journal.extend(number(part));
    }
    journal.resize(512, 0);
    journal.extend(number(0x4000_0000 / 4096 + 1));
    journal.extend(name);
    journal.extend(number(u32::try_from(name.len()).unwrap()));
    journal.extend(number(name.iter().map(|byte| u32::from(*byte)).sum()));
    journal.extend(NAMES_ANOTHER);
    std::fs::write(dir.path().join("db.sqlite-journal"), &journal).unwrap();
    let error = Tables::read(&path).unwrap_err().to_string();
    assert!(error.contains("names another file"), "{error}");
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    // A journal that names no file is rolled back.
    std::fs::write(dir.path().join("db.sqlite-journal"), &journal[..512]).unwrap();
    assert_eq!(Tables::read(&path).unwrap(), some());
}

#[test]
fn rows_come_in_the_order_in_which_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sqlite");
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "create table preferences (name, value, rowid text);
             create index all_of_it on preferences (rowid, name, value);
             insert into preferences values ('B', '1', 'z'), ('A', '2', 'y'), ('C', '3', 'x');",
        )
        .unwrap();
    let names: Vec<String> =
        Tables::read(&path).unwrap().preferences.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["B", "A", "C"]);
}
