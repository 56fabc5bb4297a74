//! SQLite files: opened, migrated, pooled. Pragmas are set here and nowhere else.
//!
//! Every file is in WAL mode with `synchronous=FULL`: a committed transaction survives a power
//! cut, readers never wait for a writer, and one fsync is paid per transaction.

mod copy;
mod error;
mod exchange;
mod held;
pub mod idempotency;
mod log_check;
mod migrate;
#[cfg(feature = "rusqlite")]
mod read_only;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use scheduled_thread_pool::ScheduledThreadPool;

use self::held::{Fate, Held};
use crate::deadline;
use crate::files::{self, At as _};

pub(crate) use copy::copy_into;
pub use error::DbError;
pub(crate) use exchange::Trouble;
pub(crate) use held::with_suffix;
pub(crate) use log_check::loss;
pub use migrate::Schema;

/// How long a statement waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A log that one large transaction made longer than this is cut back when it is begun anew, in bytes.
const LOG_BYTES: u64 = 8 << 20;
/// How long a caller waits for a free connection before it is told that the file is busy.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// After so many instructions of SQLite's virtual machine a statement asks whether its time is over:
/// some tens of microseconds, in which the question itself doesn't count.
const STEPS: i32 = 10_000;

/// The one background thread that serves the connection pools of any number of files.
#[derive(Clone)]
pub struct Scheduler(Arc<ScheduledThreadPool>);

impl Scheduler {
    /// Returns when what was to be done at once is done.
    fn wait_for_what_is_queued(&self) {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        self.0.execute(move || drop(done));
        // Nothing is ever sent: this is the end of the other side, or of patience.
        let _ = wait.recv_timeout(BUSY_TIMEOUT);
    }
}

impl Default for Scheduler {
    fn default() -> Self {
        let threads =
            ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("sqlite-pools");
        Self(Arc::new(threads.build()))
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scheduler")
    }
}

/// How much memory and how many connections one file may take.
#[derive(Clone, Copy, Debug)]
pub struct Sizing {
    /// Connections open at once, the writer included.
    pub connections: u32,
    /// Page cache of each connection, in kibibytes.
    pub cache_kib: u32,
}

/// How much of a pool is in use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that there are. They are made when they are needed, and stay.
    pub connections: u32,
    /// Those of them that somebody works with.
    pub busy: u32,
}

impl std::ops::AddAssign for PoolUse {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.busy += other.busy;
    }
}

/// One SQLite file: any number of readers, one writer at a time.
pub struct Database {
    path: PathBuf,
    how: How,
    /// Read by those who use the file, written by the one who exchanges it.
    open: RwLock<Open>,
    /// Whether the file is being exchanged, so that nothing new begins.
    exchanging: AtomicBool,
    one_exchange: Mutex<()>,
    /// What was noticed and isn't mended yet.
    trouble: Mutex<Option<Trouble>>,
    /// Writers queue here, in this process, instead of polling SQLite's lock.
    writer: Mutex<()>,
    /// Reads that may take long queue here, one at a time, so that there is always a connection for others.
    long: Mutex<()>,
}

impl Database {
    /// Opens an existing file and brings its schema up to date.
    ///
    /// # Errors
    /// The file is missing, corrupt, not a database, of a newer schema than this program knows, or
    /// held by somebody else.
    pub fn open(
        path: &Path,
        schema: &Schema,
        scheduler: &Scheduler,
        sizing: Sizing,
    ) -> Result<Self, DbError> {
        prepare(path, schema, sizing)?;
        let how = How { path: path.to_owned(), scheduler: scheduler.clone(), sizing };
        Ok(Self {
            path: path.to_owned(),
            open: RwLock::new(Open::new(path, &how)?),
            how,
            exchanging: AtomicBool::new(false),
            one_exchange: Mutex::new(()),
            trouble: Mutex::new(None),
            writer: Mutex::new(()),
            long: Mutex::new(()),
        })
    }

