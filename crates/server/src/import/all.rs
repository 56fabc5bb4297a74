//! Imports all wikis in a directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use wikigrove_tenant::Slug;
use wikigrove_tenant::storage::otterwiki::slugify;

use super::ImportError;
use super::foreign::{Folder, Kind, link};
use super::source::recognise;

/// A directory that can be imported, and the name of the wiki.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The path of the directory.
    pub path: PathBuf,
    /// The slug made of the directory's name, or the reason why there is none.
    pub slug: Result<Slug, String>,
}

/// Returns the directories directly in `dir` that can be imported, and the number of other entries.
///
/// # Errors
/// `dir` can't be read.
pub fn candidates(dir: &Path) -> Result<(Vec<Candidate>, usize), ImportError> {
    let folder = Folder::open(
        &dir.canonicalize()
            .map_err(|source| ImportError::Unreadable { path: dir.to_owned(), source })?,
    )?;
    let mut taken = HashMap::new();
    let (mut candidates, mut directories) = (Vec::new(), 0);
    for (name, kind) in folder.entries()? {
        let path = dir.join(&name);
        let slug = match kind {
            Kind::Folder => {
                directories += 1;
                match recognise(&path) {
                    Err(ImportError::Unknown { .. }) => continue,
                    // Defects of the source are reported by its import.
                    _ => slug_of(&name.to_string_lossy()),
                }
            }
            // The owner of the link may have no right to the files that it leads to.
            Kind::Link if path.is_dir() => {
                directories += 1;
                Err(link(&path).to_string())
            }
            _ => continue,
        };
        let name = name.to_string_lossy().into_owned();
        let slug = slug.and_then(|slug| match taken.insert(slug.clone(), name) {
            None => Ok(slug),
            Some(first) => Err(format!("the slug `{slug}` goes to `{first}`")),
        });
        candidates.push(Candidate { path, slug });
    }
    let others = directories - candidates.len();
    Ok((candidates, others))
}

/// Makes a slug of a directory's name.
fn slug_of(name: &str) -> Result<Slug, String> {
    let plain = slugify(name, false).replace('_', "-");
    let parts: Vec<_> = plain.split('-').filter(|part| !part.is_empty()).collect();
    let joined = parts.join("-");
    let mut cut: String = joined.chars().take(58).collect();
    cut.truncate(cut.trim_end_matches('-').len());
    // A prefix makes a slug of a name that is reserved or too short.
    let slug = cut.parse().or_else(|_| format!("wiki-{cut}").parse());
    slug.map_err(|_| format!("no slug can be made of `{}`", name.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_made_of_names() {
        for (name, slug) in [
            ("garden", "garden"),
            ("My Wiki_2", "my-wiki-2"),
            ("Äpfel & Birnen", "apfel-birnen"),
            ("admin", "wiki-admin"),
            ("--x--", "x"),
        ] {
            assert_eq!(slug_of(name).unwrap().as_str(), slug, "{name}");
        }
        assert_eq!(slug_of(&"a-".repeat(60)).unwrap().as_str().len(), 57);
        slug_of("日本").unwrap_err();
    }

    #[test]
    fn the_second_of_two_alike_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["Garden", "garden", "empty"] {
            std::fs::create_dir_all(dir.path().join(name).join("objects")).unwrap();
            if name != "empty" {
                std::fs::write(dir.path().join(name).join("HEAD"), "ref: refs/heads/main\n")
                    .unwrap();
            }
        }
        let (found, others) = candidates(dir.path()).unwrap();
        assert_eq!((found.len(), others), (2, 1));
        assert!(found[0].slug.is_ok());
        assert!(found[1].slug.as_ref().unwrap_err().contains("Garden"));
    }
}
