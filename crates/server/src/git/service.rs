//! The two services of git's smart HTTP protocol.

use http::{HeaderMap, HeaderValue, StatusCode};
use wikigrove_tenant::problem::Problem;

/// A service that a git client requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// The server sends objects: clone and fetch.
    UploadPack,
    /// The server receives objects: push.
    ReceivePack,
}

impl Service {
    /// The service named in a query string.
    pub(super) fn of_query(query: &str) -> Result<Self, Problem> {
        let mut named = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, _)| name == "service")
            .map(|(_, value)| value);
        let detail = match (named.next().as_deref(), named.next()) {
            (Some("git-upload-pack"), None) => return Ok(Self::UploadPack),
            (Some("git-receive-pack"), None) => return Ok(Self::ReceivePack),
            (None, _) => {
                "only git's smart protocol is spoken here, and this client asked for files: it \
                 takes git 1.6.6 or newer"
            }
            _ => "the service must be git-upload-pack or git-receive-pack",
        };
        Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_service", detail))
    }

    /// The git subcommand of this service.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }

    /// The media type of an `advertisement`, `request` or `result`.
    pub(super) fn media_type(self, of: &str) -> String {
        format!("application/x-git-{}-{of}", self.command())
    }

    /// The protocol version that the client requests, if it is supported.
    ///
    /// It becomes an environment variable of git, so only known values are passed. Pushes don't have
    /// version 2: a client that requests it gets the default version.
    pub(super) fn protocol(self, headers: &HeaderMap) -> Option<&'static str> {
        let mut named = headers.get_all("git-protocol").iter().map(HeaderValue::as_bytes);
        match (named.next()?, named.next(), self) {
            (b"version=0", None, _) => Some("version=0"),
            (b"version=1", None, _) => Some("version=1"),
            (b"version=2", None, Self::UploadPack) => Some("version=2"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_once_and_exactly() {
        let of = |query: &str| Service::of_query(query).ok();
        assert_eq!(of("service=git-upload-pack"), Some(Service::UploadPack));
        assert_eq!(of("a=b&service=git-receive-pack"), Some(Service::ReceivePack));
        for other in [
            "",
            "service",
            "service=",
            "service=git-upload-pack%00",
            "service=git-upload-pack%20--help",
            "service=git-upload-archive",
            "service=git-upload-pack&service=git-receive-pack",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn only_versions_that_there_are_get_to_git() {
        let of = |service: Service, value: &str| {
            let headers = [("git-protocol".parse().unwrap(), value.parse().unwrap())];
            service.protocol(&HeaderMap::from_iter(headers))
        };
        assert_eq!(of(Service::UploadPack, "version=2"), Some("version=2"));
        assert_eq!(of(Service::UploadPack, "version=1"), Some("version=1"));
        assert_eq!(of(Service::ReceivePack, "version=2"), None);
        for other in ["version=3", "version=2:x", "version=2 ", "2", "", "version=2:version=1"] {
            let trimmed = of(Service::UploadPack, other);
            assert!(trimmed.is_none() || other.trim() == "version=2", "{other}: {trimmed:?}");
        }
    }
}
