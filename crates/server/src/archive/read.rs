//! Reads an exported wiki. Everything is checked before it is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use wikigrove_tenant::storage::otterwiki::{Draft, Room, TableRow, User};

use super::rows::{DraftLine, UserLine};
use super::{ArchiveError, Manifest, Member};

/// The largest manifest and list of sums, in bytes.
const MAX_SMALL: u64 = 1 << 20;
/// The largest `preferences.json`, in bytes: it is read into memory as a whole.
const MAX_PREFERENCES: u64 = 64 << 20;
/// The longest line of the other tables, in bytes: a draft of 5 MB with each of its characters escaped.
const MAX_LINE: u64 = 32 << 20;

/// An exported wiki whose members are complete and match their checksums.
pub(crate) struct Incoming {
    file: File,
    path: PathBuf,
    manifest: Manifest,
    places: Places,
}

type Places = BTreeMap<Member, Place>;

#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    size: u64,
    sum: [u8; 32],
}

impl Incoming {
    /// Returns `true` if a file with this beginning claims to be an exported wiki.
    pub(crate) fn is_meant_by(beginning: &[u8]) -> bool {
        let name = [Member::Manifest.name().as_bytes(), b"\0"].concat();
        beginning.starts_with(&name) && beginning.get(257..262) == Some(b"ustar")
    }

    /// Reads a whole file and checks it. Nothing is written.
    ///
    /// # Errors
    /// The file is damaged, incomplete, has unexpected members, or is newer than this program.
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut archive = tar::Archive::new(&file);
        let mut found = Found::default();
        // Raw headers: extensions would give a member another name or size.
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry.map_err(|error| ArchiveError::damaged(error.to_string()))?;
            found.take(&mut entry, length)?;
        }
        let Found { manifest, places, sums } = found;
        let missing = |member: Member| ArchiveError::of_member(member, "is missing");
        let manifest = manifest.ok_or_else(|| missing(Member::Manifest))?;
        // The checksums come last: a truncated file has none.
        check_sums(&places, &sums.ok_or_else(|| missing(Member::Sums))?)?;
        for member in [Member::Preferences, Member::Drafts, Member::Users] {
            places.get(&member).ok_or_else(|| missing(member))?;
        }
        if manifest.head.is_some() != places.contains_key(&Member::History) {
            let why = "doesn't go with the head that the manifest names";
            return Err(ArchiveError::of_member(Member::History, why));
        }
        Ok(Self { file, path: path.to_owned(), manifest, places })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns `true` if the file has this member.
    pub(crate) fn has(&self, member: Member) -> bool {
        self.places.contains_key(&member)
    }

    /// Writes a member into a new file. Returns `false` if there is no such member.
    ///
    /// # Errors
    /// The file exists; the disk is full; the member has changed since it was checked.
    pub(crate) fn extract(&self, member: Member, to: &Path) -> Result<bool, ArchiveError> {
        let Some(place) = self.places.get(&member) else { return Ok(false) };
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = options.open(to)?;
        let mut section = self.section(*place)?;
        io::copy(&mut section, &mut out)?;
        out.sync_all()?;
        section.check(member)?;
        Ok(true)
    }

    /// Passes all rows to `take`, one by one, within the limits on their number and size.
    ///
    /// # Errors
    /// A row can't be read; there are more or fewer than the manifest says; there are too many; `take` fails.
    pub(crate) fn rows<E: From<ArchiveError>>(
        &self,
        mut room: Room,
        mut take: impl FnMut(TableRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut take = |row| {
            room.take(&row).map_err(ArchiveError::Damaged)?;
            take(row)
        };
        let preferences = self.preferences()?;
        let mut counts = [preferences.len() as u64, 0, 0];
        for (name, value) in preferences {
            take(TableRow::Preference(name, value))?;
        }
        self.lines(Member::Drafts, |line: DraftLine| {
            counts[1] += 1;
            take(TableRow::Draft(Draft::from(line)))
        })?;
        self.lines(Member::Users, |line: UserLine| {
            counts[2] += 1;
            take(TableRow::User(User::from(line)))
        })?;
        let Manifest { preferences, drafts, users, .. } = self.manifest;
        if counts != [preferences, drafts, users] {
            let why = "counts other rows than there are";
            return Err(ArchiveError::of_member(Member::Manifest, why).into());
        }
        Ok(())
    }

    fn preferences(&self) -> Result<BTreeMap<String, Option<String>>, ArchiveError> {
        let member = Member::Preferences;
        let place = self.places[&member];
        if place.size > MAX_PREFERENCES {
            return Err(ArchiveError::of_member(member, "is too large"));
        }
        let mut section = self.section(place)?;
        let mut json = Vec::new();
        section.read_to_end(&mut json)?;
        section.check(member)?;
        serde_json::from_slice(&json)
            .map_err(|error| ArchiveError::of_member(member, &format!("can't be read: {error}")))
    }

    fn lines<T: DeserializeOwned, E: From<ArchiveError>>(
        &self,
        member: Member,
        mut take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut section = BufReader::new(self.section(self.places[&member])?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let length = section.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            if length.map_err(ArchiveError::from)? == 0 {
                break;
            }
            let row = serde_json::from_slice(&line).map_err(|error| {
                ArchiveError::of_member(member, &format!("can't be read: line {number}: {error}"))
            })?;
            take(row)?;
        }
        Ok(section.into_inner().check(member)?)
    }

    fn section(&self, place: Place) -> Result<Section<'_>, ArchiveError> {
        (&self.file).seek(SeekFrom::Start(place.start))?;
        let content = (&self.file).take(place.size);
        Ok(Section { content, hash: Sha256::new(), sum: place.sum })
    }
}

