//! Commits as git reads them, including those whose author lines gix refuses.
//!
//! Old tools wrote authors without an address, without a date, twice, or in an old encoding. git reads the
//! valid parts of such a line; gix refuses the commit, and with it every walk through the history.

use std::borrow::Cow;

use gix::objs::{CommitRefIter, Data, Find, FindHeader, Header, Kind};

use crate::author::Author;

/// An object store in which walks can pass every commit.
pub(super) struct Walkable<T>(pub(super) T);

impl<T: Find> Find for Walkable<T> {
    fn try_find<'a>(
        &self,
        id: &gix::oid,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<Data<'a>>, gix::Error> {
        let Some(found) = self.0.try_find(id, buffer)? else { return Ok(None) };
        let (kind, object_hash, length) = (found.kind, found.object_hash, found.data.len());
        let plain = if kind == Kind::Commit { walkable(found.data) } else { None };
        match plain {
            Some(plain) => *buffer = plain,
            None => buffer.truncate(length),
        }
        Ok(Some(Data { kind, object_hash, data: buffer }))
    }
}

impl<T: FindHeader> FindHeader for Walkable<T> {
    fn try_header(&self, id: &gix::oid) -> Result<Option<Header>, gix::Error> {
        self.0.try_header(id)
    }
}

/// The parts of a commit that walks need (tree, parents and commit time), rewritten for gix; `None` if gix can
/// read the original.
fn walkable(commit: &[u8]) -> Option<Vec<u8>> {
    if CommitRefIter::from_bytes(commit, gix::hash::Kind::Sha1).committer().is_ok() {
        return None;
    }
    let is_link = |line: &&[u8]| line.starts_with(b"tree ") || line.starts_with(b"parent ");
    let mut plain = Vec::with_capacity(commit.len().min(1024));
    for line in commit.split_inclusive(|byte| *byte == b'\n').take_while(is_link) {
        plain.extend_from_slice(line);
    }
    let time = committed(commit);
    plain.extend(format!("author x <> {time} +0000\ncommitter x <> {time} +0000\n\n").bytes());
    Some(plain)
}

/// The commit time, in seconds since 1970; 0 if it can't be read.
pub(super) fn committed(commit: &[u8]) -> i64 {
    Signature::of(Said::of(commit).committer).seconds
}

/// The people, the encoding and the message of a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said<'a> {
    author: &'a [u8],
    committer: &'a [u8],
    encoding: &'a [u8],
    message: &'a [u8],
}

impl<'a> Said<'a> {
    /// Reads a commit. The last of several headers of the same name counts, as in git's formats.
    pub(super) fn of(commit: &'a [u8]) -> Self {
        let mut said = Self::default();
        let mut rest = commit;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            if line.is_empty() {
                said.message = rest;
                break;
            }
            for (name, field) in [
                (&b"author "[..], &mut said.author),
                (b"committer ", &mut said.committer),
                (b"encoding ", &mut said.encoding),
            ] {
                if let Some(value) = line.strip_prefix(name) {
                    *field = value;
                }
            }
        }
        said
    }

    /// The author, and the time in seconds since 1970 (0 if it can't be read).
    pub(super) fn author(&self) -> (Author, i64) {
        let Signature { name, email, seconds, has_zone } = Signature::of(self.author);
        let time = if has_zone { seconds } else { 0 };
        (Author::recorded(self.text(name), self.text(email)), time)
    }

    /// The message.
    pub(super) fn message(&self) -> String {
        self.text(self.message)
    }

    fn text(&self, text: &[u8]) -> String {
        decoded(text, self.encoding).into_owned()
    }
}

/// An author or committer line, as far as git can read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Signature<'a> {
    name: &'a [u8],
    email: &'a [u8],
    /// Seconds since 1970; 0 if the line has none.
    seconds: i64,
    /// True if a time zone follows the seconds; without one git shows no date.
    has_zone: bool,
}

