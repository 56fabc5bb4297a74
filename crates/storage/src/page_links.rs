//! The links of a page, in both directions.

use std::collections::HashSet;

use serde::Serialize;

use crate::changes::FileType;
use crate::error::Error;
use crate::index::{self, WrittenLink};
use crate::links::{LinkKind, LinkStyle, Target};
use crate::page_path::ExistingPath;
use crate::resolve::{Found, Resolved};
use crate::spelling::stored_page;
use crate::wiki::Wiki;

/// Maximum bytes of paths in an answer about one page's links: a link of a few bytes may lead to a path of a
/// thousand, and a page may have thousands of links.
const MAX_SHOWN: usize = 1 << 20;

/// The links from and to one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PageLinks {
    /// The targets of the page's links that exist, in the order of the page; each once.
    pub outgoing: Vec<OutgoingLink>,
    /// The page's links whose targets don't exist, each once.
    pub broken: Vec<BrokenLink>,
    /// True if the page has more links: at most a mebibyte of paths is returned.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The pages that link to this one, in byte order of their paths.
    pub incoming: Vec<IncomingLink>,
}

/// A link of the page to an existing target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutgoingLink {
    /// The path of the target.
    pub path: String,
    /// The type of the target.
    #[serde(rename = "type")]
    pub of: FileType,
    /// The syntax of the link.
    pub kind: LinkKind,
    /// The part after the `#`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment: Option<String>,
}

/// A link of the page to a missing target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenLink {
    /// The path of the missing target.
    pub target: String,
    /// The syntax of the link.
    pub kind: LinkKind,
    /// True if several pages or attachments have this name, so that the link has to give a longer path.
    #[serde(rename = "ambiguous", skip_serializing_if = "std::ops::Not::not")]
    pub is_ambiguous: bool,
}

/// A page that links to this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IncomingLink {
    /// Its path.
    pub path: String,
    /// Its title.
    pub title: String,
}

impl Wiki {
    /// Returns the links of a page, and up to `limit` pages after the path `after` that link to it. The page need
    /// not exist. While the index is being built (see [`index_progress`](Self::index_progress)), some linking pages
    /// may be missing.
    ///
    /// # Errors
    /// The page doesn't exist and no page links to it; wiki.db can't be read.
    pub fn page_links(
        &self,
        path: &ExistingPath,
        after: Option<&str>,
        limit: usize,
    ) -> Result<PageLinks, Error> {
        self.check_open()?;
        let not_found = || Error::NotFound { path: path.as_str().to_owned() };
        if self.head()?.is_none() {
            return Err(not_found());
        }
        let database = self.database()?;
        self.catch_up_a_little(database)?;
        let preferences = self.preferences()?;
        let (style, by_name) = (preferences.link_style(), preferences.links_by_name());
        let head = self.head()?.ok_or_else(not_found)?;
        let stored = stored_page(&self.repo().view(), head, path)?;
        // The index may have no row of the page yet.
        let exists = stored.is_some() || after.is_some();
        let spelt = stored.map(|(path, _)| path).or_else(|| path.composed());
        let path = spelt.as_ref().unwrap_or(path);
        database.read(|connection| {
            let (mut links, mut seen) = (PageLinks::default(), Seen::default());
            let incoming = index::incoming(connection, path.as_str(), by_name, after, limit)?;
            let incoming = incoming.into_iter();
            links.incoming = incoming.map(|(path, title)| IncomingLink { path, title }).collect();
            for link in self.written_links(connection, path, style)? {
                links.add(&mut seen, connection, path, (&link, by_name))?;
                if links.truncated {
                    break;
                }
            }
            if exists || !links.incoming.is_empty() { Ok(links) } else { Err(not_found()) }
        })
    }

    /// Returns the links of a page, from its text if the index lacks them.
    fn written_links(
        &self,
        connection: &rusqlite::Connection,
        path: &ExistingPath,
        style: LinkStyle,
    ) -> Result<Vec<WrittenLink>, Error> {
        if index::is_searched(connection, path.as_str())? {
            return Ok(index::outgoing(connection, path.as_str())?);
        }
        let Some(page) = index::get(connection, path.as_str())? else { return Ok(Vec::new()) };
        let content = self.blob(page.etag)?;
        Ok(index::unstored(path, &content, style))
    }
}

