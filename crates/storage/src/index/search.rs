//! Full text, in SQLite's FTS5.
//!
//! Its tokenizer takes whatever stands between two characters that are no letters for one word. Scripts
//! that put no spaces between words (Chinese, Japanese, Thai, …) are therefore stored with an
//! invisible separator before every letter, and searched for as a phrase of letters.

use std::borrow::Cow;

use rusqlite::{Connection, Transaction, params};
use unicode_normalization::char::is_combining_mark;

use super::pages;
use super::snippet::{Phrase, SnippetPart};
use crate::db::DbError;
use crate::page::PageSummary;

/// Stands between letters of scripts that don't separate words: U+200B, zero width space.
const SEPARATOR: char = '\u{200b}';
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
    query: &Query,
    prefix: &str,
    skip: usize,
    limit: usize,
) -> Result<Vec<PageSummary>, DbError> {
    let Some(expression) = query.expression() else { return Ok(Vec::new()) };
    let above = pages::prefix_end(prefix);
    let mut select = connection.prepare_cached(&format!(
        "select {} from search join page p on p.id = search.rowid
         where search match ?1 and p.path >= ?2 and (?3 is null or p.path < ?3)
         order by rank limit ?4 offset ?5",
        pages::columns("p.")
    ))?;
    let rows = select
        .query_map(params![expression, prefix, above, limit as i64, skip as i64], pages::summary)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What somebody looks for.
///
/// All words must occur. `"two words"` must stand side by side, `begin*` may go on, `-word` must
/// not occur. Every other character only separates words, so that there is no wrong query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// As FTS5 writes them.
    wanted: Vec<String>,
    unwanted: Vec<String>,
    /// The wanted ones, to be found in a text.
    pub(crate) phrases: Vec<Phrase>,
}

impl Query {
    pub(crate) fn new(query: &str) -> Self {
        let mut read = Self::default();
        let mut rest = query;
        while read.wanted.len() + read.unwanted.len() < MAX_TERMS {
            rest = rest.trim_start();
            if rest.is_empty() {
                break;
            }
            let is_unwanted = rest.starts_with('-');
            let (text, is_prefix, after) = next_term(rest.trim_start_matches('-'));
            rest = after;
            let words = prepared(text);
            if !words.chars().any(is_token) {
                continue;
            }
            // Inside quotes a quote is doubled; nothing else has a meaning there.
            let star = if is_prefix { "*" } else { "" };
            let phrase = format!("\"{}\"{star}", words.replace('"', "\"\""));
            if is_unwanted {
                read.unwanted.push(phrase);
            } else {
                read.wanted.push(phrase);
                read.phrases.push(Phrase::new(text, is_prefix));
            }
        }
        read
    }

    /// As FTS5 understands it; `None` if nothing is looked for.
    fn expression(&self) -> Option<String> {
        if self.wanted.is_empty() {
            return None;
        }
        let mut expression = self.wanted.join(" ");
        for phrase in &self.unwanted {
            expression = format!("({expression}) NOT {phrase}");
        }
        Some(expression)
    }
}

/// The first term: its text, whether its last word may go on, and what follows it.
fn next_term(term: &str) -> (&str, bool, &str) {
    if let Some(quoted) = term.strip_prefix('"') {
        let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
        return match after.strip_prefix('*') {
            Some(after) => (text, true, after),
            None => (text, false, after),
        };
    }
    let end = term.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(term.len());
    let (text, after) = term.split_at(end);
    (text, text.ends_with('*'), after)
}

/// Whether the tokenizer makes a word of it. A phrase without any would match nothing at all.
pub(super) fn is_token(c: char) -> bool {
    c.is_alphanumeric() || (is_combining_mark(c) && !c.is_ascii())
}

/// A text as it is indexed: with separators between letters that belong to no word.
fn prepared(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c == '\0' || is_unspaced(c)) {
        return Cow::Borrowed(text);
    }
    let mut prepared = String::with_capacity(text.len() * 2);
    let mut follows = false;
    for c in text.chars() {
        let is_letter = !is_combining_mark(c);
        // The word after the last such letter begins anew.
        if is_letter && (is_unspaced(c) || (follows && c.is_alphanumeric())) {
            prepared.push(SEPARATOR);
        }
        follows = is_unspaced(c) || (follows && !is_letter);
        // SQLite ends a text at a NUL for some of its functions.
        prepared.push(if c == '\0' { ' ' } else { c });
    }
    Cow::Owned(prepared)
}

/// Whether the letter belongs to a script that puts no spaces between words: Thai and Lao, Myanmar,
/// Khmer, kana and Bopomofo, Han.
pub(super) fn is_unspaced(c: char) -> bool {
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
