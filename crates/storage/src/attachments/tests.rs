use std::io::Read as _;
use std::path::PathBuf;

use proptest::prelude::*;

use crate::testing::{Scratch, ada};
use crate::*;

/// Larger than a redo row's content, and than one read.
const LARGE: usize = 700_000;

/// Makes incompressible bytes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

fn put(wiki: &Wiki, path: &str, content: &[u8], base: Base) -> Result<SavedAttachment, Error> {
    let path = AttachmentPath::new(path)?;
    let mut upload = wiki.upload()?;
    for chunk in content.chunks(100_000) {
        upload.write(chunk)?;
    }
    let blob = wiki.stage(&path, base, upload)?;
    wiki.save_attachment(&SaveAttachment { path: &path, base, author: &ada(), message: None }, blob)
}

fn create(scratch: &Scratch, path: &str, content: &[u8]) -> SavedAttachment {
    put(scratch.wiki(), path, content, Base::New).unwrap()
}

fn open(scratch: &Scratch, path: &str) -> Result<Attachment, Error> {
    scratch.wiki().attachment(&ExistingAttachment::new(path)?, None)
}

fn bytes(mut attachment: Attachment) -> Vec<u8> {
    let mut content = Vec::new();
    attachment.read_to_end(&mut content).unwrap();
    assert_eq!(content.len() as u64, attachment.size());
    content
}

fn delete(scratch: &Scratch, path: &str, base: Etag) -> Result<Revision, Error> {
    let path = ExistingAttachment::new(path)?;
    let delete = DeleteAttachment { path: &path, base, author: &ada(), message: None };
    scratch.wiki().delete_attachment(&delete)
}

fn names(scratch: &Scratch, page: &str) -> Vec<String> {
    let listed = scratch.wiki().attachments(page, None, 100).unwrap();
    listed.into_iter().map(|attachment| attachment.name).collect()
}

fn object_file(scratch: &Scratch, etag: Etag) -> PathBuf {
    let hex = etag.to_string();
    scratch.repo().join("objects").join(&hex[..2]).join(&hex[2..])
}

#[test]
fn an_attachment_is_read_back_as_it_was_saved_whatever_its_size() {
    let scratch = Scratch::new();
    for size in [0, 1, 4001, 262_144, 262_145, LARGE] {
        let (path, content) = (format!("home/{size}.bin"), noise(size));
        let saved = create(&scratch, &path, &content);
        assert!(saved.created && saved.changed);
        assert_eq!((&*saved.page, &*saved.name), ("home", &*format!("{size}.bin")));
        assert_eq!(saved.size, size as u64);
        let read = open(&scratch, &path).unwrap();
        assert_eq!(read.etag, saved.etag);
        assert!(bytes(read) == content, "{size}");
        assert_eq!(scratch.git(&["rev-parse", &format!("main:{path}")]), saved.etag.to_string());
        assert_eq!(
            scratch.git(&["log", "-1", "--format=%H %an %s"]),
            format!("{} Ada Create {path}", saved.revision)
        );
    }
    scratch.git(&["fsck", "--strict"]);
}

#[test]
fn attachments_survive_a_crash_and_leave_nothing_else() {
    let mut scratch = Scratch::new();
    let (small, large) = (noise(1000), noise(LARGE));
    create(&scratch, "home/small", &small);
    create(&scratch, "home/large", &large);
    let mut lost = scratch.wiki().upload().unwrap();
    lost.write(&large).unwrap();
    // A leftover, as on systems without unnamed files.
    std::fs::write(scratch.dir().join(".tmpUpload"), "x").unwrap();
    // Of the small attachment, only the redo row is durable.
    let small_file = object_file(&scratch, open(&scratch, "home/small").unwrap().etag);
    std::fs::write(&small_file, "").unwrap();
    scratch.open().unwrap();
    drop(lost);
    assert!(bytes(open(&scratch, "home/small").unwrap()) == small);
    assert!(bytes(open(&scratch, "home/large").unwrap()) == large);
    let mut left: Vec<_> = std::fs::read_dir(scratch.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("wiki.db"))
        .collect();
    left.sort();
    assert_eq!(left, ["repo"]);
}

