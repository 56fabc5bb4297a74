//! x
#[cfg(feature = "axum")]
pub mod problem;
