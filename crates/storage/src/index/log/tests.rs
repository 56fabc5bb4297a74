//! Histories of files that were moved to and fro, and what it takes to find them.

use super::*;
use crate::db::Database;
use crate::testing::{Scratch, git, import};

/// So many times the file is moved.
const MOVES: usize = 40;

/// A wiki whose page goes from `a` to `b` and back; with `beside`, a merge of a branch of its own is on top.
fn to_and_fro(beside: bool) -> Scratch {
    let scratch = Scratch::new();
    let tree = scratch.clone_with_git();
    import(&tree, b"M 100644 inline a.md\ndata 5\ntext\n\n");
    let first = git(&tree, &["rev-parse", "main"]);
    for n in 0..MOVES {
        let (from, to) = if n % 2 == 0 { ("a.md", "b.md") } else { ("b.md", "a.md") };
        import(&tree, format!("R {from} {to}\n").as_bytes());
    }
    if beside {
        git(&tree, &["checkout", "--quiet", "-f", "-B", "side", &first]);
        git(&tree, &["commit", "--quiet", "--allow-empty", "-m", "side"]);
        git(&tree, &["checkout", "--quiet", "-f", "main"]);
        git(&tree, &["merge", "--quiet", "-s", "ours", "-m", "merge", "side"]);
    }
    scratch.push(&tree, &crate::PushRules::default()).unwrap();
    scratch.wiki().update_index(|_| ()).unwrap();
    scratch
}

/// The history of `a`, and the most rows that were looked at for a part of it.
fn history(scratch: &Scratch, max_rows: usize, most: usize) -> (Vec<Revision>, usize) {
    let database: &Database = scratch.wiki().database().unwrap();
    let (mut all, mut rows) = (Vec::new(), 0);
    let mut from = Some(Position { path: "a.md".to_owned(), before: None, left: None });
    while let Some(position) = from {
        let read = database.read(|connection| {
            let mut later = Later::new(connection);
            let part = of_file_within(max_rows, &mut later, position, Most::items(most))?;
            Ok::<_, DbError>((part.unwrap(), later.rows))
        });
        let ((commits, next), looked) = read.unwrap();
        all.extend(commits.iter().map(|commit| commit.revision));
        rows = rows.max(looked);
        from = next;
    }
    (all, rows)
}

#[test]
fn a_file_that_goes_to_and_fro_is_followed_in_one_pass() {
    let scratch = to_and_fro(false);
    let (whole, rows) = history(&scratch, usize::MAX, 1000);
    let log = scratch.git(&["log", "--format=%H", "main"]);
    assert_eq!(whole.iter().map(Revision::to_string).collect::<Vec<_>>().join("\n"), log);
    assert!(rows <= 3 * (MOVES + 1), "{rows}");
    assert_eq!(history(&scratch, usize::MAX, 3).0, whole);
    assert_eq!(history(&scratch, 0, 1000).0, whole);
}

#[test]
fn of_a_history_with_branches_as_many_rows_are_looked_at_as_may_be() {
    let scratch = to_and_fro(true);
    let (whole, rows) = history(&scratch, usize::MAX, 1000);
    assert_eq!(whole.len(), MOVES + 1);
    assert!(rows > MOVES * MOVES / 4, "{rows}");
    for max_rows in [0, 10, 100] {
        let (parts, rows) = history(&scratch, max_rows, 1000);
        assert_eq!(parts, whole);
        assert!(rows <= max_rows + 8 * MOVES, "{rows}");
    }
}
