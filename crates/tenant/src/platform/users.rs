//! Users of the platform.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access::STAND_IN;
use crate::memory::{Memory, Seen};
use crate::{Caller, Error, NewUser, Platform, User, UserUpdate};

/// Minimal interval between two writes of a user's details at login: two contradicting sources must not keep the disk
/// busy.
const WRITTEN_EVERY: Duration = Duration::from_secs(60);

impl Platform {
    /// Creates a user before their first login.
    ///
    /// # Errors
    /// The subject is [invalid](crate::check_subject) or taken.
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        self.catalog(move |catalog| catalog.create_user(&new)).await
    }

    /// The user with this subject.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn user(&self, subject: &str) -> Result<Option<User>, Error> {
        let subject = subject.to_owned();
        self.catalog(move |catalog| catalog.user(&subject)).await
    }

    /// The users in the order of their subjects: at most `limit` after `after`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn users(&self, after: Option<&str>, limit: u32) -> Result<Vec<User>, Error> {
        let after = after.map(str::to_owned);
        self.catalog(move |catalog| catalog.users(after.as_deref(), limit)).await
    }

    /// Changes a user. A suspension takes effect at once, also for open handles and for the user's tokens, which are
    /// refused until it ends.
    ///
    /// # Errors
    /// The user doesn't exist.
    pub async fn update_user(&self, subject: &str, update: UserUpdate) -> Result<User, Error> {
        let (name, gone) = (subject.to_owned(), subject.to_owned());
        self.change(
            move |catalog| catalog.update_user(&name, &update),
            move |memory| memory.forget_user(&gone),
        )
        .await
    }

    /// Records a user's login: creates the user if the subject is new, and stores name and e-mail address of the
    /// caller's author. Costs next to nothing if nothing changed. Ignores callers who aren't users, and tokens.
    ///
    /// # Errors
    /// The caller's subject is [invalid](crate::check_subject); the catalog can't be written.
    pub async fn see_user(&self, caller: &Caller) -> Result<(), Error> {
        let Some(subject) = caller.user_subject() else { return Ok(()) };
        if caller.token_id().is_some() {
            return Ok(());
        }
        let memory = &self.0.memory;
        let before = memory.seen.get(subject);
        if before.is_some_and(|seen| {
            seen.author == *caller.author() || seen.at.elapsed() < WRITTEN_EVERY
        }) {
            return Ok(());
        }
        let (user, author) = (subject.to_owned(), caller.author().clone());
        let seen = Arc::new(Seen { author: author.clone(), at: Instant::now() });
        let platform = self.clone();
        crate::context::blocking(move || {
            let email = author.email();
            let email = (!email.is_empty() && !email.ends_with(STAND_IN)).then_some(email);
            let is_changed = platform.0.catalog.see_user(&user, author.name(), email)?;
            let memory = &platform.0.memory;
            if is_changed {
                memory.forget(|memory: &Memory| memory.forget_user(&user));
            }
            memory.seen.insert(user, seen);
            Ok(())
        })
        .await
    }
}
