//! Loose objects that are too small to be worth compressing.
//!
//! A file takes a block of the disk however short it is, so the trees and the commit of an ordinary
//! save are not a byte smaller on the disk when they are compressed; but setting up a compressor
//! costs more than writing the file. Format: git's header and the content in one stored block of a
//! zlib stream (RFC 1950 and 1951). Any git reads it, and packs it like every other object.

use std::io::Write as _;
use std::path::Path;

use gix::objs::Kind;

use crate::files::{At as _, FileError};

/// Up to this size (bytes) the object fits into one block of any usual file system.
pub(super) const SMALL: usize = 4000;

/// Writes a small object, replacing the file if there is one. It appears complete or not at all.
pub(super) fn write(
    objects: &Path,
    id: gix::ObjectId,
    kind: Kind,
    data: &[u8],
) -> Result<(), FileError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tmp_obj_");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o444));
    let mut file = builder.tempfile_in(objects).at("create a file in", objects)?;
    file.write_all(&stored(kind, data)).at("write", file.path())?;
    let hex = id.to_string();
    let shard = objects.join(&hex[..2]);
    let path = shard.join(&hex[2..]);
    let Err(error) = file.persist(&path) else { return Ok(()) };
    // The first object of its shard; or a repack has just removed the empty directory.
    match std::fs::create_dir(&shard) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).at("create directory", &shard);
        }
        _ => {}
    }
    error.file.persist(&path).map(drop).map_err(|error| error.error).at("rename into place", &path)
}

fn stored(kind: Kind, data: &[u8]) -> Vec<u8> {
    let header = gix::objs::encode::loose_header(kind, data.len() as u64);
    let size = (header.len() + data.len()) as u16;
    let mut file = Vec::with_capacity(usize::from(size) + 11);
    file.extend([0x78, 0x01, 0x01]);
    file.extend(size.to_le_bytes());
    file.extend((!size).to_le_bytes());
    file.extend(&*header);
    file.extend(data);
    let sum = adler32(&file[7..]);
    file.extend(sum.to_be_bytes());
    file
}

fn adler32(data: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    // Neither sum can overflow in as few bytes as a small object has.
    let (low, high) = data.iter().fold((1, 0), |(low, high), byte| {
        let low = low + u32::from(*byte);
        (low, high + low)
    });
    ((high % PRIME) << 16) | (low % PRIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1950() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&[0xff; SMALL]), {
            let (mut low, mut high) = (1_u64, 0_u64);
            for _ in 0..SMALL {
                low += 0xff;
                high += low;
            }
            (((high % 65_521) << 16) | (low % 65_521)) as u32
        });
    }
}
