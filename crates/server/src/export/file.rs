//! Exports a wiki as one file, to the disk or to a stream.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use wikigrove_tenant::storage::files::sync_dir;
use wikigrove_tenant::storage::otterwiki::Unread;
use wikigrove_tenant::{Caller, Error, Platform, Slug};

use super::{file_error, parent};
use crate::archive::Outgoing;
use crate::import::{ImportError, Left, shown};

/// The result of an export: numbers of exported rows, and omissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileReport {
    /// The wiki's name in URLs.
    pub slug: String,
    /// The file that was written; `-` is the standard output.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// The newest revision.
    pub head: Option<String>,
    /// Number of preferences.
    pub preferences: u64,
    /// Number of drafts.
    pub drafts: u64,
    /// Number of accounts, which are exported without passwords.
    pub users: u64,
    /// Things that were omitted.
    pub left: Vec<Left>,
}

impl FileReport {
    fn of(outgoing: &Outgoing, file: String, size: u64) -> Self {
        let manifest = outgoing.manifest();
        let secret = |name: &String| Left {
            what: "secret",
            name: name.clone(),
            why: "secrets are not exported".to_owned(),
        };
        let row = |unread: &Unread| match unread {
            Unread::Row { table, number } => Some(Left {
                what: "row",
                name: format!("{table}, row {number}"),
                why: "it holds something that isn't text".to_owned(),
            }),
            _ => None,
        };
        let left = manifest.secrets.iter().map(secret);
        Self {
            slug: manifest.slug.clone(),
            file,
            size,
            head: manifest.head.clone(),
            preferences: manifest.preferences,
            drafts: manifest.drafts,
            users: manifest.users,
            left: left.chain(outgoing.unread().iter().filter_map(row)).collect(),
        }
    }

    /// The report as text for people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "exported {} to {} (head {}, {} bytes)\n{} preferences, {} drafts, {} users\n",
            self.slug,
            shown(&self.file),
            self.head.as_deref().unwrap_or("nothing"),
            self.size,
            self.preferences,
            self.drafts,
            self.users
        );
        for Left { what, name, why } in &self.left {
            text += &format!("{what} {}: {why}\n", shown(name));
        }
        text
    }
}

/// Writes a whole wiki into a new file that only this user can read. The file appears complete or
/// not at all, and is durable when this returns.
///
/// # Errors
/// There is no such wiki; the file exists; git isn't installed; the disk is full.
pub async fn export_file(
    platform: &Platform,
    slug: &Slug,
    to: &Path,
    progress: impl FnMut(&str, u8),
) -> Result<FileReport, ImportError> {
    // Checked first, so that the work isn't done in vain.
    if to.symlink_metadata().is_ok() {
        let source = std::io::ErrorKind::AlreadyExists.into();
        return Err(file_error("create", to, source).into());
    }
    let parent = parent(to);
    let unwritable = |source| file_error("write", to, source);
    let mut file = tempfile::Builder::new()
        .prefix(".wikigrove-export-")
        .tempfile_in(&parent)
        .map_err(|source| file_error("create a file in", &parent, source))?;
    let report = write(platform, slug, &mut file, &to.display().to_string(), progress).await?;
    file.as_file().sync_all().map_err(unwritable)?;
    file.persist_noclobber(to).map_err(|error| unwritable(error.error))?;
    sync_dir(&parent).map_err(Error::from)?;
    Ok(report)
}

/// Writes a whole wiki to `out`.
///
/// # Errors
/// There is no such wiki; git isn't installed; writing to `out` fails.
pub async fn export_to(
    platform: &Platform,
    slug: &Slug,
    out: &mut impl Write,
    progress: impl FnMut(&str, u8),
) -> Result<FileReport, ImportError> {
    write(platform, slug, out, "-", progress).await
}

async fn write(
    platform: &Platform,
    slug: &Slug,
    out: &mut impl Write,
    name: &str,
    mut progress: impl FnMut(&str, u8),
) -> Result<FileReport, ImportError> {
    let unwritable = |source| file_error("write", Path::new(name), source);
    let wiki = platform.wiki(slug.as_str(), Caller::operator()).await?;
    let mut outgoing = Outgoing::begin(&wiki).await?;
    let mut size = 0;
    while let Some(piece) = outgoing.next(&mut progress).await.map_err(unwritable)? {
        out.write_all(&piece).map_err(unwritable)?;
        size += piece.len() as u64;
    }
    out.flush().map_err(unwritable)?;
    Ok(FileReport::of(&outgoing, name.to_owned(), size))
}
