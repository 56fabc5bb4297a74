//! What the server acknowledged, and what it may have done besides.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::SystemTime;

/// What an acknowledged change of a wiki's content promised. The revision is part of the branch's
/// history for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The file has this content (the id of a blob) in the revision.
    File { revision: String, file: String, blob: String },
    /// The file isn't in the revision.
    Gone { revision: String, file: String },
    /// The revision was pushed.
    Pushed { revision: String },
}

impl Fact {
    pub(crate) fn revision(&self) -> &str {
        match self {
            Self::File { revision, .. }
            | Self::Gone { revision, .. }
            | Self::Pushed { revision } => revision,
        }
    }
}

/// A fact of one wiki.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    at: SystemTime,
    pub(crate) wiki: String,
    pub(crate) fact: Fact,
}

/// A value that only one client changes, one change after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Register {
    /// The text of a draft.
    Draft { wiki: String, path: String },
    /// A setting of the wiki.
    SiteName { wiki: String },
    /// The title in the catalog.
    Title { wiki: String },
    /// A member's role.
    Member { wiki: String, subject: String },
    /// A token: there as long as it is good.
    Token { wiki: String, secret: String },
    /// A wiki: there as long as it exists.
    Wiki { slug: String },
}

#[derive(Clone, Debug)]
struct Attempt {
    answered: Option<SystemTime>,
    value: Option<String>,
}

/// One attempt to change a register.
#[must_use = "an attempt has an outcome"]
#[derive(Debug)]
pub(crate) struct Sent {
    register: Register,
    number: usize,
}

/// All that was acknowledged, with the time of each answer.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    promises: Mutex<Vec<Promise>>,
    registers: Mutex<BTreeMap<Register, Vec<Attempt>>>,
}

impl Ledger {
    /// The server acknowledged a change of a wiki's content, just now.
    pub(crate) fn promised(&self, wiki: &str, fact: Fact) {
        let promise = Promise { at: SystemTime::now(), wiki: wiki.to_owned(), fact };
        self.promises.lock().unwrap().push(promise);
    }

    /// The promises that were made until `cut`.
    pub(crate) fn promises(&self, cut: SystemTime) -> Vec<Promise> {
        let promises = self.promises.lock().unwrap();
        promises.iter().filter(|promise| promise.at <= cut).cloned().collect()
    }

    /// How many operations were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        let registers = self.registers.lock().unwrap();
        let attempts = registers.values().flatten();
        let changes = attempts.filter(|attempt| attempt.answered.is_some()).count();
        changes + self.promises.lock().unwrap().len()
    }

    /// The times of all acknowledgements.
    pub(crate) fn times(&self) -> Vec<SystemTime> {
        let registers = self.registers.lock().unwrap();
        let answered = registers.values().flatten().filter_map(|attempt| attempt.answered);
        let promised = self.promises.lock().unwrap();
        answered.chain(promised.iter().map(|promise| promise.at)).collect()
    }

    /// A register is about to be changed.
    pub(crate) fn sent(&self, register: Register, value: Option<&str>) -> Sent {
        let mut registers = self.registers.lock().unwrap();
        let attempts = registers.entry(register.clone()).or_default();
        attempts.push(Attempt { answered: None, value: value.map(str::to_owned) });
        Sent { register, number: attempts.len() - 1 }
    }

    /// A change of a register was acknowledged, just now.
    pub(crate) fn done(&self, sent: &Sent) {
        let mut registers = self.registers.lock().unwrap();
        registers.get_mut(&sent.register).unwrap()[sent.number].answered = Some(SystemTime::now());
    }

    /// The registers there are.
    pub(crate) fn registers(&self) -> Vec<Register> {
        self.registers.lock().unwrap().keys().cloned().collect()
    }

    /// The values that a register may have after a crash at `cut`: what was acknowledged last, and
    /// whatever was sent after that.
    pub(crate) fn allowed(&self, register: &Register, cut: SystemTime) -> Vec<Option<String>> {
        let registers = self.registers.lock().unwrap();
        let attempts = &registers[register];
        let acknowledged = |attempt: &Attempt| attempt.answered.is_some_and(|at| at <= cut);
        let values = |attempts: &[Attempt]| {
            attempts.iter().map(|attempt| attempt.value.clone()).collect::<Vec<_>>()
        };
        match attempts.iter().rposition(acknowledged) {
            Some(last) => values(&attempts[last..]),
            None => [vec![None], values(attempts)].concat(),
        }
    }

    /// What was known at `cut`, to be continued separately.
    pub(crate) fn as_of(&self, cut: SystemTime) -> Self {
        let copy = Self {
            promises: Mutex::new(self.promises.lock().unwrap().clone()),
            registers: Mutex::new(self.registers.lock().unwrap().clone()),
        };
        copy.forget_answers_after(cut);
        copy
    }

    /// Whatever was answered after a cut never reached a client.
    pub(crate) fn forget_answers_after(&self, cut: SystemTime) {
        self.promises.lock().unwrap().retain(|promise| promise.at <= cut);
        for attempt in self.registers.lock().unwrap().values_mut().flatten() {
            attempt.answered = attempt.answered.filter(|at| *at <= cut);
        }
    }
}
