//! The rows of a wiki as JSON.

use serde::{Deserialize, Serialize};
use wikigrove_tenant::storage::otterwiki::{Draft, User};

/// A line of `drafts.jsonl`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DraftLine {
    page: String,
    author: Option<String>,
    content: Option<String>,
    revision: Option<String>,
    base: Option<String>,
    cursor_line: Option<i64>,
    cursor_ch: Option<i64>,
    datetime: Option<String>,
}

impl From<Draft> for DraftLine {
    fn from(draft: Draft) -> Self {
        Self {
            page: draft.page,
            author: draft.author,
            content: draft.content,
            revision: draft.revision,
            base: draft.base.map(|base| base.to_string()),
            cursor_line: draft.cursor_line,
            cursor_ch: draft.cursor_ch,
            datetime: draft.datetime,
        }
    }
}

impl From<DraftLine> for Draft {
    fn from(line: DraftLine) -> Self {
        Self {
            page: line.page,
            author: line.author,
            content: line.content,
            revision: line.revision,
            base: line.base.and_then(|base| base.parse().ok()),
            cursor_line: line.cursor_line,
            cursor_ch: line.cursor_ch,
            datetime: line.datetime,
        }
    }
}

/// A line of `users.jsonl`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserLine {
    name: Option<String>,
    email: Option<String>,
    first_seen: Option<String>,
    last_seen: Option<String>,
    is_approved: bool,
    is_admin: bool,
    email_confirmed: bool,
    allow_read: bool,
    allow_write: bool,
    allow_upload: bool,
}

impl From<User> for UserLine {
    fn from(user: User) -> Self {
        let [first_seen, last_seen] = user.seen;
        Self {
            name: user.name,
            email: user.email,
            first_seen,
            last_seen,
            is_approved: user.is_approved,
            is_admin: user.is_admin,
            email_confirmed: user.email_confirmed,
            allow_read: user.allow_read,
            allow_write: user.allow_write,
            allow_upload: user.allow_upload,
        }
    }
}

impl From<UserLine> for User {
    fn from(line: UserLine) -> Self {
        Self {
            name: line.name,
            email: line.email,
            seen: [line.first_seen, line.last_seen],
            is_approved: line.is_approved,
            is_admin: line.is_admin,
            email_confirmed: line.email_confirmed,
            allow_read: line.allow_read,
            allow_write: line.allow_write,
            allow_upload: line.allow_upload,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::option::of;
    use proptest::prelude::*;
    use wikigrove_tenant::Etag;

    use super::*;

    /// Any text, with all that JSON has to escape.
    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<char>(), 0..20).prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_draft_is_one_line_and_comes_back(
            page in text(), content in of(text()), author in of(text()),
            revision in of(text()), datetime in of(text()),
            cursor: (Option<i64>, Option<i64>),
            base: Option<[u8; 20]>,
        ) {
            let (cursor_line, cursor_ch) = cursor;
            let base = base.map(Etag::from_bytes);
            let draft =
                Draft { page, revision, author, content, cursor_line, cursor_ch, datetime, base };
            let line = serde_json::to_string(&DraftLine::from(draft.clone())).unwrap();
            prop_assert!(!line.contains('\n'));
            let read: DraftLine = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(Draft::from(read), draft);
        }

        #[test]
        fn an_account_comes_back(
            name in of(text()), email in of(text()), first in of(text()), last in of(text()),
            flags: [bool; 6],
        ) {
            let [is_approved, is_admin, email_confirmed, allow_read, allow_write, allow_upload] =
                flags;
            let seen = [first, last];
            let user = User {
                name, email, seen, is_approved, is_admin, email_confirmed, allow_read,
                allow_write, allow_upload,
            };
            let line = serde_json::to_string(&UserLine::from(user.clone())).unwrap();
            let read: UserLine = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(User::from(read), user);
        }
    }
}
