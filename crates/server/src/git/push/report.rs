//! The report of a push to the client: the result of each command, and messages for the user.

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::commands::{Asked, Wishes};
use crate::git::fetch::Piece;
use crate::git::packet::{self, FLUSH, Packet};

/// The longest reason for a refusal that stands in one line with the branch.
const SHORT: usize = 160;

/// A refusal of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Short reason; git shows it after the branch.
    pub(super) reason: String,
    /// Full explanation; git shows it after `remote:`.
    pub(super) lines: Vec<String>,
}

impl Refused {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: clean(&reason.into()), lines: Vec::new() }
    }

    /// A refusal with an explanation; a single short line also serves as the reason.
    pub(super) fn explained(lines: Vec<String>) -> Self {
        let reason = match lines.as_slice() {
            [only] if only.len() <= SHORT => only,
            _ => "refused; the lines above say why",
        };
        Self { reason: clean(reason), lines: lines.iter().map(|line| clean(line)).collect() }
    }
}

/// Replaces control characters, so that the text is one line and harmless to terminals.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The response stream to the client.
pub(super) struct Out {
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) wishes: Wishes,
}

impl Out {
    /// Sends a message for the user. Does nothing if the client is gone; other code notices that.
    pub(super) async fn say(&self, words: &[u8]) {
        if self.wishes.words {
            let mut bytes = BytesMut::new();
            packet::put_band(&mut bytes, 2, words);
            self.send(bytes.freeze()).await;
        }
    }

    /// Sends an empty progress packet, which keeps proxies from closing the connection. It is skipped if
    /// the client hasn't read the previous packets.
    pub(super) fn keep_alive(&self) {
        if self.wishes.words {
            let _ = self.pieces.try_send(Ok(Bytes::from_static(b"0005\x01")));
        }
    }

    /// Ends the response with the result of each command.
    pub(super) async fn finish(self, asked: &Asked, results: &[Result<(), Refused>]) {
        for refused in results.iter().filter_map(|result| result.as_ref().err()) {
            let words: String = refused.lines.iter().map(|line| format!("{line}\n")).collect();
            self.say(words.as_bytes()).await;
        }
        let mut answer = BytesMut::new();
        if self.wishes.report {
            let report = report(asked, results);
            match self.wishes.words {
                true => packet::put_band(&mut answer, 1, &report),
                false => answer = report,
            }
        }
        if self.wishes.words {
            answer.extend_from_slice(FLUSH);
        }
        self.send(answer.freeze()).await;
    }

    async fn send(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            let _ = self.pieces.send(Ok(bytes)).await;
        }
    }
}

fn report(asked: &Asked, results: &[Result<(), Refused>]) -> BytesMut {
    let mut report = BytesMut::new();
    packet::put(&mut report, b"unpack ok\n");
    for (command, result) in asked.commands.iter().zip(results) {
        let line = match result {
            Ok(()) => format!("ok {}\n", command.name),
            Err(refused) => format!("ng {} {}\n", command.name, refused.reason),
        };
        packet::put(&mut report, line.as_bytes());
    }
    report.extend_from_slice(FLUSH);
    report
}

/// The result of one branch in git's own report; `None` if the report is incomplete.
pub(super) fn said_of(report: &[u8], name: &str) -> Option<Result<(), Refused>> {
    let mut rest = BytesMut::from(report);
    let mut unpacked = None;
    while let Ok(Some(Packet::Data(data))) = Packet::take(&mut rest) {
        let line = String::from_utf8_lossy(Packet::line(&data)).into_owned();
        let (word, of) = line.split_once(' ')?;
        match word {
            "unpack" if of == "ok" => unpacked = Some(Ok(())),
            "unpack" => unpacked = Some(Err(Refused::because(format!("can't be unpacked: {of}")))),
            "ok" if of == name => return unpacked,
            "ng" => {
                if let Some(reason) = of.strip_prefix(name).and_then(|of| of.strip_prefix(' ')) {
                    return match unpacked? {
                        // A bad pack is the reason why the branch didn't move.
                        Err(refused) => Some(Err(refused)),
                        Ok(()) => Some(Err(Refused::because(reason))),
                    };
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "refs/heads/main";

    fn said(lines: &[&str]) -> Option<Result<(), Refused>> {
        let mut report = BytesMut::new();
        lines.iter().for_each(|line| packet::put(&mut report, line.as_bytes()));
        report.extend_from_slice(FLUSH);
        said_of(&report, MAIN)
    }

    #[test]
    fn a_report_says_what_became_of_the_branch() {
        assert_eq!(said(&["unpack ok\n", "ok refs/heads/main\n"]), Some(Ok(())));
        let no = Refused::because("non-fast-forward");
        assert_eq!(said(&["unpack ok\n", "ng refs/heads/main non-fast-forward\n"]), Some(Err(no)));
        let no = Refused::because("can't be unpacked: index-pack abnormal exit");
        let lines = ["unpack index-pack abnormal exit\n", "ng refs/heads/main unpacker error\n"];
        assert_eq!(said(&lines), Some(Err(no)));
    }

    #[test]
    fn half_a_report_says_nothing() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&["unpack ok\n"]), None);
        assert_eq!(said(&["ok refs/heads/main\n"]), None);
        assert_eq!(said(&["unpack ok\n", "ok refs/heads/mainly\n"]), None);
    }

    #[test]
    fn one_short_line_is_the_reason_and_many_are_read_above() {
        let one = Refused::explained(vec!["a.md: is a \u{1b}[31mlink".to_owned()]);
        assert_eq!(one.reason, "a.md: is a  [31mlink");
        let many = Refused::explained(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(
            (many.reason.as_str(), many.lines.len()),
            ("refused; the lines above say why", 2)
        );
    }
}
