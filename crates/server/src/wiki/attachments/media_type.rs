//! The media type of an attachment: determined by its name alone, never by its content, and such
//! that no browser executes it in the wiki's origin.

use mime_guess::Mime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Image types that browsers show and that can't contain programs. SVG can.
const IMAGES: &[&str] =
    &["png", "jpeg", "gif", "webp", "avif", "bmp", "x-icon", "vnd.microsoft.icon"];
/// Types that are downloaded under their own name.
const INERT: &[&str] = &[
    "application/epub+zip",
    "application/gzip",
    "application/json",
    "application/msword",
    "application/pdf",
    "application/x-7z-compressed",
    "application/x-tar",
    "application/zip",
    "image/heic",
    "image/tiff",
    "text/csv",
    "text/markdown",
];
/// Prefixes of further such types.
const INERT_FAMILIES: &[&str] = &[
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.oasis.opendocument.",
    "application/vnd.openxmlformats-officedocument.",
    "font/",
];
/// The characters that RFC 8187 leaves unencoded.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The headers of a served attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    /// The value of `Content-Type`.
    pub(super) served_as: String,
    /// True if a browser may show it in place; otherwise it is downloaded.
    pub(super) inline: bool,
}

/// Determines the type and disposition of a file by its name.
pub(super) fn of(name: &str) -> Served {
    let guessed = mime_guess::from_path(name).first_or_octet_stream();
    let inline = is_harmless(&guessed);
    let served_as = match guessed.essence_str() {
        "text/plain" => "text/plain; charset=utf-8".to_owned(),
        // Pages show SVG with `<img>`, in which scripts don't run.
        "image/svg+xml" => "image/svg+xml".to_owned(),
        essence if inline || is_inert(essence) => essence.to_owned(),
        _ => "application/octet-stream".to_owned(),
    };
    Served { served_as, inline }
}

fn is_harmless(guessed: &Mime) -> bool {
    match guessed.type_().as_str() {
        "audio" | "video" => true,
        "image" => IMAGES.contains(&guessed.subtype().as_str()) && guessed.suffix().is_none(),
        "text" => guessed.subtype() == "plain",
        _ => false,
    }
}

/// Returns `true` if a browser executes nothing in this type, even one that ignores the
/// disposition. A list of known types, because new executable types are invented all the time.
fn is_inert(essence: &str) -> bool {
    INERT.contains(&essence) || INERT_FAMILIES.iter().any(|family| essence.starts_with(family))
}

/// The value of `Content-Disposition` (RFC 6266): an ASCII name that any client understands and, if
/// the name has other characters, the exact name, too.
pub(super) fn disposition(name: &str, inline: bool) -> String {
    let kind = if inline { "inline" } else { "attachment" };
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ' | '(' | ')');
    let simple: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut value = format!("{kind}; filename=\"{simple}\"");
    if simple != name {
        value += "; filename*=UTF-8''";
        value.extend(utf8_percent_encode(name, ATTRIBUTE));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_sound_films_and_plain_text_are_shown_in_place() {
        for (name, served_as) in [
            ("x.png", "image/png"),
            ("x.JPG", "image/jpeg"),
            ("x.webp", "image/webp"),
            ("x.avif", "image/avif"),
            ("x.ico", "image/x-icon"),
            ("x.mp4", "video/mp4"),
            ("x.ogg", "audio/ogg"),
            ("x.txt", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(
                of(name),
                Served { served_as: served_as.to_owned(), inline: true },
                "{name}"
            );
        }
    }

    #[test]
    fn what_could_be_run_is_downloaded() {
        for name in [
            "x.html",
            "x.HTM",
            "x.xhtml",
            "x.shtml",
            "x.xml",
            "x.js",
            "x.mjs",
            "x.css",
            "x.mht",
            "x.mhtml",
            "x.eml",
            "x.swf",
            "x",
            "x.png;b.html",
            "x.unknown",
            ".html",
            "x.svgz.html",
            "x.xsl",
            "x.hta",
        ] {
            let served = of(name);
            assert!(!served.inline, "{name}: {served:?}");
            assert_eq!(served.served_as, "application/octet-stream", "{name}");
        }
        assert_eq!(of("x.svg"), Served { served_as: "image/svg+xml".to_owned(), inline: false });
        assert_eq!(of("x.pdf"), Served { served_as: "application/pdf".to_owned(), inline: false });
        assert_eq!(of("x.zip"), Served { served_as: "application/zip".to_owned(), inline: false });
    }

    #[test]
    fn a_name_cannot_leave_its_header_or_its_parameter() {
        assert_eq!(disposition("a b.png", true), "inline; filename=\"a b.png\"");
        assert_eq!(
            disposition("a.png;b.html", false),
            "attachment; filename=\"a.png_b.html\"; filename*=UTF-8''a.png%3Bb.html"
        );
        assert_eq!(
            disposition("a\"\r\nSet-Cookie: x=1.png", false),
            "attachment; filename=\"a___Set-Cookie_ x_1.png\"; filename*=UTF-8''a%22%0D%0ASet-Cookie%3A%20x%3D1.png"
        );
        assert_eq!(
            disposition("é.txt", true),
            "inline; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"
        );
    }
}
