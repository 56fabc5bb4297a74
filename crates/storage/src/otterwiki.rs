//! What is needed to come from OtterWiki and to go back: how it names things, and its four tables.
//!
//! The names are those of version 2.26.1. They are a matter of this crate because an adopted wiki
//! goes on being reached under them.

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
