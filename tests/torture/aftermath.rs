//! What has to hold once a server is back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use testkit::{Git, Program, Running, User};

use crate::grove::{self, note_save};
use crate::ledger::{Fact, Ledger, Promise, Register};

/// Checks servers on one data directory after another crash.
#[derive(Debug, Default)]
pub(crate) struct Aftermath {
    /// How long the first answer of a wiki took that had to be opened.
    pub(crate) opened: Vec<Duration>,
    rounds: usize,
}

impl Aftermath {
    /// After a crash at `cut` all wikis can be read and written at once, and everything that was
    /// acknowledged before is there.
    pub(crate) async fn check(
        &mut self,
        program: &Program,
        server: &Running,
        ledger: &Ledger,
        cut: SystemTime,
    ) {
        let operator = server.operator();
        self.rounds += 1;
        // A wiki is recovered when it is opened.
        for wiki in grove::wikis() {
            let started = Instant::now();
            operator.on(wiki).list().query("limit", 1).await.good();
            self.opened.push(started.elapsed());
        }
        promises_are_kept(program, &ledger.promises(cut));
        for register in ledger.registers() {
            let found = read(&operator, &register).await;
            let allowed = ledger.allowed(&register, cut);
            assert!(allowed.contains(&found), "{register:?} is {found:?}, and not of {allowed:?}");
            if let (Register::Wiki { slug }, Some(_)) = (&register, &found) {
                operator.on(slug).list().await.good();
            }
        }
        for wiki in grove::written() {
            let page = format!("alive/{}", self.rounds);
            let text = format!("{:?}\n", SystemTime::now());
            let answer = operator.on(wiki).create(&page, &text).await.good().json();
            note_save(ledger, wiki, &answer);
            program.git(wiki).fsck();
        }
    }

    /// Prints how long wikis took to open.
    pub(crate) fn report(&mut self, drill: &str, ledger_size: usize) {
        self.opened.sort();
        let at = |share: f64| self.opened[((self.opened.len() - 1) as f64 * share) as usize];
        eprintln!(
            "{drill}: {} crashes, {ledger_size} acknowledged operations, none lost; a wiki opens after one in {:?} (median), {:?} (p99), {:?} (longest)",
            self.rounds,
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

/// Every promise is part of the history of its wiki's branch.
pub(crate) fn promises_are_kept(program: &Program, promises: &[Promise]) {
    let mut by_wiki: HashMap<&str, Vec<&Fact>> = HashMap::new();
    for promise in promises {
        by_wiki.entry(&promise.wiki).or_default().push(&promise.fact);
    }
    for (wiki, facts) in by_wiki {
        let git = program.git(wiki);
        let history = git.run(&["rev-list", "main"]);
        let history: HashSet<&str> = history.lines().collect();
        for fact in &facts {
            assert!(history.contains(fact.revision()), "lost in {wiki}: {fact:?}");
        }
        contents_are_right(&git, wiki, &facts);
    }
}

/// Each fact's file is what it says, by one git process.
fn contents_are_right(git: &Git, wiki: &str, facts: &[&Fact]) {
    let (mut names, mut expected) = (String::new(), Vec::new());
    for fact in facts {
        match fact {
            Fact::File { revision, file, blob } => {
                names += &format!("{revision}:{file}\n");
                expected.push((fact, blob.clone()));
            }
            Fact::Gone { revision, file } => {
                names += &format!("{revision}:{file}\n");
                expected.push((fact, format!("{revision}:{file} missing")));
            }
            Fact::Pushed { .. } => {}
        }
    }
    let check = ["cat-file", "--batch-check=%(objectname)"];
    let found = git.run_with(&check, names.as_bytes());
    assert_eq!(found.lines().count(), expected.len());
    for (line, (fact, expected)) in found.lines().zip(expected) {
        assert_eq!(line, expected, "another content in {wiki}: {fact:?}");
    }
}

/// The present value of a register.
async fn read(operator: &User, register: &Register) -> Option<String> {
    let field = |answer: testkit::Answer, name: &str| match answer.status() {
        404 => None,
        _ => Some(answer.good().json()[name].as_str().unwrap().to_owned()),
    };
    match register {
        Register::Draft { wiki, path } => field(operator.on(wiki).draft(path).await, "content"),
        Register::SiteName { wiki } => field(operator.on(wiki).preferences().await, "site_name"),
        Register::Title { wiki } => {
            field(operator.admin(Method::GET, format!("/wikis/{wiki}")).await, "title")
        }
        Register::Member { wiki, subject } => {
            let members = format!("/wikis/{wiki}/members/{subject}");
            field(operator.admin(Method::GET, members).await, "role")
        }
        Register::Token { wiki, secret } => {
            let answer = operator.with_token(secret).on(wiki).list().query("limit", 1).await;
            (answer.status() == 200).then(|| "good".to_owned())
        }
        Register::Wiki { slug } => {
            let answer = operator.admin(Method::GET, format!("/wikis/{slug}")).await;
            (answer.status() == 200).then(|| "there".to_owned())
        }
    }
}
