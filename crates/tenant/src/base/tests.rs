use http::HeaderValue;

use super::*;

const A: &str = "0123456789abcdef0123456789abcdef01234567";
const B: &str = "fedcba9876543210fedcba9876543210fedcba98";

fn headers(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn read(pairs: &[(&HeaderName, &str)]) -> Result<Base, (u16, &'static str)> {
    Base::of(&headers(pairs)).map_err(|problem| (problem.status().as_u16(), problem.code()))
}

fn if_match(value: &str) -> Result<Base, (u16, &'static str)> {
    read(&[(&IF_MATCH, value)])
}

#[test]
fn a_write_names_what_it_is_based_on() {
    assert_eq!(if_match(&format!("\"{A}\"")), Ok(Base::Version(A.parse().unwrap())));
    assert_eq!(if_match(&format!(" \"{A}\" ,")), Ok(Base::Version(A.parse().unwrap())));
    assert_eq!(read(&[(&IF_NONE_MATCH, "*")]), Ok(Base::New));
    assert_eq!(read(&[]), Err((428, "precondition_required")));
}

#[test]
fn a_blind_overwrite_is_refused_and_told_what_to_send() {
    assert_eq!(if_match("*"), Err((428, "precondition_required")));
    let problem = Base::of(&headers(&[(&IF_MATCH, "*")])).unwrap_err();
    assert!(problem.detail().contains("etag of the version"), "{problem}");
}

#[test]
fn an_etag_that_no_version_has_fails_the_precondition() {
    for etag in [
        "\"stale\"".to_owned(),
        "\"\"".into(),
        format!("W/\"{A}\""),
        format!("\"{}\"", A.to_uppercase()),
    ] {
        assert_eq!(if_match(&etag), Err((412, "precondition_failed")), "{etag}");
    }
}

#[test]
fn what_is_no_etag_or_too_many_is_invalid() {
    let both = format!("\"{A}\", \"{B}\"");
    for bad in [A, "\"a", "", ",", "w/\"x\"", &both, "\"ü\"", "*, *"] {
        assert_eq!(if_match(bad), Err((422, "invalid_precondition")), "{bad}");
    }
    let quoted = format!("\"{A}\"");
    assert_eq!(
        read(&[(&IF_MATCH, &quoted), (&IF_MATCH, &quoted)]),
        Err((422, "invalid_precondition"))
    );
    assert_eq!(read(&[(&IF_NONE_MATCH, &quoted)]), Err((422, "invalid_precondition")));
    assert_eq!(
        read(&[(&IF_MATCH, &quoted), (&IF_NONE_MATCH, "*")]),
        Err((400, "invalid_precondition"))
    );
}

#[test]
fn a_read_is_answered_with_304_when_the_reader_has_it() {
    let has = |value: &str| not_modified(&headers(&[(&IF_NONE_MATCH, value)]), A);
    assert!(has(&format!("\"{A}\"")));
    assert!(has(&format!("W/\"{A}\"")));
    assert!(has(&format!("\"{B}\", W/\"x,y\" , \"{A}\"")));
    assert!(has("*"));
    assert!(!has(&format!("\"{B}\"")));
    assert!(!has(A));
    assert!(!has(""));
    assert!(!not_modified(&HeaderMap::new(), A));
    let two_lines = headers(&[(&IF_NONE_MATCH, "\"x\""), (&IF_NONE_MATCH, &format!("\"{A}\""))]);
    assert!(not_modified(&two_lines, A));
}
