//! Saves and deletes one page. The outcome depends on the version that the change is based on.

use std::collections::HashSet;

use serde::Serialize;

use crate::author::Author;
use crate::changes::First;
use crate::drafts;
use crate::error::{Conflict, Error};
use crate::index;
use crate::merge::{Effort, Ends, Hunk, Merged, merge_lines};
use crate::message::Message;
use crate::page_path::{ExistingPath, collide};
use crate::repo::{Edit, Entry, FileChange};
use crate::revision::{Etag, Revision};
use crate::spelling::{stored_page, written_page};
use crate::unit::Unit;
use crate::wiki::Wiki;

/// The version that a change is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The page didn't exist.
    New,
    /// The page had this version.
    Version(Etag),
}

/// A new text for a page.
#[derive(Clone, Debug)]
pub struct Save<'a> {
    /// The page. One that isn't there must have a name that may be created, see [`PagePath`](crate::PagePath).
    pub path: &'a ExistingPath,
    /// Its new content, whole.
    pub content: &'a [u8],
    /// The version that the author saw.
    pub base: Base,
    /// The author of the change.
    pub author: &'a Author,
    /// The commit message; one is generated if it is absent.
    pub message: Option<&'a str>,
    /// Allows a merge with changes that were saved meanwhile elsewhere in the page.
    pub merge: bool,
}

/// A deletion of a page.
#[derive(Clone, Debug)]
pub struct Delete<'a> {
    /// The page.
    pub path: &'a ExistingPath,
    /// The version that the author saw.
    pub base: Etag,
    /// The author of the deletion.
    pub author: &'a Author,
    /// The commit message; one is generated if it is absent.
    pub message: Option<&'a str>,
}

/// The outcome of a save. It is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// The page path.
    pub path: String,
    /// The page's present version.
    pub etag: Etag,
    /// The commit that contains the save; for an unchanged page, the head.
    pub revision: Revision,
    /// True if the page was new.
    #[serde(skip)]
    pub created: bool,
    /// True if a commit was made: saving the present content writes nothing.
    #[serde(skip)]
    pub changed: bool,
    /// True if the content also has changes by another person.
    pub merged: bool,
    /// The content, if it was merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// The effect of a save on the page's present state.
enum Plan {
    /// The content is stored already: as sent, or (`merged`) as part of a later version.
    Unchanged {
        merged: bool,
    },
    Write {
        content: Vec<u8>,
        merged: bool,
    },
}

/// The files that were deleted with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The commit.
    pub revision: Revision,
    /// The paths of the other deleted files: the first [`MAX_CHANGES`](crate::MAX_CHANGES).
    pub others: Vec<String>,
    /// True if there are more.
    pub truncated: bool,
}

impl Wiki {
    /// Saves a page. On return the text is durable: it survives a crash and a power cut.
    ///
    /// # Errors
    /// The page exists and the base is [`Base::New`]; the base was never this page's content; the page changed
    /// meanwhile in the same place ([`Error::Conflict`]), or anywhere, without `merge`; the name collides; the content
    /// is too large, by itself or once merged; the disk is full. Nothing is changed in these cases, with one exception:
    /// if the disk became full in the middle of the save, the text may still appear once there is room again.
    pub fn save(&self, save: &Save<'_>) -> Result<Saved, Error> {
        self.save_and_also(save, |_, _| ())
    }

    /// As [`save`](Self::save), and deletes `owner`'s draft of the page in the same transaction, even if the draft
    /// changed nothing.
    ///
    /// # Errors
    /// The errors of [`save`](Self::save). The draft is kept then.
    pub fn save_from_draft(&self, save: &Save<'_>, owner: &str) -> Result<Saved, Error> {
        self.save_and_also(save, |unit, path| {
            let owner = owner.to_owned();
            let paths: Vec<ExistingPath> =
                [path.clone()].into_iter().chain(save.path.spellings()).collect();
            unit.also(move |transaction| {
                paths.iter().try_for_each(|path| drafts::remove(transaction, &owner, path.as_str()))
            });
        })
    }

