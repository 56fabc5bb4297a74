//! A test of code that uses wikis, in the shape to copy: a platform in memory, a wiki in about a
//! millisecond, nothing to clean up, and nothing shared with the test beside it.
//!
//! `cargo run -p wikigrove-tenant --example in_memory` runs it. In a crate of your own the
//! functions below would be `#[tokio::test]`s.

use wikigrove_tenant::{Base, Caller, Error, Platform, Role, Wiki};

/// What is tested: counts the pages that mention a word. It takes the wiki it works on.
async fn mentions(wiki: &Wiki, word: &str) -> Result<usize, Error> {
    let mut found = 0;
    for page in wiki.pages("", None, 1_000).await? {
        found += usize::from(wiki.read(&page.path).await?.content.contains(word));
    }
    Ok(found)
}

async fn pages_that_mention_a_word_are_counted() -> Result<(), Error> {
    let wikis = Platform::in_memory().await?;
    let a = wikis.create("a").await?;
    a.save("home", "red", Base::New).await?;
    a.save("garden/roses", "red, too", Base::New).await?;
    a.save("garden/grass", "green", Base::New).await?;
    assert_eq!(mentions(&a, "red").await?, 2);
    Ok(())
}

async fn wikis_do_not_see_each_other() -> Result<(), Error> {
    let wikis = Platform::in_memory().await?;
    let (a, b) = (wikis.create("a").await?, wikis.create("b").await?);
    a.save("home", "red", Base::New).await?;
    assert_eq!(mentions(&b, "red").await?, 0);
    assert!(b.read("home").await.is_err_and(|error| error.is_not_found()));
    Ok(())
}

async fn two_who_edit_the_same_line_are_told() -> Result<(), Error> {
    let wikis = Platform::in_memory().await?;
    let ann = wikis.create("a").await?;
    let bob = Caller::user_without_email("bob", "Bob").with_role(Role::Editor);
    let bob = ann.for_caller(bob).await?;

    let seen = Base::Version(ann.save("home", "red\n", Base::New).await?.etag);
    ann.save("home", "crimson\n", seen).await?;
    let refused = bob.save("home", "scarlet\n", seen).await.expect_err("both changed the line");
    let conflict = refused.conflict().expect("an edit conflict");
    assert_eq!(conflict.ours.as_deref(), Some("crimson\n"));
    assert_eq!(conflict.theirs.as_deref(), Some("scarlet\n"));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    pages_that_mention_a_word_are_counted().await?;
    wikis_do_not_see_each_other().await?;
    two_who_edit_the_same_line_are_told().await
}
