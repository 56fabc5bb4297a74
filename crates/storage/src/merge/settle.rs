//! The second half of a merge: assigns a path to each file.

use std::cell::LazyCell;
use std::collections::HashMap;

use super::files::{
    Claim, ConflictKind, Files, Gathered, Loser, MergeConflict, Side, Sides, Winner,
};
use super::names::{Names, key};
use crate::repo::Entry;

/// Assigns a path to each file.
pub(super) fn settle(
    sides: Sides<'_>,
    winner: Winner,
    gathered: Gathered,
) -> (Files, Vec<MergeConflict>) {
    let Gathered { claims, mut losers, mut conflicts } = gathered;
    let mut files = Files::new();
    for (path, claims) in claims {
        let entry = match claims[..] {
            [claim] => claim.entry,
            _ => {
                let (stays, goes) = rank(&claims, winner);
                if stays.id != goes.id || stays.is_file() != goes.is_file() {
                    let of = |side| {
                        claims.iter().find(|claim| claim.side == side).map(|claim| claim.entry.id)
                    };
                    let conflict = MergeConflict {
                        path: path.clone(),
                        kind: ConflictKind::BothAdded,
                        base: sides.base.get(&path).map(|entry| entry.id),
                        ours: of(Side::Ours),
                        theirs: of(Side::Theirs),
                        beside: None,
                    };
                    let number = conflicts.len();
                    losers.push(Loser { path: path.clone(), entry: goes, conflict: number });
                    conflicts.push(conflict);
                }
                stays
            }
        };
        files.insert(path, entry);
    }
    let mut names = None;
    // Without new names there is nothing to check: collisions that existed before are kept.
    if files.keys().any(|path| !sides.base.contains_key(path)) {
        let taken = Names::of(&files);
        move_collisions(sides, &taken, &mut files, &mut losers, &mut conflicts);
        names = Some(Names::of(&files));
    }
    if !losers.is_empty() {
        // The remaining files are known now, and so are the free names.
        let names = names.get_or_insert_with(|| Names::of(&files));
        losers.sort_by(|one, other| (&one.path, one.entry.id).cmp(&(&other.path, other.entry.id)));
        for Loser { path, entry, conflict } in losers {
            conflicts[conflict].beside = Some(names.put_beside(&mut files, &path, entry));
        }
    }
    (files, conflicts)
}

/// Returns the file that keeps the path, and the one that loses it.
fn rank(claims: &[Claim], winner: Winner) -> (Entry, Entry) {
    let mut claims: Vec<Claim> = claims.to_vec();
    claims.sort_by_key(|claim| {
        let side = match winner {
            Winner::Wiki => claim.side != Side::Ours,
            Winner::Remote => claim.side != Side::Theirs,
            Winner::Stable => false,
        };
        (side, claim.entry.id, claim.entry.mode)
    });
    (claims[0].entry, claims[1].entry)
}

/// Takes away files whose path is a directory now, or would be the same as another's where case and
/// composition don't count. Names that stand side by side at one of the sides are carried along, since people
/// live with them there; those that the wiki hasn't yet are told once.
fn move_collisions(
    sides: Sides<'_>,
    taken: &Names,
    files: &mut Files,
    losers: &mut Vec<Loser>,
    conflicts: &mut Vec<MergeConflict>,
) {
    let carried = [sides.base, sides.ours, sides.theirs]
        .map(|files| (files, LazyCell::new(|| Names::of(files))));
    let own = [sides.base, sides.ours];
    let mut first: HashMap<Vec<u8>, &Vec<u8>> = HashMap::new();
    let mut moved = Vec::new();
    for path in files.keys() {
        let had = || carried.iter().filter(|(there, _)| there.contains_key(path));
        let kind = if taken.is_directory(path)
            && (is_directory(files, path) || !had().any(|(_, names)| names.is_directory(path)))
        {
            ConflictKind::FileAndDirectory
        } else {
            match first.get(&key(path)) {
                None => {
                    first.insert(key(path), path);
                    continue;
                }
                Some(other) if had().any(|(there, _)| there.contains_key(*other)) => {
                    let is_known = |files: &&Files| {
                        [path, *other].iter().all(|name| files.contains_key(*name))
                    };
                    if !own.iter().any(is_known) {
                        conflicts.push(MergeConflict {
                            path: (*other).clone(),
                            kind: ConflictKind::SameName,
                            base: None,
                            ours: sides.ours.get(path).map(|entry| entry.id),
                            theirs: sides.theirs.get(path).map(|entry| entry.id),
                            beside: Some(path.clone()),
                        });
                    }
                    continue;
                }
                Some(_) => ConflictKind::SameName,
            }
        };
        moved.push((path.clone(), kind));
    }
    for (path, kind) in moved {
        let Some(entry) = files.remove(&path) else { continue };
        let id = |files: &Files| files.get(&path).map(|entry| entry.id);
        let number = conflicts.len();
        conflicts.push(MergeConflict {
            kind,
            base: id(sides.base),
            ours: id(sides.ours),
            theirs: id(sides.theirs),
            beside: None,
            path: path.clone(),
        });
        losers.push(Loser { path, entry, conflict: number });
    }
}

fn is_directory(files: &Files, path: &[u8]) -> bool {
    let below = [path, b"/"].concat();
    files.range(below.clone()..).next().is_some_and(|(other, _)| other.starts_with(&below))
}
