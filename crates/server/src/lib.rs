//! An HTTP server for many wikis.
//!
//! The binary is a thin `main` over this library. An application can also mount the routers itself:
//! [`wiki_api`] below the layer of a [`Platform`](wikigrove_tenant::Platform), and [`admin_api`] on a
//! listener of its own. Both need an outer layer that authenticates the caller.

pub mod admin;
pub mod app;
pub mod archive;
pub mod auth;
pub mod cli;
pub mod export;
pub mod extract;
pub mod git;
pub mod import;
pub mod limits;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod operator_token;
pub mod remote;
pub mod render;
pub mod serve;
pub mod sync;
pub mod welcome;
pub mod wiki;

mod guard;
mod hooks;
mod idempotency;
mod view;

pub use admin::{admin_api, admin_api_with};
pub use git::git_http;
pub use wiki::wiki_api;
