//! Elements of formatting, such as `<b>`, that HTML in a page leaves open.
//!
//! A browser, and so the cleaner, opens them anew in each block that follows: a page of a few kilobytes becomes
//! hundreds of thousands of elements. So they are counted before the cleaner reads them.

/// The elements that are opened anew (HTML standard, section 13.2.4.3).
const NAMES: [&str; 14] = [
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];
/// Within these, an end tag doesn't close what was opened outside of them (section 13.2.4.2).
const BARRIERS: &[&str] = &["applet", "caption", "marquee", "object", "table", "td", "th"];

/// A tag that changes which elements are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Opens an element, by its place in [`NAMES`].
    Opens(usize),
    Closes(usize),
    /// Opens an element within which nothing outside of it is closed.
    Barrier,
}

impl Mark {
    pub(super) fn of(name: &str, closes: bool) -> Option<Self> {
        let is = |other: &&str| name.eq_ignore_ascii_case(other);
        if !closes && BARRIERS.iter().any(is) {
            return Some(Self::Barrier);
        }
        let at = NAMES.iter().position(is)?;
        Some(if closes { Self::Closes(at) } else { Self::Opens(at) })
    }
}

/// The number of elements that are open.
#[derive(Debug, Default)]
pub(super) struct Unclosed {
    open: [usize; NAMES.len()],
    /// Number of elements before the last barrier. They count as open to the end of the page.
    outside: usize,
    /// The highest number since it was last asked for.
    most: usize,
}

impl Unclosed {
    pub(super) fn note(&mut self, mark: Mark) {
        match mark {
            // A link closes the one before it.
            Mark::Opens(0) => self.open[0] = 1,
            Mark::Opens(name) => self.open[name] += 1,
            Mark::Closes(name) => self.open[name] = self.open[name].saturating_sub(1),
            Mark::Barrier => self.outside += std::mem::take(&mut self.open).iter().sum::<usize>(),
        }
        self.most = self.most.max(self.count());
    }

    /// The highest number of elements that were open since the last call.
    pub(super) fn take_most(&mut self) -> usize {
        let now = self.count();
        std::mem::replace(&mut self.most, now).max(now)
    }

    fn count(&self) -> usize {
        self.outside + self.open.iter().sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_open(tags: &[&str]) -> usize {
        let mut unclosed = Unclosed::default();
        for tag in tags {
            let name = tag.trim_start_matches('/');
            Mark::of(name, name != *tag).into_iter().for_each(|mark| unclosed.note(mark));
        }
        unclosed.take_most();
        unclosed.take_most()
    }

    #[test]
    fn what_is_closed_is_not_open() {
        for (tags, open) in [
            (&["b", "/b", "B", "/b"][..], 0),
            (&["b", "b", "i", "/u"], 3),
            (&["/b", "/b", "b"], 1),
            (&["a", "a", "a"], 1),
            (&["p", "span", "div"], 0),
            (&["font", "table", "td", "/font"], 1),
            (&["font", "td", "font", "/font"], 1),
        ] {
            assert_eq!(left_open(tags), open, "{tags:?}");
        }
    }

    #[test]
    fn the_most_is_told_once() {
        let mut unclosed = Unclosed::default();
        for mark in [Mark::Opens(1), Mark::Opens(1), Mark::Closes(1)] {
            unclosed.note(mark);
        }
        assert_eq!([unclosed.take_most(), unclosed.take_most()], [2, 1]);
    }
}
