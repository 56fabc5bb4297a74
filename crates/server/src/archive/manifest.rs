//! The manifest of an exported wiki.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use wikigrove_tenant::Revision;

use super::{ArchiveError, Member};

/// The value of `format`, which identifies an exported wiki.
const FORMAT: &str = "wikigrove-wiki";
/// The version that is written, and the newest that can be read.
const VERSION: u64 = 1;

/// The first member of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u64,
    /// The wiki's name in URLs.
    pub slug: String,
    /// The wiki's title.
    pub title: String,
    /// The access of non-members. It has no effect on an imported wiki.
    pub visibility: String,
    /// The full name of the branch, such as `refs/heads/main`.
    pub branch: String,
    /// The newest revision; `None` for a wiki without commits.
    pub head: Option<String>,
    /// When the wiki was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// The time of the export.
    #[serde(with = "time::serde::rfc3339")]
    pub exported: OffsetDateTime,
    /// Number of preferences.
    pub preferences: u64,
    /// Number of drafts.
    pub drafts: u64,
    /// Number of accounts.
    pub users: u64,
    /// Names of the wiki's secrets. Their values aren't exported.
    pub secrets: Vec<String>,
}

/// The fields that all versions share.
#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u64,
}

impl Manifest {
    /// The manifest of an empty wiki.
    pub(super) fn new(slug: String, branch: String, created: OffsetDateTime) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            title: slug.clone(),
            slug,
            visibility: "private".to_owned(),
            branch,
            head: None,
            created,
            exported: OffsetDateTime::now_utc(),
            preferences: 0,
            drafts: 0,
            users: 0,
            secrets: Vec::new(),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    pub(super) fn of_json(json: &[u8]) -> Result<Self, ArchiveError> {
        let unreadable =
            |error| ArchiveError::of_member(Member::Manifest, &format!("can't be read: {error}"));
        let Kind { format, version } = serde_json::from_slice(json).map_err(unreadable)?;
        if format != FORMAT || version == 0 {
            return Err(ArchiveError::of_member(Member::Manifest, "isn't of an exported wiki"));
        }
        if version > VERSION {
            return Err(ArchiveError::Newer { found: version, known: VERSION });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(unreadable)?;
        manifest.revision()?;
        Ok(manifest)
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> Result<Option<Revision>, ArchiveError> {
        let parsed = self.head.as_deref().map(str::parse).transpose();
        parsed.map_err(|_| ArchiveError::of_member(Member::Manifest, "names a head that is none"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some() -> Manifest {
        Manifest::new("garden".into(), "refs/heads/main".into(), OffsetDateTime::UNIX_EPOCH)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            (title, slug) in (".*", ".*"),
            head: Option<[u8; 20]>,
            seconds in 0..4_000_000_000_i64,
            counts: (u64, u64, u64),
            secrets: Vec<String>,
        ) {
            let head = head.map(|bytes| Revision::from_bytes(bytes).to_string());
            let exported = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let (preferences, drafts, users) = counts;
            let manifest = Manifest {
                title, slug, head, exported, preferences, drafts, users, secrets, ..some()
            };
            let json = manifest.to_json().unwrap();
            prop_assert_eq!(Manifest::of_json(&json).unwrap(), manifest);
        }
    }

    #[test]
    fn other_formats_and_newer_versions_are_told_apart() {
        let json = String::from_utf8(some().to_json().unwrap()).unwrap();
        let read = |from: &str, to: &str| {
            assert!(json.contains(from), "{json}");
            Manifest::of_json(json.replace(from, to).as_bytes())
        };
        let newer = read("\"version\": 1", "\"version\": 2, \"slug\": 7, \"more\": true");
        assert!(matches!(newer, Err(ArchiveError::Newer { found: 2, known: 1 })));
        read("\"version\": 1", "\"version\": 1, \"more\": true").unwrap();
        for (from, to) in [
            ("wikigrove-wiki", "wikigrove"),
            ("\"version\": 1", "\"version\": 0"),
            ("\"head\": null", "\"head\": \"main\""),
            ("\"title\"", "\"name\""),
            ("}", ""),
        ] {
            assert!(matches!(read(from, to), Err(ArchiveError::Damaged(_))), "{from} {to}");
        }
    }
}