/// The links added so far, as sets: a page may have so many links that comparing each with all others would take hours.
#[derive(Default)]
struct Seen {
    outgoing: HashSet<(Found, LinkKind, Option<String>)>,
    broken: HashSet<(String, LinkKind)>,
    /// The bytes of their paths.
    bytes: usize,
}

impl Seen {
    /// Reserves `bytes`; returns `false` if the limit is exceeded.
    fn has_room(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.bytes <= MAX_SHOWN
    }
}

impl PageLinks {
    fn add(
        &mut self,
        seen: &mut Seen,
        connection: &rusqlite::Connection,
        page: &ExistingPath,
        (link, by_name): (&WrittenLink, bool),
    ) -> Result<(), Error> {
        let Some(target) = link.target(page) else { return Ok(()) };
        let kind = link.kind;
        let is_ambiguous = match led_to(connection, &target, by_name)? {
            Resolved::Found { found, .. } => {
                self.add_outgoing(seen, found, kind, &target);
                return Ok(());
            }
            Resolved::Several => true,
            Resolved::Nothing => false,
        };
        let target = target.wished().to_owned();
        if seen.broken.insert((target.clone(), kind)) {
            self.truncated = !seen.has_room(target.len());
            let link = BrokenLink { target, kind, is_ambiguous };
            self.broken.extend((!self.truncated).then_some(link));
        }
        Ok(())
    }

    fn add_outgoing(&mut self, seen: &mut Seen, found: Found, kind: LinkKind, target: &Target) {
        let fragment = target.fragment_at(&found.path).map(str::to_owned);
        let of = if found.is_page { FileType::Page } else { FileType::Attachment };
        let bytes = found.path.len() + fragment.as_ref().map_or(0, String::len);
        if seen.outgoing.insert((found.clone(), kind, fragment.clone())) {
            self.truncated = !seen.has_room(bytes);
            let link = OutgoingLink { path: found.path, of, kind, fragment };
            self.outgoing.extend((!self.truncated).then_some(link));
        }
    }
}

