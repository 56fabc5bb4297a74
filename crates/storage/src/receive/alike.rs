//! Finds names that some systems can't tell apart.
//!
//! Two such names may stand side by side if they did so in a parent. The names of one fold are gathered by
//! the parents that have them: names with the same parents are one class, and classes are compared with
//! classes. Where a parent has all names of a fold, as usual, nothing is compared at all.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::error::Error;
use crate::page_path::fold;
use crate::tree::Entry;

/// Up to so many new names are compared with all others. Of more, the folds of all names are made.
const FEW: usize = 4;

/// A set of parents: the bit `n` of all words together stands for the parent `n`.
type Parents = Vec<u64>;

/// The names of one fold, by the parents that have them.
#[derive(Default)]
struct Group<'a> {
    classes: BTreeMap<Parents, Vec<&'a [u8]>>,
    /// Returns `true` if a parent has all of the names.
    is_known: bool,
}

/// Calls `found` with each of the names `fresh` (those that a parent hasn't) that collides with another name
/// of `new`, and with such a name. `look` is told of the entries and comparisons before they are made.
pub(super) fn collisions<'a>(
    fresh: &[&'a [u8]],
    new: &[Entry<'a>],
    olds: &[Vec<Entry<'_>>],
    mut look: impl FnMut(u64) -> Result<(), Error>,
    mut found: impl FnMut(&[u8], &[u8]),
) -> Result<(), Error> {
    let folds = alike(fresh, new, &mut look)?;
    if folds.is_empty() {
        return Ok(());
    }
    let parents = parents(&folds, olds, &mut look)?;
    let mut groups: HashMap<&str, Group<'_>> = HashMap::new();
    for (fold, names) in &folds {
        look(names.len() as u64)?;
        groups.insert(fold, group(names, &parents, olds.len()));
    }
    // One answer for all names of a class.
    let mut answers: HashMap<(String, &Parents), Option<&[u8]>> = HashMap::new();
    let none = vec![0; words(olds.len())];
    for one in fresh {
        let Some(fold) = folded(one) else { continue };
        let Some(group) = groups.get(&*fold).filter(|group| !group.is_known) else { continue };
        let own = parents.get(one).unwrap_or(&none);
        let beside = || group.classes.get(own).and_then(|names| names.iter().find(|it| *it != one));
        // Names of one class stood side by side if any parent has them.
        let other = match is_empty(own).then(beside).flatten() {
            Some(other) => Some(*other),
            None => match answers.get(&(fold.clone(), own)) {
                Some(answer) => *answer,
                None => {
                    look(group.classes.len() as u64 * none.len().max(1) as u64)?;
                    let mut others = group.classes.iter().filter(|(class, _)| *class != own);
                    let other = others.find(|(class, _)| !overlap(own, class));
                    let other = other.and_then(|(_, names)| names.first().copied());
                    answers.insert((fold, own), other);
                    other
                }
            },
        };
        if let Some(other) = other {
            found(one, other);
        }
    }
    Ok(())
}

fn folded(name: &[u8]) -> Option<String> {
    std::str::from_utf8(name).ok().map(fold)
}

/// The names of `new` by their folds, as far as several have one and a fresh name is among them.
fn alike<'a>(
    fresh: &[&[u8]],
    new: &[Entry<'a>],
    look: &mut impl FnMut(u64) -> Result<(), Error>,
) -> Result<HashMap<String, Vec<&'a [u8]>>, Error> {
    let mut folds: HashMap<String, Vec<&[u8]>> = HashMap::new();
    for name in fresh {
        folds.extend(folded(name).map(|fold| (fold, Vec::new())));
    }
    // Names that are equal but for their case have one length, if they are ASCII.
    let lengths: HashSet<usize> = fresh.iter().map(|name| name.len()).collect();
    let is_few = fresh.len() <= FEW;
    for Entry { name, .. } in new {
        look(1)?;
        let is_other = is_few && name.is_ascii() && !lengths.contains(&name.len());
        if is_other && fresh.iter().all(|name| name.is_ascii()) {
            continue;
        }
        if let Some(names) = folded(name).and_then(|fold| folds.get_mut(&fold)) {
            names.push(name);
        }
    }
    folds.retain(|_, names| names.len() > 1);
    Ok(folds)
}

/// The parents that have each of the names that are alike.
fn parents<'a>(
    folds: &HashMap<String, Vec<&'a [u8]>>,
    olds: &[Vec<Entry<'_>>],
    look: &mut impl FnMut(u64) -> Result<(), Error>,
) -> Result<HashMap<&'a [u8], Parents>, Error> {
    let names = folds.values().flatten();
    let mut parents: HashMap<&[u8], Parents> =
        names.map(|name| (*name, vec![0; words(olds.len())])).collect();
    for (at, old) in olds.iter().enumerate() {
        look(old.len() as u64)?;
        for entry in old {
            if let Some(parents) = parents.get_mut(entry.name) {
                parents[at / 64] |= 1 << (at % 64);
            }
        }
    }
    Ok(parents)
}

fn group<'a>(names: &[&'a [u8]], parents: &HashMap<&[u8], Parents>, count: usize) -> Group<'a> {
    let mut group = Group::default();
    let mut all = vec![u64::MAX; words(count)];
    for name in names {
        let Some(own) = parents.get(name) else { continue };
        all.iter_mut().zip(own).for_each(|(all, own)| *all &= own);
        group.classes.entry(own.clone()).or_default().push(name);
    }
    group.is_known = !is_empty(&all);
    group
}

