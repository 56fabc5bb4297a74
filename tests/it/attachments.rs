//! Attachments over HTTP: send, read whole or in part, list, delete.

use bytes::Bytes;
use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::{Answer, Git, ServerSetup, TestServer, User, encode, entries, scratch};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// More than is read, or kept in memory, at once.
const LARGE: usize = 1_000_000;

fn noise(length: usize) -> Vec<u8> {
    let next = |state: u64| {
        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
    };
    std::iter::successors(Some(7), |state| Some(next(*state)))
        .map(|state| (state >> 33) as u8)
        .take(length)
        .collect()
}

/// A server that takes attachments of up to `limit` bytes, with the operator and an editor.
async fn limited(limit: u64) -> (TestServer, User, User) {
    let setup = ServerSetup::default().settings(|settings| settings.attachment_limit = limit);
    let (server, operator) = setup.start().await;
    operator.create_wiki("garden").await.good();
    let editor = operator.token("garden", "editor").await;
    (server, operator, editor)
}

/// What a refused upload must leave as it was.
fn state(server: &TestServer) -> (String, Vec<String>) {
    let files = entries(server.dir()).into_iter().filter(|name| !name.contains("wiki.db"));
    (server.git("garden").run(&["for-each-ref"]), files.collect())
}

#[tokio::test]
async fn an_attachment_is_read_back_byte_for_byte() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    for size in [0, 1, 1_000, LARGE] {
        let (path, content) = (format!("roses/photo {size}.png"), noise(size));
        let created = wiki.create_attachment(&path, content.clone()).await.good();
        assert_eq!(created.status(), 201);
        let git = server.git("garden");
        assert_eq!(
            created.json(),
            json!({
                "path": path, "page": "roses", "name": format!("photo {size}.png"), "size": size,
                "etag": git.run(&["rev-parse", &format!("main:{path}")]),
                "revision": git.run(&["rev-parse", "main"]),
            })
        );
        let read = wiki.attachment(&path).await.good();
        assert!(read.bytes() == content, "{size}");
        assert_eq!(read.etag(), created.etag());
        for (name, value) in [
            ("content-type", "image/png"),
            ("content-length", &*size.to_string()),
            ("accept-ranges", "bytes"),
            ("cache-control", "private, no-cache"),
            ("vary", "authorization"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("content-disposition", &*format!("inline; filename=\"photo {size}.png\"")),
        ] {
            assert_eq!(read.header(name), value, "{name}");
        }
        let head = wiki.api(Method::HEAD, format!("/attachments/{}", encode(&path))).await.good();
        assert!(head.bytes().is_empty());
        for name in ["content-length", "etag", "content-type", "content-disposition"] {
            assert_eq!(head.header(name), read.header(name), "{name}");
        }
    }
    server.git("garden").fsck();
}

#[tokio::test]
async fn an_attachment_is_changed_and_deleted_only_by_who_knows_its_version() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let one = wiki.create_attachment("home/x.bin", "one").await.good();
    assert_eq!(wiki.create_attachment("home/x.bin", "one").await.good().status(), 200);
    let exists = wiki.create_attachment("home/x.bin", "two").await;
    assert_eq!(exists.status(), 412);
    assert_eq!(exists.problem("attachment_exists")["etag"], one.etag());
    let blind = wiki.attach("home/x.bin", "two").await;
    assert_eq!(blind.status(), 428);
    blind.problem("precondition_required");
    let if_match = |etag: &str| format!("\"{etag}\"");
    let change = wiki.attach("home/x.bin", "two").header("if-match", if_match(one.etag()));
    let two = change.query("message", "A better one").await.good();
    assert_eq!(two.status(), 200);
    let log = server.git("garden").run(&["log", "-1", "--format=%an %s"]);
    assert_eq!(log, "editor A better one");
    let stale = wiki.attach("home/x.bin", "three").header("if-match", if_match(one.etag())).await;
    assert_eq!(stale.status(), 412);
    assert_eq!(stale.problem("precondition_failed")["etag"], two.etag());
    wiki.delete_attachment("home/x.bin", one.etag()).await.problem("precondition_failed");
    let earlier =
        wiki.attachment("home/x.bin").query("at", one.json()["revision"].as_str().unwrap());
    let gone = wiki.delete_attachment("home/x.bin", two.etag()).await.good().json();
    assert_eq!(gone["path"], "home/x.bin");
    assert_eq!(gone["revision"], server.git("garden").run(&["rev-parse", "main"]).as_str());
    let missing = wiki.attachment("home/x.bin").await;
    assert_eq!(missing.status(), 404);
    missing.problem("attachment_not_found");
    wiki.delete_attachment("home/x.bin", two.etag()).await.problem("attachment_not_found");
    // api.md: `?at=` gives the state at that commit.
    assert_eq!(earlier.await.good().text(), "one");
    wiki.attachment("home/x.bin").query("at", "7".repeat(40)).await.problem("unknown_revision");
    wiki.attachment("home/x.bin").query("at", "main").await.problem("invalid_revision");
}

