//! git over HTTP, with the stock client.

mod fetching;