    fn save_and_also(
        &self,
        save: &Save<'_>,
        also: impl FnOnce(&mut Unit<'_>, &ExistingPath),
    ) -> Result<Saved, Error> {
        self.refuse_too_large(save.path, save.content)?;
        let (mut saved, published) = self.write(|unit| {
            let (path, current) = written_page(&unit.view, unit.head, save.path)?;
            let save = &Save { path: &path, ..*save };
            let plan = self.plan(unit, save, current)?;
            let saved = fill(unit, save, current, plan)?;
            also(unit, &path);
            Ok(saved)
        })?;
        if let Some(published) = published {
            saved.revision = published.revision;
            if published.merged {
                self.take_merged(&mut saved)?;
            }
        }
        if saved.merged {
            saved.content = Some(self.text(saved.etag)?);
        }
        Ok(saved)
    }

    /// Deletes a page and returns the commit.
    ///
    /// # Errors
    /// There is no such page; the base was never its content; it changed meanwhile.
    pub fn delete(&self, delete: &Delete<'_>) -> Result<Revision, Error> {
        Ok(self.delete_files(delete, |_, _| Ok(Vec::new()))?.revision)
    }

    /// Deletes a page with its sub-pages and attachments.
    ///
    /// # Errors
    /// The errors of [`delete`](Self::delete).
    pub fn delete_recursively(&self, delete: &Delete<'_>) -> Result<Deleted, Error> {
        self.delete_files(delete, |unit, page| {
            let Some(head) = unit.head else { return Ok(Vec::new()) };
            let directory = format!("{}/", page.as_str()).into_bytes();
            let files = self.repo().files(head)?.into_keys();
            Ok(files.filter(|file| file.starts_with(&directory)).collect())
        })
    }

    fn delete_files(
        &self,
        delete: &Delete<'_>,
        below: impl Fn(&Unit<'_>, &ExistingPath) -> Result<Vec<Vec<u8>>, Error>,
    ) -> Result<Deleted, Error> {
        let (((others, truncated), done), published) = self.write(|unit| {
            let (path, current) = match existing_page(unit, delete.path) {
                Err(error @ Error::NotFound { .. }) => {
                    let is_all = below(unit, delete.path)?.is_empty();
                    let done = if is_all { self.deleted_before(unit, delete)? } else { None };
                    let Deleted { revision, others, truncated } = done.ok_or(error)?;
                    return Ok(((others, truncated), Some(revision)));
                }
                found => found?,
            };
            if current.id != delete.base {
                return Err(self.deletes_a_changed_page(unit, &path, delete.base, current.id));
            }
            let others = below(unit, &path)?;
            let shown = First::of(others.iter().map(|file| index::shown_path(file)));
            unit.remove(&path);
            unit.edits.extend(others.into_iter().map(|path| Edit {
                path,
                new: None,
                content: None,
            }));
            unit.sign(delete.author, message(delete.message, "Delete", path.as_str()))?;
            Ok((shown, None))
        })?;
        let revision = published.map(|published| published.revision).or(done);
        Ok(Deleted { revision: revision.ok_or(Error::Closed)?, others, truncated })
    }

    /// Returns the outcome of an earlier identical deletion, if its client may not have got the answer.
    fn deleted_before(
        &self,
        unit: &Unit<'_>,
        delete: &Delete<'_>,
    ) -> Result<Option<Deleted>, Error> {
        let files: Vec<_> = delete.path.spellings().map(|path| path.file().into_bytes()).collect();
        let is_page = |change: &FileChange| files.contains(&change.path);
        let is_it = |changes: &[FileChange]| {
            let mut changes = changes.iter().filter(|change| is_page(change));
            changes.any(|change| {
                change.new.is_none() && change.old.is_some_and(|old| old.id == delete.base)
            })
        };
        let done = unit.made_before(delete.author, is_it)?;
        let done = done.filter(|done| self.may_be_unanswered(done.revision));
        Ok(done.map(|done| {
            let others = done.changes.iter().filter(|change| change.new.is_none());
            let others = others.filter(|change| !is_page(change));
            let (others, truncated) =
                First::of(others.map(|change| index::shown_path(&change.path)));
            Deleted { revision: done.revision, others, truncated }
        }))
    }

    fn deletes_a_changed_page(
        &self,
        unit: &Unit<'_>,
        path: &ExistingPath,
        base: Etag,
        current: Etag,
    ) -> Error {
        let conflict = || {
            self.require_version(unit, path, base, Some(current))?;
            Ok(Conflict {
                path: path.as_str().to_owned(),
                base: Some(self.text(base)?),
                ours: Some(self.text(current)?),
                theirs: None,
                current: Some(current),
                hunks: Vec::new(),
                moved_to: None,
            })
        };
        conflict().map_or_else(|error| error, |conflict| Error::Conflict(Box::new(conflict)))
    }

    fn refuse_too_large(&self, path: &ExistingPath, content: &[u8]) -> Result<(), Error> {
        let (size, limit) = (content.len() as u64, self.page_limit());
        if size <= limit {
            return Ok(());
        }
        Err(Error::TooLarge { path: path.as_str().to_owned(), size, limit })
    }

    fn plan(
        &self,
        unit: &Unit<'_>,
        save: &Save<'_>,
        current: Option<Entry>,
    ) -> Result<Plan, Error> {
        let theirs = Plan::Write { content: save.content.to_vec(), merged: false };
        match (current, save.base) {
            (Some(now), _) if crate::repo::blob_id(save.content)? == now.id => {
                Ok(Plan::Unchanged { merged: false })
            }
            (None, Base::New) => {
                refuse_collisions(unit, save.path.as_str(), &save.path.file())?;
                Ok(theirs)
            }
            (Some(now), Base::New) => {
                Err(Error::Exists { path: save.path.as_str().to_owned(), etag: now.id })
            }
            (Some(now), Base::Version(base)) if base == now.id => Ok(theirs),
            (Some(now), Base::Version(base)) => self.merge_with(unit, save, base, now.id),
            (None, Base::Version(base)) => self.deleted_meanwhile(unit, save, base),
        }
    }

    fn merge_with(
        &self,
        unit: &Unit<'_>,
        save: &Save<'_>,
        base: Etag,
        current: Etag,
    ) -> Result<Plan, Error> {
        let path = save.path;
        if !save.merge {
            return Err(Error::Stale { path: path.as_str().to_owned(), current: Some(current) });
        }
        self.require_version(unit, path, base, Some(current))?;
        let base_text = self.blob(base)?;
        let ours = self.blob(current)?;
        match merge_lines(&base_text, &ours, save.content, Ends::Ours, &mut Effort::default()) {
            Merged::Clean(content) if content == ours => Ok(Plan::Unchanged { merged: true }),
            Merged::Clean(content) => {
                self.refuse_too_large(path, &content)?;
                Ok(Plan::Write { content, merged: true })
            }
            Merged::Conflict(hunks) => Err(self.conflict(
                path,
                Some(base_text),
                Some(ours),
                save.content,
                Some(current),
                hunks,
                None,
            )),
        }
    }

    fn deleted_meanwhile(
        &self,
        unit: &Unit<'_>,
        save: &Save<'_>,
        base: Etag,
    ) -> Result<Plan, Error> {
        let path = save.path;
        self.require_version(unit, path, base, None)?;
        let base_text = self.blob(base)?;
        let moved_to = self.moved_to(path, base)?;
        Err(self.conflict(path, Some(base_text), None, save.content, None, Vec::new(), moved_to))
    }

    #[expect(clippy::too_many_arguments, reason = "each is one field of the answer")]
    fn conflict(
        &self,
        path: &ExistingPath,
        base: Option<Vec<u8>>,
        ours: Option<Vec<u8>>,
        theirs: &[u8],
        current: Option<Etag>,
        hunks: Vec<Hunk>,
        moved_to: Option<String>,
    ) -> Error {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Error::Conflict(Box::new(Conflict {
            path: path.as_str().to_owned(),
            base: base.as_deref().map(text),
            ours: ours.as_deref().map(text),
            theirs: Some(text(theirs)),
            current,
            hunks,
            moved_to,
        }))
    }

    /// Refuses a base that this page never had: it is a mistake, not an edit conflict.
    fn require_version(
        &self,
        unit: &Unit<'_>,
        path: &ExistingPath,
        base: Etag,
        current: Option<Etag>,
    ) -> Result<(), Error> {
        let known = match unit.head {
            Some(head) => self.had_version(head, path, base)?,
            None => false,
        };
        if known {
            Ok(())
        } else {
            Err(Error::UnknownBase { path: path.as_str().to_owned(), base, current })
        }
    }

    /// Returns `true` if the page ever had this content, under any of its former names.
    fn had_version(
        &self,
        head: Revision,
        path: &ExistingPath,
        version: Etag,
    ) -> Result<bool, Error> {
        // A blob that isn't in the repository was no page's content, and the history needn't be walked through.
        if self.repo().view().header(version.as_bytes())?.is_none() {
            return Ok(false);
        }
        let file = path.file();
        if self.repo().find_version(head, &file, version)?.is_some() {
            return Ok(true);
        }
        let names = self.database()?.read(|c| Ok::<_, Error>(index::former_names(c, &file)?))?;
        // A page may have gone to and fro between two names.
        let mut seen = HashSet::from([file]);
        for name in names.into_iter().filter(|name| seen.insert(name.clone())) {
            if self.repo().find_version(head, &name, version)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the present path of a page that was moved away: by a commit that records the move, or by copying and
    /// deleting.
    fn moved_to(&self, path: &ExistingPath, content: Etag) -> Result<Option<String>, Error> {
        let database = self.database()?;
        let moved = database.read(|c| Ok::<_, Error>(index::moved_to(c, &path.file())?))?;
        match moved.as_deref().and_then(ExistingPath::of_file) {
            Some(page) => Ok(Some(page.as_str().to_owned())),
            None => database.read(|connection| Ok(index::with_content(connection, content)?)),
        }
    }

    fn text(&self, id: Etag) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.blob(id)?).into_owned())
    }

    /// Another program's commit was merged after this save, so the page may contain more than was sent.
    fn take_merged(&self, saved: &mut Saved) -> Result<(), Error> {
        let path = ExistingPath::new(&saved.path)?;
        if let Some(entry) = self.repo().entry(saved.revision, &path.file())?
            && entry.id != saved.etag
        {
            saved.etag = entry.id;
            saved.merged = true;
        }
        Ok(())
    }
}

/// Fills the unit according to the plan.
fn fill(
    unit: &mut Unit<'_>,
    save: &Save<'_>,
    current: Option<Entry>,
    plan: Plan,
) -> Result<Saved, Error> {
    let head = unit.head.unwrap_or(Revision::from_bytes([0; 20]));
    let saved = |etag, changed, merged| Saved {
        path: save.path.as_str().to_owned(),
        etag,
        revision: head,
        created: current.is_none(),
        changed,
        merged,
        content: None,
    };
    match (plan, current) {
        (Plan::Write { content, merged }, _) => {
            let mode = current.map_or(Entry::FILE, |entry| entry.mode);
            let etag = unit.put(save.path, &content, mode)?;
            let verb = if current.is_some() { "Update" } else { "Create" };
            unit.sign(save.author, message(save.message, verb, save.path.as_str()))?;
            Ok(saved(etag, true, merged))
        }
        (Plan::Unchanged { merged }, Some(entry)) => Ok(saved(entry.id, false, merged)),
        (Plan::Unchanged { .. }, None) => Err(not_found(save.path)),
    }
}

/// A page under the spelling that exists.
fn existing_page(unit: &Unit<'_>, path: &ExistingPath) -> Result<(ExistingPath, Entry), Error> {
    let found = match unit.head {
        Some(head) => stored_page(&unit.view, head, path)?,
        None => None,
    };
    found.ok_or_else(|| not_found(path))
}

/// Checks every directory on the path for a name that some file systems can't tell from the new one, and for a file
/// where a directory is needed: `a.md/child` must not replace the page `a`. `file` is the path to be created, `path`
/// its name for the author.
pub(crate) fn refuse_collisions(unit: &Unit<'_>, path: &str, file: &str) -> Result<(), Error> {
    if unit.head.is_none() {
        return Ok(());
    }
    let mut start = 0;
    for end in file.match_indices('/').map(|(at, _)| at).chain([file.len()]) {
        let (dir, name) = (file[..start].trim_end_matches('/'), &file[start..end]);
        let is_last = end == file.len();
        let there = unit.names(dir)?;
        if !is_last && there.iter().any(|(other, entry)| other == name && entry.is_directory()) {
            start = end + 1;
            continue;
        }
        return match there.into_iter().find(|(other, _)| collide(other, name)) {
            Some((other, _)) => {
                let existing = if dir.is_empty() { other } else { format!("{dir}/{other}") };
                Err(Error::Collision { path: path.to_owned(), existing })
            }
            // The directory, or the file itself, is new: nothing below it can collide.
            None => Ok(()),
        };
    }
    Ok(())
}

pub(crate) fn message<'a>(given: Option<&'a str>, verb: &'a str, path: &'a str) -> Message<'a> {
    Message { given, verb, subject: path, detail: None }
}

fn not_found(path: &ExistingPath) -> Error {
    Error::NotFound { path: path.as_str().to_owned() }
}

#[cfg(test)]
mod tests;