#[tokio::test]
async fn the_list_says_what_reading_says() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    wiki.create("home", "page").await.good();
    for name in ["b.svg", "a.png", "c.txt"] {
        wiki.create_attachment(&format!("home/{name}"), name).await.good();
    }
    wiki.create_attachment("home/below/d.txt", "d").await.good();
    wiki.create("home/page", "no attachment").await.good();
    let list = wiki.attachments("home").await.good().json();
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&list), ["a.png", "b.svg", "c.txt"]);
    for item in list["items"].as_array().unwrap() {
        let read = wiki.attachment(item["path"].as_str().unwrap()).await.good();
        assert_eq!(item["etag"], read.etag());
        assert_eq!(item["size"], read.bytes().len());
        assert_eq!(item["content_type"], read.header("content-type"));
        assert_eq!(item["page"], "home");
        assert_eq!(item["author"]["name"], "editor");
        let file = item["path"].as_str().unwrap();
        let last = server.git("garden").run(&["log", "-1", "--format=%H", "main", "--", file]);
        assert_eq!(item["revision"], last.as_str());
        serde_json::from_value::<wikigrove_server::openapi::AttachmentItem>(item.clone()).unwrap();
    }
    let first = wiki.attachments("home").query("limit", 2).await.good().json();
    assert_eq!(names(&first), ["a.png", "b.svg"]);
    let next = first["next_cursor"].as_str().unwrap();
    let second =
        wiki.attachments("home").query("limit", 2).query("cursor", next).await.good().json();
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["c.txt".to_owned()], &Value::Null));
    assert_eq!(names(&wiki.attachments("none").await.good().json()), Vec::<String>::new());
    wiki.api(Method::GET, "/attachments").await.problem("invalid_value");
}

#[tokio::test]
async fn a_git_client_sees_attachments_and_its_files_are_some() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    wiki.create_attachment("home/x.bin", noise(LARGE)).await.good();
    let scratch = scratch();
    let repo = server.git("garden");
    Git::at(scratch.path()).run(&["clone", "-q", repo.dir().to_str().unwrap(), "clone"]);
    let clone = scratch.path().join("clone");
    assert!(std::fs::read(clone.join("home/x.bin")).unwrap() == noise(LARGE));
    let work = Git::at(&clone);
    work.write("home/pushed.txt", b"by git");
    work.write("LICENSE", b"at the root");
    work.commit("from outside");
    work.run(&["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(wiki.attachment("home/pushed.txt").await.good().text(), "by git");
    assert_eq!(wiki.attachment("LICENSE").await.good().text(), "at the root");
    let root = wiki.attachments("").await.good().json();
    assert_eq!(root["items"][0]["path"], "LICENSE");
    // Read, but not made there.
    let made = wiki.create_attachment("COPYING", "x").await;
    assert_eq!(made.status(), 422);
    made.problem("invalid_path");
}

#[tokio::test]
async fn one_range_is_a_part_and_anything_else_the_whole() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let content = noise(LARGE);
    let etag = wiki.create_attachment("home/x.mp4", content.clone()).await.good().etag().to_owned();
    let ranged = |range: &str| wiki.attachment("home/x.mp4").header("range", range);
    let part = ranged("bytes=700000-700009").await;
    assert_eq!(part.status(), 206);
    assert_eq!(part.header("content-range"), format!("bytes 700000-700009/{LARGE}"));
    assert_eq!(part.header("content-length"), "10");
    assert_eq!(part.etag(), etag);
    assert!(part.bytes() == &content[700_000..700_010]);
    assert!(ranged("bytes=-5").await.good().bytes() == &content[LARGE - 5..]);

    let beyond = ranged("bytes=1000000-").await;
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.header("content-range"), format!("bytes */{LARGE}"));
    beyond.problem("range_not_satisfiable");

    let many = format!("bytes={}", vec!["0-0"; 10_000].join(","));
    for range in ["bytes=0-0,5-6", "bytes=x", "bytes=5-2", &many] {
        let whole = ranged(range).await.good();
        assert_eq!((whole.status(), whole.bytes().len()), (200, LARGE), "{range}");
    }
    let same = ranged("bytes=0-1").header("if-range", format!("\"{etag}\"")).await;
    assert_eq!(same.status(), 206);
    let other = ranged("bytes=0-1").header("if-range", format!("\"{}\"", "0".repeat(40))).await;
    assert_eq!(other.status(), 200);
    let known = ranged("bytes=0-1").header("if-none-match", format!("\"{etag}\"")).await;
    assert_eq!((known.status(), known.bytes().len()), (304, 0));
    assert_eq!(known.etag(), etag);
}

