//! Writes a wiki into one file, piece by piece, for a local file or a client.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter, Cursor, Read, Seek as _, Write as _};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wikigrove_tenant::storage::otterwiki::{TableRow, Unread};
use wikigrove_tenant::storage::{self, FileError};
use wikigrove_tenant::{Wiki, spawn_blocking};

use super::bundle::Packing;
use super::rows::{DraftLine, UserLine};
use super::{Manifest, Member};
use crate::import::ImportError;

/// Size of the pieces that are read and sent, in bytes.
const PIECE: u64 = 256 * 1024;
/// Block size of a tar archive, in bytes: each member is padded to a multiple of it.
const BLOCK: u64 = 512;

/// A running export of a wiki as it was at its start. Dropping it leaves no files behind.
pub struct Outgoing {
    manifest: Manifest,
    unread: Vec<Unread>,
    members: VecDeque<(Member, Content)>,
    sending: Option<Sending>,
    /// The content of `SHA256SUMS` so far.
    sums: String,
}

enum Content {
    Memory(Vec<u8>),
    Disk(File),
    /// A bundle that git is still writing.
    History(Packing),
}

impl Outgoing {
    /// Reads all tables that saves would change, and starts git, which packs the history.
    ///
    /// # Errors
    /// The caller isn't authorised to administer the wiki; the wiki can't be read; git isn't installed; the disk is
    /// full.
    pub async fn begin(wiki: &Wiki) -> Result<Self, ImportError> {
        let (drafts, users) = (wiki.scratch_file().await?, wiki.scratch_file().await?);
        let (snapshot, spool) = wiki.snapshot(Spool::new(drafts, users), Spool::add).await?;
        let tenant = wiki.tenant();
        let mut manifest =
            Manifest::new(tenant.slug.to_string(), snapshot.branch.clone(), tenant.created);
        manifest.title.clone_from(&tenant.title);
        manifest.visibility = tenant.visibility.to_string();
        manifest.head = snapshot.head.map(|head| head.to_string());
        manifest.secrets = wiki.secret_names().await?;
        manifest.preferences = spool.preferences.len() as u64;
        (manifest.drafts, manifest.users) = (spool.drafts.lines, spool.users.lines);
        let mut members = VecDeque::new();
        if let Some(head) = snapshot.head {
            let (repo, file) = (wiki.repository_to_read().await?, wiki.scratch_file().await?);
            let packing = Packing::start(&repo, &snapshot.branch, head, file)?;
            members.push_back((Member::History, Content::History(packing)));
        }
        let [preferences, drafts, users] = spool.finish()?;
        members.push_back((Member::Preferences, preferences));
        members.push_back((Member::Drafts, drafts));
        members.push_back((Member::Users, users));
        if let Some(copy) = wiki.copy_app_db().await? {
            members.push_back((Member::AppDb, Content::Disk(copy)));
        }
        let json = manifest.to_json().map_err(|error| unwritable(error.into()))?;
        members.push_front((Member::Manifest, Content::Memory(json)));
        let unread = snapshot.unread;
        Ok(Self { manifest, unread, members, sending: None, sums: String::new() })
    }

    /// The manifest of the exported wiki.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Rows that can't be exported, because they hold values that the format can't express.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// Returns the next piece of the file; `None` at its end. `progress` is called with git's current step and its
    /// progress in percent.
    ///
    /// # Errors
    /// git failed; the disk is failing.
    pub async fn next(&mut self, progress: &mut impl FnMut(&str, u8)) -> io::Result<Option<Bytes>> {
        if let Some(sending) = self.sending.take() {
            let (sending, piece) = sending.next().await?;
            if sending.left > 0 {
                self.sending = Some(sending);
            } else if sending.member == Member::Sums {
                // Two empty blocks end a tar archive.
                return Ok(Some([&piece[..], &[0; 2 * BLOCK as usize]].concat().into()));
            } else {
                let sum = HEXLOWER.encode(&sending.hash.finalize());
                self.sums += &format!("{sum}  {}\n", sending.member.name());
                if self.members.is_empty() {
                    let sums = std::mem::take(&mut self.sums).into_bytes();
                    self.members.push_back((Member::Sums, Content::Memory(sums)));
                }
            }
            return Ok(Some(piece));
        }
        let Some((member, content)) = self.members.pop_front() else { return Ok(None) };
        let sending = match content {
            Content::Memory(bytes) => {
                Sending::new(member, bytes.len() as u64, Box::new(Cursor::new(bytes)))
            }
            Content::Disk(file) => of_file(member, file)?,
            Content::History(packing) => {
                let file = packing.finish(progress).await.map_err(io::Error::other)?;
                of_file(member, file)?
            }
        };
        let header = self.header(member, sending.left)?;
        self.sending = Some(sending);
        Ok(Some(header))
    }