/// A member that is read a second time. The file may have been changed since it was checked.
struct Section<'a> {
    content: io::Take<&'a File>,
    hash: Sha256,
    sum: [u8; 32],
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}

impl Section<'_> {
    fn check(self, member: Member) -> Result<(), ArchiveError> {
        if <[u8; 32]>::from(self.hash.finalize()) == self.sum {
            Ok(())
        } else {
            Err(ArchiveError::of_member(member, "changed while it was read"))
        }
    }
}

/// The members found so far.
#[derive(Default)]
struct Found {
    manifest: Option<Manifest>,
    places: Places,
    sums: Option<Vec<u8>>,
}

impl Found {
    fn take(
        &mut self,
        entry: &mut tar::Entry<'_, impl Read>,
        length: u64,
    ) -> Result<(), ArchiveError> {
        let name = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&name).into_owned();
        let Some(member) = Member::of(&name).filter(|_| entry.header().entry_type().is_file())
        else {
            let shown = shown.escape_debug();
            return Err(ArchiveError::damaged(format!("it holds `{shown}`, which isn't known")));
        };
        if self.places.contains_key(&member) {
            return Err(ArchiveError::of_member(member, "is there twice"));
        }
        if self.sums.is_some() {
            return Err(ArchiveError::of_member(member, "comes after the sums"));
        }
        if self.manifest.is_none() && member != Member::Manifest {
            return Err(ArchiveError::of_member(member, "comes before the manifest"));
        }
        let (start, size) = (entry.raw_file_position(), entry.size());
        if start.checked_add(size).is_none_or(|end| end > length) {
            return Err(ArchiveError::of_member(member, "is cut off"));
        }
        let is_small = matches!(member, Member::Manifest | Member::Sums);
        if is_small && size > MAX_SMALL {
            return Err(ArchiveError::of_member(member, "is too large"));
        }
        let (sum, content) = read_whole(entry, size, is_small)
            .map_err(|error| ArchiveError::of_member(member, &format!("can't be read: {error}")))?;
        match member {
            Member::Manifest => self.manifest = Some(Manifest::of_json(&content)?),
            Member::Sums => {
                self.sums = Some(content);
                return Ok(());
            }
            _ => {}
        }
        self.places.insert(member, Place { start, size, sum });
        Ok(())
    }
}

/// The checksum of a member, and its content if `keep` is set.
fn read_whole(entry: &mut impl Read, size: u64, keep: bool) -> io::Result<([u8; 32], Vec<u8>)> {
    let mut hash = Sha256::new();
    let (mut content, mut read) = (Vec::new(), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = entry.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        read += length as u64;
        hash.update(&buffer[..length]);
        if keep {
            content.extend_from_slice(&buffer[..length]);
        }
    }
    if read != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((hash.finalize().into(), content))
}

/// Checks that each member but the checksums is listed exactly once, with its checksum.
fn check_sums(places: &Places, sums: &[u8]) -> Result<(), ArchiveError> {
    let sums = String::from_utf8_lossy(sums);
    let mut said: BTreeMap<&str, &str> = BTreeMap::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").unwrap_or_default();
        if said.insert(name, sum).is_some() {
            return Err(ArchiveError::of_member(Member::Sums, "names something twice"));
        }
    }
    for (member, place) in places {
        if said.remove(member.name()) != Some(&HEXLOWER.encode(&place.sum)) {
            return Err(ArchiveError::of_member(*member, "doesn't have the sum that it should"));
        }
    }
    match said.keys().next() {
        None => Ok(()),
        Some(_) => Err(ArchiveError::of_member(Member::Sums, "names what isn't there")),
    }
}
