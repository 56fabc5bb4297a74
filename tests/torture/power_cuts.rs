//! The power of a real file system is cut at random moments under mixed load.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use testkit::{DiskImage, FileSystem};

use crate::aftermath::Aftermath;
use crate::effort;
use crate::grove;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::random;

/// A disk isn't used for more cuts, so that checking it stays quick.
const CUTS_PER_LIFE: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_on_ext4_lose_nothing_and_stop_no_wiki() {
    cut_the_power_of(FileSystem::Ext4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_on_ext4_without_its_heuristics_lose_nothing_and_stop_no_wiki() {
    cut_the_power_of(FileSystem::Ext4WithoutAutoAlloc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_on_xfs_lose_nothing_and_stop_no_wiki() {
    cut_the_power_of(FileSystem::Xfs).await;
}

/// Without this the drills would prove nothing.
#[test]
fn a_cut_loses_what_was_not_synced_and_nothing_else() {
    for system in [FileSystem::Ext4, FileSystem::Ext4WithoutAutoAlloc, FileSystem::Xfs] {
        let Some(mut disk) = DiskImage::formatted_as(system) else { return };
        let at = |name: &str| disk.path().join(name);
        let synced = |name: &str| {
            fs::write(at(name), "durable").unwrap();
            fs::File::open(at(name)).unwrap().sync_all().unwrap();
        };
        synced("kept");
        synced("replaced");
        fs::write(at("lost"), "not synced").unwrap();
        fs::write(at("replacement"), "not synced").unwrap();
        fs::rename(at("replacement"), at("replaced")).unwrap();
        // The names before it are durable by this, and contents aren't.
        synced("later");
        let (lost, kept, replaced, later) = (at("lost"), at("kept"), at("replaced"), at("later"));
        disk.cut();
        fs::write(&lost, "after the cut").unwrap_err();
        disk.mount_again();
        assert_eq!(fs::read(&lost).unwrap_or_default(), b"", "{system:?}");
        assert_eq!(
            (fs::read(kept).unwrap(), fs::read(later).unwrap()),
            (b"durable".into(), b"durable".into())
        );
        let expected: &[u8] = if system == FileSystem::Ext4 { b"not synced" } else { b"" };
        assert_eq!(fs::read(replaced).unwrap(), expected, "{system:?}");
    }
}

/// The objects of the earlier state are durable, and must not be replaced by files that aren't.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_came_and_went_before_a_power_cut_damages_nothing() {
    for system in [FileSystem::Ext4, FileSystem::Ext4WithoutAutoAlloc, FileSystem::Xfs] {
        let Some(mut disk) = DiskImage::formatted_as(system) else { return };
        let program = crate::program(&disk.path().join("data"));
        let server = program.serve();
        server.operator().create_wiki("garden").await.good();
        server.operator().on("garden").create("home", "text\n").await.good();
        // Closing the wiki makes its repository durable.
        server.stop();
        let server = program.serve();
        let garden = server.operator().on("garden");
        let made = garden.create("short-lived", "for a moment\n").await.good();
        garden.delete("short-lived", made.etag()).await.good();
        garden.create("later", "text\n").await.good();
        disk.cut();
        server.kill();
        disk.mount_again();
        let server = program.serve();
        let garden = server.operator().on("garden");
        assert_eq!(garden.markdown("home").await.good().text(), "text\n", "{system:?}");
        assert_eq!(garden.markdown("later").await.good().text(), "text\n", "{system:?}");
        assert_eq!(garden.changes().await.len(), 4);
        program.git("garden").fsck();
    }
}

async fn cut_the_power_of(system: FileSystem) {
    let mut left = effort::rounds(3, 100);
    let mut aftermath = Aftermath::default();
    let mut acknowledged = 0;
    while left > 0 {
        let cuts = left.min(CUTS_PER_LIFE);
        let Some(disk) = DiskImage::formatted_as(system) else { return };
        acknowledged += one_life(disk, cuts, &mut aftermath).await;
        left -= cuts;
        aftermath.report(&format!("power cuts on {system:?}"), acknowledged);
    }
}

/// Cuts the power of one disk; returns how many operations were acknowledged.
async fn one_life(mut disk: DiskImage, cuts: usize, aftermath: &mut Aftermath) -> usize {
    let program = crate::program(&disk.path().join("data"));
    let clones = testkit::scratch();
    let ledger = Arc::new(Ledger::default());
    let mut server = program.serve();
    grove::plant(&server, &ledger).await;
    let quiet = grove::look_at_quiet(&server.operator()).await;
    for _ in 0..cuts {
        let load = Load::start(&server.operator(), &ledger, clones.path());
        tokio::time::sleep(Duration::from_millis(20 + random(400) as u64)).await;
        load.expect_the_worst();
        let cut = SystemTime::now();
        disk.cut();
        server.kill();
        load.end().await;
        ledger.forget_answers_after(cut);
        disk.mount_again();
        server = program.serve();
        aftermath.check(&program, &server, &ledger, cut).await;
        assert_eq!(grove::look_at_quiet(&server.operator()).await, quiet);
    }
    server.stop();
    program.git(grove::QUIET).fsck();
    ledger.acknowledged()
}
