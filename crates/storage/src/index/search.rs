//! Full-text search with SQLite's FTS5.
//!
//! The index holds only folded words (see [`words`]) and no text: snippets are cut out of the files. FTS5
//! receives words separated by spaces, so its simplest tokenizer finds exactly these words.

use rusqlite::{Connection, Transaction, params};

use super::snippet::{self, Phrase};
use super::words::folded;
use super::{file, pages};
use crate::db::DbError;
use crate::deadline::Cancelled;
use crate::page::PageSummary;

/// Number of bytes of a page that are searched for a snippet. A page whose matches are further down is
/// found all the same, and its snippet is its beginning.
const SHOWN_FROM: usize = 512 * 1024;
/// The most terms that a query may have. The rest is not looked for.
const MAX_TERMS: usize = 32;
/// The most words that all terms of a query may have together. The rest is not looked for. To find a phrase
/// FTS5 takes a step for each of its words and each word of a page, and can't be interrupted.
const MAX_WORDS: usize = 64;

/// A page that matches a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchResult {
    /// The page.
    pub page: PageSummary,
    /// The text around the matches.
    pub snippet: Vec<SnippetPart>,
}

/// A part of a snippet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnippetPart {
    /// The text: Markdown, as in the page.
    pub text: String,
    /// True if the part matches the query.
    pub is_match: bool,
}

/// Replaces the words of a page. The words of its text are [`prepared`].
pub(super) fn put(
    transaction: &Transaction<'_>,
    id: i64,
    path: &str,
    title: &str,
    prepared_body: &str,
) -> Result<(), DbError> {
    remove(transaction, id)?;
    transaction
        .prepare_cached("insert into search (rowid, path, title, body) values (?1, ?2, ?3, ?4)")?
        .execute(params![id, folded(path), folded(title), prepared_body])?;
    Ok(())
}

/// The folded words of a text, as they are stored.
pub(super) fn prepared(text: &str) -> String {
    folded(text)
}

pub(super) fn remove(transaction: &Transaction<'_>, id: i64) -> Result<(), DbError> {
    transaction.prepare_cached("delete from search where rowid = ?1")?.execute([id])?;
    Ok(())
}

/// A query in the syntax of FTS5, and its phrases.
///
/// All words must occur. `"two words"` is a phrase, `begin*` a prefix, and `-word` excludes pages with the
/// word. Every other character only separates words, so that every query is valid; several dashes in a row
/// have no meaning.
pub(crate) struct Query {
    expression: String,
    phrases: Vec<Phrase>,
}

/// A part of a query.
struct Term<'a> {
    text: &'a str,
    /// True if the last word is a prefix.
    is_prefix: bool,
    is_unwanted: bool,
}

impl<'a> Term<'a> {
    /// The first term of a query that doesn't begin with a space, and the rest.
    fn first(query: &'a str) -> (Self, &'a str) {
        let unwanted = query.strip_prefix('-').filter(|rest| {
            rest.starts_with(|c: char| c == '"' || !c.is_ascii() || c.is_ascii_alphanumeric())
        });
        let (term, is_unwanted) = (unwanted.unwrap_or(query), unwanted.is_some());
        if let Some(quoted) = term.strip_prefix('"') {
            let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            let rest = after.strip_prefix('*');
            let is_prefix = rest.is_some();
            return (Self { text, is_prefix, is_unwanted }, rest.unwrap_or(after));
        }
        let end = term.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(term.len());
        let (text, after) = term.split_at(end);
        (Self { text, is_prefix: text.ends_with('*'), is_unwanted }, after)
    }
}

