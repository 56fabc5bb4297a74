//! Runs the links: performs the machine's effects with real wikis, a real network and a real clock.
//!
//! One task, the supervisor, takes one step at a time; long-running effects run in tasks of their own, a few at once.
//! All other code talks to the supervisor through [`Remotes`].
//!
//! The runner keeps the contract of the [`sync`](super) module with one exception: a [save](Event::Saved) alone isn't
//! stored in platform.db. Its job is already in the wiki's database, and after a crash every link runs once anyway; a
//! save shouldn't cost a second fsync.

mod access;
mod active;
mod channels;
mod conflicts;
mod notices;
mod options;
mod outbox;
mod outcome;
mod preview;
mod reads;
mod run;
mod standing;
mod stored;
mod supervisor;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use wikigrove_tenant::{Caller, Error, Link, NewNotice, Platform, TenantId};

use super::{Event, Time};
use crate::metrics::Metrics;
use crate::remote::{GitProgram, GitUnusable, Notifier, Wire};
use outbox::Outbox;
use reads::Reads;
use standing::Standing;
use supervisor::Supervisor;

pub(crate) use access::{host_keys, kept, remote};
pub(crate) use channels::kept_channel;
pub use notices::Delivery;
pub use options::Options;
pub(crate) use preview::{Previewed, preview};
pub(crate) use standing::Waiting;
pub(crate) use stored::{changed, state_of};
pub(crate) use tally::{PushEnd, RunEnd, Taken};

/// Capacity of the supervisor's inbox.
const INBOX: usize = 1024;

/// The running links of a platform. Cheap to clone.
#[derive(Clone)]
pub struct Remotes(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    inbox: mpsc::Sender<Message>,
    reads: Reads,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// The data shared by all parts of the runner.
pub(super) struct Shared {
    platform: Platform,
    options: Options,
    wire: Result<Wire, Off>,
    notifier: Notifier,
    /// Notified when there may be a notice to send.
    news: Arc<Notify>,
    listener: Mutex<Option<Listener>>,
    standing: Standing,
}

/// A callback for changes of a link's state and for its notices.
pub(crate) type Listener = Arc<dyn Fn(&Link, &[NewNotice]) + Send + Sync>;

/// The reason for which no link runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Off {
    /// The operator disabled synchronisation.
    #[error("synchronisation is switched off")]
    Disabled,
    /// The operator disabled all outgoing connections.
    #[error("the server is offline by order")]
    Offline,
    /// The git program is missing or too old.
    #[error(transparent)]
    Git(#[from] GitUnusable),
}

impl Off {
    /// All codes.
    pub(crate) const CODES: [&str; 4] =
        ["sync_disabled", "server_offline", "git_missing", "git_too_old"];

    /// The reason as one word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "sync_disabled",
            Self::Offline => "server_offline",
            Self::Git(GitUnusable::Missing(_)) => "git_missing",
            Self::Git(GitUnusable::TooOld { .. }) => "git_too_old",
        }
    }
}

impl Shared {
    /// Calls the listener with a link's state and its new notices.
    fn tell_listener(&self, link: &Link, notices: &[NewNotice]) {
        let listener = lock(&self.listener).clone();
        if let Some(listener) = listener {
            listener(link, notices);
        }
    }
}

enum Message {
    /// An event for one link, whose row may have changed, too.
    Happened {
        link: String,
        event: Event,
        answer: Option<oneshot::Sender<Result<Link, Error>>>,
    },
    /// An event for all links of a wiki.
    OfWiki {
        wiki: TenantId,
        event: Event,
    },
    Stop,
}

impl Remotes {
    /// Starts the links of a platform. A platform must have only one running `Remotes`.
    ///
    /// If git is missing, too old or disabled, links don't run ([`off`](Self::off) has the reason), and saves are
    /// queued for them nevertheless.
    ///
    /// # Errors
    /// The directory for fetched data can't be created; the catalog can't be written.
    pub async fn start(platform: &Platform, options: Options) -> std::io::Result<Self> {
        let (dir, wanted) = (platform.dir().join("sync"), options.clone());
        let wire = wikigrove_tenant::spawn_blocking(move || wire(&dir, &wanted)).await;
        let wire = wire.map_err(std::io::Error::other)??;
        if let Err(off) = &wire {
            tracing::warn!(reason = off.code(), "links to remotes rest: {off}");
        }
        let shared = Arc::new(Shared {
            platform: platform.clone(),
            notifier: notifier(&options),
            options,
            wire,
            news: Arc::new(Notify::new()),
            listener: Mutex::default(),
            standing: Standing::default(),
        });
        // The outbox must know its channels before the first notice is stored.
        let outbox = match &shared.options.delivery {
            Some(delivery) if shared.wire.is_ok() => {
                let opened = Outbox::open(shared.clone(), &delivery.channels).await;
                Some(opened.map_err(std::io::Error::other)?)
            }
            _ => None,
        };
        let (inbox, messages) = mpsc::channel(INBOX);
        let changes = platform.changes();
        let supervisor = Supervisor::new(shared.clone(), messages);
        let mut tasks = vec![wikigrove_tenant::spawn(supervisor.run(changes))];
        tasks.extend(outbox.map(|outbox| wikigrove_tenant::spawn(outbox.run())));
        let tasks = Mutex::new(tasks);
        Ok(Self(Arc::new(Handle { shared, inbox, reads: Reads::default(), tasks })))
    }

