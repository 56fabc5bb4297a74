//! Settings for what other wiki programs do by themselves, found out when their repository is imported.

use wikigrove_tenant::storage::links::LinkStyle;
use wikigrove_tenant::storage::{self, PreferenceChanges, PreferenceValue};

use super::Report;

/// Sets what the pages of a new wiki tell, and says so.
///
/// # Errors
/// The repository or wiki.db can't be read or written.
pub(super) fn adopt(wiki: &storage::Wiki, report: &mut Report) -> Result<(), storage::Error> {
    if wiki.detect_link_style()? == Some(LinkStyle::TitleFirst) {
        let style = PreferenceValue::Text("title_link".to_owned());
        let changes = PreferenceChanges::from([("wikilink_style".to_owned(), Some(style))]);
        wiki.change_preferences(&changes)?;
        let why = "set to title_link: in the source's wiki links the title stands first";
        report.leave("setting", "wikilink_style", why);
    }
    Ok(())
}
