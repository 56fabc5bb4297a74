//! Rebuilds when a migration is added: `embed_migrations!` alone notices only edits.
fn main() {
    println!("cargo:rerun-if-changed=../../migrations/platform");
}
