//! A client of the API for commands. It calls the server that has the data directory open or, without
//! one, the same routers in this process, so that a command does the same in both cases.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_service::Service as _;
use wikigrove_tenant::storage::files::write_new;
use wikigrove_tenant::{Error, Platform, Settings, Slug};

use super::Failure;
use super::local::Place;
use super::output::cell;
use crate::app::{self, Addresses};
use crate::auth::Authenticator;
use crate::limits::HttpLimits;
use crate::operator_token;
use crate::sync::runner::{Options, Remotes};

/// The file in the data directory with the addresses of the running server.
const FILE: &str = "addresses";

/// Addresses of a running server on this machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Running {
    /// Address of the admin listener.
    pub(super) admin: String,
    /// Address of the wikis, if they are served on a TCP port.
    pub(super) wikis: Option<String>,
}

impl Running {
    /// Writes the addresses to the file, which is removed when the returned value is dropped.
    pub(super) fn announce(&self, data: &Path) -> Result<Announced, Failure> {
        let file = data.join(FILE);
        let new = data.join("addresses.new");
        if let Err(error) = std::fs::remove_file(&new)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
        write_new(&new, &serde_json::to_vec(self)?)?;
        std::fs::rename(new, &file)?;
        Ok(Announced(file))
    }

    fn find(data: &Path) -> Result<Self, Failure> {
        let text = std::fs::read(data.join(FILE)).map_err(|_| {
            "a server has the data directory open, and doesn't say where it is: use its admin API"
        })?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Removes the file of addresses when dropped.
pub(super) struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        // An error is ignored: the next server overwrites the file in any case.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The API that commands call.
pub(super) struct Through {
    token: String,
    to: To,
}

enum To {
    Server(Running),
    Here { platform: Platform, remotes: Remotes, control: Router, wikis: Router },
}

impl Through {
    /// Connects to the server that has the data directory open, or opens the directory itself; then
    /// remotes synchronise if `links` is given.
    ///
    /// # Errors
    /// If neither is possible.
    pub(super) async fn open(
        place: &Place,
        token: Option<String>,
        links: Option<Options>,
    ) -> Result<Self, Failure> {
        let settings =
            Settings { secret_key_file: place.secret_key_file.clone(), ..Settings::default() };
        match Platform::open_with(&place.data, settings).await {
            Ok(platform) => Self::here(platform, links).await,
            Err(Error::InUse { .. } | Error::AlreadyOpen { .. }) => {
                let token = match token {
                    Some(token) => token,
                    None => operator_token::read(&place.data.join("operator-token")).map_err(
                        |error| {
                            format!(
                                "the operator's token is needed, in WIKIGROVE_ADMIN_TOKEN: {error}"
                            )
                        },
                    )?,
                };
                let server = Running::find(&place.data)?;
                Ok(Self { token: token.trim().to_owned(), to: To::Server(server) })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn here(platform: Platform, links: Option<Options>) -> Result<Self, Failure> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let token = HEXLOWER.encode(&secret);
        let auth = Authenticator::new(platform.clone(), &token);
        let (addresses, limits) = (Addresses::default(), HttpLimits::default());
        // Only a server has notification channels of the platform and a mail relay.
        let remotes = match links {
            Some(options) => {
                Remotes::start(&platform, Options { delivery: None, ..options }).await?
            }
            None => Remotes::resting(&platform),
        };
        let control = app::control_with(&platform, &auth, "", &limits, &remotes);
        let wikis = app::public_with(&platform, &auth, &addresses, &limits, &remotes);
        Ok(Self { token, to: To::Here { platform, remotes, control, wikis } })
    }

    /// Closes the platform, if it was opened in this process.
    pub(super) async fn close(self) {
        if let To::Here { platform, remotes, .. } = self.to {
            remotes.stop().await;
            platform.close().await;
        }
    }

    /// Calls the admin API; `path` follows `/admin/v1`.
    pub(super) async fn admin(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let path = format!("/admin/v1{path}");
        match &self.to {
            To::Server(server) => self.send(&server.admin, method, &path, body).await,
            To::Here { control, .. } => self.here_to(control.clone(), method, &path, body).await,
        }
    }

    /// Calls a wiki's API; `path` follows `/api/v1`.
    pub(super) async fn wiki(
        &self,
        slug: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let path = format!("/w/{slug}/api/v1{path}");
        match &self.to {
            To::Server(Running { wikis: Some(wikis), .. }) => {
                self.send(wikis, method, &path, body).await
            }
            To::Server(_) => Err("the server's wikis are at no port: use its API".into()),
            To::Here { wikis, .. } => self.here_to(wikis.clone(), method, &path, body).await,
        }
    }

    /// All items of a list of the admin API, over all its parts; `path` may have a query.
    pub(super) async fn admin_list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        whole_list(path, async |path| self.admin(Method::GET, path, None).await).await
    }

    /// The API path of one of a wiki's `remotes` or `channels`; of the only one if `id` is `None`.
    pub(super) async fn one_of(
        &self,
        wiki: &Slug,
        kind: &str,
        id: Option<&str>,
    ) -> Result<String, Failure> {
        let all = format!("/wikis/{wiki}/{kind}");
        if let Some(id) = id {
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!("`{id}` is no id of one of the {kind}").into());
            }
            return Ok(format!("{all}/{id}"));
        }
        match self.admin_list(&all).await?.as_slice() {
            [] => Err(format!("the wiki `{wiki}` has no {kind}").into()),
            [only] => Ok(format!("{all}/{}", cell(&only["id"]))),
            several => {
                let place = |one: &Value| match &one["url"] {
                    Value::Null => cell(&one["target"]),
                    url => cell(url),
                };
                let lines =
                    several.iter().map(|one| format!("  {}  {}", cell(&one["id"]), place(one)));
                let lines = lines.collect::<Vec<_>>().join("\n");
                Err(format!("the wiki `{wiki}` has several {kind}, name one:\n{lines}").into())
            }
        }
    }

    /// All items of a list of a wiki's API, over all its parts.
    pub(super) async fn wiki_list(&self, slug: &str, path: &str) -> Result<Vec<Value>, Failure> {
        whole_list(path, async |path| self.wiki(slug, Method::GET, path, None).await).await
    }

    async fn here_to(
        &self,
        mut router: Router,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let request = self.request("localhost", method, path, body)?;
        let Ok(answer) = router.call(request.map(Body::new)).await;
        let status = answer.status();
        answered(path, status, &answer.into_body().collect().await?.to_bytes())
    }

    async fn send(
        &self,
        address: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let to: SocketAddr = address.parse()?;
        let stream = tokio::net::TcpStream::connect(to)
            .await
            .map_err(|error| format!("the server at {address} can't be reached: {error}"))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = wikigrove_tenant::spawn(async move {
            // A failure is reported to the task that waits for the response.
            let _ = connection.await;
        });
        let answer = sender.send_request(self.request(address, method, path, body)?).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        driving.abort();
        answered(path, status, &bytes)
    }

    fn request(
        &self,
        host: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let request = Request::builder().method(method).uri(path).header(HOST, host);
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        Ok(match body {
            None => request.body(Full::default())?,
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Full::from(serde_json::to_vec(body)?))?,
        })
    }
}

