//! Reserves request bodies in the [`ByteBudget`] while they are received and processed.

use std::sync::{Arc, Mutex, PoisonError};

use wikigrove_tenant::problem::Problem;

use super::{ByteBudget, Held, Principal};

/// Maximum size of a body that isn't counted, in bytes.
const SMALL: u64 = 16 << 10;
/// Step by which a reservation grows, in bytes.
const STEP: u64 = 64 << 10;

/// Counts the body of one request; an extension of the request. The reservation ends with the response:
/// until then the content is in memory in one form or another.
#[derive(Clone, Debug)]
pub(crate) struct Receiving {
    budget: ByteBudget,
    held: Arc<Mutex<Reserved>>,
}

#[derive(Debug, Default)]
struct Reserved {
    bytes: u64,
    held: Option<Held>,
}

impl Receiving {
    pub(crate) fn new(budget: &ByteBudget) -> Self {
        Self { budget: budget.clone(), held: Arc::default() }
    }

    /// Reserves bytes after `received` bytes of the body have arrived.
    ///
    /// # Errors
    /// 503 if there is no room for them.
    pub(crate) fn count(
        &self,
        received: u64,
        principal: impl FnOnce() -> Principal,
    ) -> Result<(), Problem> {
        if received <= SMALL {
            return Ok(());
        }
        let mut reserved = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if received <= reserved.bytes {
            return Ok(());
        }
        let bytes = received.next_multiple_of(STEP);
        let more = bytes - reserved.bytes;
        match &mut reserved.held {
            Some(held) => held.grow(more)?,
            None => reserved.held = Some(self.budget.take(principal(), more)?),
        }
        reserved.bytes = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HttpLimits;

    #[test]
    fn a_body_is_held_as_far_as_it_has_come() {
        let budget =
            ByteBudget::new(&HttpLimits { bytes_per_principal: 1 << 20, ..HttpLimits::default() });
        let receiving = Receiving::new(&budget);
        let count = |received| receiving.count(received, || Principal::Nowhere);
        count(10_000).unwrap();
        assert_eq!(budget.held(), 0);
        count(100_000).unwrap();
        // A smaller count, as when the body is read a second time.
        count(50_000).unwrap();
        assert_eq!(budget.held(), 128 << 10);
        count(2_000_000).unwrap_err();
        let rest = receiving.clone();
        drop(receiving);
        assert_eq!(budget.held(), 128 << 10);
        drop(rest);
        assert_eq!(budget.held(), 0);
    }
}
