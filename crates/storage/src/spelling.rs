//! The stored spelling of paths.
//!
//! `é` is one character or two, and a name is the same in either composition. New names are stored in NFC; imported
//! names may have any spelling, folder by folder, and keep it. A lookup finds a path in either composition: the
//! requested spelling goes first, then NFC, then the first in byte order.

use std::collections::HashSet;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use crate::attachment_path::{AttachmentPath, ExistingAttachment};
use crate::deadline;
use crate::error::Error;
use crate::page_path::{EXTENSION, ExistingPath, InvalidPath, MAX_BYTES, MAX_DEPTH, PagePath};
use crate::repo::{Entry, RepoError, View};
use crate::revision::{Etag, Revision};

/// The page's file, in its stored spelling.
pub(crate) fn stored_page(
    view: &View,
    commit: Revision,
    path: &ExistingPath,
) -> Result<Option<(ExistingPath, Entry)>, RepoError> {
    let found = stored(view, commit, &path.file(), Entry::is_file)?;
    Ok(found.and_then(|(file, entry)| Some((ExistingPath::of_file(&file)?, entry))))
}

/// The attachment's file, in its stored spelling.
pub(crate) fn stored_attachment(
    view: &View,
    commit: Revision,
    path: &ExistingAttachment,
) -> Result<Option<(ExistingAttachment, Entry)>, Error> {
    match stored(view, commit, path.as_str(), Entry::is_file)? {
        Some((path, entry)) => Ok(Some((ExistingAttachment::new(&path)?, entry))),
        None => Ok(None),
    }
}

/// The path of a directory, in its stored spelling.
pub(crate) fn stored_directory(
    view: &View,
    commit: Revision,
    path: &str,
) -> Result<Option<String>, RepoError> {
    Ok(stored(view, commit, path, Entry::is_directory)?.map(|(path, _)| path))
}

/// The entry at a path, in either composition, if it is wanted.
fn stored(
    view: &View,
    commit: Revision,
    path: &str,
    is_wanted: impl Fn(Entry) -> bool,
) -> Result<Option<(String, Entry)>, RepoError> {
    let exact = view.entry(commit, path)?.filter(|entry| is_wanted(*entry));
    if exact.is_some() || path.is_ascii() {
        return Ok(exact.map(|entry| (path.to_owned(), entry)));
    }
    // The folders that match the path so far. Each tree once: a small repository may name one tree under very many
    // paths.
    let mut level = vec![(String::new(), view.root(commit)?)];
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let (mut next, mut seen) = (Vec::new(), HashSet::new());
        for (parent, tree) in &level {
            for (name, entry) in alike(view, *tree, segment)? {
                let path = below(parent, &name);
                if segments.peek().is_none() && is_wanted(entry) {
                    return Ok(Some((path, entry)));
                }
                if entry.is_directory() && seen.insert(entry.id) {
                    next.push((path, entry.id));
                }
            }
        }
        level = next;
    }
    Ok(None)
}

/// The entries of a tree whose names are `name` in any composition, that spelling first, then NFC.
fn alike(view: &View, tree: Etag, name: &str) -> Result<Vec<(String, Entry)>, RepoError> {
    deadline::check()?;
    let composed: String = name.nfc().collect();
    let mut found = view.names(tree)?;
    found.retain(|(other, _)| other == name || is_composed_as(other, &composed));
    found.sort_by(|(one, _), (other, _)| {
        let order = |spelt: &str| (spelt != name, spelt != composed);
        order(one).cmp(&order(other)).then_with(|| one.cmp(other))
    });
    Ok(found)
}

/// Returns `true` if `composed` is the NFC of a name.
fn is_composed_as(name: &str, composed: &str) -> bool {
    name == composed
        || !name.is_ascii()
            && is_nfc_quick(name.chars()) != IsNormalized::Yes
            && name.nfc().eq(composed.chars())
}

/// The path to which a page is written: that of the existing file, or of a new one, whose name must be valid.
pub(crate) fn written_page(
    view: &View,
    head: Option<Revision>,
    path: &ExistingPath,
) -> Result<(ExistingPath, Option<Entry>), Error> {
    if let Some(head) = head
        && let Some((stored, entry)) = stored_page(view, head, path)?
    {
        return Ok((stored, Some(entry)));
    }
    let checked = |path: &str| Ok(PagePath::new(path)?.as_str().to_owned());
    let new = new_path(view, head, path.as_str(), checked)?;
    let placed = placed(view, head, &format!("{new}{EXTENSION}"))?;
    Ok((ExistingPath::of_file(&placed).unwrap_or_else(|| path.clone()), None))
}

