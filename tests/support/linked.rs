//! A wiki that is linked with a git remote elsewhere.

use std::ops::Deref;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::{Answer, ServerSetup, TestRemote, TestServer, User};

/// How long a link may take for what it should do at once.
const PATIENCE: Duration = Duration::from_secs(40);

/// A server with the wiki `garden`, linked with an empty [`TestRemote`]. It is also its [`Tie`].
#[derive(Debug)]
pub struct Linked {
    /// The server.
    pub server: TestServer,
    /// An editor of the wiki.
    pub editor: User,
    /// The remote.
    pub remote: TestRemote,
    tie: Tie,
}

/// What ties a wiki to its remote, as the operator sees it.
#[derive(Clone, Debug)]
pub struct Tie {
    /// Who runs the server.
    pub operator: User,
    /// The wiki's slug.
    pub wiki: String,
    /// The link's id.
    pub id: String,
    /// The answer that made it.
    pub made: Value,
}

impl Tie {
    /// Links a wiki with a remote. An interval that no test waits for, unless the settings have another.
    pub async fn new(operator: &User, wiki: &str, url: &str, settings: Value) -> Self {
        let mut body = json!({ "url": url, "interval_seconds": 3600 });
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let path = format!("/admin/v1/wikis/{wiki}/remotes");
        let made = operator.control(Method::POST, path).json(body).await.good().json();
        let id = made["id"].as_str().unwrap().to_owned();
        Self { operator: operator.clone(), wiki: wiki.to_owned(), id, made }
    }

    /// A route of the link.
    pub fn path(&self, rest: &str) -> String {
        format!("/admin/v1/wikis/{}/remotes/{}{rest}", self.wiki, self.id)
    }

    /// How the link stands.
    pub async fn link(&self) -> Value {
        self.operator.control(Method::GET, self.path("")).await.good().json()
    }

    /// Changes the link.
    pub async fn change(&self, settings: Value) -> Value {
        self.operator.control(Method::PATCH, self.path("")).json(settings).await.good().json()
    }

    /// Has the link run now.
    pub async fn run(&self) -> Value {
        self.operator.control(Method::POST, self.path("/runs")).await.good().json()
    }

    /// Decides.
    pub async fn decide(&self, choice: &str) -> Value {
        let body = json!({ "choice": choice });
        self.operator.control(Method::POST, self.path("/decision")).json(body).await.good().json()
    }

    /// Waits until the link has come to rest with nothing waiting.
    pub async fn synced(&self) -> Value {
        self.until("is synced", |link| link["state"] == "idle" && link["queue_length"] == 0).await
    }

    /// Runs the link and waits until it has come to rest with nothing waiting.
    pub async fn run_synced(&self) -> Value {
        self.run().await;
        self.synced().await
    }

    /// Waits until the link is in this state.
    pub async fn state(&self, state: &str, reason: Option<&str>) -> Value {
        let wanted = format!("is {state} {reason:?}");
        self.until(&wanted, |link| link["state"] == state && link["reason"].as_str() == reason)
            .await
    }

    /// Waits until the link is as wanted.
    ///
    /// # Panics
    /// It doesn't come to be.
    pub async fn until(&self, wanted: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let link = self.link().await;
            if is_so(&link) {
                return link;
            }
            assert!(started.elapsed() < PATIENCE, "the link never {wanted}: {link:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Deref for Linked {
    type Target = Tie;

    fn deref(&self) -> &Tie {
        &self.tie
    }
}

impl Linked {
    /// As it comes: both ways, an empty remote, an interval that no test waits for.
    pub async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// With other settings of the link.
    pub async fn with(settings: Value) -> Self {
        Self::on(ServerSetup::default(), TestRemote::start().await, settings).await
    }

    /// On a server that is set up otherwise, with a remote that is there.
    pub async fn on(setup: ServerSetup, remote: TestRemote, settings: Value) -> Self {
        let (server, operator) = setup.start().await;
        operator.create_wiki("garden").await.good();
        let editor = operator.token("garden", "editor").await;
        let url = remote.url("127.0.0.1");
        let tie = Tie::new(&operator, "garden", &url, settings).await;
        Self { server, editor, remote, tie }
    }

    /// The same, with another link of the wiki in place of the first.
    #[must_use]
    pub fn tied(self, tie: Tie) -> Self {
        Self { tie, ..self }
    }

    /// Creates a page.
    pub async fn create(&self, path: &str, text: &str) -> String {
        self.editor.on("garden").create(path, text).await.good().etag().to_owned()
    }

    /// Saves a page, whatever it was before.
    pub async fn save(&self, path: &str, text: &str) {
        let garden = self.editor.on("garden");
        let before = garden.read(path).await.good().etag().to_owned();
        garden.save(path, &before, text).await.good();
    }

    /// The text of a page; `None` if there is none.
    pub async fn text(&self, path: &str) -> Option<String> {
        let answer = self.editor.on("garden").read(path).await;
        (answer.status() != 404)
            .then(|| answer.good().json()["content"].as_str().unwrap().to_owned())
    }

    /// All pages' paths.
    pub async fn pages(&self) -> Vec<String> {
        let list =
            self.editor.on("garden").api(Method::GET, "/pages?limit=500").await.good().json();
        let items = list["items"].as_array().unwrap();
        items.iter().map(|page| page["path"].as_str().unwrap().to_owned()).collect()
    }

    /// The conflicts that nobody has looked at.
    pub async fn conflicts(&self) -> Vec<Value> {
        let list = self.editor.on("garden").api(Method::GET, "/conflicts").await.good().json();
        list["items"].as_array().unwrap().clone()
    }

    /// Decides, and waits until that is done. What happens to the pages has to be what was shown.
    ///
    /// # Panics
    /// The choice isn't offered, can't be previewed, or does something else.
    pub async fn decide_as_shown(&self, choice: &str) {
        let path = self.path("/decision");
        let question = self.operator.control(Method::GET, path).await.good().json();
        let mut offers = question["choices"].as_array().unwrap().iter();
        let offer = offers.find(|offer| offer["choice"] == choice).expect("it is offered");
        let (before, conflicts) = (self.pages().await, self.conflicts().await.len());
        self.decide(choice).await;
        self.synced().await;
        let after = self.pages().await;
        let happened = json!({
            "pages": before.len(),
            "deleted": before.iter().filter(|page| !after.contains(page)).count(),
            "conflicts": self.conflicts().await.len() - conflicts,
        });
        assert_eq!(offer["preview"], happened, "{choice}: {question:#}");
    }

    /// Tells the link of a push, as a host of the kind of GitLab does.
    pub async fn hook(&self, id: &str, body: &str) -> Answer {
        let secret = self.made["webhook_secret"].as_str().unwrap();
        self.server
            .anonymous()
            .public(Method::POST, format!("/hooks/{}", self.id))
            .header("x-gitlab-token", secret)
            .header("x-gitlab-event-uuid", id)
            .body("application/json", body.to_owned())
            .await
    }

    /// The wiki's newest commit.
    pub fn head(&self) -> String {
        self.server.git("garden").run(&["rev-parse", "refs/heads/main"]).trim().to_owned()
    }

    /// The remote's newest commit.
    pub fn tip(&self) -> String {
        self.remote.git().run(&["rev-parse", "refs/heads/main"]).trim().to_owned()
    }
}

/// Links a wiki with a remote; returns the answer.
pub async fn link(operator: &User, wiki: &str, remote: &TestRemote, settings: Value) -> Value {
    Tie::new(operator, wiki, &remote.url("127.0.0.1"), settings).await.made
}
