//! A full disk: nothing that was acknowledged is lost, and saving works again once there is room.

use std::path::Path;

use rustix::process::{Resource, Rlimit, prlimit};
use testkit::{Program, SmallDisk, User, entries, test_data};

fn program(data: &Path) -> Program {
    crate::program(data)
}

/// Saves until the disk is full; returns the pages that were acknowledged.
async fn save_until_full(operator: &User, name: &str) -> Vec<String> {
    let text = "some text\n".repeat(2000);
    let mut saved = Vec::new();
    for number in 0.. {
        let path = format!("{name}-{number}");
        let answer = operator.on("garden").create(&path, &format!("{number}\n{text}")).await;
        match answer.status() {
            201 => saved.push(path),
            507 => {
                answer.problem("disk_full");
                break;
            }
            status => panic!("{status}: {}", answer.text()),
        }
        assert!(number < 10_000, "the disk doesn't get full");
    }
    saved
}

async fn every_page_is_there(operator: &User, pages: &[String]) {
    for path in pages {
        let number = path.rsplit('-').next().unwrap();
        let page = operator.on("garden").read(path).await.good().json();
        assert!(page["content"].as_str().unwrap().starts_with(&format!("{number}\n")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_saves_and_loses_none() {
    let Some(disk) = SmallDisk::of_megabytes(12) else { return };
    let program = program(&disk.path().join("data"));
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    operator.create_wiki("kitchen").await.good();
    let mut saved = save_until_full(&operator, "first").await;
    assert!(saved.len() > 10);
    // Not a block is left: reading goes on, writing is refused, wikis can't be created.
    let filler = disk.fill();
    every_page_is_there(&operator, &saved[..5]).await;
    operator.on("kitchen").create("home", "text").await.problem("disk_full");
    operator.create_wiki("shed").await.problem("disk_full");
    filler.remove();

    // Killed on a full disk, started on one that has room again.
    server.kill();
    disk.grow(48);
    let server = program.serve();
    let operator = server.operator();
    every_page_is_there(&operator, &saved).await;
    for number in 0..20 {
        let path = format!("later-{number}");
        operator.on("garden").create(&path, &format!("{number}\n")).await.good();
        saved.push(path);
    }
    operator.on("kitchen").create("home", "text").await.good();
    operator.create_wiki("shed").await.good();
    every_page_is_there(&operator, &saved).await;
    server.stop();
    program.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_on_a_full_disk_has_what_it_acknowledged() {
    let Some(disk) = SmallDisk::of_megabytes(12) else { return };
    let program = program(&disk.path().join("data"));
    let server = program.serve();
    server.operator().create_wiki("garden").await.good();
    let mut saved = save_until_full(&server.operator(), "first").await;
    let filler = disk.fill();
    server.kill();
    let server = program.serve();
    let operator = server.operator();
    // Saves that only wiki.db has can't be repeated without room. Until there is some, such a wiki
    // is not shown as it was before them.
    for path in &saved {
        let page = operator.on("garden").read(path).await;
        if page.status() != 200 {
            assert_eq!(page.status(), 507);
            page.problem("disk_full");
        }
    }
    saved.extend(save_until_full(&operator, "second").await);
    let locks: Vec<_> =
        entries(program.data()).into_iter().filter(|name| name.ends_with(".lock")).collect();
    assert!(locks.is_empty(), "{locks:?}");
    filler.remove();
    disk.grow(48);
    // No restart is needed.
    operator.on("garden").create("later", "x").await.good();
    every_page_is_there(&operator, &saved).await;
    server.stop();
    program.git("garden").fsck();
}

/// Needs no privilege: the process may not write files of more than 2 MB, and isn't killed for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_counts_as_a_full_disk() {
    let scratch = testkit::scratch();
    let program = program(&scratch.path().join("data")).after("trap '' XFSZ; ulimit -S -f 4096");
    let server = program.serve();
    let operator = server.operator();
    operator.create_wiki("garden").await.good();
    let garden = operator.on("garden");
    let small = garden.create("small", "text").await.good();
    let large = incompressible(4_500_000);
    for call in [garden.create("large", &large), garden.save("small", small.etag(), &large)] {
        let refused = call.await;
        assert_eq!(refused.status(), 507);
        refused.problem("disk_full");
    }
    assert_eq!(garden.markdown("small").await.good().text(), "text");
    assert_eq!(garden.pages().await.len(), 1);
    garden.create("another", "text").await.good();

    let unlimited = Rlimit { current: None, maximum: None };
    prlimit(Some(server.pid()), Resource::Fsize, unlimited).unwrap();
    garden.create("large", &large).await.good();
    assert_eq!(garden.markdown("large").await.good().text(), large);
    server.stop();
    program.git("garden").fsck();
}

/// Text that git can't make much smaller.
fn incompressible(length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+\n";
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect()
}

#[test]
fn an_import_that_does_not_fit_leaves_nothing() {
    let Some(disk) = SmallDisk::of_megabytes(4) else { return };
    let program = program(&disk.path().join("data"));
    assert!(program.run(&["wiki", "create", "garden"]).status.success());
    let before = entries(program.data());
    let bundle = test_data("rust-rfcs.bundle");
    let output = program.run(&["wiki", "import", "--slug", "rfcs", bundle.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left") || said.contains("disk is full"), "{said}");
    assert_eq!(entries(program.data()), before);
    assert!(program.run(&["wiki", "create", "rfcs"]).status.success());
}
