//! The public keys of SSH hosts.

use std::fmt;
use std::str::FromStr;

use ssh_key::{HashAlg, PublicKey};

use super::url::Host;

/// Keys published by the large hosts. Each host also publishes the fingerprint that the test below checks.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "bitbucket.org",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO",
    ),
    (
        "codeberg.org",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVIC02vnjFyL+I4RHfvIGNtOgJMe769VTF1VR4EB3ZB",
    ),
    (
        "github.com",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    ),
    (
        "gitlab.com",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf",
    ),
];

/// Text that isn't an SSH public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no public key as ssh writes it: its type, then base64")]
pub struct InvalidHostKey;

/// A host's public key, such as `ssh-ed25519 AAAA…`.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey(PublicKey);

impl HostKey {
    /// `SHA256:…`, as ssh and the hosts' own pages show it, for users to compare.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The built-in keys of the large hosts.
    pub fn built_in(host: &Host) -> Vec<Self> {
        let Host::Name(name) = host else { return Vec::new() };
        let of_host = BUILT_IN.iter().filter(|(known, _)| known == name);
        of_host.filter_map(|(_, key)| key.parse().ok()).collect()
    }
}

impl FromStr for HostKey {
    type Err = InvalidHostKey;

    /// Parses a key type and base64; a comment after them is dropped.
    fn from_str(text: &str) -> Result<Self, InvalidHostKey> {
        let mut key = PublicKey::from_openssh(text.trim()).map_err(|_| InvalidHostKey)?;
        key.set_comment("");
        Ok(Self(key))
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_openssh().map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", self.fingerprint())
    }
}

/// The lines of a `known_hosts` file for one host.
pub(super) fn known_hosts(alias: &str, keys: &[HostKey]) -> String {
    keys.iter().map(|key| format!("{alias} {key}\n")).collect()
}

/// Parses the output of `ssh-keyscan`: a host, a key type and base64 per line.
pub(super) fn scanned(printed: &str) -> Vec<HostKey> {
    let keys = printed.lines().filter(|line| !line.starts_with('#'));
    keys.filter_map(|line| line.split_once(' ')?.1.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fingerprints as published on the hosts' own pages.
    const PUBLISHED: &[(&str, &str)] = &[
        ("bitbucket.org", "SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM"),
        ("codeberg.org", "SHA256:mIlxA9k46MmM6qdJOdMnAQpzGxF4WIVVL+fj+wZbw0g"),
        ("github.com", "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"),
        ("gitlab.com", "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8"),
    ];

    #[test]
    fn keys_that_are_built_in_have_the_published_fingerprints() {
        assert_eq!(BUILT_IN.len(), PUBLISHED.len());
        for (host, fingerprint) in PUBLISHED {
            let keys = HostKey::built_in(&host.parse().unwrap());
            assert_eq!(keys.iter().map(HostKey::fingerprint).collect::<Vec<_>>(), [*fingerprint]);
        }
        assert_eq!(HostKey::built_in(&"git.example.org".parse().unwrap()), []);
    }

    #[test]
    fn what_a_scan_prints_is_read_back() {
        let key = BUILT_IN[0].1;
        let printed =
            format!("# 1.2.3.4:22 SSH-2.0\n1.2.3.4 {key}\n[::1]:2222 {key} comment\nbad\n");
        let keys = scanned(&printed);
        assert_eq!(known_hosts("git.lan", &keys), format!("git.lan {key}\ngit.lan {key}\n"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "hello world",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO",
        ] {
            text.parse::<HostKey>().expect_err(text);
        }
    }
}
