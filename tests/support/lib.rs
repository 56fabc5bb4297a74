//! The harness of the integration tests.
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

pub mod client;
mod platform;

pub use platform::{Grove, GroveBuilder, author, slug, user};
