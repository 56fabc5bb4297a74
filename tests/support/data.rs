//! Real data that some tests work on.

use std::path::{Path, PathBuf};

/// The environment variable that says where the data is.
const PLACE: &str = "WIKIGROVE_TEST_DATA";

/// A file of the test data: below `WIKIGROVE_TEST_DATA`, or in `../shared/data` beside the checkout.
///
/// # Panics
/// It isn't there: a test that can't find its data must not pass.
pub fn test_data(name: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let place = std::env::var_os(PLACE).map_or(beside, PathBuf::from);
    let path = place.join(name);
    assert!(
        path.exists(),
        "this test needs `{name}`, which is not in `{}`: put it there, or say in {PLACE} where it is",
        place.display()
    );
    path
}
