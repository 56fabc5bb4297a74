//! Runs the links: performs what the machine wants done, with real wikis, a real network and a real
//! clock.
//!
//! One task, the supervisor, takes one step at a time; what takes time is done by tasks of
//! their own, a few at once. Everybody else speaks to it through [`Remotes`].
//!
//! What the machine's module asks of its performer is kept but for one thing: a [save](Event::Saved)
//! alone isn't stored in platform.db. Its job lies in the wiki already, and after a crash every link
//! looks anyway; a save shouldn't cost a second fsync.

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

/// How many messages to the supervisor may wait.
const INBOX: usize = 1024;

/// The links of a platform, at work. Cheap to clone.
#[derive(Clone)]
pub struct Remotes(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    inbox: mpsc::Sender<Message>,
    reads: Reads,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What all parts of the runner have in common.
pub(super) struct Shared {
    platform: Platform,
    options: Options,
    wire: Result<Wire, Off>,
    notifier: Notifier,
    /// There may be a notice to send.
    news: Arc<Notify>,
    listener: Mutex<Option<Listener>>,
    standing: Standing,
}

/// Who wants to know what links are doing, and what people are told of it.
pub(crate) type Listener = Arc<dyn Fn(&Link, &[NewNotice]) + Send + Sync>;

/// Why nothing leaves this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Off {
    /// The operator doesn't want links to run.
    #[error("synchronisation is switched off")]
    Disabled,
    /// The operator wants nothing to leave the machine.
    #[error("the server is offline by order")]
    Offline,
    /// There is no git program, or it is too old.
    #[error(transparent)]
    Git(#[from] GitUnusable),
}

impl Off {
    /// All reasons.
    pub(crate) const CODES: [&str; 4] =
        ["sync_disabled", "server_offline", "git_missing", "git_too_old"];

    /// The reason in one word.
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
    /// Tells whoever listens how a link stands, and what people are told of it.
    fn tell_listener(&self, link: &Link, notices: &[NewNotice]) {
        let listener = lock(&self.listener).clone();
        if let Some(listener) = listener {
            listener(link, notices);
        }
    }
}

enum Message {
    /// Something happened to a link, whose row may have changed, too.
    Happened {
        link: String,
        event: Event,
        answer: Option<oneshot::Sender<Result<Link, Error>>>,
    },
    /// Something happened to all links of a wiki.
    OfWiki {
        wiki: TenantId,
        event: Event,
    },
    Stop,
}

impl Remotes {
    /// Starts the links of a platform. There must be one of these for a platform.
    ///
    /// Where git is missing, too old or not wanted, links rest ([`off`](Self::off) says why), and saves
    /// are queued for them all the same.
    ///
    /// # Errors
    /// The directory for what is fetched can't be made; the catalog can't be written.
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
        // Before anything happens that they would be told of.
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

    /// Links that don't run: who tells them something hears that the server is busy.
    pub fn resting(platform: &Platform) -> Self {
        let (inbox, _) = mpsc::channel(1);
        // Nobody is told, either: that is left to whoever runs them.
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

    /// Ends everything that is on, programs and all. Links go on where they are at the next start.
    pub async fn stop(&self) {
        let tasks = std::mem::take(&mut *lock(&self.0.tasks));
        // It may have ended with the platform.
        let _ = self.0.inbox.send(Message::Stop).await;
        for (number, task) in tasks.into_iter().enumerate() {
            // The first is the supervisor, which ends by itself; the others wait for ever.
            if number > 0 {
                task.abort();
            }
            let _ = task.await;
        }
    }

    /// Why nothing leaves this machine, if nothing does.
    pub fn off(&self) -> Option<&Off> {
        self.0.shared.wire.as_ref().err()
    }

    /// What it was started with.
    pub fn options(&self) -> &Options {
        &self.0.shared.options
    }

    /// Where it is counted what links do.
    pub fn metrics(&self) -> &Metrics {
        &self.0.shared.options.metrics
    }

    /// What is known of links that don't keep up. Opens no wiki.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub(crate) async fn waiting(&self) -> Result<Waiting, Error> {
        self.0.shared.standing.waiting(self.platform()).await
    }

    /// Tells a link what happened, and returns it as it is then. Whoever changed its row tells it so.
    ///
    /// # Errors
    /// There is no such link; the state can't be stored.
    pub async fn tell(&self, link: &str, event: Event) -> Result<Link, Error> {
        let (answer, answered) = oneshot::channel();
        let message = Message::Happened { link: link.to_owned(), event, answer: Some(answer) };
        let stopped = || Error::Busy("links are being stopped".to_owned());
        self.0.inbox.send(message).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Tells all links of a wiki.
    pub async fn tell_wiki(&self, wiki: TenantId, event: Event) {
        // Nobody is there to be told when links were stopped.
        let _ = self.0.inbox.send(Message::OfWiki { wiki, event }).await;
    }

    /// Somebody reads a wiki. Costs next to nothing, however many do.
    pub fn read(&self, wiki: TenantId) {
        if self.0.reads.is_heard(wiki) {
            // Where there is no room, there is enough to do.
            let _ = self.0.inbox.try_send(Message::OfWiki { wiki, event: Event::Read });
        }
    }

    /// Calls `listener` whenever a link has come to rest in another state, or people are told of it.
    pub(crate) fn listen(&self, listener: Listener) {
        *lock(&self.0.shared.listener) = Some(listener);
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.0.shared.platform
    }

    /// Forgets what waits for a link that is gone. The commits themselves are in the wiki.
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

/// What people are told by.
fn notifier(options: &Options) -> Notifier {
    let relay = options.delivery.as_ref().and_then(|delivery| delivery.relay.clone());
    Notifier::new(options.policy.clone(), relay).with_resolver(options.resolver.clone())
}

/// What calls are made with. Blocks.
fn wire(dir: &std::path::Path, options: &Options) -> std::io::Result<Result<Wire, Off>> {
    // What a process that died had fetched.
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

/// The wall clock.
fn now() -> Time {
    let milliseconds = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    Time(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

/// A number that nobody can guess. Without one there would only be less jitter.
fn random() -> u64 {
    getrandom::u64().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until when to wait: never longer than this, so that a clock that was put back is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