#[test]
fn any_range_is_a_slice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let content = noise(400_000);
    let (_server, wiki) = runtime.block_on(async {
        let (server, _, editor) = TestServer::with_garden().await;
        let wiki = editor.on("garden");
        wiki.create_attachment("home/large", content.clone()).await.good();
        wiki.create_attachment("home/small", content[..500].to_vec()).await.good();
        (server, wiki)
    });
    let config = ProptestConfig::with_cases(64);
    proptest!(config, |(large: bool, first in 0..450_000_u64, length in 1..450_000_u64)| {
        let (name, size) = if large { ("home/large", 400_000) } else { ("home/small", 500) };
        let first = if large { first } else { first % 600 };
        let range = format!("bytes={first}-{}", first + length - 1);
        let part = runtime.block_on(wiki.attachment(name).header("range", range).into_future());
        if first >= size {
            prop_assert_eq!(part.status(), 416);
        } else {
            let end = (first + length).min(size);
            prop_assert_eq!(part.status(), 206);
            prop_assert!(part.bytes() == &content[first as usize..end as usize]);
        }
    });
}

#[tokio::test]
async fn a_private_wikis_attachments_are_hidden_like_its_pages() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    let etag = editor.on("garden").create_attachment("home/x", "x").await.good().etag().to_owned();
    let stranger = editor.without_token();
    let wiki = stranger.on("garden");
    for call in [
        wiki.attachment("home/x"),
        wiki.attachment("home/x").header("if-none-match", format!("\"{etag}\"")),
        wiki.attachments("home"),
        wiki.create_attachment("home/y", "y"),
        wiki.delete_attachment("home/x", &etag),
    ] {
        let hidden = call.await;
        assert_eq!(hidden.status(), 404);
        hidden.problem("unknown_wiki");
    }
    let reader = operator.token("garden", "reader").await;
    reader.on("garden").attachment("home/x").await.good();
    assert_eq!(reader.on("garden").create_attachment("home/y", "y").await.status(), 403);
    assert_eq!(reader.on("garden").delete_attachment("home/x", &etag).await.status(), 403);
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_leaves_nothing() {
    let (server, _, editor) = limited(LARGE as u64).await;
    let wiki = editor.on("garden");
    let fits = noise(LARGE);
    wiki.create_attachment("home/fits", fits.clone()).await.good();
    assert!(wiki.attachment("home/fits").await.good().bytes() == fits);
    let before = state(&server);
    let refused = wiki.create_attachment("home/over", noise(LARGE + 1)).await;
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.problem("attachment_too_large")["limit"], LARGE);
    assert_eq!(state(&server), before);
}

