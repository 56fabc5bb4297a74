//! The findings of `git fsck` in incoming objects, sorted into carried and refused ones.
//!
//! All transfers use this list: import, update, push and synchronisation. A finding that isn't listed keeps git's
//! severity; in a transfer, git also refuses findings that it only warns of elsewhere.

use std::fmt;

/// The kind of transfer that settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// For `git fetch`.
    Fetch,
    /// For `git receive-pack`.
    Receive,
}

/// Findings that are carried: the objects are complete, every git reads them, and their ids would change if they
/// were repaired.
const CARRIED: &[&str] = &[
    // Old tools wrote the mode of folders with a leading zero. It is the same mode.
    "zeroPaddedFilemode",
    // Importers and damaged configurations wrote such authors and dates. They are only shown, as far as they can be
    // parsed.
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "zeroPaddedDate",
];

/// The harm that a refused object could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// A clone of the object would write outside its directory or into git's own, or run a command.
    Clone,
    /// The object is malformed: programs read it differently, or not at all.
    Broken,
}

/// Findings that are refused, with the harm and a description.
const REFUSED: &[(&str, Harm, &str)] = &[
    ("hasDot", Harm::Clone, "has an entry named `.`"),
    ("hasDotdot", Harm::Clone, "has an entry named `..`, which leads out of the folder"),
    ("hasDotgit", Harm::Clone, "has an entry that a clone would write into its `.git`"),
    ("fullPathname", Harm::Clone, "has an entry with a slash in its name"),
    ("emptyName", Harm::Clone, "has an entry without a name"),
    ("gitmodulesBlob", Harm::Clone, "has a `.gitmodules` that is no file"),
    ("gitmodulesLarge", Harm::Clone, "is a `.gitmodules` that is too large to be checked"),
    ("gitmodulesMissing", Harm::Clone, "is a `.gitmodules` that is missing and can't be checked"),
    ("gitmodulesName", Harm::Clone, "is a `.gitmodules` with a name that leads out of the clone"),
    ("gitmodulesPath", Harm::Clone, "is a `.gitmodules` with a path that git takes for an option"),
    ("gitmodulesSymlink", Harm::Clone, "has a `.gitmodules` that is a symbolic link"),
    ("gitmodulesUpdate", Harm::Clone, "is a `.gitmodules` that runs a command"),
    ("gitmodulesUrl", Harm::Clone, "is a `.gitmodules` with a URL that git takes for an option"),
    ("gitattributesBlob", Harm::Broken, "has a `.gitattributes` that is no file"),
    ("gitattributesLarge", Harm::Broken, "is a `.gitattributes` that is too large for git"),
    ("gitattributesLineLength", Harm::Broken, "is a `.gitattributes` with a line too long for git"),
    ("gitattributesMissing", Harm::Broken, "is a `.gitattributes` that is missing"),
    ("largePathname", Harm::Broken, "has an entry whose name is too long"),
    ("nullSha1", Harm::Broken, "has an entry that names no object"),
    ("badTree", Harm::Broken, "is a folder that can't be read"),
    ("treeNotSorted", Harm::Broken, "is a folder whose entries aren't in order"),
    ("duplicateEntries", Harm::Broken, "is a folder with two entries of one name"),
    ("nulInCommit", Harm::Broken, "is a commit with a NUL byte, where its text ends for git"),
    ("nulInHeader", Harm::Broken, "has a NUL byte in its header"),
    ("unterminatedHeader", Harm::Broken, "has a header that is cut off"),
    ("missingTree", Harm::Broken, "is a commit that names no folder"),
    ("badTreeSha1", Harm::Broken, "is a commit that names its folder in a wrong way"),
    ("badParentSha1", Harm::Broken, "is a commit that names its parent in a wrong way"),
    ("badObjectSha1", Harm::Broken, "names an object in a wrong way"),
    ("missingAuthor", Harm::Broken, "is a commit without an author"),
    ("missingCommitter", Harm::Broken, "is a commit without a committer"),
    ("badType", Harm::Broken, "is of a type that doesn't exist"),
    ("unknownType", Harm::Broken, "is of a type that doesn't exist"),
    ("missingObject", Harm::Broken, "is a tag that names no object"),
    ("missingType", Harm::Broken, "is a tag that names no type"),
    ("missingTypeEntry", Harm::Broken, "is a tag that names no type"),
    ("missingTag", Harm::Broken, "is a tag that is cut off"),
    ("missingTagEntry", Harm::Broken, "is a tag without a name"),
];

