//! Full text, in SQLite's FTS5.
//!
//! Its tokenizer takes whatever stands between two characters that are no letters for one word. Scripts
//! that put no spaces between words (Chinese, Japanese, Thai, …) are therefore stored with an
//! invisible separator before every letter, and searched for as a phrase of letters.

use std::borrow::Cow;

use rusqlite::{Connection, Transaction, params};
use unicode_normalization::char::is_combining_mark;

use super::pages;
use super::snippet::{self, Phrase};
use crate::db::DbError;
use crate::page::PageSummary;

/// Stands between letters of scripts that don't separate words: U+200B, zero width space.
pub(super) const SEPARATOR: char = '\u{200b}';
/// How far into a page a match is looked for to be shown, in characters. A page in which the words stand
/// further down is found all the same, and shown from its beginning.
const SHOWN_FROM: usize = 256 * 1024;
/// The most words that a query may have. The rest is not looked for.
const MAX_TERMS: usize = 32;

/// A page that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchResult {
    /// The page.
    pub page: PageSummary,
    /// Where the words stand in it.
    pub snippet: Vec<SnippetPart>,
}

/// A piece of a page's text, around what was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnippetPart {
    /// The text. It is Markdown as it stands in the page.
    pub text: String,
    /// Whether it was looked for.
    pub is_match: bool,
}

/// Replaces the text of a page.
pub(super) fn put(
    transaction: &Transaction<'_>,
    id: i64,
    path: &str,
    title: &str,
    body: &str,
) -> Result<(), DbError> {
    remove(transaction, id)?;
    transaction
        .prepare_cached("insert into search (rowid, path, title, body) values (?1, ?2, ?3, ?4)")?
        .execute(params![id, prepared(path), prepared(title), prepared(body)])?;
    Ok(())
}

pub(super) fn remove(transaction: &Transaction<'_>, id: i64) -> Result<(), DbError> {
    transaction.prepare_cached("delete from search where rowid = ?1")?.execute([id])?;
    Ok(())
}

/// Pages below `prefix` in which everything stands that is looked for, the best first.
pub(crate) fn find(
    connection: &Connection,
    query: &str,
    prefix: &str,
    skip: usize,
    limit: usize,
) -> Result<Vec<SearchResult>, DbError> {
    let Some(query) = Query::parse(query) else { return Ok(Vec::new()) };
    let above = pages::prefix_end(prefix);
    let mut select = connection.prepare_cached(&format!(
        "select {}, substr(search.body, 1, ?6), length(search.body) > ?6
         from search join page p on p.id = search.rowid
         where search match ?1 and p.path >= ?2 and (?3 is null or p.path < ?3)
         order by rank limit ?4 offset ?5",
        pages::columns("p.")
    ))?;
    let (limit, skip, shown) = (limit as i64, skip as i64, SHOWN_FROM as i64);
    let found = params![query.expression, prefix, above, limit, skip, shown];
    let rows = select.query_map(found, |row| {
        let text: String = row.get(8)?;
        let snippet = snippet::cut(&text, &query.phrases, row.get(9)?);
        Ok(SearchResult { page: pages::summary(row)?, snippet })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A query, as FTS5 understands it, and the phrases that are to be found.
///
/// All words must occur. `"two words"` must stand side by side, `begin*` may go on, `-word` must
/// not occur. Every other character only separates words, so that there is no wrong query.
struct Query {
    expression: String,
    phrases: Vec<Phrase>,
}

impl Query {
    /// `None` if there is no word in it.
    fn parse(query: &str) -> Option<Self> {
        let (mut wanted, mut unwanted, mut phrases) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = query;
        while wanted.len() + unwanted.len() < MAX_TERMS {
            rest = rest.trim_start();
            if rest.is_empty() {
                break;
            }
            let is_unwanted = rest.starts_with('-');
            let term = rest.trim_start_matches('-');
            let (text, after) = match term.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => {
                    let end =
                        term.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(term.len());
                    term.split_at(end)
                }
            };
            let is_quoted = term.starts_with('"');
            let (is_prefix, after) = match after.strip_prefix('*') {
                Some(after) if is_quoted => (true, after),
                _ => (!is_quoted && text.ends_with('*'), after),
            };
            rest = after;
            let words = prepared(text);
            if !words.chars().any(is_token) {
                continue;
            }
            // Inside quotes a quote is doubled; nothing else has a meaning there.
            let phrase =
                format!("\"{}\"{}", words.replace('"', "\"\""), if is_prefix { "*" } else { "" });
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
}

/// Whether the tokenizer makes a word of it. A phrase without any would match nothing at all.
pub(super) fn is_token(c: char) -> bool {
    c.is_alphanumeric() || (is_combining_mark(c) && !c.is_ascii())
}

/// A text as it is stored: separators between letters that belong to no word.
fn prepared(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c != '\0' && !is_unspaced(c);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut prepared = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            // SQLite ends a text at a NUL for some of its functions.
            '\0' => prepared.push(' '),
            _ if is_unspaced(c) && !is_combining_mark(c) => {
                prepared.push(SEPARATOR);
                prepared.push(c);
            }
            _ => {
                // The word after the last such letter begins anew.
                let follows = prepared.chars().next_back().is_some_and(is_unspaced);
                if follows && !is_combining_mark(c) && c.is_alphanumeric() {
                    prepared.push(SEPARATOR);
                }
                prepared.push(c);
            }
        }
    }
    Cow::Owned(prepared)
}

/// Whether the letter belongs to a script that puts no spaces between words: Thai and Lao, Myanmar,
/// Khmer, kana and Bopomofo, Han.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3041}'..='\u{312f}'
        | '\u{31a0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}
