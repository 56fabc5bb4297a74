//! git's pkt-line format: a length of four hexadecimal digits, which includes the digits, then the
//! content.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The flush packet, which ends a list.
pub(super) const FLUSH: &[u8] = b"0000";
/// Maximum size of a packet's content, in bytes.
pub(super) const MOST: usize = 65516;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// A flush, delimiter or response-end packet: `0000`, `0001` or `0002`.
    Mark(u8),
    /// A packet with content.
    Data(Bytes),
}

/// Error for input that isn't a valid packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Packet {
    /// Takes the first packet from `from`; `None` while it is incomplete.
    pub(super) fn take(from: &mut BytesMut) -> Result<Option<Self>, Malformed> {
        let Some(digits) = from.get(..4) else { return Ok(None) };
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
        let length = usize::from_str_radix(digits, 16).map_err(|_| Malformed)?;
        match length {
            _ if !is_hex => Err(Malformed),
            0..=2 => {
                drop(from.split_to(4));
                Ok(Some(Self::Mark(u8::try_from(length).unwrap_or_default())))
            }
            3 => Err(Malformed),
            _ if length > MOST + 4 => Err(Malformed),
            _ if from.len() < length => Ok(None),
            _ => {
                let mut whole = from.split_to(length);
                Ok(Some(Self::Data(whole.split_off(4).freeze())))
            }
        }
    }

    /// The content as a line, without the line ending.
    pub(super) fn line(data: &[u8]) -> &[u8] {
        data.strip_suffix(b"\n").unwrap_or(data)
    }
}

/// Appends a packet. Content that is too long for a packet is cut off.
pub(super) fn put(into: &mut BytesMut, data: &[u8]) {
    let data = &data[..data.len().min(MOST)];
    into.reserve(data.len() + 4);
    into.put_slice(format!("{:04x}", data.len() + 4).as_bytes());
    into.put_slice(data);
}

/// Appends content as packets of a side band: 1 is the response, 2 is for messages.
pub(super) fn put_band(into: &mut BytesMut, band: u8, data: &[u8]) {
    for piece in data.chunks(MOST - 1) {
        into.reserve(piece.len() + 5);
        into.put_slice(format!("{:04x}", piece.len() + 5).as_bytes());
        into.put_u8(band);
        into.put_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_as_they_become_complete() {
        let mut bytes = BytesMut::new();
        put(&mut bytes, b"want\n");
        bytes.extend_from_slice(b"00010000");
        let whole = bytes.clone();
        for cut in 0..9 {
            let mut part = BytesMut::from(&whole[..cut]);
            assert_eq!(Packet::take(&mut part), Ok(None), "{cut}");
        }
        let data = Packet::Data(Bytes::from_static(b"want\n"));
        assert_eq!(Packet::take(&mut bytes), Ok(Some(data)));
        assert_eq!(Packet::take(&mut bytes), Ok(Some(Packet::Mark(1))));
        assert_eq!(Packet::take(&mut bytes), Ok(Some(Packet::Mark(0))));
        assert_eq!(Packet::take(&mut bytes), Ok(None));
    }

    #[test]
    fn what_has_no_length_is_no_packet() {
        for bad in ["0003", "zzzz", "+00a......", "fff1", "00 5x"] {
            assert_eq!(Packet::take(&mut BytesMut::from(bad)), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn a_long_text_of_a_band_is_several_packets() {
        let text = vec![b'x'; MOST * 2];
        let mut bytes = BytesMut::new();
        put_band(&mut bytes, 2, &text);
        let mut joined = Vec::new();
        while let Ok(Some(Packet::Data(data))) = Packet::take(&mut bytes) {
            assert_eq!(data[0], 2);
            joined.extend_from_slice(&data[1..]);
        }
        assert_eq!(joined, text);
    }
}