async fn whole_list(
    path: &str,
    get: impl AsyncFn(&str) -> Result<Value, Failure>,
) -> Result<Vec<Value>, Failure> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let first = format!("{path}{joint}limit=500");
    let (mut items, mut next) = (Vec::new(), first.clone());
    loop {
        let mut part = get(&next).await?;
        if let Some(some) = part["items"].as_array_mut() {
            items.append(some);
        }
        match part["next_cursor"].as_str() {
            Some(cursor) => next = format!("{first}&cursor={cursor}"),
            None => return Ok(items),
        }
    }
}

/// The body of a successful response, or an error with the problem's explanation.
fn answered(path: &str, status: StatusCode, body: &[u8]) -> Result<Value, Failure> {
    let value: Value = match body {
        [] => Value::Null,
        body => serde_json::from_slice(body)?,
    };
    if status.is_success() {
        return Ok(value);
    }
    let said = value["detail"].as_str().unwrap_or("no reason was given");
    let mut parts = path.split('/').skip_while(|part| !matches!(*part, "wikis" | "w"));
    match parts.nth(1) {
        Some(wiki) => Err(format!("{said} (wiki `{wiki}`, {status})").into()),
        None => Err(format!("{said} ({status})").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_does_the_same_with_and_without_a_server() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { data: dir.path().to_owned(), secret_key_file: None };
        let through = Through::open(&place, None, None).await.unwrap();
        let body = serde_json::json!({ "slug": "garden" });
        let made = through.admin(Method::POST, "/wikis", Some(&body)).await.unwrap();
        assert_eq!(made["slug"], "garden");
        let again = through.admin(Method::POST, "/wikis", Some(&body)).await.unwrap_err();
        assert!(again.to_string().contains("taken"), "{again}");
        assert_eq!(
            through.wiki("garden", Method::GET, "/pages", None).await.unwrap()["items"],
            serde_json::json!([])
        );
        // The data directory is open, but no server has written its addresses.
        let error = Through::open(&place, Some("t".to_owned()), None).await.err().unwrap();
        assert!(error.to_string().contains("where it is"), "{error}");
        through.close().await;
    }
}
