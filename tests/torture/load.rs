//! Clients that use several wikis in every way at once, until the server is gone.

mod admin;
mod notes;
mod pages;
mod pushes;
mod toggles;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use testkit::{Answer, Call, Good, User};
use tokio::task::JoinHandle;

use crate::grove::BUSY;
use crate::ledger::Ledger;

/// Clients that save, delete, move and attach.
const WRITERS: usize = 5;

/// Makes names and texts that no other attempt of the whole run has.
static NUMBERS: AtomicUsize = AtomicUsize::new(0);

fn number() -> usize {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// The clients of one round.
#[derive(Debug)]
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    pusher: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    /// Starts them. `clones` is a directory that stays from round to round, for those who push.
    pub(crate) fn start(operator: &User, ledger: &Arc<Ledger>, clones: &Path) -> Self {
        let client = Client {
            operator: operator.clone(),
            ledger: ledger.clone(),
            over: Arc::new(AtomicBool::new(false)),
        };
        let mut tasks: Vec<_> = (0..WRITERS)
            .map(|_| {
                let client = client.clone();
                wikigrove_tenant::spawn(async move { pages::write(&client).await })
            })
            .collect();
        let noting = client.clone();
        tasks.push(wikigrove_tenant::spawn(async move { notes::keep(&noting).await }));
        let toggling = client.clone();
        tasks.push(wikigrove_tenant::spawn(async move { toggles::toggle(&toggling).await }));
        let administrator = client.clone();
        tasks.push(wikigrove_tenant::spawn(async move { admin::administer(&administrator).await }));
        let (over, clones) = (client.over.clone(), clones.to_owned());
        let pusher = Some(std::thread::spawn(move || pushes::push(&client, &clones)));
        Self { over, tasks, pusher }
    }

    /// From now on errors are nothing to be surprised at.
    pub(crate) fn expect_the_worst(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Waits until all have noticed that the server is gone.
    pub(crate) async fn end(mut self) {
        self.expect_the_worst();
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        self.pusher.take().unwrap().join().unwrap();
    }
}

/// What the clients share.
#[derive(Clone, Debug)]
struct Client {
    operator: User,
    ledger: Arc<Ledger>,
    over: Arc<AtomicBool>,
}

impl Client {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The answer, unless the server died before it. No other failure is expected of it.
    async fn ask(&self, call: Call) -> Option<Answer> {
        let answer = call.attempt().await.ok()?;
        assert!(answer.status() < 500 || answer.status() == 503 || self.is_over(), "{answer}");
        Some(answer)
    }

    /// As [`ask`](Self::ask), for answers that are a success.
    async fn succeed(&self, call: Call) -> Option<Good> {
        self.ask(call).await.filter(|answer| answer.status() < 300).map(Answer::good)
    }
}

fn a_wiki() -> &'static str {
    BUSY[crate::random(BUSY.len())]
}
