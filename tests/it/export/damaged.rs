//! A file that isn't as it was written, by accident or with intent.

use super::*;

/// Makes an archive again out of what is in `dir`, with right sums, after a line of shell.
fn rebuilt(dir: &Path, change: &str) {
    let names = "manifest.json $(ls | grep -vx -e manifest.json -e SHA256SUMS -e made.tar)";
    let tar = "tar --format=ustar -cf made.tar";
    run(dir, &format!("{change}; sha256sum {names} > SHA256SUMS; {tar} {names} SHA256SUMS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_as_it_was_written_leaves_nothing() {
    let scratch = testkit::scratch();
    let here = program(scratch.path(), "here");
    full_wiki(&here).await;
    let file = scratch.path().join("garden.tar");
    export(&here, "garden", &file);
    let whole = std::fs::read(&file).unwrap();
    let there = program(scratch.path(), "there");
    assert!(there.run(&["wiki", "list"]).status.success());
    let before = entries(there.data());
    let refused = |what: &str, file: &Path, expected: &str| {
        let file = file.to_str().unwrap();
        for more in [&[][..], &["--dry-run"]] {
            let args = [&["wiki", "import", "--slug", "new", file], more].concat();
            let (code, said) = told(there.run(&args));
            assert_eq!(code, Some(1), "{what}: {said}");
            assert!(said.contains(expected), "{what}: {said}");
            assert_eq!(entries(there.data()), before, "{what}");
        }
    };

    // Cut anywhere, it isn't whole.
    let cut = scratch.path().join("cut.tar");
    let end = whole.len() - 1024;
    for length in [513, 1024, 2048, whole.len() / 2, end - 1, end - 512, end - 1024] {
        std::fs::write(&cut, &whole[..length]).unwrap();
        refused(&format!("cut at {length}"), &cut, "can't be imported: it is damaged");
    }
    // Changed anywhere, it doesn't have its sums.
    let at = |name: &str| {
        let found = |part: &[u8]| part == format!("{name}\0").as_bytes();
        whole.windows(name.len() + 1).position(found).unwrap()
    };
    for name in ["history.bundle", "preferences.json", "drafts.jsonl", "users.jsonl", "app.db"] {
        let mut changed = whole.clone();
        changed[at(name) + 512 + 20] ^= 1;
        std::fs::write(&cut, changed).unwrap();
        refused(name, &cut, "doesn't have the sum that it should");
    }
    // A size that isn't there takes neither memory nor disk. The header's own sum is right.
    let mut huge = whole.clone();
    let header = &mut huge[at("drafts.jsonl")..][..512];
    header[124..136].copy_from_slice(b"77777777777\0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    std::fs::write(&cut, huge).unwrap();
    refused("a huge size", &cut, "`drafts.jsonl` is cut off");

    // Made anew, with right sums, of something else.
    let work = scratch.path().join("work");
    let other = Git::init(scratch.path().join("other"));
    other.write("x.md", "x").commit("one").run(&["branch", "more"]);
    other.run(&["bundle", "create", "-q", "../other.bundle", "main"]);
    other.run(&["bundle", "create", "-q", "../two.bundle", "main", "more"]);
    let head = other.run(&["rev-parse", "main"]);
    for (what, change, expected) in [
        (
            "newer",
            "sed -i 's/\"version\": 1/\"version\": 2/' manifest.json",
            "version 2 of the format",
        ),
        ("unknown", "echo x > more.txt", "`more.txt`, which isn't known"),
        ("a link", "rm app.db; ln -s /etc/passwd app.db", "`app.db`, which isn't known"),
        ("missing", "rm users.jsonl", "`users.jsonl` is missing"),
        ("no history", "rm history.bundle", "doesn't go with the head"),
        (
            "another head",
            "sed -i 's/\"head\": \"...../\"head\": \"00000/' manifest.json",
            "the head of the manifest",
        ),
        ("another history", "cp ../other.bundle history.bundle", "the head of the manifest"),
        (
            "another branch",
            "sed -i 's,heads/main,heads/trunk,' manifest.json",
            "the head of the manifest",
        ),
        (
            "more branches",
            &format!(
                "cp ../two.bundle history.bundle; sed -i 's/\"head\": \"[0-9a-f]*/\"head\": \"{head}/' manifest.json"
            ),
            "or others too",
        ),
        ("half a history", "truncate -s -100 history.bundle", "git fetch failed"),
        ("no JSON", "echo '{' >> drafts.jsonl", "`drafts.jsonl` can't be read: line 3"),
        (
            "rows too many",
            "head -1 users.jsonl >> users.jsonl.2; sed s/a@b.c/d/ users.jsonl.2 >> users.jsonl; rm users.jsonl.2",
            "counts other rows",
        ),
        ("no preferences", "echo '[]' > preferences.json", "`preferences.json` can't be read"),
        ("no manifest's JSON", "echo '{}' > manifest.json", "`manifest.json` can't be read"),
    ] {
        let _ = std::fs::remove_dir_all(&work);
        std::fs::create_dir(&work).unwrap();
        run(&work, "tar -xf ../garden.tar");
        rebuilt(&work, change);
        refused(what, &work.join("made.tar"), expected);
    }

    // Order, doubles, and names that lead elsewhere.
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir(&work).unwrap();
    run(&work, "tar -xf ../garden.tar");
    let all = "manifest.json history.bundle preferences.json drafts.jsonl users.jsonl app.db";
    for (what, tar, expected) in [
        ("twice", format!("{all} app.db SHA256SUMS"), "`app.db` is there twice"),
        (
            "after the sums",
            "manifest.json SHA256SUMS users.jsonl".to_owned(),
            "comes after the sums",
        ),
        ("two manifests", format!("manifest.json {all} SHA256SUMS"), "is there twice"),
        (
            "elsewhere",
            format!("--transform s,^app.db,../../app.db, -P {all} SHA256SUMS"),
            "`../../app.db`, which isn't known",
        ),
        (
            "absolute",
            format!("--transform s,^app.db,/tmp/app.db, -P {all} SHA256SUMS"),
            "`/tmp/app.db`, which isn't known",
        ),
        ("a directory", format!("{all} -C .. source-dir"), "which isn't known"),
    ] {
        let _ = std::fs::create_dir(scratch.path().join("source-dir"));
        run(&work, &format!("tar --format=ustar --hard-dereference -cf made.tar {tar}"));
        refused(what, &work.join("made.tar"), expected);
    }
    // As other programs pack it: the same thing, and still fine.
    rebuilt(&work, "true");
    import(&there, "new", &work.join("made.tar"), &[]);
}
