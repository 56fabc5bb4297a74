//! Helpers of the tables' tests, and tests of the file as a whole.

use std::path::PathBuf;

use super::*;
use crate::{NewTenant, Tenant};

pub(super) fn scratch() -> (tempfile::TempDir, Catalog) {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(dir.path(), &Scheduler::default()).unwrap();
    (dir, catalog)
}

pub(super) fn settled(catalog: &Catalog, slug: &str) -> Tenant {
    let tenant = catalog.begin_create(&NewTenant::new(slug.parse().unwrap())).unwrap();
    catalog.activate(tenant.id).unwrap()
}

pub(super) fn garden(catalog: &Catalog) -> Tenant {
    settled(catalog, "garden")
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let (dir, catalog) = scratch();
    let garden = garden(&catalog);
    drop(catalog);
    let catalog = Catalog::open(dir.path(), &Scheduler::default()).unwrap();
    assert_eq!(catalog.by_id(garden.id).unwrap(), Some(garden));
}

#[test]
fn a_missing_directory_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    Catalog::open(&missing, &Scheduler::default()).unwrap_err();
    assert!(!missing.exists());
}

/// The macro silently leaves out a file whose name it can't parse.
#[test]
fn every_migration_on_disk_is_embedded_without_a_gap() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../migrations/platform");
    let runner = embedded::migrations::runner();
    let mut versions: Vec<_> =
        runner.get_migrations().iter().map(|migration| migration.version()).collect();
    versions.sort_unstable();
    let count = std::fs::read_dir(dir).unwrap().count();
    let expected: Vec<_> = (1..).take(count).collect();
    assert_eq!(versions, expected);
}
