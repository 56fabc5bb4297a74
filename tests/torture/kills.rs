//! The server is killed at random moments under mixed load.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::aftermath::Aftermath;
use crate::effort;
use crate::grove;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::random;

/// A data directory isn't used for more kills, so that checking it stays quick.
const KILLS_PER_LIFE: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_mixed_load_lose_nothing_and_stop_no_wiki() {
    let mut left = effort::rounds(12, 1000);
    let mut aftermath = Aftermath::default();
    let mut acknowledged = 0;
    while left > 0 {
        let kills = left.min(KILLS_PER_LIFE);
        acknowledged += one_life(kills, &mut aftermath).await;
        left -= kills;
        aftermath.report("kills", acknowledged);
    }
}

/// Kills servers on one data directory; returns how many operations they acknowledged.
async fn one_life(kills: usize, aftermath: &mut Aftermath) -> usize {
    let scratch = testkit::scratch();
    let program = crate::program(&scratch.path().join("data"));
    let clones = scratch.path().join("clones");
    let ledger = Arc::new(Ledger::default());
    let mut server = program.serve();
    grove::plant(&server, &ledger).await;
    let quiet = grove::look_at_quiet(&server.operator()).await;
    for _ in 0..kills {
        let load = Load::start(&server.operator(), &ledger, &clones);
        tokio::time::sleep(Duration::from_millis(20 + random(230) as u64)).await;
        load.expect_the_worst();
        server.kill();
        load.end().await;
        server = program.serve();
        aftermath.check(&program, &server, &ledger, SystemTime::now()).await;
        assert_eq!(grove::look_at_quiet(&server.operator()).await, quiet);
    }
    server.stop();
    program.git(grove::QUIET).fsck();
    ledger.acknowledged()
}
