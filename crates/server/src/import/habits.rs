//! Infers preferences from an imported repository, for the built-in behaviour of other wiki programs.

use wikigrove_tenant::storage::links::LinkStyle;
use wikigrove_tenant::storage::{self, PreferenceChanges, PreferenceValue};

use super::Report;

/// Sets preferences inferred from the pages of a new wiki, and reports them.
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
