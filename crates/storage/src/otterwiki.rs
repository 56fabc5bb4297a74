//! Migration from and to OtterWiki: its naming rules and its four tables.
//!
//! The naming rules are those of version 2.26.1. They belong in this crate because the pages of an imported wiki stay
//! reachable under their old names.

mod adopt;
mod case;
mod database;
mod foreign;
mod names;
mod tables;

pub use adopt::{Adopted, Refresh};
pub(crate) use database::{SOURCES, each_row};
pub use names::{
    CaseMode, clean_slashes, sanitize_attachment, sanitize_page_name, slugify, title_case,
};
pub use tables::{Draft, Room, TableRow, Tables, Unread, User};
