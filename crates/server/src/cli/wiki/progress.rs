//! Progress bars of long operations.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Failure;
use crate::import::Progress;

pub(super) fn bar() -> Result<Arc<ProgressBar>, Failure> {
    let bar = Arc::new(ProgressBar::new(100));
    bar.set_style(ProgressStyle::with_template("{msg:24} {wide_bar} {pos:>3} %")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}

pub(super) fn show(bar: &ProgressBar, progress: Progress<'_>) {
    match progress {
        Progress::Git(what, percent) => {
            bar.set_message(what.to_owned());
            bar.set_position(u64::from(percent));
        }
        Progress::Index(now) => {
            bar.set_message("Indexing the history");
            bar.set_position((100 * now.done / now.total.max(1)) as u64);
        }
    }
}
