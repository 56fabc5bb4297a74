//! JSON that reserves its bytes while it is written.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use wikigrove_tenant::problem::Problem;

use crate::limits::{ByteBudget, Held, Principal};

/// Step by which the reservation grows, in bytes.
const STEP: usize = 256 << 10;

/// Serialises `value`. The bytes are reserved for `principal` step by step, each step before it is written.
///
/// # Errors
/// 503 if there is no room for them.
pub(super) fn json(
    budget: &ByteBudget,
    principal: Principal,
    value: &impl Serialize,
) -> Result<(Bytes, Held), Problem> {
    let held = budget.take(principal, STEP as u64)?;
    let mut writer =
        Reserving { bytes: Vec::with_capacity(STEP), reserved: STEP, held, refused: None };
    let written = serde_json::to_writer(&mut writer, value);
    let Reserving { mut bytes, mut held, refused, .. } = writer;
    if let Some(refused) = refused {
        return Err(refused);
    }
    written.map_err(|error| Problem::internal(&error))?;
    bytes.shrink_to_fit();
    held.is_in_fact(bytes.len() as u64);
    Ok((bytes.into(), held))
}

struct Reserving {
    bytes: Vec<u8>,
    reserved: usize,
    held: Held,
    /// Why no more is written.
    refused: Option<Problem>,
}

impl io::Write for Reserving {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let size = self.bytes.len() + piece.len();
        if size > self.reserved {
            let more = (size - self.reserved).next_multiple_of(STEP);
            if let Err(refused) = self.held.grow(more as u64) {
                self.refused = Some(refused);
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            self.reserved += more;
            self.bytes.reserve_exact(self.reserved - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HttpLimits;

    #[test]
    fn json_is_reserved_before_it_is_written() {
        let limits = HttpLimits { bytes_per_principal: 1 << 20, ..HttpLimits::default() };
        let budget = ByteBudget::new(&limits);
        let json = |text: &str| json(&budget, Principal::Nowhere, &[text]);
        let (bytes, held) = json(&"x".repeat(700_000)).unwrap();
        assert_eq!((bytes.len(), budget.held()), (700_004, 700_004));
        assert_eq!(json(&"x".repeat(500_000)).unwrap_err().code(), "busy");
        assert_eq!(json(&"\u{1}".repeat(100_000)).unwrap_err().code(), "busy");
        assert_eq!(budget.held(), 700_004);
        drop(held);
        assert_eq!(json(&"\u{1}".repeat(100_000)).unwrap().0.len(), 600_004);
        assert_eq!(budget.held(), 0);
    }
}
