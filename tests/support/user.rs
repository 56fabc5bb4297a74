//! Users, and what they do over HTTP.

use std::fmt::Display;
use std::future::{Future, IntoFuture};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{Answer, Events};

pub(crate) type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// What stays as it is in a path: RFC 3986's unreserved characters, and slashes.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A text as it stands in the path or the query of a URL; slashes stay.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Somebody with a token, or without. Cheap to clone.
#[derive(Clone, Debug)]
pub struct User {
    http: Client<HttpConnector, Full<Bytes>>,
    wikis: SocketAddr,
    control: SocketAddr,
    token: Option<String>,
}

impl User {
    /// Somebody without a token, who knows both listeners.
    pub fn anonymous(wikis: SocketAddr, control: SocketAddr) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { http, wikis, control, token: None }
    }

    /// The same place, with another token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same place, without a token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The same user at another address of this machine, such as 127.0.0.2.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(address));
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Self { http, ..self.clone() }
    }

    /// The secret.
    ///
    /// # Panics
    /// There is none.
    pub fn secret(&self) -> &str {
        self.token.as_deref().expect("this user has no token")
    }

    /// What this user does in one wiki.
    pub fn on(&self, slug: impl Display) -> OnWiki {
        OnWiki { user: self.clone(), base: format!("/w/{slug}") }
    }

    /// Any request to the listener of the wikis. `path` is used as it is.
    pub fn public(&self, method: Method, path: impl Display) -> Call {
        Call::new(self, method, format!("http://{}{path}", self.wikis))
    }

    /// Any request to the control plane's listener. `path` is used as it is.
    pub fn control(&self, method: Method, path: impl Display) -> Call {
        Call::new(self, method, format!("http://{}{path}", self.control))
    }

    /// A request to the admin API: `path` is what follows `/admin/v1`.
    pub fn admin(&self, method: Method, path: impl Display) -> Call {
        self.control(method, format!("/admin/v1{path}"))
    }

    /// Creates a private wiki.
    pub fn create_wiki(&self, slug: &str) -> Call {
        self.admin(Method::POST, "/wikis").json(json!({ "slug": slug }))
    }

    /// Changes what is said of a wiki.
    pub fn change_wiki(&self, slug: &str, change: Value) -> Call {
        self.admin(Method::PATCH, format!("/wikis/{slug}")).json(change)
    }

    /// Deletes a wiki.
    pub fn delete_wiki(&self, slug: &str) -> Call {
        self.admin(Method::DELETE, format!("/wikis/{slug}"))
    }

    /// All wikis, as the admin API shows them.
    ///
    /// # Panics
    /// The list is refused.
    pub async fn wikis(&self) -> Vec<Value> {
        all(|| self.admin(Method::GET, "/wikis")).await
    }

    /// Makes a token for a wiki and returns who bears it.
    ///
    /// # Panics
    /// It is refused.
    pub async fn token(&self, slug: &str, role: &str) -> User {
        self.token_with(slug, json!({ "name": role, "role": role })).await
    }

    /// Makes a token for a wiki, with everything the admin API takes.
    ///
    /// # Panics
    /// It is refused.
    pub async fn token_with(&self, slug: &str, token: Value) -> User {
        let made = self.admin(Method::POST, format!("/wikis/{slug}/tokens")).json(token).await;
        self.with_token(made.good().json()["token"].as_str().expect("a secret"))
    }
}

/// A user in one wiki. Paths of pages are encoded as they have to be.
#[derive(Clone, Debug)]
pub struct OnWiki {
    user: User,
    base: String,
}

impl OnWiki {
    /// Any request to the wiki's API: `path` is what follows `{base}/api/v1`, and is used as it is.
    pub fn api(&self, method: Method, path: impl Display) -> Call {
        self.user.public(method, format!("{}/api/v1{path}", self.base))
    }

    /// Where git finds the wiki. With the token as a password, if there is one: git shows it when it
    /// is asked for a credential.
    pub fn git_url(&self) -> String {
        let credential = self.user.token.as_ref().map(|token| format!("git:{token}@"));
        let credential = credential.unwrap_or_default();
        format!("http://{credential}{}{}/git", self.user.wikis, self.base)
    }

