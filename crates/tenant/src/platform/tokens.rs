//! Bearer tokens.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::memory::KnownToken;
use crate::{Caller, Error, NewToken, Platform, Secret, TenantId, Token};

impl Platform {
    /// Creates a token. The secret is returned only here.
    ///
    /// # Errors
    /// The wiki doesn't exist; the subject is [invalid](crate::check_subject), or given for an operator's token.
    pub async fn create_token(&self, new: NewToken) -> Result<(Token, Secret), Error> {
        self.catalog(move |catalog| catalog.create_token(&new)).await
    }

    /// The token with this secret, unless it has expired, was revoked, or belongs to a user who is suspended. The time
    /// of use is written later.
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

    /// Revokes a token at once. Returns `false` if none has this id in this scope.
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

    /// Refuses a caller whose token was revoked or has expired since it was authenticated.
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

    /// Writes the times when tokens were last used. On failure they are dropped, because they are only for display.
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
