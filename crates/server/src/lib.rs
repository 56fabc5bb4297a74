//! Many wikis over HTTP.

pub mod extract;
pub mod limits;
pub mod middleware;
pub mod serve;
