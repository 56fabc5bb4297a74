//! Many wikis over HTTP.

pub mod extract;
