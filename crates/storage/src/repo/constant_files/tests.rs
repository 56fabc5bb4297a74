//! HEAD and config that are missing, cut off or garbage, while the wiki is closed and while it is open.

use std::fs;

use super::CONFIG;
use crate::testing::Scratch;
use crate::*;

fn everything_works(scratch: &Scratch, text: &str) {
    assert_eq!(scratch.text("home"), text);
    scratch.update("home", &format!("{text}+"));
    scratch.git(&["fsck", "--strict"]);
    let cloned = scratch.dir().with_file_name("cloned");
    let from = scratch.repo().display().to_string();
    scratch.git(&["clone", "--quiet", &from, &cloned.display().to_string()]);
    assert_eq!(fs::read_to_string(cloned.join("home.md")).unwrap().trim(), format!("{text}+"));
    fs::remove_dir_all(cloned).unwrap();
}

#[test]
fn head_and_config_are_written_again() {
    let mut scratch = Scratch::new();
    scratch.create("home", "text");
    let garbage = [
        None,
        Some(&b""[..]),
        Some(b"\0\0\0\0"),
        Some(b"ref: refs/he"),
        Some(b"[core"),
        Some(&CONFIG[..60]),
    ];
    let mut text = "text".to_owned();
    for file in ["HEAD", "config"] {
        for damage in garbage {
            for is_open in [false, true] {
                let path = scratch.repo().join(file);
                fs::remove_file(&path).unwrap();
                match damage {
                    Some(b"[core") => fs::create_dir(&path).unwrap(),
                    Some(damage) => fs::write(&path, damage).unwrap(),
                    None => {}
                }
                if is_open {
                    scratch.wiki().ready_for_git().unwrap();
                } else {
                    scratch.open().unwrap();
                }
                assert_eq!(
                    fs::read(scratch.repo().join("HEAD")).unwrap(),
                    b"ref: refs/heads/main\n"
                );
                assert_eq!(fs::read(scratch.repo().join("config")).unwrap(), CONFIG);
                everything_works(&scratch, &text);
                text.push('+');
            }
        }
    }
}

#[test]
fn what_a_person_wrote_into_config_stays_and_is_kept_if_it_is_damaged() {
    let mut scratch = Scratch::new();
    let config = scratch.repo().join("config");
    let mine = [CONFIG, b"[remote \"mirror\"]\n\turl = ../mirror\n"].concat();
    fs::write(&config, &mine).unwrap();
    scratch.open().unwrap();
    assert_eq!(fs::read(&config).unwrap(), mine);
    fs::write(&config, &mine[..CONFIG.len() + 10]).unwrap();
    scratch.open().unwrap();
    assert_eq!(fs::read(&config).unwrap(), CONFIG);
    assert_eq!(
        fs::read(scratch.repo().join("set-aside/config")).unwrap(),
        mine[..CONFIG.len() + 10]
    );
}

#[test]
fn a_lost_head_names_the_only_branch_and_asks_where_there_are_several() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("wiki");
    Wiki::create_on(&dir, "refs/heads/trunk").unwrap();
    let open = || Wiki::open(&dir, Options::new("g"), &Resources::default());
    crate::testing::save(&open().unwrap(), "home", "text", Base::New).unwrap();
    for packed in [false, true] {
        if packed {
            crate::testing::git(&dir.join("repo"), &["pack-refs", "--all"]);
        }
        fs::write(dir.join("repo/HEAD"), "").unwrap();
        assert_eq!(open().unwrap().branch(), "refs/heads/trunk");
    }
    crate::testing::git(&dir.join("repo"), &["update-ref", "refs/heads/x/other", "HEAD"]);
    fs::write(dir.join("repo/HEAD"), "").unwrap();
    let error = open().map(drop).unwrap_err().to_string();
    assert!(error.contains("refs/heads/trunk, refs/heads/x/other"), "{error}");
}
