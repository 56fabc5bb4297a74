//! git over HTTP, with the stock client.

mod fetching;
pub(crate) mod pushing;
mod racing;
