//! Bearer tokens.

use time::OffsetDateTime;

use crate::{Error, NewToken, Platform, Secret, TenantId, Token};

impl Platform {
    /// Makes a token. The secret is shown once, here.
    ///
    /// # Errors
    /// There is no such wiki.
    pub async fn create_token(&self, new: NewToken) -> Result<(Token, Secret), Error> {
        self.catalog(move |catalog| catalog.create_token(&new)).await
    }

    /// The token with this secret, unless it has expired or was revoked.
    ///
    /// # Errors
    /// The catalog can't be read.
    pub async fn find_token(&self, secret: &str) -> Result<Option<Token>, Error> {
        let (memory, hash) = (&self.0.memory, crate::token::hash(secret));
        let epoch = memory.epoch();
        if let Some(token) = memory.tokens.get(&hash) {
            let valid = token.expires.is_none_or(|expires| expires > OffsetDateTime::now_utc());
            return Ok(valid.then_some(token));
        }
        let text = secret.to_owned();
        let found = self.catalog(move |catalog| catalog.find_token(&text)).await?;
        if let Some(token) = &found {
            memory.keep(epoch, |memory| memory.tokens.insert(hash, token.clone()));
        }
        Ok(found)
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
}
