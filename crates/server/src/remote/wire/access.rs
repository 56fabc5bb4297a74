//! How one call gets to its remote: the pinned address, and what it logs in with.

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

/// Where programs are looked for.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The most that is read of a trace of headers, in bytes.
const MAX_TRACE: u64 = 1024 * 1024;

/// What a call is given besides its arguments.
pub(super) struct Access {
    pub(super) url: String,
    pub(super) protocol: &'static str,
    pub(super) scratch: Scratch,
    /// Arguments of git, and variables of its environment.
    settings: Vec<String>,
    environment: Vec<(&'static str, Secret)>,
    /// What must not be in any text that leaves here.
    secrets: Vec<Secret>,
}

impl Access {
    /// # Errors
    /// [`Failure::Auth`]: the credential isn't of the kind that the URL needs. [`Failure::HostKey`]:
    /// no key of the host is known. [`Failure::Transient`]: a file can't be written.
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
        // An address that stands in the URL is pinned by itself.
        if let Host::Name(name) = url.host() {
            let address = match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            };
            self.settings.push(format!("http.curloptResolve={name}:{}:{address}", url.port()));
        }
        // Headers only, and git leaves out the ones that log in.
        let trace = self.scratch.path().join("trace").to_string_lossy().into_owned();
        self.environment.push(("GIT_TRACE_CURL", Secret::new(trace)));
        self.environment.push(("GIT_TRACE_CURL_NO_DATA", Secret::new("1".to_owned())));
    }

    /// A header in the configuration that stands in the environment: not an argument, which everybody
    /// on the machine could read, and not a file. Nothing is asked for, however often it is sent.
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
            // ssh would say the same, after it had connected.
            return Err(Failure::HostKey { fingerprint: None });
        }
        let alias = host.bare();
        let write = |name, content: &str| self.scratch.write(name, content.as_bytes());
        let known = write("known_hosts", &known_hosts(&alias, &keys)).map_err(super::transient)?;
        let identity = write("key", key.expose()).map_err(super::transient)?;
        // ssh puts things in place of what follows a percent sign.
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

    /// Gives a command what it needs to log in.
    pub(super) fn apply(&self, command: &mut Command) {
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        for (key, value) in &self.environment {
            command.env(key, value.expose());
        }
    }

    /// What must not be in any text: the secrets, and the name of the directory they are in.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let scratch = self.scratch.path().to_str();
        self.secrets.iter().map(Secret::expose).chain(scratch).collect()
    }

    /// What was heard over HTTP.
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

/// Hosts that look at the token only still want a user, and one of them wants a certain one.
fn usual_user(host: &Host) -> &'static str {
    match host {
        Host::Name(name) if name == "bitbucket.org" => "x-token-auth",
        _ => "x-access-token",
    }
}

/// A word for the shell that git hands its ssh command to.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