    /// Any request to what git talks to: `path` is what follows `{base}/git`.
    pub fn git(&self, method: Method, path: impl Display) -> Call {
        self.user.public(method, format!("{}/git{path}", self.base))
    }

    /// Reads a page.
    pub fn read(&self, path: &str) -> Call {
        self.api(Method::GET, format!("/pages/{}", encode(path)))
    }

    /// Reads a page's bytes.
    pub fn markdown(&self, path: &str) -> Call {
        self.read(path).header("accept", "text/markdown")
    }

    /// Reads a page as HTML.
    pub fn rendered(&self, path: &str) -> Call {
        self.api(Method::GET, format!("/render/{}", encode(path)))
    }

    /// Writes a page, without saying what it is based on.
    pub fn put(&self, path: &str, text: &str) -> Call {
        self.api(Method::PUT, format!("/pages/{}", encode(path))).json(json!({ "content": text }))
    }

    /// Creates a page.
    pub fn create(&self, path: &str, text: &str) -> Call {
        self.put(path, text).header(IF_NONE_MATCH, "*")
    }

    /// Changes the version `etag` of a page.
    pub fn save(&self, path: &str, etag: &str, text: &str) -> Call {
        self.put(path, text).header(IF_MATCH, format!("\"{etag}\""))
    }

    /// Deletes the version `etag` of a page.
    pub fn delete(&self, path: &str, etag: &str) -> Call {
        self.api(Method::DELETE, format!("/pages/{}", encode(path)))
            .header(IF_MATCH, format!("\"{etag}\""))
    }

    /// Part of the list of pages.
    pub fn list(&self) -> Call {
        self.api(Method::GET, "/pages")
    }

    /// The whole list of pages.
    ///
    /// # Panics
    /// It is refused.
    pub async fn pages(&self) -> Vec<Value> {
        all(|| self.list()).await
    }

    /// The whole history of a page.
    ///
    /// # Panics
    /// It is refused.
    pub async fn history(&self, path: &str) -> Vec<Value> {
        all(|| self.api(Method::GET, format!("/history/{}", encode(path)))).await
    }

    /// All changes of the wiki, newest first.
    ///
    /// # Panics
    /// They are refused.
    pub async fn changes(&self) -> Vec<Value> {
        all(|| self.api(Method::GET, "/changes")).await
    }

    /// What happens from now on, or after the event `last`.
    pub fn events(&self, last: Option<&str>) -> Call {
        let call = self.api(Method::GET, "/events");
        match last {
            Some(id) => call.header("last-event-id", id),
            None => call,
        }
    }

    /// All pages with certain words, best first, once all pages are indexed.
    ///
    /// # Panics
    /// It is refused.
    pub async fn search(&self, query: &str) -> Vec<Value> {
        let search = || self.api(Method::GET, "/search").query("q", query);
        while search().await.good().json().get("index").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        all(search).await
    }

    /// Compares two states of a page.
    pub fn diff(&self, path: &str) -> Call {
        self.api(Method::GET, format!("/diff/{}", encode(path)))
    }

    /// Who wrote each line of a page.
    pub fn blame(&self, path: &str) -> Call {
        self.api(Method::GET, format!("/blame/{}", encode(path)))
    }

    /// Undoes one commit.
    pub fn revert(&self, revision: &str) -> Call {
        self.api(Method::POST, "/reverts").json(json!({ "revision": revision }))
    }

    /// Brings the whole wiki back to a commit.
    pub fn restore(&self, revision: &str) -> Call {
        self.api(Method::POST, "/restores").json(json!({ "revision": revision }))
    }

    /// Reads the user's draft of a page.
    pub fn draft(&self, path: &str) -> Call {
        self.api(Method::GET, format!("/drafts/{}", encode(path)))
    }

    /// Keeps a draft of a page.
    pub fn put_draft(&self, path: &str, text: &str) -> Call {
        self.api(Method::PUT, format!("/drafts/{}", encode(path))).json(json!({ "content": text }))
    }

    /// Removes the user's draft of a page.
    pub fn delete_draft(&self, path: &str) -> Call {
        self.api(Method::DELETE, format!("/drafts/{}", encode(path)))
    }

    /// The paths of all the user's drafts.
    ///
    /// # Panics
    /// The list is refused.
    pub async fn drafts(&self) -> Vec<String> {
        let drafts = all(|| self.api(Method::GET, "/drafts")).await;
        drafts.iter().map(|draft| draft["path"].as_str().expect("a path").to_owned()).collect()
    }

