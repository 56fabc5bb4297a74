//! The commands of a push: refs with their old and new object ids.

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use wikigrove_tenant::Revision;
use wikigrove_tenant::problem::Problem;

use crate::git::packet::{self, FLUSH, Packet};
use crate::git::request::{self, Body, unreadable};

/// Maximum size of the commands, in bytes.
const LONGEST: usize = 256 * 1024;
/// The all-zero object id, which stands for a missing commit.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// The commands of a push. A pack follows, unless all commands are deletions.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) commands: Vec<Command>,
    pub(super) wishes: Wishes,
    /// Lines about the client's shallow boundaries, passed on to git.
    pub(super) shallow: Vec<Bytes>,
}

/// A change to one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The old object id; `None` if the client expects the ref not to exist.
    pub(super) old: Option<Revision>,
    /// The new object id; `None` to delete the ref.
    pub(super) new: Option<Revision>,
    /// The full ref name, such as `refs/heads/main`; without whitespace and control characters.
    pub(super) name: String,
}

/// The capabilities that the client requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// Report the result of each command.
    pub(super) report: bool,
    /// Send messages for the user in a side band.
    pub(super) words: bool,
    /// Apply all commands or none.
    pub(super) atomic: bool,
    pub(super) quiet: bool,
}

/// Reads all commands. Bytes that follow them, the start of the pack, are left in `read`. `None` if
/// there are no commands: clients send such requests to find out whether they are authorised.
pub(super) async fn read(body: &mut Body, read: &mut BytesMut) -> Result<Option<Asked>, Problem> {
    let mut asked = Asked::default();
    let mut seen = 0;
    loop {
        let before = read.len();
        match Packet::take(read).map_err(|_| unreadable("it has no packets"))? {
            Some(Packet::Mark(0)) => return Ok((!asked.commands.is_empty()).then_some(asked)),
            Some(Packet::Mark(_)) => return Err(unreadable("its commands have parts")),
            Some(Packet::Data(data)) => asked.take(data)?,
            None => {
                read.reserve(8 * 1024);
                let got = body.read_buf(read).await;
                if got.map_err(|_| unreadable("it ended early"))? == 0 {
                    return match (read.is_empty(), asked.commands.is_empty()) {
                        (true, true) => Ok(None),
                        _ => Err(unreadable("it ended early")),
                    };
                }
                continue;
            }
        }
        seen += before - read.len();
        if seen > LONGEST {
            return Err(request::too_large(LONGEST as u64));
        }
    }
}

impl Asked {
    fn take(&mut self, data: Bytes) -> Result<(), Problem> {
        if data.starts_with(b"shallow ") {
            self.shallow.push(data);
            return Ok(());
        }
        let line = Packet::line(&data);
        let mut parts = line.splitn(2, |byte| *byte == 0);
        let command = Command::parse(parts.next().unwrap_or_default())?;
        if let Some(wishes) = parts.next()
            && self.commands.is_empty()
        {
            self.wishes = Wishes::parse(wishes)?;
        }
        self.commands.push(command);
        Ok(())
    }

    /// Returns `true` if a pack follows.
    pub(super) fn has_pack(&self) -> bool {
        self.commands.iter().any(|command| command.new.is_some())
    }

    /// The same push with only one command, for git. It always requests a report and a side band,
    /// independently of the client's capabilities.
    pub(super) fn only(&self, command: &Command) -> BytesMut {
        let mut bytes = BytesMut::new();
        self.shallow.iter().for_each(|line| packet::put(&mut bytes, line));
        let id = |id: Option<Revision>| id.map_or_else(|| NOTHING.to_owned(), |id| id.to_string());
        let quiet = if self.wishes.quiet { " quiet" } else { "" };
        let (old, new) = (id(command.old), id(command.new));
        let line = format!("{old} {new} {}\0report-status side-band-64k{quiet}", command.name);
        packet::put(&mut bytes, line.as_bytes());
        bytes.extend_from_slice(FLUSH);
        bytes
    }
}

