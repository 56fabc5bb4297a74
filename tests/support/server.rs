//! Servers to test: in this process, or the program itself.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wikigrove_server::app::{self, Addresses};
use wikigrove_server::auth::Authenticator;
use wikigrove_server::auth::proxy::Proxies;
use wikigrove_server::limits::HttpLimits;
use wikigrove_server::remote::{Channel, MailRelay};
use wikigrove_server::serve::serve;
use wikigrove_server::sync::runner::{Options, Remotes};
use wikigrove_tenant::{Platform, Settings};

use crate::{Git, User};

/// The operator's token of every [`TestServer`].
const OPERATOR: &str = "the-operators-token-of-a-test";
/// How long anything may take that should be quick.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory that is removed when this is dropped, in memory where the system offers that.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let named = || tempfile::Builder::new().prefix("wikigrove-it-").to_owned();
    named().tempdir_in(memory).or_else(|_| named().tempdir()).unwrap()
}

/// The paths of everything in `dir`, relative to it, without SQLite's own working files.
pub fn entries(dir: &Path) -> BTreeSet<String> {
    fn visit(root: &Path, dir: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if name.ends_with("-wal") || name.ends_with("-shm") {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                visit(root, &path, found);
            }
            found.insert(name);
        }
    }
    let mut found = BTreeSet::new();
    visit(dir, dir, &mut found);
    found
}

/// How a [`TestServer`] differs from the usual one.
#[derive(Debug, Default)]
pub struct ServerSetup {
    addresses: Addresses,
    limits: HttpLimits,
    settings: Settings,
    proxies: Proxies,
    sync: Options,
}

impl ServerSetup {
    /// Each wiki has a host of its own below `domain`.
    #[must_use]
    pub fn base_domain(mut self, domain: &str) -> Self {
        self.addresses.base_domain = Some(domain.to_owned());
        self
    }

    /// Says that it is reached as `url` from outside.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        self.addresses.public_url = Some(url.to_owned());
        self
    }

    /// Lets pages of the site `origin` use it.
    #[must_use]
    pub fn cors_origin(mut self, origin: &str) -> Self {
        self.addresses.cors_origins.push(origin.parse().unwrap());
        self
    }

    /// Believes these proxies.
    #[must_use]
    pub fn behind(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Changes how long and how large things may be.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut HttpLimits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Changes what the platform may use.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Changes how links are run. Remotes on the loopback interface may be reached in any case.
    #[must_use]
    pub fn sync(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.sync);
        self
    }

    /// Has somebody told of the links of all wikis.
    #[must_use]
    pub fn telling(self, channel: Channel) -> Self {
        self.sync(|sync| sync.delivery.get_or_insert_default().channels.push(channel))
    }

    /// Sends mail by a relay.
    #[must_use]
    pub fn mailing(self, relay: MailRelay) -> Self {
        self.sync(|sync| sync.delivery.get_or_insert_default().relay = Some(relay))
    }

    /// Starts it; returns it with the operator.
    pub async fn start(self) -> (TestServer, User) {
        let platform = Platform::in_memory_with(self.settings).await.unwrap();
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (public, control) = (bind().await.unwrap(), bind().await.unwrap());
        let addresses = (public.local_addr().unwrap(), control.local_addr().unwrap());
        let auth = Authenticator::new(platform.clone(), OPERATOR);
        let public_url = format!("http://{}", addresses.0);
        let mut options = self.sync;
        options
            .policy
            .admitted
            .extend(["127.0.0.1", "localhost"].map(|host| host.parse().unwrap()));
        let remotes = Remotes::start(&platform, options).await.unwrap();
        let addressed = &self.addresses;
        let believing = auth.clone().behind(self.proxies);
        let listeners = vec![
            (public, app::public_with(&platform, &believing, addressed, &self.limits, &remotes)),
            (control, app::control_with(&platform, &auth, &public_url, &self.limits, &remotes)),
        ];
        let (stop, stopped) = oneshot::channel::<()>();
        let limits = self.limits;
        let serving = wikigrove_tenant::spawn(async move {
            serve(listeners, &limits, async { drop(stopped.await) }).await
        });
        let server = TestServer { platform, addresses, stop: Some(stop), serving, remotes };
        let operator = server.anonymous().with_token(OPERATOR);
        (server, operator)
    }
}