/// The target of a link.
fn led_to(
    connection: &rusqlite::Connection,
    target: &Target,
    by_name: bool,
) -> Result<Resolved, Error> {
    for candidate in &target.candidates {
        if let Some(found) = index::existing(connection, candidate)? {
            return Ok(Some(found).into());
        }
    }
    if !by_name {
        return Ok(Resolved::Nothing);
    }
    Ok(index::named(connection, &target.names)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use crate::{PreferenceValue, Preferences};

    fn links(scratch: &Scratch, path: &str) -> PageLinks {
        scratch.wiki().page_links(&ExistingPath::new(path).unwrap(), None, 10).unwrap()
    }

    fn incoming(scratch: &Scratch, path: &str) -> Vec<String> {
        links(scratch, path).incoming.into_iter().map(|link| link.path).collect()
    }

    #[test]
    fn links_are_known_from_both_ends_and_follow_every_change() {
        let mut scratch = Scratch::new();
        scratch.create(
            "garden/home",
            "[[Garden/Roses]], [tulips](tulips), ![x](home/photo.png), [[Daisies]]\n",
        );
        scratch.create("garden/roses", "# Roses\n");
        scratch.create("other", "[roses](/garden/roses.md#care) and [[nowhere]]\n");
        scratch.commit_with_git("garden/home/photo.png", "png");
        let home = links(&scratch, "garden/home");
        let outgoing: Vec<_> = home.outgoing.iter().map(|link| link.path.as_str()).collect();
        assert_eq!(outgoing, ["garden/roses", "garden/home/photo.png"]);
        let broken: Vec<_> = home.broken.iter().map(|link| link.target.as_str()).collect();
        assert_eq!(broken, ["garden/tulips", "Daisies"]);
        assert_eq!(incoming(&scratch, "garden/roses"), ["garden/home", "other"]);
        assert_eq!(incoming(&scratch, "nowhere"), ["other"], "what is wished for");
        assert!(scratch.wiki().page_links(&ExistingPath::new("none").unwrap(), None, 1).is_err());

        scratch.create("garden/tulips", "x\n");
        assert_eq!(links(&scratch, "garden/home").broken.len(), 1);
        scratch.update("other", "nothing\n");
        assert_eq!(incoming(&scratch, "garden/roses"), ["garden/home"]);

        let before = links(&scratch, "garden/home");
        scratch.wiki().close().unwrap();
        std::fs::remove_file(scratch.dir().join("wiki.db")).unwrap();
        scratch.open().unwrap();
        assert_eq!(links(&scratch, "garden/home"), before, "rebuilt");
    }

    /// Returns the bytes of wiki.db with its log.
    fn database_bytes(scratch: &Scratch) -> u64 {
        let size = |name| scratch.dir().join(name).metadata().map_or(0, |file| file.len());
        size("wiki.db") + size("wiki.db-wal")
    }

    #[test]
    fn links_of_a_page_deep_in_the_wiki_take_a_small_multiple_of_the_page() {
        let scratch = Scratch::new();
        let directory = ["d".repeat(60).as_str(); 14].join("/");
        scratch.create("home", "x");
        scratch.wiki().database().unwrap().checkpoint().unwrap();
        let before = database_bytes(&scratch);
        let same = "[a](b)".repeat(11_000);
        scratch.create(&format!("{directory}/same"), &same);
        scratch.wiki().database().unwrap().checkpoint().unwrap();
        let with_same = database_bytes(&scratch) - before;
        assert!(with_same < 4 * same.len() as u64, "{with_same}");

        let distinct: String = (0..11_000).map(|n| format!("[a](b{n})")).collect();
        scratch.create(&format!("{directory}/distinct"), &distinct);
        scratch.wiki().database().unwrap().checkpoint().unwrap();
        let with_distinct = database_bytes(&scratch) - before - with_same;
        assert!(with_distinct < 20 * distinct.len() as u64, "{with_distinct}");

        let told = links(&scratch, &format!("{directory}/distinct"));
        let bytes: usize = told.broken.iter().map(|link| link.target.len()).sum();
        assert!(told.truncated && bytes > MAX_SHOWN / 2 && bytes <= MAX_SHOWN, "{bytes}");
        let told = links(&scratch, &format!("{directory}/same"));
        assert_eq!((told.broken.len(), told.truncated), (1, false));
        let sources = incoming(&scratch, &format!("{directory}/b"));
        assert_eq!(sources, [format!("{directory}/same")]);
        assert_eq!(incoming(&scratch, &format!("{directory}/b10")).len(), 1);
    }

    #[test]
    fn of_a_page_with_a_million_links_ten_thousand_are_kept() {
        let scratch = Scratch::new();
        let text: String = (0..400_000).map(|n| format!("[a](b{n})")).collect();
        scratch.create("deep/home", &text);
        let told = links(&scratch, "deep/home");
        assert_eq!((told.broken.len(), told.truncated), (10_000, false));
    }

    #[test]
    fn links_of_a_wiki_that_moves_in_are_read_in_its_own_way() {
        let scratch = Scratch::new();
        scratch.create("roses", "x\n");
        scratch.create("home", "[[Queen|roses]]\n");
        assert_eq!(incoming(&scratch, "Queen"), ["home"]);
        let style = ("WIKILINK_STYLE".to_owned(), Some("TITLE_LINK".to_owned()));
        let tables = crate::otterwiki::Tables { preferences: vec![style], ..Default::default() };
        scratch.wiki().adopt(&tables).unwrap();
        scratch.wiki().update_index(|_| ()).unwrap();
        assert_eq!(incoming(&scratch, "roses"), ["home"]);
    }

    #[test]
    fn links_are_read_anew_when_they_are_meant_otherwise() {
        let scratch = Scratch::new();
        scratch.create("roses", "x\n");
        scratch.create("home", "[[roses|Queen]]\n");
        assert_eq!(incoming(&scratch, "roses"), ["home"]);
        let style = PreferenceValue::Text("title_link".to_owned());
        let changes = [("wikilink_style".to_owned(), Some(style))].into();
        let preferences: std::sync::Arc<Preferences> =
            scratch.wiki().change_preferences(&changes).unwrap();
        assert_eq!(preferences.link_style(), crate::links::LinkStyle::TitleFirst);
        scratch.wiki().update_index(|_| ()).unwrap();
        assert_eq!(incoming(&scratch, "Queen"), ["home"]);
        assert_eq!(scratch.wiki().log(None, crate::Most::items(10)).unwrap().commits.len(), 2);
    }

    #[test]
    fn links_by_name_follow_what_has_the_name() {
        let scratch = Scratch::new();
        let home =
            "[[Some Page]] [[some_page#part]] [[De/Some page]] ![[Photo 1.png]] [[./Some Page]]\n";
        scratch.create("home", home);
        let broken = |scratch: &Scratch| -> Vec<_> {
            let links = links(scratch, "home").broken.into_iter();
            links.map(|link| (link.target, link.is_ambiguous)).collect()
        };
        assert_eq!(broken(&scratch).len(), 4);
        scratch.create("en/Some-Page", "x\n");
        scratch.commit_with_git("files/photo-1.png", "png");
        let outgoing: Vec<_> =
            links(&scratch, "home").outgoing.into_iter().map(|link| link.path).collect();
        assert_eq!(outgoing, ["en/Some-Page", "en/Some-Page", "files/photo-1.png"]);
        assert_eq!(incoming(&scratch, "en/Some-Page"), ["home"]);
        assert_eq!(incoming(&scratch, "files/photo-1.png"), ["home"]);

        let other = scratch.create("x/de/some page", "x\n");
        assert_eq!(incoming(&scratch, "x/de/some page"), ["home"], "by the end of its path");
        assert_eq!(incoming(&scratch, "en/Some-Page"), [""; 0]);
        let told = broken(&scratch);
        assert!(told.contains(&("Some Page".to_owned(), true)), "{told:?}");

        let delete = crate::Delete {
            path: &ExistingPath::new("x/de/some page").unwrap(),
            base: other.etag,
            author: &crate::Author::new("Ada", "ada@example.org"),
            message: None,
        };
        scratch.wiki().delete(&delete).unwrap();
        assert_eq!(incoming(&scratch, "en/Some-Page"), ["home"]);
        scratch.create("some page", "x\n");
        assert_eq!(
            incoming(&scratch, "some page"),
            ["home"],
            "all of the path goes before its end"
        );
        let off = [("links_by_name".to_owned(), Some(PreferenceValue::Flag(false)))].into();
        scratch.wiki().change_preferences(&off).unwrap();
        assert_eq!(incoming(&scratch, "en/Some-Page"), [""; 0]);
        assert!(broken(&scratch).contains(&("De/Some page".to_owned(), false)));
    }

    #[test]
    fn a_name_may_have_a_number_sign() {
        let scratch = Scratch::new();
        scratch.create("home", "[[C#]] [[C# tips]] [[C#Part]] [[en/F#]]\n");
        let paths = |scratch: &Scratch| -> Vec<_> {
            let links = links(scratch, "home").outgoing.into_iter();
            links.map(|link| (link.path, link.fragment)).collect()
        };
        let link =
            |path: &str, fragment: Option<&str>| (path.to_owned(), fragment.map(str::to_owned));
        scratch.create("C", "x\n");
        assert_eq!(
            paths(&scratch),
            [link("C", Some("")), link("C", Some(" tips")), link("C", Some("Part"))]
        );
        for path in ["C#", "lang/C#-tips", "en/F#"] {
            scratch.create(path, "x\n");
        }
        assert_eq!(
            paths(&scratch),
            [
                link("C#", None),
                link("C", Some(" tips")),
                link("C", Some("Part")),
                link("en/F#", None)
            ]
        );
        scratch.create("C# tips", "x\n");
        assert_eq!(paths(&scratch)[1], link("C# tips", None));
        assert_eq!(incoming(&scratch, "C#"), ["home"]);
    }
}
