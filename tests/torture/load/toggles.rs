//! A wiki whose pages come back to what they were: most objects of a save are there already.

use super::{Client, number};
use crate::grove::{TOGGLED, note_save};
use crate::ledger::Fact;
use crate::random;

/// The only client of its wiki, so that whole trees come back.
pub(super) async fn toggle(client: &Client) {
    while !client.is_over() {
        match random(3) {
            0 => appear_and_vanish(client).await,
            1 => switch(client, ["open\n", "closed\n"][random(2)]).await,
            // A commit that no other has, on a tree that others had.
            _ => switch(client, &format!("{}\n", number() % 10)).await,
        };
    }
}

async fn appear_and_vanish(client: &Client) -> Option<()> {
    let on = client.operator.on(TOGGLED);
    let made = client.succeed(on.create("short-lived", "for a moment\n")).await;
    let etag = match made {
        Some(made) => {
            note_save(&client.ledger, TOGGLED, &made.json());
            made.etag().to_owned()
        }
        // A crash came between.
        None => client.succeed(on.read("short-lived")).await?.etag().to_owned(),
    };
    let gone = client.succeed(on.delete("short-lived", &etag)).await?.json();
    let revision = gone["revision"].as_str().unwrap().to_owned();
    let fact = Fact::Gone { revision, file: "short-lived.md".to_owned() };
    client.ledger.promised(TOGGLED, fact);
    Some(())
}

async fn switch(client: &Client, text: &str) -> Option<()> {
    let on = client.operator.on(TOGGLED);
    let page = client.succeed(on.read("home")).await?;
    let saved = client.succeed(on.save("home", page.etag(), text)).await?.json();
    note_save(&client.ledger, TOGGLED, &saved);
    Some(())
}