/// Sends the head of an upload to `home/x` and then `chunk` over and over, until the server has
/// answered; returns the answer and how many bytes it took.
async fn endless(server: &TestServer, user: &User, chunk: &[u8]) -> (String, usize) {
    let stream = tokio::net::TcpStream::connect(server.public_address()).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let head = format!(
        "PUT /w/garden/api/v1/attachments/home/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         If-None-Match: *\r\nTransfer-Encoding: chunked\r\n\r\n",
        user.secret()
    );
    to.write_all(head.as_bytes()).await.unwrap();
    let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
    let mut answer = vec![0; 16 << 10];
    let mut sent = 0;
    let read = from.read(&mut answer);
    tokio::pin!(read);
    let length = loop {
        tokio::select! {
            biased;
            read = &mut read => break read.unwrap_or(0),
            written = to.write_all(&framed) => match written {
                Ok(()) => sent += chunk.len(),
                Err(_) => break read.await.unwrap_or(0),
            },
        }
    };
    (String::from_utf8_lossy(&answer[..length]).into_owned(), sent)
}

#[tokio::test]
async fn an_upload_without_an_end_is_cut_at_the_limit() {
    let (server, _, editor) = limited(LARGE as u64).await;
    editor.on("garden").create("home", "x").await.good();
    let before = state(&server);
    let (answer, sent) = endless(&server, &editor, &noise(50_000)).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("attachment_too_large"), "{answer}");
    // What was on its way, in the buffers of both ends, is all that it may be above the limit.
    assert!((LARGE..LARGE + (16 << 20)).contains(&sent), "{sent}");
    assert_eq!(state(&server), before);
}

