//! What it costs to decide, and to recognise a token: each against one lookup in a hash map.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

mod report;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use wikigrove_tenant::{
    Action, Author, Caller, Decision, Membership, NewToken, Platform, Role, Secret, Tenant,
    TokenRole, decide,
};

const ROUNDS: usize = 41;
const CALLS: u32 = 20_000;
const DECIDING: Duration = Duration::from_micros(2);
const CHECKING: Duration = Duration::from_micros(20);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (platform, tenant, secrets) = runtime.block_on(platform());
    let user = Caller::user("ann", Author::new("Ann", "ann@example.org"));
    let token = runtime.block_on(platform.find_token(secrets[1].expose())).unwrap().unwrap();
    let member = Membership::from(Some(Role::Editor));
    for (name, caller) in [
        ("anonymous", Caller::anonymous()),
        ("a member", user.clone()),
        ("a member, limited", user.limited_to(Some(Role::Reader))),
        ("a user's token", Caller::token(&token)),
    ] {
        let deciding = || each(|| is_allowed(&decide(&tenant, &caller, &member, Action::Write)));
        compare(&format!("decide, {name}"), DECIDING, deciding);
    }
    for (name, secret) in ["nobody's", "a user's"].into_iter().zip(&secrets) {
        compare(&format!("a token check, {name}"), CHECKING, || check(&runtime, &platform, secret));
    }
}

fn is_allowed(decision: &Decision) -> bool {
    matches!(decision, Decision::Allowed(_))
}

async fn platform() -> (Platform, Tenant, [Secret; 2]) {
    let platform = Platform::in_memory().await.unwrap();
    let garden = platform.create("garden").await.unwrap();
    platform.set_member(garden.slug(), "ann", Role::Editor).await.unwrap();
    let role = TokenRole::Wiki { wiki: garden.id(), role: Role::Editor };
    let name = "ci".to_owned();
    let new = NewToken { name, role, act_as: false, expires: None, subject: None };
    let owned = NewToken { subject: Some("ann".to_owned()), ..new.clone() };
    let (_, of_nobody) = platform.create_token(new).await.unwrap();
    let (_, of_a_user) = platform.create_token(owned).await.unwrap();
    let tenant = (*platform.tenant(garden.slug()).await.unwrap().unwrap()).clone();
    (platform, tenant, [of_nobody, of_a_user])
}

/// From the secret to who asks, as each request does it.
fn check(runtime: &Runtime, platform: &Platform, secret: &Secret) -> Duration {
    runtime.block_on(async {
        let started = Instant::now();
        for _ in 0..CALLS {
            let token = platform.find_token(black_box(secret.expose())).await.unwrap().unwrap();
            black_box(Caller::token(&token));
        }
        started.elapsed() / CALLS
    })
}

fn compare(name: &str, target: Duration, ours: impl Fn() -> Duration) {
    let map: HashMap<String, usize> = (0..1000).map(|n| (format!("key {n}"), n)).collect();
    let lookup = || each(|| map.get(black_box("key 500")));
    let (mut mine, mut reference) = (Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does meanwhile meets both.
    for _ in 0..ROUNDS {
        mine.push(ours());
        reference.push(lookup());
    }
    let reference = ("one lookup in a hash map", report::median(reference));
    report::line(name, report::median(mine), reference, target);
}

/// The mean time of a call.
fn each<T>(call: impl Fn() -> T) -> Duration {
    let started = Instant::now();
    for _ in 0..CALLS {
        black_box(call());
    }
    started.elapsed() / CALLS
}
