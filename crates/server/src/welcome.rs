//! The first wiki of a new platform.

use wikigrove_tenant::{Base, Caller, Error, NewTenant, Platform, Slug, Visibility};

/// The wiki's slug.
pub const SLUG: &str = "welcome";

const HOME: &str = "# Welcome

This is a page of the wiki `welcome`. It is a file in a bare git repository, and every save is a
commit that survives a power cut.

Wikis are private unless they are created `public_read` or `public_write`; this one is
`public_read`, so everybody may read it and the operator's token may change it.
";

/// Creates the wiki with one page if the platform has no wikis. Returns `true` if it did.
///
/// # Errors
/// If the disk is full or fails.
pub async fn create_if_empty(platform: &Platform) -> Result<bool, Error> {
    if !platform.wikis(None, 1).await?.is_empty() {
        return Ok(false);
    }
    let slug: Slug = SLUG.parse()?;
    let mut new = NewTenant::new(slug);
    new.title = "Welcome".to_owned();
    new.visibility = Visibility::PublicRead;
    platform.create_tenant(new).await?;
    let wiki = platform.wiki(SLUG, Caller::operator()).await?;
    wiki.save("home", HOME, Base::New).await?;
    Ok(true)
}
