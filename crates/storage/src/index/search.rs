//! Full text, in SQLite's FTS5.
//!
//! Its tokenizer takes whatever stands between two characters that are no letters for one word. Scripts
//! that put no spaces between words (Chinese, Japanese, Thai, …) are therefore stored with an
//! invisible separator before every letter, and searched for as a phrase of letters.

use std::borrow::Cow;

use rusqlite::{Connection, Transaction, params};
use unicode_normalization::char::is_combining_mark;

use super::pages;
use crate::db::DbError;
use crate::page::PageSummary;

/// Stands between letters of scripts that don't separate words: U+200B, zero width space.
const SEPARATOR: char = '\u{200b}';
/// Marks where a match begins and ends, in what FTS5 cuts out. Pages may hold them; then they are
/// removed first.
const BEGIN: char = '\u{2}';
const END: char = '\u{3}';
/// How much of a page is shown around a match, in words.
const SNIPPET_WORDS: u8 = 24;
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
    let Some(expression) = expression(query) else { return Ok(Vec::new()) };
    let above = pages::prefix_end(prefix);
    let mut select = connection.prepare_cached(&format!(
        "select {}, snippet(search, 2, ?6, ?7, '…', {SNIPPET_WORDS})
         from search join page p on p.id = search.rowid
         where search match ?1 and p.path >= ?2 and (?3 is null or p.path < ?3)
         order by rank limit ?4 offset ?5",
        pages::columns("p.")
    ))?;
    let rows = select.query_map(
        params![
            expression,
            prefix,
            above,
            limit as i64,
            skip as i64,
            BEGIN.to_string(),
            END.to_string()
        ],
        |row| {
            Ok(SearchResult {
                page: pages::summary(row)?,
                snippet: parts(&row.get::<_, String>(8)?),
            })
        },
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What somebody typed, as FTS5 understands it; `None` if there is no word in it.
///
/// All words must occur. `"two words"` must stand side by side, `begin*` may go on, `-word` must
/// not occur. Every other character only separates words, so that there is no wrong query.
fn expression(query: &str) -> Option<String> {
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
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
                let end = term.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(term.len());
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
        if is_unwanted { unwanted.push(phrase) } else { wanted.push(phrase) }
    }
    if wanted.is_empty() {
        return None;
    }
    let mut expression = wanted.join(" ");
    for phrase in unwanted {
        expression = format!("({expression}) NOT {phrase}");
    }
    Some(expression)
}

/// Whether the tokenizer makes a word of it. A phrase without any would match nothing at all.
fn is_token(c: char) -> bool {
    c.is_alphanumeric() || (is_combining_mark(c) && !c.is_ascii())
}

/// A text as it is stored: separators between letters that belong to no word, no marks of ours.
fn prepared(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c != BEGIN && c != END && c != '\0' && !is_unspaced(c);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut prepared = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            // SQLite ends a text at a NUL for some of its functions.
            BEGIN | END | '\0' => prepared.push(' '),
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

/// What FTS5 cut out, without what was added for it.
fn parts(snippet: &str) -> Vec<SnippetPart> {
    let mut parts: Vec<SnippetPart> = Vec::new();
    let mut is_match = false;
    for piece in snippet.split_inclusive([BEGIN, END]) {
        let text: String = piece.chars().filter(|c| ![BEGIN, END, SEPARATOR].contains(c)).collect();
        match parts.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.is_match == is_match => last.text.push_str(&text),
            _ => parts.push(SnippetPart { text, is_match }),
        }
        if piece.ends_with(BEGIN) {
            is_match = true;
        } else if piece.ends_with(END) {
            is_match = false;
        }
    }
    parts
}
