//! git pushes.

use std::path::Path;

use testkit::Git;

use super::{Client, a_wiki, number};
use crate::ledger::Fact;

/// Pushes one commit after the other, to any of the wikis.
pub(super) fn push(client: &Client, clones: &Path) {
    while !client.is_over() {
        push_one(client, clones);
    }
}

/// `None`: the server died, or others were faster.
fn push_one(client: &Client, clones: &Path) -> Option<()> {
    let wiki = a_wiki();
    let url = client.operator.on(wiki).git_url();
    let dir = clones.join(wiki);
    let clone = if dir.exists() { Git::at(&dir) } else { Git::init(&dir) };
    succeed(&clone, &["fetch", "-q", &url, "main"])?;
    succeed(&clone, &["reset", "-q", "--hard", "FETCH_HEAD"])?;
    let name = number();
    clone.write(&format!("pushed/page-{}.md", name % 5), format!("pushed {name}\n"));
    clone.commit(&format!("Push {name}"));
    succeed(&clone, &["push", "-q", &url, "HEAD:refs/heads/main"])?;
    let revision = clone.run(&["rev-parse", "HEAD"]);
    client.ledger.promised(wiki, Fact::Pushed { revision });
    Some(())
}

fn succeed(git: &Git, args: &[&str]) -> Option<()> {
    git.output(args).status.success().then_some(())
}