impl<'a> Signature<'a> {
    /// Parses a line. The name ends before the first `<`, the address before the next `>`, and the date
    /// begins after the last `>`. git ignores a line without an address.
    fn of(line: &'a [u8]) -> Self {
        let position = |of: u8, from: usize| {
            line[from..].iter().position(|byte| *byte == of).map(|at| at + from)
        };
        let Some(open) = position(b'<', 0) else { return Self::default() };
        let Some(close) = position(b'>', open) else { return Self::default() };
        let last = line.iter().rposition(|byte| *byte == b'>').unwrap_or(close);
        let name = line[..open].trim_ascii_end();
        let (seconds, zone) = date(&line[last + 1..]);
        let has_zone = matches!(zone, [b'+' | b'-', b'0'..=b'9', ..]);
        Self { name, email: &line[open + 1..close], seconds, has_zone }
    }
}

/// Parses the number at the beginning; returns it with the rest.
fn date(text: &[u8]) -> (i64, &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let digits = std::str::from_utf8(&text[..end]).unwrap_or_default();
    (digits.parse().unwrap_or(0), text[end..].trim_ascii_start())
}

/// Decodes a text from the encoding that the commit names, or from UTF-8. Invalid bytes become U+FFFD.
fn decoded<'a>(text: &'a [u8], encoding: &[u8]) -> Cow<'a, str> {
    match encoding_of(encoding) {
        Some(encoding) => encoding.decode_without_bom_handling(text).0,
        None => String::from_utf8_lossy(text),
    }
}

