//! What a client may ask for.
//!
//! In version 2 of the protocol git gives whatever object it is asked for, if it only has it: a page of
//! a history that was taken back, or what a refused push left behind. So each request is read here.

use bytes::BytesMut;
use wikigrove_tenant::problem::Problem;
use wikigrove_tenant::{Revision, Wiki};

use crate::git::packet::{self, Packet};
use crate::git::request;

/// The most commits that one request may ask for.
const MOST: usize = 1000;

/// What to answer instead of asking git, if the request is for something that it may not give.
pub(super) async fn refused(wiki: &Wiki, asked: &[u8]) -> Result<Option<BytesMut>, Problem> {
    let wanted = wanted(asked)?;
    let Err(id) = wiki.may_fetch(wanted).await.map_err(|error| error.problem())? else {
        return Ok(None);
    };
    let mut answer = BytesMut::new();
    packet::put(&mut answer, format!("ERR upload-pack: not our ref {id}\n").as_bytes());
    Ok(Some(answer))
}

/// The objects of all `want` lines: they are the same in all versions of the protocol.
fn wanted(asked: &[u8]) -> Result<Vec<Revision>, Problem> {
    let mut rest = BytesMut::from(asked);
    let mut wanted = Vec::new();
    while let Some(packet) =
        Packet::take(&mut rest).map_err(|_| request::unreadable("no packet"))?
    {
        let Packet::Data(data) = packet else { continue };
        let Some(want) = Packet::line(&data).strip_prefix(b"want ") else { continue };
        // Behind the first one there may be capabilities.
        let id = want.split(|byte| *byte == b' ' || *byte == 0).next().unwrap_or_default();
        let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
        wanted.push(id.ok_or_else(|| request::unreadable("a `want` names no object"))?);
        if wanted.len() > MOST {
            return Err(request::unreadable("it asks for too much at once"));
        }
    }
    if !rest.is_empty() {
        return Err(request::unreadable("it ends in the middle of a packet"));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(asked: &[u8]) -> Option<Vec<String>> {
        let ids = wanted(asked).ok()?;
        Some(ids.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_want_is_seen_in_each_version() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let mut asked = BytesMut::new();
        packet::put(&mut asked, format!("want {a} multi_ack side-band-64k\n").as_bytes());
        packet::put(&mut asked, format!("want {b}\n").as_bytes());
        asked.extend_from_slice(b"0000");
        packet::put(&mut asked, b"done\n");
        assert_eq!(ids(&asked), Some(vec![a.clone(), b.clone()]));

        let mut asked = BytesMut::new();
        packet::put(&mut asked, b"command=fetch");
        asked.extend_from_slice(b"0001");
        packet::put(&mut asked, format!("want {b}").as_bytes());
        asked.extend_from_slice(b"0000");
        assert_eq!(ids(&asked), Some(vec![b]));
        assert_eq!(ids(b"0000"), Some(Vec::new()));
        assert_eq!(ids(b""), Some(Vec::new()));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in ["001", "0009want", "000awant x", "zzzz", "0032want "] {
            assert_eq!(ids(bad.as_bytes()), None, "{bad}");
        }
    }
}