    /// Creates the file, with `seed` applied, unless it exists; then opens it.
    ///
    /// The file appears complete or not at all, and is durable when this returns: it is built
    /// under a private name, synced, and linked into place.
    ///
    /// # Errors
    /// As [`open`](Self::open); and the directory can't be written.
    pub fn open_or_create(
        path: &Path,
        schema: &Schema,
        scheduler: &Scheduler,
        sizing: Sizing,
        seed: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, DbError> {
        if !path.exists() {
            create(path, schema, seed)?;
        }
        Self::open(path, schema, scheduler, sizing)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How much of its pool is in use.
    pub fn pool_use(&self) -> PoolUse {
        let Ok(open) = self.open.try_read() else { return PoolUse::default() };
        let r2d2::State { connections, idle_connections, .. } = open.pool.state();
        PoolUse { connections, busy: connections.saturating_sub(idle_connections) }
    }

    /// Runs `work` on a connection. Reads inside it see one state only within one statement;
    /// use a transaction for more. Statements end with the thread's [deadline].
    ///
    /// # Errors
    /// No connection became free in two seconds; or what `work` returns.
    pub fn read<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.on_connection(|connection, _| work(connection))
    }

    /// Runs `work`, which need not be trusted, on a connection of its own that can only read, and that is
    /// closed afterwards with all that was left open or changed on it. Other files can't be attached.
    ///
    /// # Errors
    /// The file can't be opened; or what `work` returns.
    #[cfg(feature = "rusqlite")]
    pub fn look<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DbError> {
        let _open = self.enter();
        let looked = read_only::connect(&self.path).and_then(|connection| {
            let value = work(&connection)?;
            if let Err((_, error)) = connection.close() {
                // Only a statement that was forgotten on purpose does that. It keeps its view of the
                // file, and the log from being emptied.
                tracing::error!(file = %self.path.display(), %error, "a connection can't be closed");
            }
            Ok(value)
        });
        looked.map_err(|error| DbError::from(error).of(&self.path))
    }

    /// As [`read`](Self::read), for what may take seconds.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_long<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let _turn = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        // Its time may have passed in the queue.
        deadline::check().map_err(DbError::from)?;
        self.read(work)
    }

    /// Runs `work` in a transaction that holds the write lock from its start. It is committed,
    /// durably, when `work` returns `Ok`, and leaves no trace otherwise.
    ///
    /// # Errors
    /// No connection became free, the disk is full, or what `work` returns.
    pub fn write<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _turn = lock(&self.writer);
        let (value, held, fate) = self.on_connection(|connection, held| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(|e| DbError::from(e).of(&self.path))?;
            let value = work(&transaction)?;
            transaction.commit().map_err(|e| DbError::from(e).of(&self.path))?;
            let fate = held.fate_with_log().map_err(DbError::from)?;
            Ok::<_, E>((value, held.clone(), fate))
        })?;
        self.regain(&held, fate)?;
        Ok(value)
    }

    /// Writes the log back into the file and truncates it, so that the file alone is complete.
    ///
    /// # Errors
    /// The disk is full or failing. Nothing is lost: the log stays.
    pub fn checkpoint(&self) -> Result<(), DbError> {
        let _turn = lock(&self.writer);
        self.on_connection(|connection, _| {
            connection
                .query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
                .map_err(|e| DbError::from(e).of(&self.path))
        })
    }

    /// Runs `work` on a connection, and notes whether it met damage.
    fn on_connection<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&mut Connection, &Arc<Held>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut open = self.enter();
        let mut connection = match self.connection(&open) {
            Ok(connection) => connection,
            Err(error) => {
                let held = open.held.clone();
                let fate = held.fate().map_err(DbError::from)?;
                drop(open);
                if fate == Fate::Held {
                    return Err(error.into());
                }
                self.regain(&held, fate)?;
                open = self.enter();
                self.connection(&open)?
            }
        };
        error::takes_corruption();
        let worked = work(&mut connection, &open.held);
        if error::takes_corruption() {
            self.report(Trouble::Damaged);
        }
        worked
    }

    fn connection(&self, open: &Open) -> Result<r2d2::PooledConnection<Manager>, DbError> {
        open.pool.get().map_err(|error| {
            let exhausted = DbError::exhausted(&self.path, error);
            // A pool hides why it can't connect.
            match connect(&self.path, self.how.sizing).map_err(DbError::from) {
                Err(error @ DbError::Corrupt { .. }) => {
                    self.report(Trouble::Damaged);
                    error.of(&self.path)
                }
                Err(error) if error.is_disk_full() => error.of(&self.path),
                _ => exhausted,
            }
        })
    }
}

/// How a file is opened.
struct How {
    path: PathBuf,
    scheduler: Scheduler,
    sizing: Sizing,
}

impl How {
    fn pool(&self, held: Arc<Held>) -> r2d2::Pool<Manager> {
        let sizing = self.sizing;
        let connections = SqliteConnectionManager::file(address(&self.path))
            .with_flags(FLAGS | OpenFlags::SQLITE_OPEN_URI)
            .with_init(move |connection| configure(connection, sizing));
        r2d2::Pool::builder()
            .max_size(sizing.connections)
            .min_idle(Some(0))
            .max_lifetime(None)
            // With a time limit r2d2 would leave a job on the scheduler that outlives the pool. What is
            // idle is closed with its file.
            .idle_timeout(None)
            .connection_timeout(CONNECTION_TIMEOUT)
            .test_on_check_out(false)
            .thread_pool(self.scheduler.0.clone())
            .build_unchecked(Manager { connections, held })
    }
}

