//! SQLite files: opening, migrating and pooling. Pragmas are set only here.
//!
//! Every file is in WAL mode with `synchronous=FULL`: a committed transaction survives a power cut, readers never wait
//! for a writer, and each transaction costs one fsync.

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

/// Time that a statement waits for a lock held by another connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum length of the write-ahead log, in bytes: when SQLite restarts a longer log, it truncates it.
const LOG_BYTES: u64 = 8 << 20;
/// Time that a caller waits for a free connection before it gets [`DbError::Busy`].
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Number of instructions of SQLite's virtual machine between two checks of the deadline: some tens of microseconds, so
/// the cost of the check doesn't matter.
const STEPS: i32 = 10_000;

/// The single background thread that serves the connection pools of any number of files.
#[derive(Clone)]
pub struct Scheduler(Arc<ScheduledThreadPool>);

impl Scheduler {
    /// Waits until the jobs queued for immediate execution are done.
    fn wait_for_what_is_queued(&self) {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        self.0.execute(move || drop(done));
        // Nothing is ever sent: the call returns when the sender is dropped, or after the timeout.
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

/// Limits of one file: connections and memory.
#[derive(Clone, Copy, Debug)]
pub struct Sizing {
    /// Maximum number of open connections, including the writer's.
    pub connections: u32,
    /// Page cache of each connection, in kibibytes.
    pub cache_kib: u32,
}

/// A snapshot of a pool's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Number of open connections. They are opened on demand and stay open.
    pub connections: u32,
    /// Number of connections in use.
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
    /// Read-locked by users of the file, write-locked to exchange the file.
    open: RwLock<Open>,
    /// True while the file is being exchanged: new work waits.
    exchanging: AtomicBool,
    one_exchange: Mutex<()>,
    /// A detected problem that isn't repaired yet.
    trouble: Mutex<Option<Trouble>>,
    /// Writers of this process queue here, instead of polling SQLite's lock.
    writer: Mutex<()>,
    /// Long reads queue here, one at a time, so that a connection is always left for short ones.
    long: Mutex<()>,
}

impl Database {
    /// Opens an existing file and migrates its schema to the newest version.
    ///
    /// # Errors
    /// The file is missing, corrupt, not a database, of a newer schema than this program knows, or locked by another
    /// process.
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
    /// The file appears complete or not at all, and is durable on return: it is built under a temporary name, synced,
    /// and linked into place.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open); and the directory can't be written.
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

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the present use of the connection pool.
    pub fn pool_use(&self) -> PoolUse {
        let Ok(open) = self.open.try_read() else { return PoolUse::default() };
        let r2d2::State { connections, idle_connections, .. } = open.pool.state();
        PoolUse { connections, busy: connections.saturating_sub(idle_connections) }
    }

    /// Runs `work` on a connection. Only the reads of a single statement see one consistent state; use a transaction
    /// for more. Statements are interrupted at the thread's [deadline].
    ///
    /// # Errors
    /// No connection became free in two seconds; or the error that `work` returns.
    pub fn read<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.on_connection(|connection, _| work(connection))
    }

    /// Runs untrusted `work` on a read-only connection of its own. The connection is closed afterwards, with all open
    /// statements and temporary changes. Other files can't be attached.
    ///
    /// # Errors
    /// The file can't be opened; or the error that `work` returns.
    #[cfg(feature = "rusqlite")]
    pub fn look<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DbError> {
        let _open = self.enter();
        let looked = read_only::connect(&self.path).and_then(|connection| {
            let value = work(&connection)?;
            if let Err((_, error)) = connection.close() {
                // Only a deliberately leaked statement prevents closing. It keeps its view of the file, and keeps the
                // log from being emptied.
                tracing::error!(file = %self.path.display(), %error, "a connection can't be closed");
            }
            Ok(value)
        });
        looked.map_err(|error| DbError::from(error).of(&self.path))
    }

    /// As [`read`](Self::read), for reads that may take seconds.
    ///
    /// # Errors
    /// The errors of [`read`](Self::read).
    pub fn read_long<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let _turn = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        // The deadline may have passed in the queue.
        deadline::check().map_err(DbError::from)?;
        self.read(work)
    }

    /// Runs `work` in a transaction that holds the write lock from its start. It is committed, durably, if `work`
    /// returns `Ok`, and rolled back otherwise.
    ///
    /// # Errors
    /// No connection became free, the disk is full, or the error that `work` returns.
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

    /// Writes the log back into the database file and truncates the log, so that the file alone is complete.
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

    /// Runs `work` on a connection, and records damage that it encounters.
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
            // The pool's error hides the cause of a failing connection, so connect once without it.
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

/// The parameters for opening a file.
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
            // With an idle timeout, r2d2 would leave a job on the scheduler that outlives the pool. Idle connections
            // are closed when the file is.
            .idle_timeout(None)
            .connection_timeout(CONNECTION_TIMEOUT)
            .test_on_check_out(false)
            .thread_pool(self.scheduler.0.clone())
            .build_unchecked(Manager { connections, held })
    }
}

/// An open file and its connections.
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

/// Migrates the schema of an existing file to the newest version.
pub(crate) fn prepare(path: &Path, schema: &Schema, sizing: Sizing) -> Result<(), DbError> {
    // Outside the pool: a pool retries a failing open for its whole timeout and then hides the cause.
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

/// Opens the connections of a pool, and discards a returned one that has an open transaction or an unfinished
/// statement: its next user would fail.
struct Manager {
    connections: SqliteConnectionManager,
    held: Arc<Held>,
}

impl r2d2::ManageConnection for Manager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = self.connections.connect()?;
        // All connections of a pool must be to the same file.
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

/// Without `CREATE`: opening must never create a missing file. `URI` is set only with an [`address`], so that a plain
/// path is never parsed as one.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// The bytes of a path that aren't escaped in its URI.
const OF_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_');

/// Returns the URI by which SQLite opens a file exclusively for one process. Other programs get "database is locked",
/// and the index of the log is in memory that this process's connections share. A mapped file (`-shm`) could be
/// truncated by another program, and the next access to it would kill this process. See
/// <https://www.sqlite.org/vfs.html>.
fn address(path: &Path) -> String {
    let root = if path.is_absolute() { "//" } else { "" };
    let path = percent_encode(path.as_os_str().as_encoded_bytes(), OF_PATHS);
    format!("file:{root}{path}?vfs=unix-excl")
}

/// Opens a file of a platform or a wiki. Only the process that owns the data directory may do this.
///
/// # Errors
/// The file can't be opened, or another program has it open.
pub fn open_own(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(address(path), flags | OpenFlags::SQLITE_OPEN_URI)
}

fn connect(path: &Path, sizing: Sizing) -> rusqlite::Result<Connection> {
    let mut connection = open_own(path, FLAGS)?;
    configure(&mut connection, sizing)?;
    Ok(connection)
}

/// Opens a file of another program, without changing its settings.
pub(crate) fn connect_plainly(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, FLAGS)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The file's schema (views, triggers) is untrusted.
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

/// Files created here are in WAL mode from the start; an imported one may not be.
fn adopt_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    }
    Ok(())
}

/// Builds the file under a temporary name and links it into place. A concurrent creation of the same file is no error.
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
    // The private copy is synced as a whole below, so its transactions need no syncs.
    connection.execute_batch("pragma synchronous = off")?;
    seed(&connection)?;
    connection.close().map_err(|(_, error)| error)?;
    let file = std::fs::File::open(private).at("open", private)?;
    file.sync_all().at("sync", private)?;
    Ok(())
}

#[cfg(test)]
mod tests;
