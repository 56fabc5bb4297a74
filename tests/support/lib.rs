//! The harness of the integration tests.
//!
//! # Without HTTP
//!
//! A test says which wikis it needs and gets a running platform:
//!
//! ```
//! use testkit::Grove;
//! use wikigrove_tenant::{Base, Role};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let grove = Grove::with(["garden", "kitchen"]).member("garden", "alice", Role::Editor).start().await;
//! grove.on("garden").await.save("roses", "red", Base::New).await.unwrap();
//! assert!(grove.user("alice", "kitchen").await.unwrap_err().is_not_found());
//! # }
//! ```
//!
//! [`client`] sends requests to a router without a socket.
//!
//! # Over HTTP
//!
//! There are users who act, on a server that listens on a real socket:
//!
//! ```
//! use testkit::TestServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (server, operator) = TestServer::start().await;
//! operator.create_wiki("garden").await.good();
//! let editor = operator.token("garden", "editor").await;
//! let created = editor.on("garden").create("roses", "red").await.good();
//! editor.on("garden").save("roses", created.etag(), "blue").await.good();
//! server.anonymous().on("garden").read("roses").await.problem("unknown_wiki");
//! # }
//! ```
//!
//! - [`TestServer`] serves in this process, out of memory, and starts in milliseconds. Most tests
//!   use it. What is about the process itself (signals, crashes, the command line) runs the real
//!   [`Program`]; its [`Running`] server hands out the same users.
//! - A [`User`] has a token or none, and the addresses. What it does is a [`Call`]: headers and
//!   query parameters can be added, and awaiting it sends it.
//! - An [`Answer`] has to be looked at: [`good`](Answer::good) or [`problem`](Answer::problem),
//!   which check what every answer of the kind has in common.
//! - What no client library would send is written by hand and sent with [`TestServer::raw`].
//! - [`Git`] looks at a repository with the git program, as an operator would.

#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod cable;
pub mod client;
mod data;
mod disk_image;
mod events;
mod git;
mod linked;
mod notices;
mod platform;
mod remote;
mod response;
mod scrape;
mod server;
mod small_disk;
mod sshd;
mod unread;
mod user;

pub use cable::Cable;
pub use data::test_data;
pub use disk_image::{DiskImage, FileSystem};
pub use events::{Event, Events};
pub use git::Git;
pub use linked::{Linked, Tie, link};
pub use notices::{Mails, Notices};
pub use platform::{Grove, GroveBuilder, author, slug, user};
pub use remote::{Fault, Seen, TestRemote};
pub use response::{Answer, Good};
pub use scrape::Scrape;
pub use server::{Program, Running, ServerSetup, TestServer, entries, scratch};
pub use small_disk::{Filler, SmallDisk, skip};
pub use sshd::TestSshd;
pub use unread::Unread;
pub use user::{Call, OnWiki, User, encode};
