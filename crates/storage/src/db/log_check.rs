//! Detects lost frames of a write-ahead log. SQLite reads a log up to the first incomplete frame and silently ignores
//! the rest. After a crash this is right, because these transactions weren't acknowledged. If frames that were on the
//! disk are lost, acknowledged transactions are lost with them, and the operator should know.
//!
//! Formats: <https://www.sqlite.org/walformat.html>.

use std::io::ErrorKind;
use std::path::Path;

use super::held::with_suffix;
use crate::files::{At as _, FileError};

const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Describes the damage to the log of a database that no process has open; `None` if none is found.
pub(crate) fn loss(database: &Path) -> Result<Option<String>, FileError> {
    let Some(index) = read(&with_suffix(database, "-shm"))? else {
        return Ok(damage(&read(&with_suffix(database, "-wal"))?.unwrap_or_default()).1);
    };
    let log = read(&with_suffix(database, "-wal"))?.unwrap_or_default();
    let (frames, damage) = damage(&log);
    let expected = Expected::read(&index).filter(|expected| expected.is_of(&log));
    Ok(match expected {
        Some(Expected { frames: all, written_back, .. }) if frames < all && written_back < all => {
            Some(format!("{} of {all} frames of it are there", frames.min(all)))
        }
        _ => damage,
    })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some).at("read", path),
    }
}

/// The state of the log according to its index, which a killed process left behind.
struct Expected {
    frames: u32,
    /// Number of these frames that are also in the database.
    written_back: u32,
    salt: [u8; 8],
}

impl Expected {
    /// `None` if the index is unusable: the two copies of its header differ, or were never written.
    fn read(index: &[u8]) -> Option<Self> {
        let (one, other) = (index.get(..48)?, index.get(48..96)?);
        if one != other || one[12] == 0 {
            return None;
        }
        let number = |at: usize| Some(u32::from_ne_bytes(index.get(at..at + 4)?.try_into().ok()?));
        let salt = index.get(32..40)?.try_into().ok()?;
        Some(Self { frames: number(16)?, written_back: number(96)?, salt })
    }

    /// Returns `true` if the index belongs to this log, or its log is gone.
    fn is_of(&self, log: &[u8]) -> bool {
        log.get(16..24).is_none_or(|salt| salt == self.salt || !has_good_header(log))
    }
}

/// Returns the number of readable frames, and the damage to the next one.
fn damage(log: &[u8]) -> (u32, Option<String>) {
    if log.is_empty() {
        return (0, None);
    }
    if !has_good_header(log) {
        return (0, Some("its header is damaged".to_owned()));
    }
    let salt = &log[16..24];
    let size = FRAME_HEADER + be(log, 8) as usize;
    let mut sum = checksum(log, &log[..24], [0, 0]);
    let mut frames = 0;
    let mut rest = log[LOG_HEADER..].chunks_exact(size);
    for frame in rest.by_ref() {
        sum = checksum(log, &frame[..8], sum);
        sum = checksum(log, &frame[FRAME_HEADER..], sum);
        if &frame[8..16] != salt || [be(frame, 16), be(frame, 20)] != sum {
            // Frames left from an earlier log have another salt.
            let is_of_this = |frame: &[u8]| &frame[8..16] == salt;
            let is_damaged = is_of_this(frame) || rest.any(is_of_this);
            let number = frames + 1;
            return (frames, is_damaged.then(|| format!("frame {number} of it is damaged")));
        }
        frames += 1;
    }
    (frames, None)
}

fn has_good_header(log: &[u8]) -> bool {
    let is_whole = log.len() >= LOG_HEADER && matches!(be(log, 0), 0x377f_0682 | 0x377f_0683);
    let page = |size: u32| size.is_power_of_two() && (512..=65536).contains(&size);
    is_whole && page(be(log, 8)) && checksum(log, &log[..24], [0, 0]) == [be(log, 24), be(log, 28)]
}

fn be(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// SQLite's checksum, continued with more bytes; the log's magic number tells the byte order.
fn checksum(log: &[u8], bytes: &[u8], [mut one, mut two]: [u32; 2]) -> [u32; 2] {
    let is_big = log[3] & 1 == 1;
    let word = |at: usize| if is_big { be(bytes, at) } else { be(bytes, at).swap_bytes() };
    for at in (0..bytes.len()).step_by(8) {
        one = one.wrapping_add(word(at)).wrapping_add(two);
        two = two.wrapping_add(word(at + 4)).wrapping_add(one);
    }
    [one, two]
}

#[cfg(test)]
mod tests;
