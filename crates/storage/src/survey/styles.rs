//! Detects the order of target and title in `[[one|other]]` in an imported wiki.

use std::collections::HashSet;

use crate::deadline;
use crate::error::Error;
use crate::links::{LinkStyle, all_destinations};
use crate::page_path::{ExistingPath, fold};
use crate::wiki::Wiki;

/// Maximum total size of the examined pages, in bytes: more wouldn't change the result.
const MAX_BYTES: u64 = 32 << 20;
/// Maximum size of an examined page, in bytes; larger ones are skipped.
const MAX_PAGE: u64 = 1 << 20;

/// The names of pages, as links write them.
#[derive(Default)]
struct Names {
    exact: HashSet<String>,
    folded: HashSet<String>,
}

impl Names {
    fn add(&mut self, path: &str) {
        for name in [path, path.rsplit('/').next().unwrap_or(path)] {
            let name = spaced(name);
            self.folded.insert(fold(&name));
            self.exact.insert(name);
        }
    }

    /// The score of a destination: 0 if it matches no page, 1 if it does, 2 if its case matches, too.
    fn score(&self, destination: &str) -> usize {
        let name = destination.split('#').next().unwrap_or_default();
        let name = spaced(name.trim().trim_start_matches('/'));
        usize::from(self.folded.contains(&fold(&name))) + usize::from(self.exact.contains(&name))
    }
}

/// A name with spaces for dashes and underscores, a decoded slash and no `.md`.
fn spaced(name: &str) -> String {
    name.trim_end_matches(".md").replace("%2F", "/").replace(['-', '_'], " ")
}

impl Wiki {
    /// The style in which the most of the wiki's links lead to its pages; `None` if the links don't decide it.
    ///
    /// # Errors
    /// The repository can't be read; the deadline has passed.
    pub fn detect_link_style(&self) -> Result<Option<LinkStyle>, Error> {
        let Some(head) = self.head()? else { return Ok(None) };
        let files = self.repo().files(head)?;
        let page = |path: &[u8]| {
            let page = ExistingPath::of_file(std::str::from_utf8(path).ok()?)?;
            Some(page.as_str().to_owned())
        };
        let mut names = Names::default();
        files.keys().filter_map(|path| page(path)).for_each(|path| names.add(&path));
        let (mut bytes, mut scores) = (0, [0, 0]);
        let view = self.repo().view();
        for entry in files.iter().filter(|(path, _)| page(path).is_some()).map(|(_, entry)| entry) {
            deadline::check()?;
            let size = if entry.is_file() { view.blob_size(entry.id)? } else { continue };
            bytes += size;
            if bytes > MAX_BYTES {
                break;
            }
            if size > MAX_PAGE {
                continue;
            }
            let content = view.blob(entry.id)?;
            let text = String::from_utf8_lossy(&content);
            // Most pages contain no link with a bar.
            if !text.contains('|') || !text.contains("[[") {
                continue;
            }
            for (score, style) in
                scores.iter_mut().zip([LinkStyle::TargetFirst, LinkStyle::TitleFirst])
            {
                *score += all_destinations(&text, style).map(|to| names.score(&to)).sum::<usize>();
            }
        }
        Ok(match scores {
            [target, title] if target > title => Some(LinkStyle::TargetFirst),
            [target, title] if title > target => Some(LinkStyle::TitleFirst),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn detected(text: &str) -> Option<LinkStyle> {
        let scratch = Scratch::new();
        for file in ["Some-Page.md", "dir/Sub Page.md", "Foo%2FBar.md"] {
            scratch.commit_with_git(file, "x");
        }
        scratch.create("home", text);
        scratch.wiki().detect_link_style().unwrap()
    }

    #[test]
    fn the_side_that_names_pages_is_the_target() {
        for text in [
            "[[text|Some Page]]",
            "[[Some Page]] [[text|Some Page]] [[dir/Sub Page]]",
            "[[text|dir/Sub-Page]] [[other|nowhere]]",
            "[[some page|Some-Page]]",
            "[[x|Foo/Bar]] [[Some Page|unknown]] [[y|some page#part]] [[z|Sub Page]]",
        ] {
            assert_eq!(detected(text), Some(LinkStyle::TitleFirst), "{text}");
        }
        for text in ["[[Some Page|text]]", "[[/Some-Page|text]]", "[[Sub Page|the sub page]]"] {
            assert_eq!(detected(text), Some(LinkStyle::TargetFirst), "{text}");
        }
        for text in ["", "[[Some Page]]", "[[a|b]]", "`[[a|Some Page]]`", "| a | [[Some Page]] |"] {
            assert_eq!(detected(text), None, "{text}");
        }
    }
}