    /// Reads an attachment.
    pub fn attachment(&self, path: &str) -> Call {
        self.api(Method::GET, format!("/attachments/{}", encode(path)))
    }

    /// Sends an attachment, without saying what it is based on.
    pub fn attach(&self, path: &str, content: impl Into<Bytes>) -> Call {
        self.api(Method::PUT, format!("/attachments/{}", encode(path)))
            .body("application/octet-stream", content)
    }

    /// Creates an attachment.
    pub fn create_attachment(&self, path: &str, content: impl Into<Bytes>) -> Call {
        self.attach(path, content).header(IF_NONE_MATCH, "*")
    }

    /// Deletes the version `etag` of an attachment.
    pub fn delete_attachment(&self, path: &str, etag: &str) -> Call {
        self.api(Method::DELETE, format!("/attachments/{}", encode(path)))
            .header(IF_MATCH, format!("\"{etag}\""))
    }

    /// Part of the list of a page's attachments.
    pub fn attachments(&self, page: &str) -> Call {
        self.api(Method::GET, "/attachments").query("page", page)
    }

    /// The settings.
    pub fn preferences(&self) -> Call {
        self.api(Method::GET, "/preferences")
    }

    /// Changes settings.
    pub fn change_preferences(&self, changes: Value) -> Call {
        self.api(Method::PATCH, "/preferences").json(changes)
    }
}

/// Follows a list's cursors to its end. If it says that it may lack something, the index is waited for.
async fn all(list: impl Fn() -> Call) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut call = list().query("limit", 500);
        if let Some(cursor) = &cursor {
            call = call.query("cursor", cursor);
        }
        let answer = call.await.good().json();
        if !answer["index"].is_null() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            (items, cursor) = (Vec::new(), None);
            continue;
        }
        items.extend(answer["items"].as_array().expect("items").iter().cloned());
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return items,
        }
    }
}

/// A request that is sent by awaiting it.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until this is awaited"]
pub struct Call {
    http: Client<HttpConnector, Full<Bytes>>,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    fn new(user: &User, method: Method, url: String) -> Self {
        let call = Self {
            http: user.http.clone(),
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        match &user.token {
            Some(token) => call.header(AUTHORIZATION, format!("Bearer {token}")),
            None => call,
        }
    }

    /// Adds a header, beside others of the same name.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_ref().as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// Takes a header away.
    pub fn without(mut self, name: impl AsRef<str>) -> Self {
        self.headers.remove(name.as_ref());
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        self.url +=
            &format!("{separator}{name}={}", encode(&value.to_string()).replace('/', "%2F"));
        self
    }

    /// Sends JSON.
    pub fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends any body.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    /// Sends it over HTTP/2.
    pub fn http2(mut self) -> Self {
        self.http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        self
    }

    /// Sends it on a connection of its own that takes in only a few kB that nobody reads.
    pub fn with_little_room(mut self) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_recv_buffer_size(Some(4096));
        self.http = Client::builder(TokioExecutor::new()).http1_max_buf_size(8192).build(connector);
        self
    }

    /// Sends it to a server that may not answer: it may be killed meanwhile.
    ///
    /// # Errors
    /// There was no whole answer.
    pub async fn attempt(self) -> Result<Answer, BoxedError> {
        let (head, body) = self.send().await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer::new(http::Response::from_parts(head, body)))
    }

    /// Sends it and listens to the events that are the answer.
    ///
    /// # Panics
    /// It is another answer, or none.
    pub async fn listen(self) -> Events {
        let what = format!("{} {}", self.method, self.url);
        let answer = self.send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        Events::new(answer)
    }

    async fn send(self) -> Result<http::Response<UnsyncBoxBody<Bytes, BoxedError>>, BoxedError> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.url.parse()?;
        *request.headers_mut() = self.headers;
        let answer = self.http.request(request).await?;
        Ok(answer.map(|body| body.map_err(BoxedError::from).boxed_unsync()))
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let what = format!("{} {}", self.method, self.url);
            self.attempt().await.unwrap_or_else(|error| panic!("{what} got no answer: {error:?}"))
        })
    }
}
