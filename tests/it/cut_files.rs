//! Files that another program makes shorter while a real server has them open and mapped.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use testkit::{Program, User, scratch};

/// How many pages a wiki has.
const PAGES: usize = 40;

/// What a page says: enough that the pack has many blocks.
fn text(wiki: &str, page: usize) -> String {
    (0..600).map(|line| format!("{wiki} {page} {}\n", (line * 7919 + page * 31) % 99_991)).collect()
}

/// A file of the objects of a wiki.
fn file(program: &Program, wiki: &str, dir: &str, ending: &str) -> PathBuf {
    let dir = program.data().join("wikis").join(wiki).join("repo/objects").join(dir);
    let mut files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.find(|path| path.to_string_lossy().ends_with(ending)).unwrap()
}

/// Cuts a file in place; returns what it was.
fn cut(path: &Path, length: u64) -> Vec<u8> {
    let whole = std::fs::read(path).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    whole
}

/// Whether the page can be read, and then it's the one that was written.
async fn is_there(operator: &User, wiki: &str, page: usize) -> bool {
    let answer = operator.on(wiki).read(&format!("page-{page}")).await;
    if answer.status() >= 500 {
        return false;
    }
    assert_eq!(answer.good().json()["content"], text(wiki, page), "{wiki} {page}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_is_an_error_of_its_wiki_and_the_others_serve_on() {
    let data = scratch();
    let program = super::program(data.path());
    let server = program.serve();
    let wikis = ["pack", "half", "idx", "graph", "other"];
    for wiki in wikis {
        server.operator().create_wiki(wiki).await.good();
        for page in 0..PAGES {
            let path = format!("page-{page}");
            server.operator().on(wiki).create(&path, &text(wiki, page)).await.good();
        }
    }
    server.stop();
    for wiki in wikis {
        let git = program.git(wiki);
        git.run(&["repack", "-adq"]);
        git.run(&["commit-graph", "write", "--reachable"]);
    }
    let server = program.serve();
    let operator = server.operator();
    for wiki in wikis {
        assert!(is_there(&operator, wiki, 0).await);
        operator.on(wiki).history("page-0").await;
        // What could be cut as well isn't there.
        assert!(!program.data().join("wikis").join(wiki).join("wiki.db-shm").exists());
    }
    let size = file(&program, "half", "pack", ".pack").metadata().unwrap().len();
    let cuts = [
        ("pack", "pack", ".pack", 0),
        ("half", "pack", ".pack", size / 2),
        ("idx", "pack", ".idx", 0),
        ("graph", "info", "commit-graph", 0),
    ];
    for (wiki, dir, ending, length) in cuts {
        let path = file(&program, wiki, dir, ending);
        let whole = cut(&path, length);
        let mut lost = 0;
        for page in 1..PAGES {
            lost += usize::from(!is_there(&operator, wiki, page).await);
            assert!(is_there(&operator, "other", page).await);
        }
        assert!(lost > 0 || wiki == "graph", "{wiki}");
        let history = operator.on(wiki).api(http::Method::GET, "/history/page-1").await;
        assert!([200, 404, 500, 503].contains(&history.status()), "{history:?}");
        operator.on("other").create(&format!("after-{wiki}"), "x").await.good();
        std::fs::write(&path, whole).unwrap();
    }
    server.stop();
    // Whole again, all is there as it was.
    let server = program.serve();
    for wiki in wikis {
        for page in 0..PAGES {
            assert!(is_there(&server.operator(), wiki, page).await, "{wiki} {page}");
        }
        server.operator().on(wiki).create("again", "x").await.good();
        program.git(wiki).fsck();
    }
}
