//! Bearer tokens.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::memory::KnownToken;
use crate::{Caller, Error, NewToken, Platform, Secret, TenantId, Token};

impl Platform {
    /// Makes a token. The secret is shown once, here.
    ///
    /// # Errors
    /// There is no such wiki; the subject [can't be](crate::check_subject) a user's, or is given to a
    /// token for the whole platform.
    pub async fn create_token(&self, new: NewToken) -> Result<(Token, Secret), Error> {
        self.catalog(move |catalog| catalog.create_token(&new)).await
    }

    /// The token with this secret, unless it has expired, was revoked, or belongs to a user who is
    /// suspended. That it was used is written down later.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn find_token(&self, secret: &str) -> Result<Option<Token>, Error> {
        let (memory, hash) = (&self.0.memory, crate::token::hash(secret));
        let epoch = memory.epoch();
        let known = match memory.tokens.get(&hash) {
            Some(known) => known,
            None => {
                let text = secret.to_owned();
                let found = self.catalog(move |catalog| catalog.find_token(&text)).await?;
                let Some(token) = found else { return Ok(None) };
                let known = Arc::new(KnownToken::new(token));
                memory.keep(epoch, |memory| memory.tokens.insert(hash, known.clone()));
                known
            }
        };
        let now = OffsetDateTime::now_utc();
        if known.token.expires.is_some_and(|expires| expires <= now) {
            return Ok(None);
        }
        memory.note_use(&known, now.unix_timestamp());
        Ok(Some(known.token.clone()))
    }

    /// The tokens of a wiki, or (`None`) of the platform, by id: at most `limit` after `after`.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn tokens(
        &self,
        wiki: Option<TenantId>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Token>, Error> {
        self.write_uses().await;
        let after = after.map(str::to_owned);
        self.catalog(move |catalog| catalog.tokens(wiki, after.as_deref(), limit)).await
    }

    /// Revokes a token at once. `false`: there was none of this id in this scope.
    ///
    /// # Errors
    /// The catalog can't be written.
    pub async fn revoke_token(&self, wiki: Option<TenantId>, id: &str) -> Result<bool, Error> {
        let (id, gone) = (id.to_owned(), id.to_owned());
        self.change(
            move |catalog| catalog.revoke_token(wiki, &id),
            move |memory| memory.forget_tokens(|token| token.id == gone),
        )
        .await
    }

    /// Refuses a caller whose token was revoked since it was shown.
    pub(crate) async fn require_token(&self, caller: &Caller) -> Result<(), Error> {
        let Some(id) = caller.token_id() else { return Ok(()) };
        let memory = &self.0.memory;
        let epoch = memory.epoch();
        if memory.alive.contains_key(id) {
            return Ok(());
        }
        let (id, asked) = (id.to_owned(), id.to_owned());
        if !self.catalog(move |catalog| catalog.has_token(&asked)).await? {
            return Err(Error::TokenEnded);
        }
        memory.keep(epoch, |memory| memory.alive.insert(id, ()));
        Ok(())
    }

    /// Writes down when tokens were last used. What can't be written is forgotten: it is for people to
    /// look at, and not worth more.
    pub(super) async fn write_uses(&self) {
        let uses = self.0.memory.take_uses();
        if uses.is_empty() {
            return;
        }
        let written = self.catalog(move |catalog| catalog.note_uses(&uses)).await;
        if let Err(error) = written {
            tracing::warn!(%error, "when tokens were last used could not be written down");
        }
    }
}