/// A server in this process, on sockets of its own and a data directory of its own. Both are gone
/// when it is dropped.
#[derive(Debug)]
pub struct TestServer {
    platform: Platform,
    addresses: (SocketAddr, SocketAddr),
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<usize>,
    remotes: Remotes,
}

impl TestServer {
    /// Starts one that is like the program with no options; returns it with the operator.
    pub async fn start() -> (Self, User) {
        ServerSetup::default().start().await
    }

    /// Starts one with a private wiki `garden`; returns it with the operator and an editor of it.
    pub async fn with_garden() -> (Self, User, User) {
        let (server, operator) = Self::start().await;
        operator.create_wiki("garden").await.good();
        let editor = operator.token("garden", "editor").await;
        (server, operator, editor)
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> User {
        User::anonymous(self.addresses.0, self.addresses.1)
    }

    /// Where the listener of the wikis is.
    pub fn public_address(&self) -> SocketAddr {
        self.addresses.0
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        self.platform.dir()
    }

    /// A wiki's repository.
    pub fn git(&self, slug: &str) -> Git {
        Git::at(self.dir().join("wikis").join(slug).join("repo"))
    }

    /// The platform behind it.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Sends bytes to the wikis' listener on a connection of their own, and returns all that comes
    /// back until the server closes it.
    ///
    /// # Panics
    /// The server keeps the connection open: send `Connection: close`.
    pub async fn raw(&self, request: impl AsRef<[u8]>) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.addresses.0).await.unwrap();
        // It may have answered, and closed, before it read all.
        let _ = stream.write_all(request.as_ref()).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ =
            tokio::time::timeout(PATIENCE, read).await.expect("the server closes the connection");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Stops it as a signal would, and closes the platform.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.serving).await.unwrap();
        self.remotes.stop().await;
        self.platform.close().await;
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The real program on a data directory.
#[derive(Clone, Debug)]
pub struct Program {
    program: PathBuf,
    data: PathBuf,
    /// Where it runs, on `./data` without being told so.
    directory: Option<PathBuf>,
    environment: Vec<(String, String)>,
    /// What a shell does before it becomes the program.
    first: Option<String>,
}

impl Program {
    /// The program at the path `program`, on the data directory `data`.
    pub fn new(program: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        let (program, data) = (program.into(), data.into());
        Self { program, data, directory: None, environment: Vec::new(), first: None }
    }

    /// The program at the path `program`, started in `directory` with no word about where the data
    /// is, which is then in `./data`.
    pub fn within(program: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let data = directory.join("data");
        Self { directory: Some(directory), ..Self::new(program, data) }
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// After a line of shell, such as `umask 0`.
    #[must_use]
    pub fn after(mut self, line: &str) -> Self {
        self.first = Some(line.to_owned());
        self
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A wiki's repository.
    pub fn git(&self, slug: &str) -> Git {
        Git::at(self.data.join("wikis").join(slug).join("repo"))
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command to its end; returns its exit code, and what it printed and complained of.
    pub fn ask(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (status.code(), text(&stdout), text(&stderr))
    }

    /// Starts the server on free ports and waits until it serves.
    ///
    /// # Panics
    /// It ends instead.
    pub fn serve(&self) -> Running {
        self.serve_with(&[])
    }

    /// Starts the server with more options.
    ///
    /// # Panics
    /// It ends instead.
    pub fn serve_with(&self, options: &[&str]) -> Running {
        let args = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        self.start(&[&args, options].concat())
    }

    /// Starts a server with just these arguments.
    ///
    /// # Panics
    /// It ends instead.
    pub fn start(&self, args: &[&str]) -> Running {
        let mut child = self
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = Heard::follow(child.stdout.take().unwrap());
        let logged = Heard::follow(child.stderr.take().unwrap());
        let mut running =
            Running { child, printed, logged, data: self.data.clone(), addresses: None };
        running.addresses = Some(running.wait_for_addresses());
        running
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.first {
            Some(line) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("{line}\nexec \"$@\"")).arg("sh").arg(&self.program);
                shell
            }
            None => Command::new(&self.program),
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WIKIGROVE_") {
                command.env_remove(name);
            }
        }
        command.env_remove("RUST_LOG").envs(self.environment.iter().cloned());
        match &self.directory {
            Some(directory) => command.current_dir(directory),
            None => command.arg("--data").arg(&self.data),
        };
        command.args(args);
        command
    }
}

