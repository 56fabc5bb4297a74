//! Reports on imported wikis: files that couldn't be created here.

mod styles;

use std::collections::HashMap;

use crate::error::Error;
use crate::page_path::{ExistingPath, PagePath, fold};
use crate::wiki::Wiki;

/// Pages that Gollum, Gitea and GitHub show beside every page of their folder.
const BESIDE: [&str; 3] = ["_Sidebar.md", "_Footer.md", "_Header.md"];

/// The formats of pages in other wikis, by the ends of their files.
const FORMATS: [(&str, &str); 18] = [
    ("adoc", "AsciiDoc"),
    ("asc", "AsciiDoc"),
    ("asciidoc", "AsciiDoc"),
    ("creole", "Creole"),
    ("htm", "HTML"),
    ("html", "HTML"),
    ("markdown", "Markdown, and its name doesn't end in .md"),
    ("mdown", "Markdown, and its name doesn't end in .md"),
    ("mediawiki", "MediaWiki's"),
    ("mkd", "Markdown, and its name doesn't end in .md"),
    ("mkdn", "Markdown, and its name doesn't end in .md"),
    ("org", "Org"),
    ("pod", "Pod"),
    ("rdoc", "RDoc"),
    ("rest", "reStructuredText"),
    ("rst", "reStructuredText"),
    ("textile", "Textile"),
    ("wiki", "MediaWiki's"),
];

/// The format of a page that isn't one here, by the name of its file.
fn format_of(file: &str) -> Option<&'static str> {
    let (_, end) = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    let end = end.to_ascii_lowercase();
    FORMATS.iter().find(|(known, _)| *known == end).map(|(_, format)| *format)
}

/// The differences of a wiki's files from files that could be created in it. All of them stay readable.
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
    /// Pages of other formats than Markdown in `.md`, each with its format. Here they are files.
    pub formats: Vec<(String, &'static str)>,
    /// Pages that other programs show beside every page.
    pub beside: Vec<String>,
    /// Files whose names have capitals.
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
        let file = name.rsplit('/').next().unwrap_or(name);
        if BESIDE.contains(&file) {
            self.beside.push(name.to_owned());
        }
        self.formats.extend(format_of(file).map(|format| (name.to_owned(), format)));
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

    #[test]
    fn pages_of_other_programs_are_found() {
        let scratch = Scratch::new();
        let files =
            ["_Sidebar.md", "dir/_Footer.md", "R.rst", "dir/O.ORG", "notes.txt", ".rst", "page.md"];
        files.iter().for_each(|file| drop(scratch.commit_with_git(file, "x")));
        let survey = scratch.wiki().survey().unwrap();
        assert_eq!(survey.beside, ["_Sidebar.md", "dir/_Footer.md"]);
        let formats: Vec<_> = survey.formats.iter().map(|(name, of)| (&**name, *of)).collect();
        assert_eq!(formats, [("R.rst", "reStructuredText"), ("dir/O.ORG", "Org")]);
    }
}
