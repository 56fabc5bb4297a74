//! A git remote over SSH: OpenSSH's own server, on the loopback interface.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Git;

const SSHD: &str = "/usr/sbin/sshd";
const REQUIRED: &str = "WIKIGROVE_REQUIRE_ALL_TESTS";

/// A server with a bare repository. It ends with the value.
#[derive(Debug)]
pub struct TestSshd {
    dir: tempfile::TempDir,
    port: u16,
    server: Child,
}

impl TestSshd {
    /// Starts it, for one key. `None`, said loudly, on a machine without `sshd`.
    ///
    /// # Panics
    /// There is none, and nothing may be left out.
    pub fn start(authorized: &str) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            assert!(std::env::var_os(REQUIRED).is_none(), "this needs {SSHD} (openssh-server)");
            eprintln!("LEFT OUT: there is no {SSHD} here");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        Git::at(dir.path()).run(&["init", "-q", "--bare", "-b", "main", "x.git"]);
        make_host_key(&at("host"));
        std::fs::write(at("authorized"), format!("{authorized}\n")).unwrap();
        let port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nUsePAM no\n",
            at("host").display(),
            at("authorized").display(),
        );
        std::fs::write(at("config"), config).unwrap();
        // Where the system has it started at boot, this is made then.
        let _ = std::fs::create_dir("/run/sshd");
        let server = serve(dir.path());
        let mut started = Self { dir, port, server };
        started.wait();
        Some(started)
    }

    /// Becomes a host with another key, at the same place. What it logged before is gone.
    pub fn renew_host_key(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        for name in ["host", "host.pub"] {
            std::fs::remove_file(self.dir.path().join(name)).unwrap();
        }
        make_host_key(&self.dir.path().join("host"));
        self.server = serve(self.dir.path());
        self.wait();
    }

    fn wait(&mut self) {
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(self.server.try_wait().unwrap().is_none(), "sshd ended: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd doesn't listen: {}", self.log());
    }

    /// What the server said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// The URL of the repository under some name of the host.
    pub fn url(&self, host: &str) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let path = self.dir.path().join("x.git");
        format!("ssh://{}@{host}:{}{}", user.trim(), self.port, path.display())
    }

    /// The repository.
    pub fn git(&self) -> Git {
        Git::at(self.dir.path().join("x.git"))
    }

    /// The server's public key.
    pub fn host_key(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("host.pub")).unwrap()
    }

    /// What every login is made to do instead of what it asks for.
    pub fn force(&self, options: &str, authorized: &str) {
        std::fs::write(self.dir.path().join("authorized"), format!("{options} {authorized}\n"))
            .unwrap();
    }
}

impl Drop for TestSshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn serve(dir: &Path) -> Child {
    let log = std::fs::File::create(dir.join("log")).unwrap();
    Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("config"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn make_host_key(file: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}

/// Nobody else takes it in the moment until it's used, most likely.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