    fn header(&self, member: Member, size: u64) -> io::Result<Bytes> {
        let mut header = tar::Header::new_gnu();
        header.set_path(member.name())?;
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(self.manifest.exported.unix_timestamp().unsigned_abs());
        header.set_cksum();
        Ok(Bytes::copy_from_slice(header.as_bytes()))
    }
}

fn of_file(member: Member, file: File) -> io::Result<Sending> {
    Ok(Sending::new(member, file.metadata()?.len(), Box::new(file)))
}

/// A member whose header was sent.
struct Sending {
    member: Member,
    content: Box<dyn Read + Send>,
    /// Bytes that are still to be sent, without the padding of the last block.
    left: u64,
    size: u64,
    hash: Sha256,
}

impl Sending {
    fn new(member: Member, size: u64, content: Box<dyn Read + Send>) -> Self {
        Self { member, content, left: size, size, hash: Sha256::new() }
    }

    /// Returns the next piece. The last one is padded to a block, and is empty for an empty member.
    async fn next(mut self) -> io::Result<(Self, Bytes)> {
        let read = spawn_blocking(move || {
            let mut piece = Vec::new();
            let wanted = self.left.min(PIECE);
            self.content.by_ref().take(wanted).read_to_end(&mut piece)?;
            if piece.len() as u64 != wanted {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.hash.update(&piece);
            self.left -= wanted;
            if self.left == 0 {
                let filling = self.size.next_multiple_of(BLOCK) - self.size;
                piece.resize(piece.len() + filling as usize, 0);
            }
            Ok((self, piece.into()))
        });
        read.await.map_err(io::Error::other)?
    }
}

/// Rows that are written to temporary files, because there may be more of them than memory.
struct Spool {
    preferences: BTreeMap<String, Option<String>>,
    drafts: Lines,
    users: Lines,
}

struct Lines {
    out: BufWriter<File>,
    lines: u64,
}

impl Spool {
    fn new(drafts: File, users: File) -> Self {
        let lines = |file| Lines { out: BufWriter::new(file), lines: 0 };
        Self { preferences: BTreeMap::new(), drafts: lines(drafts), users: lines(users) }
    }

    fn add(&mut self, row: TableRow) -> Result<(), storage::Error> {
        let added = match row {
            TableRow::Preference(name, value) => {
                self.preferences.insert(name, value);
                Ok(())
            }
            TableRow::Draft(draft) => self.drafts.add(&DraftLine::from(draft)),
            TableRow::User(user) => self.users.add(&UserLine::from(user)),
        };
        added.map_err(|source| {
            FileError { action: "write", path: "rows of an export".into(), source }.into()
        })
    }

    /// The members, in the order of the archive.
    fn finish(self) -> Result<[Content; 3], ImportError> {
        let mut json =
            serde_json::to_vec_pretty(&self.preferences).map_err(|e| unwritable(e.into()))?;
        json.push(b'\n');
        let drafts = self.drafts.finish().map_err(unwritable)?;
        let users = self.users.finish().map_err(unwritable)?;
        Ok([Content::Memory(json), Content::Disk(drafts), Content::Disk(users)])
    }
}

impl Lines {
    fn add(&mut self, row: &impl Serialize) -> io::Result<()> {
        self.lines += 1;
        serde_json::to_writer(&mut self.out, row)?;
        self.out.write_all(b"\n")
    }

    fn finish(self) -> io::Result<File> {
        let mut file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(file)
    }
}

fn unwritable(source: io::Error) -> ImportError {
    let failed = FileError { action: "write", path: "rows of an export".into(), source };
    wikigrove_tenant::Error::from(failed).into()
}