impl Command {
    fn parse(line: &[u8]) -> Result<Self, Problem> {
        if line.starts_with(b"push-cert") {
            return Err(unreadable("signed pushes are not taken here"));
        }
        let bad = || unreadable("a command isn't two commits and a name");
        let line = std::str::from_utf8(line).map_err(|_| bad())?;
        let mut parts = line.splitn(3, ' ');
        let mut id = || match parts.next() {
            Some(NOTHING) => Ok(None),
            Some(id) => id.parse().map(Some).map_err(|_| bad()),
            None => Err(bad()),
        };
        let (old, new) = (id()?, id()?);
        let name = parts.next().ok_or_else(bad)?;
        let is_odd = |c: char| c.is_control() || c.is_whitespace();
        if !name.starts_with("refs/") || name.len() > 1000 || name.contains(is_odd) {
            return Err(unreadable("what is to be changed has no name that git could have"));
        }
        Ok(Self { old, new, name: name.to_owned() })
    }
}

impl Wishes {
    fn parse(words: &[u8]) -> Result<Self, Problem> {
        let mut wishes = Self::default();
        for word in words.split(|byte| *byte == b' ') {
            match word {
                // A version 2 report may have more details, but needn't.
                b"report-status" | b"report-status-v2" => wishes.report = true,
                b"side-band-64k" => wishes.words = true,
                b"atomic" => wishes.atomic = true,
                b"quiet" => wishes.quiet = true,
                b"push-options" => return Err(unreadable("push options are not taken here")),
                b"object-format=sha1" => {}
                _ if word.starts_with(b"object-format=") => {
                    return Err(unreadable("the wiki's objects are named by SHA-1"));
                }
                _ => {}
            }
        }
        Ok(wishes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    async fn parsed(bytes: &[u8]) -> Result<(Option<Asked>, BytesMut), Problem> {
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        let mut body = Body::plain(std::io::Cursor::new(rest.to_vec()));
        let mut buffer = BytesMut::from(first);
        let asked = read(&mut body, &mut buffer).await?;
        body.read_buf(&mut buffer).await.unwrap();
        Ok((asked, buffer))
    }

    fn packets(lines: &[&str]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        lines.iter().for_each(|line| packet::put(&mut bytes, line.as_bytes()));
        bytes.extend_from_slice(FLUSH);
        bytes.to_vec()
    }

    #[tokio::test]
    async fn commands_are_read_and_the_pack_is_left() {
        let first =
            format!("{NOTHING} {A} refs/heads/main\0 report-status-v2 side-band-64k atomic");
        let second = format!("{A} {NOTHING} refs/tags/v1\n");
        let mut bytes = packets(&[&format!("shallow {A}"), &first, &second]);
        bytes.extend_from_slice(b"PACK...");
        let (asked, rest) = parsed(&bytes).await.unwrap();
        let asked = asked.unwrap();
        assert_eq!(&rest[..], b"PACK...");
        let wishes = Wishes { report: true, words: true, atomic: true, quiet: false };
        assert_eq!(asked.wishes, wishes);
        assert_eq!((asked.commands[0].old, asked.commands[1].new), (None, None));
        assert_eq!(asked.commands[1].name, "refs/tags/v1");
        assert!(asked.has_pack());
        let only = asked.only(&asked.commands[0]);
        let line = format!("{NOTHING} {A} refs/heads/main\0report-status side-band-64k");
        assert_eq!(only, packets(&[&format!("shallow {A}"), &line]));
    }

    #[tokio::test]
    async fn nothing_at_all_is_a_question_whether_one_is_let_in() {
        assert_eq!(parsed(b"0000").await.unwrap().0, None);
        assert_eq!(parsed(b"").await.unwrap().0, None);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        for line in [
            "push-cert\0side-band-64k".to_owned(),
            format!("{A} refs/heads/main"),
            format!("{A} {A}"),
            format!("{A} {A} main"),
            format!("{A} {A} refs/heads/a\tb"),
            format!("{A} {} refs/heads/main", A.to_uppercase()),
            format!("{A} {A} refs/heads/main\0push-options"),
            format!("{A} {A} refs/heads/main\0object-format=sha256"),
            format!("{A} {A} refs/heads/{}", "x".repeat(1000)),
        ] {
            assert!(parsed(&packets(&[&line])).await.is_err(), "{line:?}");
        }
        let many = vec![format!("{A} {A} refs/heads/main"); 5000];
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(parsed(&packets(&many)).await.is_err());
        assert!(parsed(&packets(&[&format!("{A} {A} refs/heads/main")])[..60]).await.is_err());
    }
}