#[test]
fn only_the_small_ones_pass_through_the_redo_row() {
    let scratch = Scratch::new();
    create(&scratch, "home/large", &noise(LARGE));
    create(&scratch, "home/small", b"text");
    let contents: Vec<Option<Vec<u8>>> = scratch
        .wiki()
        .database()
        .unwrap()
        .read(|c| -> Result<_, Error> {
            let rows = c.prepare("select content from redo order by seq").and_then(|mut select| {
                select.query_map([], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()
            });
            rows.map_err(|error| DbError::from(error).into())
        })
        .unwrap();
    assert_eq!(contents, [None, Some(b"text".to_vec())]);
}

#[test]
fn what_changed_meanwhile_is_never_overwritten() {
    let scratch = Scratch::new();
    let wiki = scratch.wiki();
    let one = create(&scratch, "home/x", b"one");
    for base in [Base::New, Base::Version(one.etag)] {
        let same = put(wiki, "home/x", b"one", base).unwrap();
        assert!(!same.changed && !same.created);
        assert_eq!((same.etag, same.revision), (one.etag, one.revision));
    }
    match put(wiki, "home/x", b"two", Base::New) {
        Err(Error::Attachment(AttachmentError::Exists { etag, .. })) => assert_eq!(etag, one.etag),
        other => panic!("{other:?}"),
    }
    let two = put(wiki, "home/x", b"two", Base::Version(one.etag)).unwrap();
    assert!(two.changed && !two.created);
    let late = [
        put(wiki, "home/x", b"three", Base::Version(one.etag)).map(drop),
        delete(&scratch, "home/x", one.etag).map(drop),
    ];
    for late in late {
        match late {
            Err(Error::Attachment(AttachmentError::Stale { current, .. })) => {
                assert_eq!(current, Some(two.etag));
            }
            other => panic!("{other:?}"),
        }
    }
    delete(&scratch, "home/x", two.etag).unwrap();
    assert!(open(&scratch, "home/x").unwrap_err().is_not_found());
    assert!(delete(&scratch, "home/x", two.etag).unwrap_err().is_not_found());
    let gone = put(wiki, "home/x", b"three", Base::Version(two.etag)).unwrap_err();
    assert!(
        matches!(gone, Error::Attachment(AttachmentError::Stale { current: None, .. })),
        "{gone}"
    );
}

#[test]
fn a_large_one_that_is_refused_leaves_no_object() {
    let scratch = Scratch::new();
    create(&scratch, "home/x", b"one");
    let before = scratch.git(&["count-objects"]);
    put(scratch.wiki(), "home/x", &noise(LARGE), Base::New).unwrap_err();
    assert_eq!(scratch.git(&["count-objects"]), before);
}

#[test]
fn one_of_two_staged_uploads_of_a_name_wins() {
    let scratch = Scratch::new();
    let wiki = scratch.wiki();
    let path = AttachmentPath::new("home/x").unwrap();
    let stage = |content: &[u8]| {
        let mut upload = wiki.upload().unwrap();
        upload.write(content).unwrap();
        wiki.stage(&path, Base::New, upload).unwrap()
    };
    let (one, two) = (stage(b"one"), stage(b"two"));
    let save =
        SaveAttachment { path: &path, base: Base::New, author: &ada(), message: Some("why") };
    wiki.save_attachment(&save, two).unwrap();
    let error = wiki.save_attachment(&save, one).unwrap_err();
    assert!(matches!(error, Error::Attachment(AttachmentError::Exists { .. })), "{error}");
    assert_eq!(bytes(open(&scratch, "home/x").unwrap()), b"two");
    assert_eq!(scratch.git(&["log", "-1", "--format=%s"]), "why");
}

#[test]
fn pages_and_attachments_cannot_eat_each_other() {
    let scratch = Scratch::new();
    scratch.create("a", "page");
    create(&scratch, "a/photo", b"x");
    for path in ["a.md/x", "A/y", "a/PHOTO", "a/photo/z"] {
        let error = put(scratch.wiki(), path, b"y", Base::New).unwrap_err();
        assert!(matches!(error, Error::Collision { .. }), "{path}: {error}");
    }
    let error = scratch.save("a/photo/page", "x", Base::New).unwrap_err();
    assert!(matches!(error, Error::Collision { .. }), "{error}");
    assert_eq!(scratch.paths(), ["a"]);
    assert!(open(&scratch, "a").unwrap_err().is_not_found());
}

#[test]
fn the_list_has_the_files_of_one_directory_in_byte_order() {
    let mut scratch = Scratch::new();
    assert_eq!(names(&scratch, "home"), Vec::<String>::new());
    for name in ["b.png", "C.png", "a.png", "a0", "é.png"] {
        create(&scratch, &format!("home/{name}"), name.as_bytes());
    }
    create(&scratch, "home/a/below.png", b"x");
    scratch.create("home/page", "x");
    scratch.commit_with_git("home/.hidden", "by git");
    scratch.commit_with_git("LICENSE", "at the root");
    scratch.open().unwrap();
    let all = [".hidden", "C.png", "a.png", "a0", "b.png", "é.png"];
    assert_eq!(names(&scratch, "home"), all);
    assert_eq!(names(&scratch, ""), ["LICENSE"]);
    let part = scratch.wiki().attachments("home", Some("a.png"), 2).unwrap();
    assert_eq!(part.iter().map(|file| &*file.path).collect::<Vec<_>>(), ["home/a0", "home/b.png"]);
    for file in scratch.wiki().attachments("home", None, 100).unwrap() {
        let read = open(&scratch, &file.path).unwrap();
        assert_eq!((read.etag, read.size()), (file.etag, file.size));
        let log = scratch.git(&["log", "-1", "--format=%H %an", "main", "--", &file.path]);
        assert_eq!(log, format!("{} {}", file.revision, file.author.name()));
    }
}

#[test]
fn an_earlier_state_is_read_by_its_revision() {
    let scratch = Scratch::new();
    let one = create(&scratch, "home/x", b"one");
    let two = put(scratch.wiki(), "home/x", b"two", Base::Version(one.etag)).unwrap();
    delete(&scratch, "home/x", two.etag).unwrap();
    let path = ExistingAttachment::new("home/x").unwrap();
    let at = |revision| scratch.wiki().attachment(&path, Some(revision));
    assert_eq!(bytes(at(one.revision).unwrap()), b"one");
    assert_eq!(bytes(at(two.revision).unwrap()), b"two");
    let unknown = Revision::from_bytes([7; 20]);
    assert!(matches!(at(unknown), Err(Error::UnknownRevision { .. })));
}

#[test]
fn what_is_open_is_read_to_its_end_whatever_happens() {
    let scratch = Scratch::new();
    let content = noise(LARGE);
    let saved = create(&scratch, "home/x", &content);
    let mut reading = open(&scratch, "home/x").unwrap();
    let mut beginning = vec![0; 1000];
    reading.read_exact(&mut beginning).unwrap();
    delete(&scratch, "home/x", saved.etag).unwrap();
    // From now on the object is in a pack.
    scratch.git(&["gc", "-q", "--prune=now"]);
    assert!(!object_file(&scratch, saved.etag).exists());
    let mut rest = Vec::new();
    reading.read_to_end(&mut rest).unwrap();
    assert!([beginning, rest].concat() == content);
    let path = ExistingAttachment::new("home/x").unwrap();
    assert!(bytes(scratch.wiki().attachment(&path, Some(saved.revision)).unwrap()) == content);
}

#[test]
fn a_packed_one_is_unpacked_only_within_the_limit() {
    let scratch = Scratch::new();
    let (small, large) = (noise(2000), noise(LARGE));
    create(&scratch, "home/small", &small);
    create(&scratch, "home/large", &large);
    scratch.git(&["gc", "-q", "--prune=now"]);
    assert!(bytes(open(&scratch, "home/small").unwrap()) == small);
    let mut read = open(&scratch, "home/large").unwrap();
    assert!(!read.is_in_memory());
    read.skip(500_000).unwrap();
    let mut rest = Vec::new();
    read.read_to_end(&mut rest).unwrap();
    assert!(rest == large[500_000..]);
    let options = Options { attachment_limit: LARGE as u64 - 1, ..Options::new("scratch") };
    let wiki = Wiki::open(&scratch.dir(), options, &Resources::default()).unwrap();
    let path = ExistingAttachment::new("home/large").unwrap();
    let error = wiki.attachment(&path, None).unwrap_err();
    assert!(matches!(error, Error::Attachment(AttachmentError::TooLarge { .. })), "{error}");
}

#[test]
fn a_damaged_object_is_an_error_and_never_a_whole_file() {
    let scratch = Scratch::new();
    for size in [1000, LARGE] {
        let path = format!("home/{size}");
        let saved = create(&scratch, &path, &noise(size));
        let file = object_file(&scratch, saved.etag);
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let longer = [&whole[..whole.len() / 2], &[0xff; 64], &whole[whole.len() / 2..]].concat();
        let cut = whole[..whole.len() - 9].to_vec();
        for damaged in [flipped, longer, cut, whole[..10].to_vec(), Vec::new()] {
            std::fs::remove_file(&file).unwrap();
            std::fs::write(&file, damaged).unwrap();
            let read = open(&scratch, &path).map_err(|error| error.to_string());
            let read = read.and_then(|mut attachment: Attachment| {
                let mut content = Vec::new();
                attachment.read_to_end(&mut content).map_err(|error| error.to_string())
            });
            let error = read.expect_err(&path);
            assert!(error.contains("damaged"), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, whole).unwrap();
    }
}

#[test]
fn the_limit_is_kept_while_bytes_arrive() {
    let scratch = Scratch::new();
    let options = Options { attachment_limit: 300_000, ..Options::new("scratch") };
    let wiki = Wiki::open(&scratch.dir(), options, &Resources::default()).unwrap();
    assert!(put(&wiki, "home/fits", &noise(300_000), Base::New).unwrap().created);
    let mut upload = wiki.upload().unwrap();
    upload.write(&noise(300_000)).unwrap();
    let error = upload.write(b"x").unwrap_err();
    assert!(
        matches!(error, Error::Attachment(AttachmentError::TooLarge { limit: 300_000 })),
        "{error}"
    );
}

#[test]
fn a_name_is_one_file_however_its_accents_are_typed() {
    let scratch = Scratch::new();
    let saved = create(&scratch, "cafe\u{301}/re\u{301}sume\u{301}.txt", b"text");
    assert_eq!(saved.path, "caf\u{e9}/r\u{e9}sum\u{e9}.txt");
    assert_eq!(bytes(open(&scratch, "cafe\u{301}/re\u{301}sume\u{301}.txt").unwrap()), b"text");
    assert_eq!(names(&scratch, "cafe\u{301}"), ["r\u{e9}sum\u{e9}.txt"]);
    delete(&scratch, "cafe\u{301}/re\u{301}sume\u{301}.txt", saved.etag).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Skipping and reading in pieces of any size returns the remaining bytes, for loose and packed objects.
    #[test]
    fn any_part_is_a_slice(
        size in prop_oneof![0..2000_usize, 262_000..400_000_usize],
        skipped in 0..500_000_u64,
        piece in 1..100_000_usize,
        packed: bool,
    ) {
        let scratch = Scratch::new();
        let content = noise(size);
        create(&scratch, "home/x", &content);
        if packed {
            scratch.git(&["gc", "-q", "--prune=now"]);
        }
        let mut read = open(&scratch, "home/x").unwrap();
        read.skip(skipped).unwrap();
        let (mut rest, mut buffer) = (Vec::<u8>::new(), vec![0_u8; piece]);
        loop {
            match read.read(&mut buffer).unwrap() {
                0 => break,
                length => rest.extend(&buffer[..length]),
            }
        }
        prop_assert!(rest == content[content.len().min(skipped as usize)..]);
    }
}
