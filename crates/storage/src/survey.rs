//! Reports on imported wikis: files that couldn't be created here.

use std::collections::HashMap;

use crate::error::Error;
use crate::page_path::{ExistingPath, PagePath, fold};
use crate::wiki::Wiki;

/// Files of a wiki that break the rules for new ones. All of them stay readable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Number of files.
    pub files: usize,
    /// Number of files that are pages.
    pub pages: usize,
    /// Files whose names are invalid for a new page or attachment, each with the reason.
    pub refused: Vec<(String, String)>,
    /// Pairs of names that are equal on a system that ignores case.
    pub colliding: Vec<(String, String)>,
    /// Symbolic links.
    pub links: Vec<String>,
    /// Submodules.
    pub submodules: Vec<String>,
    /// Files with upper-case letters in their names.
    pub with_capitals: Vec<String>,
}

impl Wiki {
    /// Examines the name and mode of every file in the newest revision.
    ///
    /// # Errors
    /// The repository can't be read.
    pub fn survey(&self) -> Result<Survey, Error> {
        let mut survey = Survey::default();
        let Some(head) = self.head()? else { return Ok(survey) };
        let mut spellings = HashMap::new();
        for (path, entry) in self.repo().files(head)? {
            survey.files += 1;
            let name = String::from_utf8_lossy(&path).into_owned();
            match entry.mode {
                0o120_000 => survey.links.push(name.clone()),
                0o160_000 => survey.submodules.push(name.clone()),
                _ => {}
            }
            survey.note_name(&path, &name);
            survey.note_spellings(&name, &mut spellings);
        }
        Ok(survey)
    }
}

impl Survey {
    fn note_name(&mut self, path: &[u8], name: &str) {
        if name.chars().any(char::is_uppercase) {
            self.with_capitals.push(name.to_owned());
        }
        if std::str::from_utf8(path).is_err() {
            self.refused.push((name.to_owned(), "it is not UTF-8".to_owned()));
            return;
        }
        let page = ExistingPath::of_file(name);
        self.pages += usize::from(page.is_some());
        let wanted = page.as_ref().map_or(name, ExistingPath::as_str);
        match PagePath::new(wanted) {
            Err(error) => self.refused.push((name.to_owned(), error.to_string())),
            Ok(path) if path.as_str() != wanted => {
                self.refused.push((name.to_owned(), "it is not in Unicode's NFC".to_owned()));
            }
            Ok(_) => {}
        }
    }

    /// Includes directories: two spellings are two directories here, but one on other systems.
    fn note_spellings(&mut self, name: &str, spellings: &mut HashMap<String, String>) {
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        for part in ends.map(|end| &name[..end]) {
            let first = spellings.entry(fold(part)).or_insert_with(|| part.to_owned());
            let pair = (first.clone(), part.to_owned());
            if first != part && !self.colliding.contains(&pair) {
                self.colliding.push(pair);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Scratch;

    #[test]
    fn names_that_could_not_be_created_are_found() {
        let scratch = Scratch::new();
        scratch.create("home", "x");
        for file in ["Home.md", "a:b.md", "Dir/one.md", "dir/two.png", "cafe\u{301}.md"] {
            scratch.commit_with_git(file, "x");
        }
        let survey = scratch.wiki().survey().unwrap();
        assert_eq!((survey.files, survey.pages), (6, 5));
        assert_eq!(
            survey.colliding,
            [("Dir".into(), "dir".into()), ("Home.md".into(), "home.md".into())]
        );
        let refused: Vec<_> = survey.refused.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(refused, ["a:b.md", "cafe\u{301}.md"]);
        assert_eq!(survey.with_capitals, ["Dir/one.md", "Home.md"]);
    }
}