impl Query {
    /// Parses a query; `None` if it has no word that must occur.
    pub(crate) fn parse(query: &str) -> Option<Self> {
        let (mut wanted, mut unwanted, mut phrases) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rest, mut room) = (query.trim_start(), MAX_WORDS);
        while wanted.len() + unwanted.len() < MAX_TERMS && room > 0 && !rest.is_empty() {
            let (Term { text, is_prefix, is_unwanted }, after) = Term::first(rest);
            rest = after.trim_start();
            let (words, is_whole) = first_words(folded(text), &mut room);
            let is_prefix = is_prefix && is_whole;
            // A phrase without any word would match nothing at all.
            if words.is_empty() {
                continue;
            }
            let phrase = format!("\"{words}\"{}", if is_prefix { "*" } else { "" });
            if is_unwanted {
                unwanted.push(phrase);
            } else {
                wanted.push(phrase);
                phrases.push(Phrase::new(&words, is_prefix));
            }
        }
        if wanted.is_empty() {
            return None;
        }
        let mut expression = wanted.join(" ");
        for phrase in unwanted {
            expression = format!("({expression}) NOT {phrase}");
        }
        Some(Self { expression, phrases })
    }

    /// The pages below `prefix` that match the query, best first.
    pub(crate) fn find(
        &self,
        connection: &Connection,
        prefix: &str,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<PageSummary>, DbError> {
        let composed = pages::composed(prefix);
        let composed = composed.as_deref().unwrap_or(prefix);
        let mut select = connection.prepare_cached(&format!(
            "select {} from search join page p on p.id = search.rowid
             where search match ?1
               and (p.path >= ?2 and (?3 is null or p.path < ?3)
                    or coalesce(p.composed, p.path) >= ?4
                       and (?5 is null or coalesce(p.composed, p.path) < ?5))
             order by rank limit ?6 offset ?7",
            pages::columns("p.")
        ))?;
        let (above, above_composed) = (pages::prefix_end(prefix), pages::prefix_end(composed));
        let found = params![
            self.expression,
            prefix,
            above,
            composed,
            above_composed,
            limit as i64,
            skip as i64
        ];
        let rows = select.query_map(found, pages::summary)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The place of a page's content that shows what was looked for.
    ///
    /// # Errors
    /// The deadline is over.
    pub(crate) fn snippet(&self, content: &[u8]) -> Result<Vec<SnippetPart>, Cancelled> {
        let text = file::beginning(content);
        let shown = &text[..text.floor_char_boundary(SHOWN_FROM)];
        snippet::cut(shown, &self.phrases, shown.len() < text.len())
    }
}

/// The words for which there is room, and whether they are all. Their number is taken from the room.
fn first_words(mut words: String, room: &mut usize) -> (String, bool) {
    let end = words.match_indices(' ').nth(room.saturating_sub(1)).map(|(at, _)| at);
    if let Some(end) = end {
        words.truncate(end);
    }
    *room -= words.split(' ').filter(|word| !word.is_empty()).count().min(*room);
    (words, end.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(query: &str) -> Option<String> {
        Some(Query::parse(query)?.expression)
    }

    #[test]
    fn one_leading_dash_excludes_and_no_other_sign_means_anything() {
        for (query, expected) in [
            ("--depth", "\"depth\""),
            ("run --depth", "\"run\" \"depth\""),
            ("run ---depth -- -", "\"run\" \"depth\""),
            ("run –depth —x", "\"run\" \"depth\" \"x\""),
            ("run -depth", "(\"run\") NOT \"depth\""),
            ("run -\"two words\"*", "(\"run\") NOT \"two words\"*"),
            ("run -Łódź", "(\"run\") NOT \"lodz\""),
            ("p->next -> x", "\"p next\" \"x\""),
            ("well-known", "\"well known\""),
            ("\"Two Words\" be*", "\"two words\" \"be\"*"),
            ("a:b (c) NEAR +d ^e", "\"a b\" \"c\" \"near\" \"d\" \"e\""),
        ] {
            assert_eq!(expression(query).as_deref(), Some(expected), "{query}");
        }
        for query in ["", " ", "-", "--", "-depth", "*", "\"", "\u{0}", "…"] {
            assert_eq!(expression(query), None, "{query:?}");
        }
    }

    #[test]
    fn of_a_long_query_the_first_words_are_looked_for() {
        let words = |count: usize| vec!["a"; count].join(" ");
        let phrase = |count: usize| format!("\"{}\"", words(count));
        assert_eq!(expression(&phrase(64)), Some(phrase(64)));
        assert_eq!(expression(&format!("{}*", phrase(64))), Some(format!("{}*", phrase(64))));
        assert_eq!(expression(&format!("{}*", phrase(65))), Some(phrase(64)));
        let terms = format!("{} {} z", phrase(40), phrase(40));
        assert_eq!(expression(&terms), Some(format!("{} {}", phrase(40), phrase(24))));
        assert_eq!(expression(&"东".repeat(80)).map(|it| it.matches('东').count()), Some(64));
        assert_eq!(expression(&words(80)).map(|it| it.matches('a').count()), Some(MAX_TERMS));
    }
}
