//! What is in wiki.db alone: drafts and settings.

use serde_json::json;

use super::{Client, a_wiki, number};
use crate::ledger::Register;
use crate::random;

/// Keeps, changes and removes drafts, and changes settings.
pub(super) async fn keep(client: &Client) {
    while !client.is_over() {
        match random(4) {
            0 => name_the_site(client).await,
            1 => drop_a_draft(client).await,
            _ => draft(client).await,
        };
    }
}

fn a_draft() -> Register {
    Register::Draft { wiki: a_wiki().to_owned(), path: format!("draft-{}", random(2)) }
}

async fn draft(client: &Client) -> Option<()> {
    let register = a_draft();
    let Register::Draft { wiki, path } = &register else { unreachable!() };
    let text = format!("draft {}", number());
    let call = client.operator.on(wiki).put_draft(path, &text);
    let sent = client.ledger.sent(register.clone(), Some(&text));
    client.succeed(call).await?;
    client.ledger.done(&sent);
    Some(())
}

async fn drop_a_draft(client: &Client) -> Option<()> {
    let register = a_draft();
    let Register::Draft { wiki, path } = &register else { unreachable!() };
    let call = client.operator.on(wiki).delete_draft(path);
    let sent = client.ledger.sent(register.clone(), None);
    let answer = client.ask(call).await?;
    // Not found: it is as it was to be, too.
    if matches!(answer.status(), 204 | 404) {
        client.ledger.done(&sent);
    }
    Some(())
}

async fn name_the_site(client: &Client) -> Option<()> {
    let wiki = a_wiki();
    let name = format!("Site {}", number());
    let call = client.operator.on(wiki).change_preferences(json!({ "site_name": name }));
    let sent = client.ledger.sent(Register::SiteName { wiki: wiki.to_owned() }, Some(&name));
    client.succeed(call).await?;
    client.ledger.done(&sent);
    Some(())
}