/// Number of words of a set of so many parents.
fn words(parents: usize) -> usize {
    parents.div_ceil(64)
}

fn is_empty(parents: &[u64]) -> bool {
    parents.iter().all(|word| *word == 0)
}

fn overlap(one: &[u64], other: &[u64]) -> bool {
    one.iter().zip(other).any(|(one, other)| one & other != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::page_path::collide;

    fn tree<'a>(names: &[&'a str]) -> Vec<Entry<'a>> {
        let entry = |name: &&'a str| Entry { mode: 0o100_644, name: name.as_bytes(), id: [1; 20] };
        names.iter().map(entry).collect()
    }

    /// The names that a parent hasn't.
    fn fresh<'a>(new: &[Entry<'a>], olds: &[Vec<Entry<'_>>]) -> Vec<&'a [u8]> {
        let has = |old: &Vec<Entry<'_>>, name: &[u8]| old.iter().any(|entry| entry.name == name);
        let is_fresh = |name| olds.is_empty() || olds.iter().any(|old| !has(old, name));
        new.iter().map(|entry| entry.name).filter(|name| is_fresh(name)).collect()
    }

    /// The names that collide, and what it took.
    fn found(new: &[&str], olds: &[Vec<&str>]) -> (Vec<(String, String)>, u64) {
        let (new, olds): (_, Vec<_>) = (tree(new), olds.iter().map(|old| tree(old)).collect());
        let (mut pairs, mut looks) = (Vec::new(), 0);
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        let look = |count| {
            looks += count;
            Ok(())
        };
        let found = |one: &[u8], other: &[u8]| {
            pairs.push((text(one), text(other)));
        };
        collisions(&fresh(&new, &olds), &new, &olds, look, found).unwrap();
        (pairs, looks)
    }

    /// The same, by comparing each name with each.
    fn plainly(new: &[&str], olds: &[Vec<&str>]) -> Vec<String> {
        let has = |old: &Vec<&str>, name: &str| old.contains(&name);
        let stood =
            |one: &str, other: &str| olds.iter().any(|old| has(old, one) && has(old, other));
        let is_fresh = |one: &str| olds.is_empty() || olds.iter().any(|old| !has(old, one));
        let collides = |one: &str| {
            new.iter().any(|other| *other != one && collide(other, one) && !stood(one, other))
        };
        let names = new.iter().filter(|one| is_fresh(one) && collides(one));
        names.map(|name| (*name).to_owned()).collect()
    }

    /// All ways to write a name of letters.
    fn variants(letters: u32) -> Vec<String> {
        let letter = |at: u32, set: u32| if set >> at & 1 == 1 { 'A' } else { 'a' };
        let name = |set: u32| (0..letters).map(|at| letter(at, set)).collect::<String>() + ".md";
        (0..1 << letters).map(name).collect()
    }

    #[test]
    fn names_that_stood_side_by_side_may_and_others_may_not() {
        let none: Vec<(String, String)> = Vec::new();
        assert_eq!(found(&["a", "A"], &[vec!["a", "A"], vec!["b"]]).0, none);
        assert_eq!(found(&["a", "b"], &[vec![]]).0, none);
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(found(&["A", "a"], &[]).0, [pair("A", "a"), pair("a", "A")]);
        assert_eq!(found(&["A", "a"], &[vec!["a"]]).0, [pair("A", "a")]);
        let sides = [vec!["a"], vec!["A"]];
        assert_eq!(found(&["A", "a"], &sides).0, [pair("A", "a"), pair("a", "A")]);
        assert_eq!(found(&["É", "x", "é"], &[vec!["é"]]).0, [pair("É", "é")]);
    }

    /// A merge whose one parent has thousands of names that are alike, and the other none of them; and one
    /// whose parents have two thirds of them each.
    #[test]
    fn many_names_that_are_alike_take_as_many_steps_as_there_are_names() {
        let names = variants(13);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (third, count) = (names.len() / 3, names.len() as u64);
        let without = |from: usize| [&names[..from], &names[from + third..]].concat();
        for parents in [
            vec![names.clone(), vec![]],
            vec![without(0), without(third), without(2 * third)],
            vec![],
            vec![vec![]],
        ] {
            let (pairs, looks) = found(&names, &parents);
            assert!(pairs.is_empty() || pairs.len() >= names.len() - 2);
            assert!(looks < count * (parents.len() as u64 + 3), "{looks}");
        }
    }

    fn names() -> impl Strategy<Value = Vec<&'static str>> {
        let names = vec!["a", "A", "é", "É", "e\u{301}", "bc", "Bc", "bC", "BC", "d"];
        prop::sample::subsequence(names, 0..=10)
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_comparing_each_with_each_finds(
            new in names(),
            olds in prop::collection::vec(names(), 0..5),
        ) {
            let pairs = found(&new, &olds).0;
            for (one, other) in &pairs {
                prop_assert!(one != other && collide(one, other));
                let stood = |old: &Vec<&str>| old.contains(&&**one) && old.contains(&&**other);
                prop_assert!(!olds.iter().any(stood), "{one} {other}");
            }
            let ones: Vec<String> = pairs.into_iter().map(|(one, _)| one).collect();
            prop_assert_eq!(ones, plainly(&new, &olds));
        }
    }
}