#[tokio::test]
async fn an_upload_that_breaks_off_changes_nothing() {
    let (server, _, editor) = TestServer::with_garden().await;
    editor.on("garden").create("home", "x").await.good();
    let before = state(&server);
    let head = format!(
        "PUT /w/garden/api/v1/attachments/home/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         If-None-Match: *\r\nContent-Length: 2000000\r\n\r\n",
        editor.secret()
    );
    let mut stream = tokio::net::TcpStream::connect(server.public_address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&noise(LARGE)).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert_eq!(state(&server), before);
    editor.on("garden").attachment("home/x").await.problem("attachment_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_uploads_of_one_name_at_once_one_wins() {
    let (server, _, editor) = TestServer::with_garden().await;
    for round in 0..5 {
        let name = format!("home/{round}");
        let sending: Vec<_> = (0..4_u8)
            .map(|n| {
                let (wiki, name) = (editor.on("garden"), name.clone());
                let content = Bytes::from(vec![n; 300_000]);
                wikigrove_tenant::spawn(async move { wiki.create_attachment(&name, content).await })
            })
            .collect();
        let mut won = Vec::new();
        for (n, answer) in sending.into_iter().enumerate() {
            let answer: Answer = answer.await.unwrap();
            match answer.status() {
                201 => won.push(n as u8),
                412 => drop(answer.problem("attachment_exists")),
                other => panic!("{other}: {answer}"),
            }
        }
        assert_eq!(won.len(), 1);
        let stored = editor.on("garden").attachment(&name).await.good();
        assert!(stored.bytes() == vec![won[0]; 300_000]);
    }
    server.git("garden").fsck();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_when_the_attachment_is_deleted_and_packed() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    // More than fits into the buffers between the server and a client that doesn't read.
    let content = noise(20_000_000);
    let created = wiki.create_attachment("home/x", content.clone()).await.good();
    let mut stream = tokio::net::TcpStream::connect(server.public_address()).await.unwrap();
    let request = format!(
        "GET /w/garden/api/v1/attachments/home/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Connection: close\r\n\r\n",
        editor.secret()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    stream.read_exact(&mut answer).await.unwrap();
    wiki.delete_attachment("home/x", created.etag()).await.good();
    server.git("garden").run(&["gc", "-q", "--prune=now"]);
    stream.read_to_end(&mut answer).await.unwrap();
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(answer[body..] == content);
    wiki.attachment("home/x").await.problem("attachment_not_found");
}

#[tokio::test]
async fn a_body_that_is_packed_in_something_is_refused() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    for encoding in ["gzip", "br", "identity, gzip"] {
        let call = wiki.create_attachment("home/x", "x").header("content-encoding", encoding);
        let refused = call.await;
        assert_eq!(refused.status(), 415, "{encoding}");
        refused.problem("unsupported_media_type");
    }
    let call = wiki.create_attachment("home/x", "x").header("content-encoding", "identity");
    assert_eq!(call.await.good().status(), 201);
    let form =
        wiki.create_attachment("home/y", "--b").body("multipart/form-data; boundary=b", "--b");
    let refused = form.await;
    assert_eq!(refused.status(), 415);
    assert!(refused.problem("unsupported_media_type")["detail"].as_str().unwrap().contains("form"));
}

#[tokio::test]
async fn names_that_no_attachment_can_have_are_refused() {
    let (server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    wiki.create("home", "x").await.good();
    let before = state(&server);
    for (name, status, code) in [
        ("home/../../.git/hooks/post-commit", 400, "invalid_path"),
        ("home/..\\..\\x.png", 422, "invalid_path"),
        ("home/a\"\r\nSet-Cookie: x=1.png", 422, "invalid_path"),
        ("home/.gitattributes", 422, "invalid_path"),
        ("home/nul.png", 422, "invalid_path"),
        ("x.png", 422, "invalid_path"),
        ("home.md", 422, "invalid_path"),
        ("home/home.md", 409, "is_a_page"),
        ("home/home.MD", 409, "is_a_page"),
        ("home.md/x.png", 409, "path_collision"),
    ] {
        let refused = wiki.create_attachment(name, "x").await;
        assert_eq!(refused.status(), status, "{name}: {refused}");
        refused.problem(code);
        assert_eq!(state(&server), before, "{name}");
    }
    wiki.attachment("home.md").await.problem("attachment_not_found");
    wiki.delete_attachment("home.md", &"0".repeat(40)).await.problem("is_a_page");
}

#[tokio::test]
async fn what_a_browser_could_run_is_never_shown_in_place() {
    let (_server, _, editor) = TestServer::with_garden().await;
    let wiki = editor.on("garden");
    let script = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    for (name, served_as, kind) in [
        ("x.png", "image/png", "inline"),
        ("x.txt", "text/plain; charset=utf-8", "inline"),
        ("x.html", "application/octet-stream", "attachment"),
        ("x.svg", "image/svg+xml", "attachment"),
        ("x.pdf", "application/pdf", "attachment"),
        ("x.mht", "application/octet-stream", "attachment"),
        ("x.xhtml", "application/octet-stream", "attachment"),
        ("x.shtml", "application/octet-stream", "attachment"),
        ("a.png;b.html", "application/octet-stream", "attachment"),
    ] {
        let path = format!("home/{name}");
        wiki.attach(&path, script).header("if-none-match", "*").await.good();
        let read = wiki.attachment(&path).await.good();
        assert_eq!(read.header("content-type"), served_as, "{name}");
        let disposition = read.header("content-disposition");
        assert!(disposition.starts_with(&format!("{kind}; filename=\"")), "{disposition}");
        // No parameter but those that we wrote.
        let parameters = disposition.split(';').count();
        assert_eq!(parameters, if name.contains(';') { 3 } else { 2 }, "{disposition}");
        assert_eq!(read.header("x-content-type-options"), "nosniff");
        assert_eq!(read.header("content-security-policy"), "default-src 'none'; sandbox");
    }
}

#[tokio::test]
async fn the_etag_of_another_wiki_opens_nothing() {
    let (_server, operator, editor) = TestServer::with_garden().await;
    operator.create_wiki("kitchen").await.good();
    let cook = operator.token("kitchen", "editor").await;
    let secret = cook.on("kitchen").create_attachment("home/x", "secret").await.good();
    let known = format!("\"{}\"", secret.etag());
    let asked = editor.on("garden").attachment("home/x").header("if-none-match", &known).await;
    asked.problem("attachment_not_found");
    let hidden = editor.on("kitchen").attachment("home/x").header("if-none-match", &known).await;
    assert_eq!(hidden.status(), 404);
    // The same bytes in a wiki of one's own are one's own.
    editor.on("garden").create_attachment("home/x", "secret").await.good();
    let mine = editor.on("garden").attachment("home/x").header("if-none-match", &known).await;
    assert_eq!((mine.status(), mine.header("cache-control")), (304, "private, no-cache"));
}
