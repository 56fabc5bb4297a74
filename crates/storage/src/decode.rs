//! Decodes pages that aren't UTF-8.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Number of bytes of a page from which its encoding is detected.
const SAMPLE: usize = 256 * 1024;

/// A decoded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text, with U+FFFD for invalid bytes.
    pub text: Cow<'a, str>,
    /// The name of the detected encoding. `None` for valid UTF-8.
    pub encoding: Option<&'static str>,
}

/// Decodes the bytes of a page as well as possible: by their byte order mark, or by the most likely encoding.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    if let Ok(text) = std::str::from_utf8(bytes)
        // UTF-16 of ASCII characters is valid UTF-8, full of NUL.
        && (!bytes.contains(&0) || utf_16(sample(bytes)).is_none())
    {
        return Decoded { text: text.into(), encoding: None };
    }
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => likely(bytes),
    };
    let (text, encoding, _) = encoding.decode(bytes);
    Decoded { text, encoding: Some(encoding.name()) }
}

fn likely(bytes: &[u8]) -> &'static Encoding {
    let sample = sample(bytes);
    if let Some(encoding) = utf_16(sample).or_else(|| damaged_utf_8(sample)) {
        return encoding;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    detector.guess(None, Utf8Detection::Deny)
}

fn sample(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(SAMPLE)]
}

/// Detects UTF-16 without a byte order mark: most characters of western text have one zero byte.
fn utf_16(sample: &[u8]) -> Option<&'static Encoding> {
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let many = (sample.len() / 8).max(1);
    match () {
        () if second > many && first < second / 8 => Some(UTF_16LE),
        () if first > many && second < first / 8 => Some(UTF_16BE),
        () => None,
    }
}

/// Detects UTF-8 with some invalid bytes.
fn damaged_utf_8(sample: &[u8]) -> Option<&'static Encoding> {
    let (mut right, mut wrong) = (0, 0);
    for chunk in sample.utf8_chunks() {
        right += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    (right > 4 * wrong).then_some(UTF_8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_other_encodings_is_read() {
        let chinese = "我们在花园里种了很多玫瑰，春天的时候它们会开花。请不要忘记浇水。";
        let japanese =
            "庭にはたくさんのバラがあります。春になると咲きます。水やりを忘れないでください。";
        let french = "Les roses fleurissent en été près de la forêt; voilà où sont les châtaignes.";
        for (label, text) in [
            ("gbk", chinese),
            ("shift_jis", japanese),
            ("euc-jp", japanese),
            ("windows-1252", french),
        ] {
            let (bytes, encoding, _) = Encoding::for_label(label.as_bytes()).unwrap().encode(text);
            let decoded = decode(&bytes);
            assert_eq!((&*decoded.text, decoded.encoding), (text, Some(encoding.name())));
        }
    }

    #[test]
    fn utf_16_is_told_by_its_mark_or_its_zeros() {
        let plain: Vec<u8> = "# Plain\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&plain).text, "# Plain\n");
        let text = "# Caf\u{e9} \u{8336}\n\nwith some words that follow\n";
        for (name, bytes) in [
            ("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
            ("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ] {
            let mark: &[u8] = if name == "UTF-16LE" { b"\xff\xfe" } else { b"\xfe\xff" };
            for bytes in [[mark, &bytes].concat(), bytes] {
                let decoded = decode(&bytes);
                assert_eq!((&*decoded.text, decoded.encoding), (text, Some(name)));
            }
        }
    }

    #[test]
    fn utf_8_with_a_wrong_byte_stays_utf_8() {
        let text = decode(b"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9\xc3\xa8\xff");
        assert_eq!((&*text.text, text.encoding), ("äöüßéè\u{fffd}", Some("UTF-8")));
        assert_eq!(decode(b"plain"), Decoded { text: "plain".into(), encoding: None });
        assert!(decode(b"\xff").encoding.is_some());
    }
}