/// A server in a process of its own. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    printed: Heard,
    logged: Heard,
    data: PathBuf,
    addresses: Option<(SocketAddr, SocketAddr)>,
}

impl Running {
    /// Somebody without a token.
    pub fn anonymous(&self) -> User {
        let (wikis, control) = self.addresses.expect("set once it serves");
        User::anonymous(wikis, control)
    }

    /// The operator, with the token that the server wrote.
    ///
    /// # Panics
    /// There is no such file.
    pub fn operator(&self) -> User {
        let token = std::fs::read_to_string(self.data.join("operator-token")).unwrap();
        self.anonymous().with_token(token.trim())
    }

    /// What it printed so far.
    pub fn printed(&self) -> String {
        self.printed.text()
    }

    /// What it logged so far.
    pub fn logged(&self) -> String {
        self.logged.text()
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether it hasn't ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Where the listener of the wikis is.
    pub fn public_address(&self) -> SocketAddr {
        self.addresses.expect("set once it serves").0
    }

    /// Ends it as a power cut would, as far as a process can tell.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Waits until it has ended; returns how, and all that it logged.
    ///
    /// # Panics
    /// It doesn't end.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(started.elapsed() < PATIENCE, "the server doesn't end: {}", self.logged());
        };
        (status, self.logged.all())
    }

    /// Stops it, which must go well.
    ///
    /// # Panics
    /// It doesn't.
    pub fn stop(self) {
        self.terminate();
        let (status, logged) = self.ended();
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{logged}");
    }

    fn wait_for_addresses(&mut self) -> (SocketAddr, SocketAddr) {
        let started = Instant::now();
        loop {
            let printed = self.printed();
            // It is the last line of what is printed at once.
            if printed.contains("\ntoken ") {
                return (address(&printed, "wikis "), address(&printed, "admin "));
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", self.logged.all());
            }
            assert!(started.elapsed() < PATIENCE, "the server doesn't start: {}", self.logged());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line such as `wikis   http://127.0.0.1:8080/w/<slug>/`.
fn address(printed: &str, name: &str) -> SocketAddr {
    let line = printed.lines().find(|line| line.starts_with(name)).expect("a line of this name");
    let url = line.split("http://").nth(1).expect("an address");
    url.split('/').next().unwrap().parse().unwrap()
}

/// What a process says, as it comes.
#[derive(Debug)]
struct Heard {
    text: Arc<Mutex<Vec<u8>>>,
    listening: Option<std::thread::JoinHandle<()>>,
}

impl Heard {
    fn follow(mut pipe: impl std::io::Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let heard = text.clone();
        let listening = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                heard.lock().unwrap().write_all(&buffer[..length]).unwrap();
            }
        });
        Self { text, listening: Some(listening) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    /// Everything, once there is nothing more to come.
    fn all(&mut self) -> String {
        if let Some(listening) = self.listening.take() {
            listening.join().unwrap();
        }
        self.text()
    }
}
