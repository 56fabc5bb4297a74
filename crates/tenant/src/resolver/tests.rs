use http::Request;
use proptest::prelude::*;

use super::*;

fn parts(uri: &str, hosts: &[&str]) -> Parts {
    let mut request = Request::get(uri);
    for host in hosts {
        request = request.header("host", *host);
    }
    request.body(()).unwrap().into_parts().0
}

fn slug(text: &str) -> Resolution {
    Resolution::Slug(text.parse().unwrap())
}

fn by_path(path: &str) -> Resolution {
    Resolver::path("/w/{slug}").resolve(&parts(path, &[]))
}

fn by_host(host: &str) -> Resolution {
    Resolver::host("{slug}.Example.org").resolve(&parts("/", &[host]))
}

fn is_invalid(resolution: &Resolution) -> bool {
    matches!(resolution, Resolution::Invalid(_))
}

#[test]
fn a_path_names_a_wiki_and_what_is_below_it() {
    for path in
        ["/w/garden", "/w/garden/", "/w/garden/a/b", "/w/garden?w=kitchen", "/w/garden//kitchen"]
    {
        assert_eq!(by_path(path), slug("garden"), "{path}");
    }
}

#[test]
fn other_paths_name_no_wiki() {
    let paths = [
        "/",
        "/w",
        "/w/",
        "//w/garden",
        "/w//garden",
        "/x/garden",
        "/W/garden",
        "/w/admin",
        "/wgarden",
    ];
    for path in paths {
        assert_eq!(by_path(path), Resolution::NotFound, "{path}");
    }
}

#[test]
fn a_name_that_no_wiki_can_have_still_names_one() {
    let long = format!("/w/{}", "a".repeat(64));
    let paths = [
        "/w/%67arden",
        "/w/garden%2Fx",
        "/w/Garden",
        "/w/Garden/home",
        "/w/..",
        "/w/%2e%2e/garden",
        "/w/garden;x",
        "/w/a_b",
        "/w/-a",
        &long,
    ];
    for path in paths {
        assert_eq!(by_path(path), Resolution::InvalidSlug, "{path}");
    }
    for host in ["gar_den.example.org", "xn--a.example.org", "-a.example.org:80"] {
        assert_eq!(by_host(host), Resolution::InvalidSlug, "{host}");
    }
}

#[test]
fn a_slug_may_stand_anywhere_in_the_pattern() {
    let resolver = Resolver::path("/{slug}/wiki");
    assert_eq!(resolver.resolve(&parts("/garden/wiki/home", &[])), slug("garden"));
    assert_eq!(resolver.resolve(&parts("/Garden/wiki", &[])), Resolution::InvalidSlug);
    assert_eq!(resolver.resolve(&parts("/Garden/other", &[])), Resolution::NotFound);
    assert_eq!(resolver.resolve(&parts("/garden", &[])), Resolution::NotFound);
    assert_eq!(resolver.resolve(&parts("/garden/other", &[])), Resolution::NotFound);
}

#[test]
fn bad_patterns_panic_where_they_are_written() {
    for pattern in
        ["", "w/{slug}", "/w", "/{slug}/{slug}", "/w/{slug}/", "//{slug}", "/w-{slug}", "/{name}"]
    {
        assert!(std::panic::catch_unwind(|| Resolver::path(pattern)).is_err(), "{pattern}");
    }
    for pattern in
        ["", "{slug}", "{slug}.", "example.org", "w.{slug}.org", "{slug}.a..b", "{slug}.127.0.0.1"]
    {
        assert!(std::panic::catch_unwind(|| Resolver::host(pattern)).is_err(), "{pattern}");
    }
}

#[test]
fn a_host_names_a_wiki_whatever_its_spelling() {
    for host in [
        "garden.example.org",
        "GARDEN.Example.Org",
        "garden.example.org:8080",
        "garden.example.org.:80",
    ] {
        assert_eq!(by_host(host), slug("garden"), "{host}");
    }
}

#[test]
fn other_hosts_name_no_wiki() {
    let hosts = [
        "example.org",
        "a.garden.example.org",
        "gardenexample.org",
        "garden.example.com",
        "admin.example.org",
        "a.gar_den.example.org",
        "127.0.0.1:80",
        "[::1]:80",
        "[::1]",
    ];
    for host in hosts {
        assert_eq!(by_host(host), Resolution::NotFound, "{host}");
    }
}

#[test]
fn unreadable_hosts_are_invalid() {
    let hosts = [
        "",
        ".",
        ":80",
        "garden.example.org:99999",
        "garden.example.org:0",
        "garden.example.org:",
        "a.org:+80",
        "garden.example.org:80:80",
        "garden.example.org@evil",
        "evil@garden.example.org",
        "garden.example.org..",
        "a b.example.org",
        "a,b.example.org",
        "[::1",
        "[::1]x",
        "[x]:80",
        "a/b.example.org",
    ];
    for host in hosts {
        assert!(is_invalid(&by_host(host)), "{host}");
    }
}