/// A file that is open, and the connections to it.
struct Open {
    pool: r2d2::Pool<Manager>,
    held: Arc<Held>,
}

impl Open {
    fn new(path: &Path, how: &How) -> Result<Self, DbError> {
        let held = Arc::new(Held::new(path)?);
        Ok(Self { pool: how.pool(held.clone()), held })
    }
}

/// Brings the schema of an existing file up to date.
pub(crate) fn prepare(path: &Path, schema: &Schema, sizing: Sizing) -> Result<(), DbError> {
    // Outside the pool: a pool retries a failing open for its whole timeout and then hides why.
    let of = |error: rusqlite::Error| DbError::from(error).of(path);
    let mut first = connect(path, sizing).map_err(of)?;
    first.execute_batch("pragma foreign_keys = off").map_err(of)?;
    migrate::ensure(&mut first, schema).map_err(|e| e.of(path))?;
    adopt_wal(&first).map_err(of)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes the connections of a pool, and drops one that comes back in the middle of something: in a
/// transaction, or with a statement that isn't at its end. The next one to use it would fail.
struct Manager {
    connections: SqliteConnectionManager,
    held: Arc<Held>,
}

impl r2d2::ManageConnection for Manager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = self.connections.connect()?;
        // All of a pool are to the same file.
        match self.held.fate() {
            Ok(Fate::Held) => Ok(connection),
            _ => Err(rusqlite::Error::InvalidPath(connection.path().unwrap_or_default().into())),
        }
    }

    fn is_valid(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        self.connections.is_valid(connection)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.is_autocommit() || connection.is_busy()
    }
}

/// Never `CREATE`: a file that isn't there must not spring into being by being looked at. `URI` only
/// with an [`address`]: a path is a path.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// The bytes of a path that its URI has as they are.
const OF_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_');

/// The URI by which SQLite opens a file for one process alone. Other programs are told that the file is locked, and
/// the index of the log is in memory that all connections share, instead of a mapped file (`-shm`) that another
/// program could cut: the next look into it would end the process. See <https://www.sqlite.org/vfs.html>.
fn address(path: &Path) -> String {
    let root = if path.is_absolute() { "//" } else { "" };
    let path = percent_encode(path.as_os_str().as_encoded_bytes(), OF_PATHS);
    format!("file:{root}{path}?vfs=unix-excl")
}

/// Opens a file of a platform or a wiki. Only the process that owns the data directory does.
///
/// # Errors
/// It can't be opened, or another program has it open.
pub fn open_own(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(address(path), flags | OpenFlags::SQLITE_OPEN_URI)
}

fn connect(path: &Path, sizing: Sizing) -> rusqlite::Result<Connection> {
    let mut connection = open_own(path, FLAGS)?;
    configure(&mut connection, sizing)?;
    Ok(connection)
}

/// Opens a file that isn't ours, as it is.
pub(crate) fn connect_plainly(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, FLAGS)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // What the file defines beyond tables is a stranger's.
    connection.execute_batch("pragma trusted_schema = off")?;
    Ok(connection)
}

fn configure(connection: &mut Connection, sizing: Sizing) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.progress_handler(STEPS, Some(deadline::is_over))?;
    connection.execute_batch(&format!(
        "pragma synchronous = full;
         pragma foreign_keys = on;
         pragma trusted_schema = off;
         pragma temp_store = memory;
         pragma journal_size_limit = {LOG_BYTES};
         pragma cache_size = -{};",
        sizing.cache_kib
    ))
}

/// Files we create are born in WAL mode; an adopted one may not be.
fn adopt_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    }
    Ok(())
}

/// Builds the file privately and links it into place. Somebody else being faster is no error.
pub(crate) fn create(
    path: &Path,
    schema: &Schema,
    seed: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), DbError> {
    let private = files::temporary_beside(path);
    let made =
        build(&private, schema, seed).and_then(|()| match std::fs::hard_link(&private, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => Ok(linked.at("link into place", path)?),
        });
    let removed = std::fs::remove_file(&private).at("remove", &private);
    made?;
    removed?;
    Ok(files::sync_dir(path.parent().unwrap_or(Path::new(".")))?)
}

fn build(
    private: &Path,
    schema: &Schema,
    seed: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), DbError> {
    files::write_new(private, schema.template(private)?)?;
    let connection = Connection::open_with_flags(private, FLAGS)?;
    // The private copy is synced as a whole below; its own transactions need not be.
    connection.execute_batch("pragma synchronous = off")?;
    seed(&connection)?;
    connection.close().map_err(|(_, error)| error)?;
    let file = std::fs::File::open(private).at("open", private)?;
    file.sync_all().at("sync", private)?;
    Ok(())
}

#[cfg(test)]
mod tests;
