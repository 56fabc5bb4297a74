//! Validation of a clone or fetch request, which is parsed and rewritten before git sees it.
//!
//! git reveals every object in the repository, not only those it advertises: a page in a history that
//! was rewritten, leftovers of a refused push, or a branch beside the wiki's. It acknowledges each
//! `have` of such an object, and protocol version 2 sends any object that is wanted. The rewritten
//! request therefore mentions only commits in the branch's history, only this branch, and only arguments
//! that are known here.

mod line;

use std::collections::HashSet;

use bytes::{BufMut as _, BytesMut};
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Revision, Wiki};

use crate::git::packet::{self, Packet};
use crate::git::request;
use line::{Line, Section};

/// Maximum number of commits that one request may want.
const MOST: usize = 1000;

/// The outcome of validating a request.
pub(super) enum Verdict {
    /// The request to pass to git.
    Ask(Vec<u8>),
    /// The response to the client, without running git.
    Refuse(BytesMut),
}

/// Validates a request in a protocol version such as `version=2`, for a wiki whose branch has this full
/// name.
///
/// # Errors
/// 400 if the request is malformed for this version; an error if the wiki can't be read.
pub(super) async fn checked(
    wiki: &Wiki,
    branch: &str,
    protocol: Option<&str>,
    asked: &[u8],
) -> Result<Verdict, Problem> {
    let is_second = protocol == Some("version=2");
    let lines = lines(asked, is_second)?;
    if let Some(what) = lines.iter().find_map(Line::unknown) {
        return Ok(refuse(&format!("{what} isn't offered here")));
    }
    let is_branch = |name: &str| is_branch(name, branch);
    if let Some(name) = lines.iter().filter_map(Line::excluded).find(|name| !is_branch(name)) {
        let name = name.escape_debug();
        return Ok(refuse(&format!("there is no branch {name} here that could be left out")));
    }
    let ids = lines.iter().filter_map(Line::id).collect();
    let known = wiki.in_history(ids).await.map_err(|error| error.problem())?;
    let mut wanted = lines.iter().filter_map(Line::wanted);
    if let Some(id) = wanted.find(|id| !known.contains(id)) {
        return Ok(refuse(&format!("not our ref {id}")));
    }
    Ok(Verdict::Ask(written(&lines, is_second, branch, &known)))
}

fn refuse(why: &str) -> Verdict {
    let mut answer = BytesMut::new();
    packet::put(&mut answer, format!("ERR upload-pack: {why}\n").as_bytes());
    Verdict::Refuse(answer)
}

/// Returns `true` if the name denotes the wiki's branch.
fn is_branch(name: &str, branch: &str) -> bool {
    let short = branch.strip_prefix("refs/").unwrap_or(branch);
    let shortest = short.strip_prefix("heads/").unwrap_or(short);
    [branch, short, shortest, "HEAD"].contains(&name)
}

/// Parses all lines and special packets.
fn lines(asked: &[u8], is_second: bool) -> Result<Vec<Line>, Problem> {
    let mut rest = BytesMut::from(asked);
    let mut section = if is_second { Section::Command(None) } else { Section::Wants };
    let (mut lines, mut wants) = (Vec::new(), 0);
    while let Some(packet) =
        Packet::take(&mut rest).map_err(|_| request::unreadable("no packet"))?
    {
        let line = match packet {
            Packet::Mark(mark) => {
                let after = section.after(mark);
                section = after.ok_or_else(|| request::unreadable("a mark is out of place"))?;
                Line::Mark(mark)
            }
            Packet::Data(data) => {
                let (line, next) = section.read(&data).map_err(request::unreadable)?;
                section = next;
                line
            }
        };
        wants += usize::from(line.wanted().is_some());
        if wants > MOST {
            return Err(request::unreadable("it asks for too much at once"));
        }
        lines.push(line);
    }
    if !rest.is_empty() {
        return Err(request::unreadable("it ends in the middle of a packet"));
    }
    Ok(lines)
}