/// The new path of a page that moves: with the stored spelling of existing folders, and the requested spelling of
/// its own name.
pub(crate) fn moved_page(
    view: &View,
    head: Option<Revision>,
    path: &PagePath,
) -> Result<ExistingPath, Error> {
    let (Some((parent, name)), Some(head)) = (path.as_str().rsplit_once('/'), head) else {
        return Ok((**path).clone());
    };
    // The page's own name keeps the requested spelling.
    let (parent, _) = placed_folder(view, head, parent)?;
    Ok(ExistingPath::new(&below(&parent, name))?)
}

/// As [`written_page`], for an attachment.
pub(crate) fn written_attachment(
    view: &View,
    head: Option<Revision>,
    path: &ExistingAttachment,
) -> Result<(ExistingAttachment, Option<Entry>), Error> {
    if let Some(head) = head
        && let Some((stored, entry)) = stored_attachment(view, head, path)?
    {
        return Ok((stored, Some(entry)));
    }
    let checked = |path: &str| match path.contains('/') {
        true => Ok(AttachmentPath::new(path)?.as_str().to_owned()),
        // Only the file name, in an existing folder.
        false => {
            let path = AttachmentPath::new(&format!("page/{path}"))?;
            Ok(path.name().to_owned())
        }
    };
    if !path.as_str().contains('/') {
        AttachmentPath::new(path.as_str())?;
    }
    let new = new_path(view, head, path.as_str(), checked)?;
    Ok((ExistingAttachment::new(&placed(view, head, &new)?)?, None))
}

/// A path that may be created. Below an existing folder only the rest is checked: the folder may be an imported one
/// with a name that couldn't be created here.
fn new_path(
    view: &View,
    head: Option<Revision>,
    path: &str,
    checked: impl Fn(&str) -> Result<String, InvalidPath>,
) -> Result<String, Error> {
    let error = match checked(path) {
        Ok(path) => return Ok(path),
        Err(error) => error,
    };
    let is_short = path.len() <= MAX_BYTES && path.split('/').count() <= MAX_DEPTH;
    let Some(head) = head.filter(|_| is_short) else { return Err(error.into()) };
    for (slash, _) in path.rmatch_indices('/') {
        if let Some(folder) = stored_directory(view, head, &path[..slash])? {
            return Ok(format!("{folder}/{}", checked(&path[slash + 1..])?));
        }
    }
    Err(error.into())
}

/// A new file's path, with existing folders and folders of existing pages in their stored spelling.
fn placed(view: &View, head: Option<Revision>, file: &str) -> Result<String, RepoError> {
    let Some(head) = head.filter(|_| !file.is_ascii()) else { return Ok(file.to_owned()) };
    let (parent, name) = file.rsplit_once('/').unwrap_or(("", file));
    let (parent, tree) = placed_folder(view, head, parent)?;
    let folder = match (tree, name.strip_suffix(EXTENSION)) {
        (Some(tree), Some(page)) => {
            alike(view, tree, page)?.into_iter().find(|(_, entry)| entry.is_directory())
        }
        _ => None,
    };
    let name = folder.map_or_else(|| name.to_owned(), |(page, _)| format!("{page}{EXTENSION}"));
    Ok(below(&parent, &name))
}

/// A folder's path as in [`placed`], and its tree, if the folder exists.
fn placed_folder(
    view: &View,
    head: Revision,
    path: &str,
) -> Result<(String, Option<Etag>), RepoError> {
    let (mut folder, mut tree) = (String::new(), Some(view.root(head)?));
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let Some(here) = tree else {
            folder = below(&folder, name);
            continue;
        };
        let found = alike(view, here, name)?.into_iter().find(|(_, entry)| entry.is_directory());
        let page = match found {
            Some(_) => None,
            None => alike(view, here, &format!("{name}{EXTENSION}"))?.into_iter().next(),
        };
        let page = page.as_ref().filter(|(_, entry)| entry.is_file());
        let page = page.and_then(|(file, _)| file.strip_suffix(EXTENSION));
        let spelt = found.as_ref().map(|(name, _)| name.as_str()).or(page).unwrap_or(name);
        folder = below(&folder, spelt);
        tree = found.map(|(_, entry)| entry.id);
    }
    Ok((folder, tree))
}

fn below(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}
