//! Protection against requests that other sites' pages make a browser send (CSRF), and CORS.
//!
//! A browser adds proof of its user to requests that another site's page made it send: a proxy's cookie,
//! a client certificate, or just its place in a private network. (Cookies aren't read here, but a proxy
//! in front may read them.) So requests that change something are refused if the browser reports another
//! site as the origin, unless the operator allows this site. Allowed sites may read responses, too
//! (CORS).

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    HeaderName, ORIGIN, VARY,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use wikigrove_tenant::problem::Problem;

use super::origin::Origin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Request headers that pages of allowed sites may send.
const SENT: &str = "authorization, content-type, idempotency-key, if-match, if-none-match, if-range, \
     last-event-id, range, x-request-id";
/// Response headers that pages of allowed sites may read, beyond those readable by default.
const READ: &str = "accept-ranges, content-disposition, content-range, etag, link, location, \
     retry-after, x-request-id";
/// Lifetime of a preflight response, in seconds.
const MAX_AGE: &str = "600";

/// The sites whose pages may use a listener. The default allows only its own.
#[derive(Clone, Debug, Default)]
pub struct Browsers {
    /// The listener's public origin, if known.
    pub public: Option<Origin>,
    /// Other sites whose pages may send any request and read the response.
    pub allowed: Vec<Origin>,
}

impl Browsers {
    /// Returns `true` if browsers must use TLS only.
    pub(super) fn is_secure(&self) -> bool {
        self.public.as_ref().is_some_and(Origin::is_secure)
    }

    /// Returns `true` if other sites are allowed.
    pub(super) fn has_guests(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// The origin of the request, if it is an allowed other site.
    pub(super) fn guest(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if !self.has_guests() {
            return None;
        }
        let value = only(headers, &ORIGIN)?;
        let origin: Origin = value.to_str().ok()?.parse().ok()?;
        self.allowed.contains(&origin).then(|| value.clone())
    }

    /// The response to a preflight, or the refusal of a request from another site.
    pub(super) fn answer(&self, request: &Request) -> Option<Response> {
        match *request.method() {
            Method::GET | Method::HEAD => None,
            Method::OPTIONS => self.preflight(request.headers()),
            _ if self.is_by_another_site(request) => {
                tracing::info!("a page of another site tried to change something");
                let detail = "a page of another site sent this";
                let problem = Problem::new(StatusCode::FORBIDDEN, "cross_site_request", detail);
                Some(problem.into_response())
            }
            _ => None,
        }
    }

    fn preflight(&self, headers: &HeaderMap) -> Option<Response> {
        headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        self.guest(headers)?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        *response.body_mut() = Body::empty();
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(SENT));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        Some(response)
    }

    /// Allows the page of an allowed site to read the response, without credentials: the page must send
    /// an explicit token.
    pub(super) fn open(&self, response: &mut Response, guest: Option<HeaderValue>) {
        if !self.has_guests() {
            return;
        }
        let headers = response.headers_mut();
        // Keep caches from serving one site's response to another.
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = guest {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
        }
    }

    fn is_by_another_site(&self, request: &Request) -> bool {
        let headers = request.headers();
        if self.guest(headers).is_some() {
            return false;
        }
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
        if sites.peek().is_some() {
            return !sites.all(|site| site == "same-origin" || site == "none");
        }
        // An older browser sends only `Origin`; programs send neither header.
        headers.contains_key(ORIGIN) && !self.is_own(request)
    }

    /// Returns `true` if the page that sent this is on the host it was sent to.
    fn is_own(&self, request: &Request) -> bool {
        let origin = only(request.headers(), &ORIGIN).and_then(|origin| origin.to_str().ok());
        // `null` is an opaque origin, such as that of a sandboxed page.
        let Some(Ok(origin)) = origin.map(str::parse::<Origin>) else { return false };
        if let Some(public) = &self.public
            && (origin == *public || origin.has_host_of(public))
        {
            return origin == *public;
        }
        let named =
            only(request.headers(), &HOST).and_then(|host| host.to_str().ok()?.parse().ok());
        let named: Option<Authority> = request.uri().authority().cloned().or(named);
        named.is_some_and(|named| origin.is_at(&named))
    }
}

/// The value of a header that occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn browsers(public: &str, allowed: &[&str]) -> Browsers {
        let allowed = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
        Browsers { public: public.parse().ok(), allowed }
    }

    fn is_refused(browsers: &Browsers, host: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::post("/w/a/api/v1/moves").header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = browsers.answer(&request.body(Body::empty()).unwrap());
        answer.is_some_and(|answer| answer.status() == StatusCode::FORBIDDEN)
    }

    /// header-029
    #[test]
    fn another_sites_page_changes_nothing() {
        let site = |value| ("sec-fetch-site", value);
        let origin = |value| ("origin", value);
        let nowhere = browsers("", &[]);
        let listed =
            browsers("https://wiki.example", &["https://app.example", "http://localhost:5173"]);
        for (browsers, host, headers, expected) in [
            (&nowhere, "wiki.example", &[][..], false),
            (&nowhere, "wiki.example", &[site("same-origin")], false),
            (&nowhere, "wiki.example", &[site("none")], false),
            (&nowhere, "wiki.example", &[site("same-site")], true),
            (&nowhere, "wiki.example", &[site("cross-site")], true),
            (&nowhere, "wiki.example", &[site("nonsense")], true),
            (&nowhere, "wiki.example", &[site("none"), site("cross-site")], true),
            (&nowhere, "wiki.example", &[origin("https://wiki.example")], false),
            (&nowhere, "wiki.example", &[origin("http://wiki.example")], false),
            (&nowhere, "wiki.example:8080", &[origin("http://wiki.example:8080")], false),
            (&nowhere, "wiki.example:443", &[origin("https://wiki.example")], false),
            (&nowhere, "Wiki.Example", &[origin("https://wiki.example")], false),
            (&nowhere, "wiki.example:8080", &[origin("http://wiki.example")], true),
            (&nowhere, "wiki.example", &[origin("https://evil.example")], true),
            (&nowhere, "wiki.example", &[origin("https://wiki.example.evil.example")], true),
            (&nowhere, "wiki.example", &[origin("null")], true),
            (&nowhere, "wiki.example", &[origin("")], true),
            (
                &nowhere,
                "wiki.example",
                &[origin("https://wiki.example"), origin("https://wiki.example")],
                true,
            ),
            (&listed, "wiki.example", &[origin("https://wiki.example")], false),
            (&listed, "wiki.example", &[origin("http://wiki.example")], true),
            (&listed, "127.0.0.1:8080", &[origin("https://wiki.example")], false),
            (&listed, "garden.example", &[origin("https://garden.example")], false),
            (&listed, "wiki.example", &[origin("https://app.example")], false),
            (&listed, "wiki.example", &[origin("https://app.example"), site("cross-site")], false),
            (
                &listed,
                "wiki.example",
                &[origin("http://localhost:5173"), site("cross-site")],
                false,
            ),
            (&listed, "wiki.example", &[origin("http://app.example")], true),
            (&listed, "wiki.example", &[origin("https://app.example:8443")], true),
            (&listed, "wiki.example", &[origin("https://evil.example"), site("cross-site")], true),
        ] {
            assert_eq!(is_refused(browsers, host, headers), expected, "{host} {headers:?}");
        }
    }

    #[test]
    fn looking_is_not_changing() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let request = Request::builder().method(method).header("sec-fetch-site", "cross-site");
            let request = request.body(Body::empty()).unwrap();
            assert!(browsers("", &[]).answer(&request).is_none());
        }
    }
}
