//! Moving in from OtterWiki, and back.

use testkit::test_data;
use wikigrove_tenant::storage::otterwiki::{
    CaseMode, clean_slashes, sanitize_attachment, sanitize_page_name, slugify, title_case,
};

/// Every name of the list, in both modes, field by field: what OtterWiki 2.26.1 made of it.
#[test]
fn names_are_what_otterwiki_makes_of_them() {
    let list = std::fs::read(test_data("otterwiki_names.json")).unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let cases = list["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 248);
    let mut wrong = Vec::new();
    for case in cases {
        let typed = case["in"].as_str().unwrap();
        let mut check = |field: &str, expected: &serde_json::Value, made: Option<String>| {
            // Where nothing of a name is left OtterWiki fails.
            let fails = expected.get("error").is_some();
            if made.as_deref() != expected.as_str() || (made.is_none() && !fails) {
                wrong.push(format!("{typed:?} {field}: {made:?}, not {expected}"));
            }
        };
        let page = sanitize_page_name(typed, true);
        check("sanitize", &case["sanitize"], Some(sanitize_page_name(typed, false)));
        check("sanitize_md", &case["sanitize_md"], Some(page.clone()));
        check("titleSs", &case["titleSs"], Some(title_case(typed)));
        check("sanitize_filename", &case["sanitize_filename"], Some(sanitize_attachment(typed)));
        check("slugify", &case["slugify"], Some(slugify(typed, false)));
        check("slugify_slashes", &case["slugify_slashes"], Some(slugify(typed, true)));
        check("clean_slashes", &case["clean_slashes"], Some(clean_slashes(typed)));
        for (name, mode) in [("lower", CaseMode::Lower), ("retain", CaseMode::Retain)] {
            let expected = &case[name];
            let file = mode.file_name(&page);
            check("filename", &expected["filename"], Some(file.clone()));
            check("attachment_dir", &expected["attachment_dir"], mode.attachment_dir(&file));
            check("pagename", &expected["pagename"], mode.page_name(&page));
            check("pagename_full", &expected["pagename_full"], Some(mode.full_page_name(&page)));
            let from_file = mode.full_page_name(&file);
            check("pagename_from_file", &expected["pagename_from_file"], Some(from_file));
            assert_eq!(expected.as_object().unwrap().len(), 5, "a field isn't checked");
        }
        assert_eq!(case.as_object().unwrap().len(), 10, "a field isn't checked");
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
