//! The platform and the runtimes of those who use it, which come and go.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use testkit::slug;
use tokio::runtime::{Builder, Runtime};
use wikigrove_tenant::{Base, Caller, Error, Platform, Settings, State, Tenant, Wiki};

/// As `#[tokio::test]` makes it.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn timeless() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// A platform opened in a runtime that is gone, which closes wikis that were idle for a moment.
fn platform() -> Platform {
    let settings = Settings { idle: Duration::from_millis(100), ..Settings::default() };
    runtime().block_on(Platform::in_memory_with(settings)).unwrap()
}

async fn garden(platform: &Platform) -> Result<Wiki, Error> {
    platform.wiki("garden", Caller::operator()).await
}

/// Waits for it without a runtime.
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_platform_outlives_the_runtime_that_opened_it() {
    let platform = platform();
    runtime().block_on(platform.create("garden")).map(drop).unwrap();
    for (number, runtime) in [runtime(), runtime(), timeless()].into_iter().enumerate() {
        let mut changes = platform.changes();
        runtime.block_on(async {
            let wiki = garden(&platform).await.unwrap();
            wiki.save(&format!("page-{number}"), "text", Base::New).await.unwrap();
            assert_eq!(wiki.pages("", None, 10).await.unwrap().len(), number + 1);
            assert!(changes.next().await.unwrap().is_ok());
        });
        // Also while nothing drives the runtime that asked for the wiki.
        soon("an idle wiki is closed", || platform.open_wikis() == 0);
    }
    runtime().block_on(platform.close());
    assert!(timeless().block_on(garden(&platform)).map(drop).unwrap_err().is_busy());
}

#[test]
fn a_runtime_without_timers_is_enough() {
    let runtime = timeless();
    let settings =
        Settings { idle: Duration::from_millis(100), open_wikis: 1, ..Settings::default() };
    let platform = runtime.block_on(Platform::in_memory_with(settings)).unwrap();
    runtime.block_on(async {
        let held = platform.create("garden").await.unwrap();
        // It waits a while for the only place.
        assert!(platform.create("kitchen").await.map(drop).unwrap_err().is_busy());
        let saved = held.save("home", "text", Base::New).await.unwrap();
        // Heavy work waits for a place.
        held.blame("home", Some(saved.revision)).await.map(drop).unwrap();
        drop(held);
        platform.wiki("kitchen", Caller::operator()).await.map(drop).unwrap();
    });
    soon("an idle wiki is closed", || platform.open_wikis() == 0);
}

#[test]
fn without_a_runtime_there_is_an_error() {
    fn polled<T>(future: impl Future<Output = Result<T, Error>>) -> Error {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => error,
            Poll::Ready(Ok(_)) => panic!("it needs no runtime"),
            Poll::Pending => panic!("it waits"),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let platform = platform();
    let wiki = runtime().block_on(platform.create("garden")).unwrap();
    for error in [
        polled(Platform::open(dir.path())),
        polled(Platform::in_memory()),
        polled(platform.create("kitchen")),
        polled(platform.wiki("attic", Caller::operator())),
        polled(platform.delete(&slug("attic"))),
        polled(wiki.save("home", "text", Base::New)),
        polled(wiki.read("home")),
        polled(wiki.pages("", None, 10)),
    ] {
        assert!(error.to_string().contains("needs a tokio runtime"), "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_was_begun_in_a_runtime_that_is_gone_is_finished() {
    let platform = platform();
    for micros in (0..3_000).step_by(100) {
        let created = runtime().block_on(platform.create("garden")).unwrap();
        let id = created.id();
        drop(created);
        let brief = runtime();
        let begun = platform.clone();
        brief.block_on(async {
            #[expect(clippy::disallowed_methods, reason = "it is to end with its runtime")]
            tokio::spawn(async move { begun.delete(&slug("garden")).await });
            // Timers are too coarse for that.
            let started = Instant::now();
            while started.elapsed() < Duration::from_micros(micros) {
                tokio::task::yield_now().await;
            }
        });
        drop(brief);
        let tenant = || runtime().block_on(platform.tenant(&slug("garden"))).unwrap();
        let is_in_between = |tenant: Arc<Tenant>| tenant.state != State::Active;
        soon("a deletion is finished", || !tenant().is_some_and(is_in_between));
        // If it hadn't begun, or hadn't come as far.
        let deleted = runtime().block_on(platform.delete(&slug("garden")));
        assert!(deleted.is_ok() || deleted.unwrap_err().is_not_found());
        soon("it is gone", || tenant().is_none());
        assert!(platform.dir().join("trash").join(id.to_string()).exists());
    }
}

#[test]
fn several_runtimes_use_one_platform_at_once() {
    let platform = platform();
    runtime().block_on(platform.create("garden")).map(drop).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let platform = &platform;
            scope.spawn(move || {
                for number in 0..5 {
                    // A runtime for each, as tests have it.
                    runtime().block_on(async {
                        let wiki = garden(platform).await.unwrap();
                        let page = format!("page-{thread}-{number}");
                        wiki.save(&page, "text", Base::New).await.unwrap();
                    });
                }
            });
        }
    });
    let wiki = runtime().block_on(garden(&platform)).unwrap();
    assert_eq!(runtime().block_on(wiki.pages("", None, 100)).unwrap().len(), 20);
}
