//! What is in platform.db: wikis, titles, members and tokens.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::{Client, a_wiki, number};
use crate::ledger::Register;
use crate::random;

/// Administers the platform.
pub(super) async fn administer(client: &Client) {
    let mut wikis = Vec::new();
    while !client.is_over() {
        match random(6) {
            0 => create(client, &mut wikis).await,
            1 => delete(client, &mut wikis).await,
            2 => title(client).await,
            3 => token(client).await,
            _ => member(client).await,
        };
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

async fn create(client: &Client, wikis: &mut Vec<String>) -> Option<()> {
    let slug = format!("new-{}", number());
    let sent = client.ledger.sent(Register::Wiki { slug: slug.clone() }, Some("there"));
    client.succeed(client.operator.create_wiki(&slug)).await?;
    client.ledger.done(&sent);
    wikis.push(slug);
    Some(())
}

async fn delete(client: &Client, wikis: &mut Vec<String>) -> Option<()> {
    let slug = wikis.pop()?;
    let call = client.operator.delete_wiki(&slug);
    let sent = client.ledger.sent(Register::Wiki { slug }, None);
    client.succeed(call).await?;
    client.ledger.done(&sent);
    Some(())
}

async fn title(client: &Client) -> Option<()> {
    let wiki = a_wiki();
    let title = format!("Title {}", number());
    let call = client.operator.change_wiki(wiki, json!({ "title": title }));
    let sent = client.ledger.sent(Register::Title { wiki: wiki.to_owned() }, Some(&title));
    client.succeed(call).await?;
    client.ledger.done(&sent);
    Some(())
}

async fn token(client: &Client) -> Option<()> {
    let wiki = a_wiki();
    let tokens = format!("/wikis/{wiki}/tokens");
    let call = client.operator.admin(Method::POST, &tokens);
    let made = client.succeed(call.json(json!({ "name": "t", "role": "reader" }))).await?.json();
    let secret = made["token"].as_str().unwrap().to_owned();
    let register = Register::Token { wiki: wiki.to_owned(), secret };
    let sent = client.ledger.sent(register.clone(), Some("good"));
    client.ledger.done(&sent);
    if random(2) == 0 {
        let path = format!("{tokens}/{}", made["id"].as_str().unwrap());
        let sent = client.ledger.sent(register, None);
        client.succeed(client.operator.admin(Method::DELETE, path)).await?;
        client.ledger.done(&sent);
    }
    Some(())
}

async fn member(client: &Client) -> Option<()> {
    let (wiki, subject) = (a_wiki(), format!("user-{}", random(3)));
    let role = ["reader", "editor", "admin"][random(3)];
    let call = client.operator.admin(Method::PUT, format!("/wikis/{wiki}/members/{subject}"));
    let register = Register::Member { wiki: wiki.to_owned(), subject };
    let sent = client.ledger.sent(register, Some(role));
    client.succeed(call.json(json!({ "role": role }))).await?;
    client.ledger.done(&sent);
    Some(())
}