#[test]
fn a_request_names_exactly_one_host() {
    let resolver = Resolver::host("{slug}.example.org");
    let resolve = |uri: &str, hosts: &[&str]| resolver.resolve(&parts(uri, hosts));
    assert!(is_invalid(&resolve("/", &[])));
    assert!(is_invalid(&resolve("/", &["garden.example.org", "garden.example.org"])));
    assert!(is_invalid(&resolve("http://kitchen.example.org/", &["garden.example.org"])));
    assert!(is_invalid(&resolve("http://x@garden.example.org/", &[])));
    assert_eq!(resolve("https://garden.example.org/", &[]), slug("garden"));
    assert_eq!(resolve("https://garden.example.org/", &["Garden.example.org:443"]), slug("garden"));
}

#[test]
fn forwarded_hosts_are_not_looked_at() {
    let mut parts = parts("/", &["garden.example.org"]);
    parts.headers.insert("x-forwarded-host", "kitchen.example.org".parse().unwrap());
    assert_eq!(Resolver::host("{slug}.example.org").resolve(&parts), slug("garden"));
}

#[test]
fn resolvers_are_asked_in_order() {
    let resolver = Resolver::host("{slug}.example.org").or(Resolver::path("/w/{slug}"));
    let resolve = |uri: &str, hosts: &[&str]| resolver.resolve(&parts(uri, hosts));
    assert_eq!(resolve("/w/kitchen", &["garden.example.org"]), slug("garden"));
    assert_eq!(resolve("/w/kitchen", &["example.org"]), slug("kitchen"));
    assert_eq!(resolve("/kitchen", &["example.org"]), Resolution::NotFound);
    // An invalid name is the result only if no later rule finds a wiki.
    assert_eq!(resolve("/w/kitchen", &["a_b.example.org"]), slug("kitchen"));
    assert_eq!(resolve("/kitchen", &["a_b.example.org"]), Resolution::InvalidSlug);
    assert!(is_invalid(&resolve("/w/kitchen", &["a", "b"])));
}

#[test]
fn a_domain_is_a_question_with_an_answer_for_no() {
    let resolver = Resolver::domains().or(Resolver::path("/w/{slug}"));
    let resolve = |uri: &str, host: &str| resolver.resolve(&parts(uri, &[host]));
    let domain = |otherwise| {
        let domain = "wiki.ann.example".parse().unwrap();
        Resolution::Domain { domain, otherwise: Box::new(otherwise) }
    };
    assert_eq!(resolve("/w/kitchen", "Wiki.Ann.example:80"), domain(slug("kitchen")));
    assert_eq!(resolve("/", "wiki.ann.example."), domain(Resolution::NotFound));
    assert_eq!(resolve("/w/kitchen", "127.0.0.1:8080"), slug("kitchen"));
    let resolver = Resolver::path("/w/{slug}").or(Resolver::domains());
    let resolved = resolver.resolve(&parts("/w/Kitchen", &["wiki.ann.example"]));
    assert_eq!(resolved, domain(Resolution::InvalidSlug));
}

#[test]
fn a_closure_decides_by_anything() {
    let resolver =
        Resolver::closure(|parts| parts.headers.get("wiki")?.to_str().ok()?.parse().ok());
    let mut parts = parts("/", &[]);
    assert_eq!(resolver.resolve(&parts), Resolution::NotFound);
    parts.headers.insert("wiki", "garden".parse().unwrap());
    assert_eq!(resolver.resolve(&parts), slug("garden"));
}

#[cfg(feature = "axum")]
#[test]
fn under_nest_the_whole_path_counts() {
    let mut parts = parts("/garden/home", &[]);
    parts.extensions.insert(axum::extract::OriginalUri("/w/garden/home".parse().unwrap()));
    assert_eq!(Resolver::path("/w/{slug}").resolve(&parts), slug("garden"));
}

proptest! {
    #[test]
    fn a_path_is_found_only_if_it_literally_begins_with_the_slug(path in "/w/[a-zA-Z%./0-9-]{0,12}") {
        if let Resolution::Slug(slug) = by_path(&path) {
            let (path, start) = (format!("{path}/"), format!("/w/{slug}/"));
            prop_assert!(path.starts_with(&start));
        }
    }

    #[test]
    fn any_host_header_gets_an_answer(host in "[\\x20-\\x7e]{0,16}|[a-z.\\[\\]:@0-9]{0,16}") {
        let resolver = Resolver::host("{slug}.example.org").or(Resolver::domains());
        resolver.resolve(&parts("/", &[&host]));
    }

    #[test]
    fn every_slug_is_found_by_its_path_and_its_host(text in "[a-z0-9]{1,20}") {
        prop_assume!(text.parse::<Slug>().is_ok());
        prop_assert_eq!(by_path(&format!("/w/{text}/home")), slug(&text));
        prop_assert_eq!(by_host(&format!("{text}.example.org:80")), slug(&text));
    }
}