    /// Creates a handle to links that don't run: events for them fail with "busy".
    pub fn resting(platform: &Platform) -> Self {
        let (inbox, _) = mpsc::channel(1);
        // Without delivery: the process that runs the links sends their notices.
        let options = Options { delivery: None, ..Options::default() };
        let shared = Arc::new(Shared {
            platform: platform.clone(),
            notifier: notifier(&options),
            options,
            wire: Err(Off::Disabled),
            news: Arc::new(Notify::new()),
            listener: Mutex::default(),
            standing: Standing::default(),
        });
        Self(Arc::new(Handle { shared, inbox, reads: Reads::default(), tasks: Mutex::default() }))
    }

    /// Stops all runs, including their processes. Links resume at the next start.
    pub async fn stop(&self) {
        let tasks = std::mem::take(&mut *lock(&self.0.tasks));
        // The supervisor may have ended with the platform.
        let _ = self.0.inbox.send(Message::Stop).await;
        for (number, task) in tasks.into_iter().enumerate() {
            // The first task is the supervisor, which ends by itself; the others never end.
            if number > 0 {
                task.abort();
            }
            let _ = task.await;
        }
    }

    /// The reason for which no link runs; `None` if links run.
    pub fn off(&self) -> Option<&Off> {
        self.0.shared.wire.as_ref().err()
    }

    /// The options passed to [`start`](Self::start).
    pub fn options(&self) -> &Options {
        &self.0.shared.options
    }

    /// The counters of the links.
    pub fn metrics(&self) -> &Metrics {
        &self.0.shared.options.metrics
    }

    /// The backlog of all links. Opens no wiki.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub(crate) async fn waiting(&self) -> Result<Waiting, Error> {
        self.0.shared.standing.waiting(self.platform()).await
    }

    /// Sends an event to a link, and returns the link's row after it. Code that changes the row must send the event
    /// itself.
    ///
    /// # Errors
    /// The link doesn't exist; the state can't be stored.
    pub async fn tell(&self, link: &str, event: Event) -> Result<Link, Error> {
        let (answer, answered) = oneshot::channel();
        let message = Message::Happened { link: link.to_owned(), event, answer: Some(answer) };
        let stopped = || Error::Busy("links are being stopped".to_owned());
        self.0.inbox.send(message).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Sends an event to all links of a wiki.
    pub async fn tell_wiki(&self, wiki: TenantId, event: Event) {
        // Fails if the links were stopped; then there is no receiver.
        let _ = self.0.inbox.send(Message::OfWiki { wiki, event }).await;
    }

    /// Reports a read of a wiki. Cheap at any rate of reads.
    pub fn read(&self, wiki: TenantId) {
        if self.0.reads.is_heard(wiki) {
            // If the inbox is full, links have enough to do: the event is dropped.
            let _ = self.0.inbox.try_send(Message::OfWiki { wiki, event: Event::Read });
        }
    }

    /// Sets a callback for when a link has come to rest in another state, or has a notice.
    pub(crate) fn listen(&self, listener: Listener) {
        *lock(&self.0.shared.listener) = Some(listener);
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.0.shared.platform
    }

    /// Removes the queue of a deleted link. The commits themselves stay in the wiki.
    pub(crate) async fn forget_queue(&self, link: &Link) {
        let forgetting = async {
            let wiki = self.platform().wiki_by_id(link.wiki, Caller::operator()).await?;
            wiki.forget_jobs(link.number()).await
        };
        if let Err(error) = forgetting.await {
            tracing::warn!(link = link.id, %error, "the queue of a link that is gone stays");
        }
        self.0.shared.standing.forget(&link.id);
    }

    pub(crate) fn wire(&self) -> Result<&Wire, &Off> {
        self.0.shared.wire.as_ref()
    }
}

impl std::fmt::Debug for Remotes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remotes").field("off", &self.off()).finish_non_exhaustive()
    }
}

/// The notifier for these options.
fn notifier(options: &Options) -> Notifier {
    let relay = options.delivery.as_ref().and_then(|delivery| delivery.relay.clone());
    Notifier::new(options.policy.clone(), relay).with_resolver(options.resolver.clone())
}

/// The client for calls to remotes. Blocks.
fn wire(dir: &std::path::Path, options: &Options) -> std::io::Result<Result<Wire, Off>> {
    // Data fetched by a process that crashed.
    match std::fs::remove_dir_all(dir.join("fetched")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if !options.enabled {
        return Ok(Err(Off::Disabled));
    }
    if options.offline {
        return Ok(Err(Off::Offline));
    }
    let git = match GitProgram::probe() {
        Ok(git) => git,
        Err(unusable) => return Ok(Err(unusable.into())),
    };
    let wire = Wire::new(git, options.policy.clone(), options.wire, &dir.join("calls"))?;
    Ok(Ok(wire.with_resolver(options.resolver.clone())))
}

/// The current time of the wall clock.
fn now() -> Time {
    let milliseconds = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    Time(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

/// An unpredictable number; 0 if the system has none, which only reduces the jitter.
fn random() -> u64 {
    getrandom::u64().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Longest sleep of the supervisor, so that a changed clock is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