/// Findings that git itself lets pass, since no git acts on them: `badFilemode`, `badTagName`, `extraHeaderEntry`,
/// `gitattributesSymlink`, `gitignoreSymlink`, `gitmodulesParse`, `mailmapSymlink` and `missingTaggerEntry`. The
/// wiki ignores the permissions in a file's mode, and reads none of these files.
#[cfg(test)]
const PASSED: &[&str] = &[
    "badFilemode",
    "badTagName",
    "extraHeaderEntry",
    "gitattributesSymlink",
    "gitignoreSymlink",
    "gitmodulesParse",
    "mailmapSymlink",
    "missingTaggerEntry",
];

/// The settings that make git check every object of a transfer and accept the carried findings. Each is an argument
/// of `-c`.
pub fn settings(door: Door) -> Vec<String> {
    let section = match door {
        Door::Fetch => "fetch",
        Door::Receive => "receive",
    };
    let carried = CARRIED.iter().map(|finding| format!("{section}.fsck.{finding}=ignore"));
    std::iter::once(format!("{section}.fsckObjects=true")).chain(carried).collect()
}

/// A refused object and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The object's id.
    pub object: String,
    /// The name of the finding in `git fsck`.
    pub name: String,
    /// The harm that the object could do.
    pub harm: Harm,
    why: &'static str,
}

impl Finding {
    /// Parses the first refused object from git's output.
    pub fn of(said: &str) -> Option<Self> {
        said.lines().find_map(|line| {
            let (_, rest) = line.split_once("object ")?;
            let (object, rest) = rest.split_once(": ")?;
            let (name, _) = rest.split_once(": ")?;
            let is_id = object.len() == 40 && object.bytes().all(|byte| byte.is_ascii_hexdigit());
            let (_, harm, why) = *REFUSED.iter().find(|(known, ..)| *known == name)?;
            let (object, name) = (object.to_owned(), name.to_owned());
            is_id.then_some(Self { object, name, harm, why })
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, name, why, .. } = self;
        write!(f, "object {object} {why} (git fsck: {name})")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The findings known to the installed git.
    fn known() -> BTreeSet<String> {
        let output = crate::git_program::command()
            .args(["help", "--config-for-completion"])
            .output()
            .unwrap();
        let names = String::from_utf8(output.stdout).unwrap();
        let names = names.lines().filter_map(|line| line.strip_prefix("fsck."));
        names.map(str::to_owned).filter(|name| name != "skipList").collect()
    }

    #[test]
    fn every_finding_of_git_is_sorted_once() {
        let all = CARRIED.iter().chain(REFUSED.iter().map(|(name, ..)| name)).chain(PASSED);
        let mut sorted: Vec<_> = all.map(|name| (*name).to_owned()).collect();
        let count = sorted.len();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), count, "none is sorted twice");
        // Findings about refs don't concern objects and don't come in by a transfer.
        let open: Vec<_> = known().into_iter().filter(|name| !name.starts_with("badRef")).collect();
        let open: Vec<_> = open.iter().filter(|name| !sorted.contains(name)).collect();
        assert!(open.is_empty(), "not sorted yet: {open:?}");
    }

    #[test]
    fn a_refused_object_is_named_in_plain_words() {
        let id = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let said = format!(
            "remote: Counting objects: 3\nerror: object {id}: hasDotgit: contains '.git'\n\
             fatal: fsck error in packed object\n"
        );
        let finding = Finding::of(&said).unwrap();
        assert_eq!(finding.harm, Harm::Clone);
        let text = finding.to_string();
        assert!(text.contains(id) && text.contains("into its `.git`"), "{text}");
        for said in ["", "fatal: early EOF", "error: object x: hasDotgit: y", "object 1: 2"] {
            assert_eq!(Finding::of(said), None, "{said}");
        }
    }
}
