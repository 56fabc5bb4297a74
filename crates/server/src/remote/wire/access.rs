//! The access of one call to its remote: the pinned address and the credential.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use data_encoding::BASE64;
use wikigrove_tenant::Secret;

use super::Remote;
use crate::remote::credential::Credential;
use crate::remote::host_key::{HostKey, known_hosts};
use crate::remote::outcome::{Failure, HttpTrace, scrubbed};
use crate::remote::scratch::Scratch;
use crate::remote::url::{Host, RemoteUrl, Scheme};

/// The search path for programs.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The longest part of a header trace that is read, in bytes.
const MAX_TRACE: u64 = 1024 * 1024;

/// The options, environment and files that a call needs besides its arguments.
pub(super) struct Access {
    pub(super) url: String,
    pub(super) protocol: &'static str,
    pub(super) scratch: Scratch,
    /// Options of git and environment variables.
    settings: Vec<String>,
    environment: Vec<(&'static str, Secret)>,
    /// Secrets that must not appear in any text.
    secrets: Vec<Secret>,
}

impl Access {
    /// # Errors
    /// [`Failure::Auth`]: the URL needs another kind of credential. [`Failure::HostKey`]: no key of the host is known.
    /// [`Failure::Transient`]: a file can't be written.
    pub(super) fn new(remote: &Remote, address: IpAddr, scratch: Scratch) -> Result<Self, Failure> {
        let mut access = Self {
            url: remote.url.to_string(),
            protocol: remote.url.scheme().as_str(),
            scratch,
            settings: Vec::new(),
            environment: Vec::new(),
            secrets: Vec::new(),
        };
        let auth = |text: &str| Failure::Auth { text: text.to_owned() };
        match (remote.url.scheme(), &remote.credential) {
            (Scheme::Ssh, Credential::Key(key)) => {
                access.by_ssh(remote, address, key.private())?;
            }
            (Scheme::Ssh, _) => return Err(auth("ssh needs a deploy key")),
            (_, Credential::Key(_)) => return Err(auth("https takes a token, and no deploy key")),
            (_, Credential::None) => access.by_http(&remote.url, address),
            (_, Credential::Token(token)) => {
                access.by_http(&remote.url, address);
                let user = token.user().unwrap_or_else(|| usual_user(remote.url.host()));
                access.log_in(&remote.url.origin(), user, token.token());
            }
        }
        Ok(access)
    }

    fn by_http(&mut self, url: &RemoteUrl, address: IpAddr) {
        // An address in the URL needs no pinning.
        if let Host::Name(name) = url.host() {
            let address = match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            };
            self.settings.push(format!("http.curloptResolve={name}:{}:{address}", url.port()));
        }
        // Headers only, and git omits authorisation headers.
        let trace = self.scratch.path().join("trace").to_string_lossy().into_owned();
        self.environment.push(("GIT_TRACE_CURL", Secret::new(trace)));
        self.environment.push(("GIT_TRACE_CURL_NO_DATA", Secret::new("1".to_owned())));
    }

    /// Passes the authorisation header as configuration in environment variables: not as an argument, which every user
    /// of the machine could read, and not in a file. git sends it without asking for a login.
    fn log_in(&mut self, origin: &str, user: &str, token: &Secret) {
        let encoded = BASE64.encode(format!("{user}:{}", token.expose()).as_bytes());
        let header = format!("Authorization: Basic {encoded}");
        self.secrets.push(Secret::new(encoded));
        self.secrets.push(token.clone());
        self.environment.push(("GIT_CONFIG_COUNT", Secret::new("1".to_owned())));
        let key = format!("http.{origin}/.extraHeader");
        self.environment.push(("GIT_CONFIG_KEY_0", Secret::new(key)));
        self.environment.push(("GIT_CONFIG_VALUE_0", Secret::new(header)));
    }

    fn by_ssh(&mut self, remote: &Remote, address: IpAddr, key: &Secret) -> Result<(), Failure> {
        let host = remote.url.host();
        let mut keys = HostKey::built_in(host);
        keys.extend(remote.host_keys.iter().cloned());
        if keys.is_empty() {
            // ssh would fail in the same way, but only after connecting.
            return Err(Failure::HostKey { fingerprint: None });
        }
        let alias = host.bare();
        let write = |name, content: &str| self.scratch.write(name, content.as_bytes());
        let known = write("known_hosts", &known_hosts(&alias, &keys)).map_err(super::transient)?;
        let identity = write("key", key.expose()).map_err(super::transient)?;
        // ssh expands percent signs.
        let name = |path: &Path| path.to_string_lossy().replace('%', "%%");
        let (known, identity) = (name(&known), name(&identity));
        let mut ssh = "ssh -F /dev/null".to_owned();
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            &format!("UserKnownHostsFile=\"{known}\""),
            &format!("HostName={address}"),
            &format!("HostKeyAlias={alias}"),
            "UpdateHostKeys=no",
            "VerifyHostKeyDNS=no",
            "CanonicalizeHostname=no",
            "IdentitiesOnly=yes",
            &format!("IdentityFile=\"{identity}\""),
            "IdentityAgent=none",
            "PreferredAuthentications=publickey",
            "ForwardAgent=no",
            "ForwardX11=no",
            "ClearAllForwardings=yes",
            "PermitLocalCommand=no",
            "ProxyCommand=none",
            "ControlMaster=no",
            "ControlPath=none",
            "ConnectTimeout=10",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=2",
        ] {
            ssh.push_str(" -o ");
            ssh.push_str(&quoted(option));
        }
        self.environment.push(("GIT_SSH_COMMAND", Secret::new(ssh)));
        self.environment.push(("GIT_SSH_VARIANT", Secret::new("ssh".to_owned())));
        Ok(())
    }

    /// Adds the options and the environment to a command.
    pub(super) fn apply(&self, command: &mut Command) {
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        for (key, value) in &self.environment {
            command.env(key, value.expose());
        }
    }

    /// The secrets to remove from texts: the credentials, and the path of the scratch directory.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let scratch = self.scratch.path().to_str();
        self.secrets.iter().map(Secret::expose).chain(scratch).collect()
    }

    /// The HTTP headers of the call.
    pub(super) fn http_trace(&self) -> HttpTrace {
        let trace = end_of(&self.scratch.path().join("trace")).unwrap_or_default();
        HttpTrace::read(&scrubbed(&trace, &self.secrets()))
    }
}

/// The end of a file that may be very long.
fn end_of(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let start = file.metadata()?.len().saturating_sub(MAX_TRACE);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.take(MAX_TRACE).read_to_end(&mut end)?;
    Ok(end)
}

/// Hosts that check only the token still need a user name, and one of them needs a certain one.
fn usual_user(host: &Host) -> &'static str {
    match host {
        Host::Name(name) if name == "bitbucket.org" => "x-token-auth",
        _ => "x-access-token",
    }
}

/// Quotes a word for the shell that git runs its ssh command in.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