/// Writes the request for git. Commits that the branch lacks are omitted, as git itself skips commits
/// that it lacks.
///
/// In version 2 an impossible object id replaces each omitted `have`: without any `have`, git takes the
/// request for a clone and answers differently. Versions 0 and 1 have no such rule, and git may name an
/// unknown object there in its response.
fn written(lines: &[Line], is_second: bool, branch: &str, known: &HashSet<Revision>) -> Vec<u8> {
    let nothing = Line::Have(Revision::from_bytes([0; 20]));
    let mut asked = BytesMut::new();
    for line in lines {
        let line = match (line, line.id().is_none_or(|id| known.contains(&id))) {
            (line, true) => line,
            (Line::Have(_), false) if is_second => &nothing,
            (_, false) => continue,
        };
        match line {
            Line::Mark(mark) => asked.put_slice(format!("{mark:04x}").as_bytes()),
            line => packet::put(&mut asked, line.written(branch).as_bytes()),
        }
    }
    asked.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    /// A request made of lines; `0000` and `0001` are special packets.
    fn request(lines: &[&str]) -> Vec<u8> {
        let mut asked = BytesMut::new();
        for line in lines {
            match *line {
                "0000" | "0001" => asked.extend_from_slice(line.as_bytes()),
                line => packet::put(&mut asked, format!("{line}\n").as_bytes()),
            }
        }
        asked.into()
    }

    /// The request that git gets if the branch has commit A, and the arguments that are refused.
    fn asked(is_second: bool, lines: &[&str]) -> Option<(Vec<u8>, Vec<String>)> {
        let lines = super::lines(&request(lines), is_second).ok()?;
        let unknown = lines.iter().filter_map(Line::unknown).map(str::to_owned).collect();
        let known = HashSet::from([A.parse().unwrap()]);
        Some((written(&lines, is_second, "refs/heads/main", &known), unknown))
    }

    #[test]
    fn git_hears_of_the_branch_only() {
        let (a, b) = (|name| format!("{name} {A}"), |name| format!("{name} {B}"));
        let first = [
            &a("want") as &str,
            &format!("want {A} side-band-64k agent=git/2"),
            &a("shallow"),
            &b("shallow"),
            "deepen 3",
            "deepen-since 12",
            "deepen-not main",
            "0000",
            &a("have"),
            &b("have"),
            "0000",
            "done",
        ];
        let second = [
            "command=fetch",
            "agent=git/2",
            "object-format=sha1",
            "0001",
            "thin-pack",
            "ofs-delta",
            &a("want"),
            &a("shallow"),
            &b("shallow"),
            "deepen-relative",
            "deepen-not HEAD",
            &a("have"),
            &b("have"),
            "done",
            "0000",
        ];
        for (is_second, lines) in [(false, &first[..]), (true, &second[..])] {
            let (asked, unknown) = asked(is_second, lines).unwrap();
            let nothing = format!("have {}", "0".repeat(40));
            let kept = lines.iter().filter_map(|line| match line {
                line if line.starts_with("deepen-not") => Some("deepen-not refs/heads/main"),
                line if *line == b("have") => is_second.then_some(nothing.as_str()),
                line => (!line.contains(B)).then_some(line),
            });
            assert_eq!(asked, request(&kept.collect::<Vec<_>>()));
            assert_eq!(unknown, [""; 0]);
        }
        let list = ["command=ls-refs", "0001", "peel", "symrefs", "ref-prefix refs/heads/", "0000"];
        assert_eq!(asked(true, &list).unwrap().0, request(&list));
        for probe in [&[][..], &["0000"]] {
            assert_eq!(asked(false, probe).unwrap().0, request(probe));
            assert_eq!(asked(true, probe).unwrap().0, request(probe));
        }
    }

    #[test]
    fn what_is_not_offered_does_not_get_to_git() {
        for line in ["filter blob:none", "deepen x", "deepen -1", "tree", "have", "done"] {
            assert_eq!(asked(false, &[line, "0000"]).unwrap().1, [line]);
        }
        for line in ["want-ref refs/heads/x", "filter blob:none", "packfile-uris https", "x"] {
            assert_eq!(asked(true, &["command=fetch", "0001", line, "0000"]).unwrap().1, [line]);
        }
        for line in ["command=object-info", "command=bundle-uri", "object-format=sha256", "x=y"] {
            assert_eq!(asked(true, &[line, "0000"]).unwrap().1, [line]);
        }
        assert_eq!(
            asked(true, &["command=ls-refs", "0001", "oid x", "0000"]).unwrap().1,
            ["oid x"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let (want, have) = (&format!("want {A}"), &format!("have {A}"));
        for lines in [
            &["want x", "0000"][..],
            &["want ", "0000"],
            &["want", "0000"],
            &[want, "0001"],
            &[want, "0000", "have x"],
            &[want, "0000", have, "0001"],
            &["shallow x"],
            &["a\0b"],
            &[""],
        ] {
            assert_eq!(asked(false, lines), None, "{lines:?}");
        }
        for lines in [
            &["command=fetch", "0001", want, "0000", have][..],
            &["command=fetch", "0001", want, "0000", "0000"],
            &["command=fetch", "0001", want, "0001", "0000"],
            &["command=fetch", "command=fetch", "0000"],
            &["command=fetch", "0001", &format!("{want} thin-pack"), "0000"],
            &["command=fetch", "0001", "have x", "0000"],
            &["0001", "0000"],
        ] {
            assert_eq!(asked(true, lines), None, "{lines:?}");
        }
        for bad in ["001", "0009want", "zzzz", "0032want ", "0004", "0002"] {
            assert!(super::lines(bad.as_bytes(), false).is_err(), "{bad}");
            assert!(super::lines(bad.as_bytes(), true).is_err(), "{bad}");
        }
        let many = vec![want.as_str(); MOST + 1];
        assert_eq!(asked(false, &many), None);
    }

    #[test]
    fn the_branch_has_all_its_names() {
        for name in ["refs/heads/main", "heads/main", "main", "HEAD"] {
            assert!(is_branch(name, "refs/heads/main"), "{name}");
        }
        for name in ["", "refs/heads/other", "refs/wiki/backup/1", "main^", "mai", A] {
            assert!(!is_branch(name, "refs/heads/main"), "{name}");
        }
    }
}