/// The encoding of a name; `None` for UTF-8 and for unknown names.
fn encoding_of(name: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let name = name.trim_ascii().to_ascii_lowercase();
    // Names that git users have from iconv and from Windows.
    let label: &[u8] = match &*name {
        b"" => return None,
        b"cp932" | b"ms_kanji" | b"shiftjis" => b"shift_jis",
        b"cp936" => b"gbk",
        b"cp949" | b"uhc" | b"euckr" => b"euc-kr",
        b"cp950" => b"big5",
        b"eucjp" | b"ujis" => b"euc-jp",
        b"latin-1" | b"iso-latin-1" => b"latin1",
        other => other,
    };
    let encoding = encoding_rs::Encoding::for_label(label)?;
    let is_usual = encoding == encoding_rs::UTF_8 || encoding == encoding_rs::REPLACEMENT;
    (!is_usual).then_some(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";

    fn signature(line: &str) -> (String, String, i64) {
        let commit = format!("author {line}\n\n");
        let (author, time) = Said::of(commit.as_bytes()).author();
        (author.name().to_owned(), author.email().to_owned(), time)
    }

    #[test]
    fn people_are_read_as_git_reads_them() {
        let is = |line, name: &str, email: &str, time| {
            assert_eq!(signature(line), (name.to_owned(), email.to_owned(), time), "{line}");
        };
        is("Ann <a@b> 16 +0100", "Ann", "a@b", 16);
        is("Ann <a@b> 16 +051800", "Ann", "a@b", 16);
        is("Ann<a@b> 16 +0000", "Ann", "a@b", 16);
        is("Ann <a@b> <a@b> 16 +0000", "Ann", "a@b", 16);
        is("Ann <a@b>", "Ann", "a@b", 0);
        is("Ann <a@b> 00016 +0000", "Ann", "a@b", 16);
        is("Ann <a@b>16 +0000", "Ann", "a@b", 16);
        is("Ann <a@b> 99999999999999999999 +0000", "Ann", "a@b", 0);
        is("Ann <a@b> soon", "Ann", "a@b", 0);
        is("<a@b> 16 +0000", "", "a@b", 16);
        is("Ann <> 16 -0000", "Ann", "", 16);
        is("Ann <a@b> 16 +0000 (CET)", "Ann", "a@b", 16);
        is("Ann <a@b> 16", "Ann", "a@b", 0);
        is("Ann <a@b> 16 --700", "Ann", "a@b", 0);
        is("A>nn <a@b> 16 +0000", "A>nn", "a@b", 16);
        is("Ann 16 +0000", "", "", 0);
        is("Ann <a@b 16 +0000", "", "", 0);
        is("", "", "", 0);
    }

    #[test]
    fn a_commit_that_gix_reads_stays_as_it_is_and_any_other_can_be_walked_through() {
        let parent = "parent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";
        let commit = |people: &str| format!("{TREE}{parent}{people}\nx\n").into_bytes();
        let good = "author A <a@b> 1 +0000\ncommitter C <c@d> 2 +0000\n";
        assert_eq!(walkable(&commit(good)), None);
        for people in [
            "author A\ncommitter C <c@d> 2 +0000\n",
            "author A <a@b> soon\ncommitter C <c@d> 2 +0000\n",
            "author A <a@b> 1 +0000\nauthor B <a@b> 1 +0000\ncommitter C <c@d> 2 +0000\n",
            "committer C <c@d> 2 +0000\n",
        ] {
            let plain = walkable(&commit(people)).unwrap();
            let mut read = CommitRefIter::from_bytes(&plain, gix::hash::Kind::Sha1);
            assert_eq!(read.committer().unwrap().seconds(), 2, "{people}");
            assert_eq!(read.parent_ids().count(), 1, "{people}");
            assert!(read.tree_id().is_ok(), "{people}");
        }
        for people in ["author A\ncommitter C\n", "", "nonsense"] {
            let plain = walkable(&commit(people)).unwrap();
            let read = CommitRefIter::from_bytes(&plain, gix::hash::Kind::Sha1);
            assert_eq!(read.committer().unwrap().seconds(), 0, "{people}");
        }
    }

    #[test]
    fn a_commit_is_read_with_or_without_a_message() {
        let people = "author A <a@b> 1 +0000\ncommitter C <c@d> 2 +0000\n";
        let commit = format!("{TREE}{people}gpgsig x\n author Z <z> 9\n\nsubject\n\nauthor B\n");
        let said = Said::of(commit.as_bytes());
        assert_eq!(said.author().0.to_string(), "A <a@b>");
        assert_eq!(said.message(), "subject\n\nauthor B\n");
        for empty in [format!("{TREE}{people}"), format!("{TREE}{people}\n")] {
            assert_eq!(Said::of(empty.as_bytes()).message(), "");
        }
    }

    #[test]
    fn a_text_is_read_in_the_encoding_that_the_commit_names() {
        let read = |text: &[u8], encoding: &str| decoded(text, encoding.as_bytes()).into_owned();
        for name in ["SHIFT_JIS", "Shift-JIS", "sjis", "CP932", "windows-31j"] {
            assert_eq!(read(b"\x93\xfa\x96\x7b", name), "日本", "{name}");
        }
        for name in ["ISO-8859-1", "latin1", "Latin-1", "iso8859-1", "CP1252", "windows-1252"] {
            assert_eq!(read(b"caf\xe9", name), "café", "{name}");
        }
        assert_eq!(read(b"\xcf\xf0\xe8\xe2\xe5\xf2", "CP1251"), "Привет");
        assert_eq!(read(b"\xf0\xd2\xc9\xd7\xc5\xd4", "KOI8-R"), "Привет");
        assert_eq!(read(b"\xc6\xfc\xcb\xdc", "EUC-JP"), "日本");
        assert_eq!(read(b"\xc4\xe3\xba\xc3", "GB18030"), "你好");
        assert_eq!(read(b"\xc4\xe3\xba\xc3", "CP936"), "你好");
        for name in ["", "UTF-8", "utf8", "nonsense", "ISO-2022-KR"] {
            assert_eq!(read("日本".as_bytes(), name), "日本", "{name}");
            assert_eq!(read(b"caf\xe9", name), "caf\u{fffd}", "{name}");
        }
    }
}
