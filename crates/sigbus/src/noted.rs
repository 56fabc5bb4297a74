//! The truncated files, in memory that a signal handler may write to.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Number of remembered files.
const REMEMBERED: usize = 32;
/// Maximal length of a remembered path in bytes. A longer path counts as below every directory.
pub(crate) const LONGEST: usize = 1024;

/// Number of recorded truncations.
static GIVEN: AtomicU64 = AtomicU64::new(0);
static CUTS: [Cut; REMEMBERED] = [const { Cut::new() }; REMEMBERED];

/// The path of a truncated file. The bytes are atomic, so that they may be read while another truncation overwrites
/// them.
struct Cut {
    /// The number of this truncation, counted from 1; set when the path is complete.
    number: AtomicU64,
    length: AtomicUsize,
    path: [AtomicU8; LONGEST],
}

impl Cut {
    const fn new() -> Self {
        Self {
            number: AtomicU64::new(0),
            length: AtomicUsize::new(0),
            path: [const { AtomicU8::new(0) }; LONGEST],
        }
    }

    /// `Some(true)` if the path is below the directory; `None` if a later truncation has overwritten this one.
    fn is_below(&self, dir: &[u8], number: u64) -> Option<bool> {
        // The writer is a signal handler that began and ends within microseconds.
        while self.number.load(Ordering::Acquire) < number {
            std::hint::spin_loop();
        }
        let length = self.length.load(Ordering::Relaxed).min(LONGEST);
        let begins = dir.iter().zip(&self.path).all(|(a, b)| *a == b.load(Ordering::Relaxed));
        let goes_on = self.path.get(dir.len()).map(|next| next.load(Ordering::Relaxed));
        let is_below = begins && dir.len() < length && goes_on == Some(b'/');
        let is_unknown = length == LONGEST;
        let is_same = self.number.load(Ordering::Acquire) == number;
        is_same.then_some(is_below || is_unknown)
    }
}

/// Records a file. Async-signal-safe: it neither allocates nor locks.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is noted there"))]
pub(crate) fn note(path: &[u8]) {
    let number = GIVEN.fetch_add(1, Ordering::AcqRel) + 1;
    let cut = place(number);
    let path = &path[..path.len().min(LONGEST)];
    for (to, from) in cut.path.iter().zip(path) {
        to.store(*from, Ordering::Relaxed);
    }
    cut.length.store(path.len(), Ordering::Relaxed);
    cut.number.store(number, Ordering::Release);
}

fn place(number: u64) -> &'static Cut {
    &CUTS[usize::try_from(number % REMEMBERED as u64).unwrap_or_default()]
}

pub(crate) fn count() -> u64 {
    GIVEN.load(Ordering::Acquire)
}

pub(crate) fn is_below(dir: &[u8], known: u64) -> bool {
    let now = count();
    if now.saturating_sub(known) > REMEMBERED as u64 {
        return true;
    }
    (known + 1..=now).any(|number| place(number).is_below(dir, number).unwrap_or(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, because the records belong to the whole process.
    #[test]
    fn a_cut_concerns_the_directories_above_the_file() {
        let known = count();
        note(b"/srv/wikis/garden/repo/objects/pack/a.idx");
        assert_eq!(count(), known + 1);
        assert!(is_below(b"/srv/wikis/garden", known));
        assert!(is_below(b"/srv", known));
        assert!(!is_below(b"/srv/wikis/gar", known));
        assert!(!is_below(b"/srv/wikis/kitchen", known));
        assert!(!is_below(b"/srv/wikis/garden/repo/objects/pack/a.idx", known));
        assert!(!is_below(b"/srv/wikis/garden", count()));
        note(&[b'x'; LONGEST + 1]);
        assert!(is_below(b"/srv/wikis/kitchen", known), "it may be");
        let known = count();
        for _ in 0..=REMEMBERED {
            note(b"/elsewhere/x");
        }
        assert!(is_below(b"/srv/wikis/kitchen", known), "nobody remembers");
        assert!(!is_below(b"/srv/wikis/kitchen", known + 1));
    }
}
