//! Small wikis as other programs keep them: after their import no link is dead that its source hadn't.

use std::collections::BTreeSet;
use std::path::Path;

use http::Method;
use testkit::{Git, User, encode, scratch};

/// A wiki of another program: its files, and what its own links can't reach.
struct Source {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    dead: &'static [&'static str],
}

const GITHUB: Source = Source {
    name: "github",
    files: &[
        (
            "Home.md",
            "Welcome. See [[Getting Started]], [[the guide|Install Guide]], [[Install Guide#linux]], [start](Getting-Started#top),\n\
             [this page](Home), <https://example.org>, [[Nowhere]] and ![logo](images/logo.png).\n",
        ),
        ("Getting-Started.md", "# Getting Started\n\nBack [[Home]].\n"),
        ("guides/Install-Guide.md", "# Install Guide\n\n## Linux\n\n[[Getting-Started]]\n"),
        ("_Sidebar.md", "* [[Home]]\n* [[Install Guide]]\n"),
        ("_Footer.md", "[Start](Getting-Started)\n"),
        ("images/logo.png", "no image"),
    ],
    dead: &["Nowhere"],
};

const GOLLUM: Source = Source {
    name: "gollum",
    files: &[
        (
            "Home.md",
            "[[_TOC_]]\n\n# Home\n\n[[Red Roses]] [[dir/Sub Page]] [[/Red-Roses]] [[Text|Red Roses]] [[Missing One]]\n",
        ),
        ("Red-Roses.md", "# Red Roses\n\n[[Home]] [[Sub Page]]\n"),
        ("dir/Sub Page.md", "[[Home]] [[Red Roses]] [up](../Home)\n"),
        ("_Sidebar.md", "[[Home]]\n"),
    ],
    dead: &["Missing One"],
};

const OBSIDIAN: Source = Source {
    name: "obsidian",
    files: &[
        (
            "Index.md",
            "---\naliases: [Start]\n---\n\n[[Daily Note]] [[Projects/Garden|the garden]] [[Garden#Beds]] ![[plan.png]]\n",
        ),
        (
            "Journal/Daily Note.md",
            "# 1 May\n\n[[Index]] [[Garden]] [md](../Projects/Garden.md) [[Not Yet]]\n",
        ),
        ("Projects/Garden.md", "## Beds\n\n[note](../Journal/Daily%20Note.md) [[Index]]\n"),
        ("Assets/plan.png", "no image"),
    ],
    dead: &["Not Yet"],
};

const WIKI_JS: Source = Source {
    name: "wiki-js",
    files: &[
        (
            "home.md",
            "---\ntitle: The Home\ndescription: x\npublished: true\ntags: a, b\neditor: markdown\n---\n\n\
             [roses](/plants/roses) [relative](plants/roses) [anchor](/plants/roses#care) [gone](/plants/tulips)\n",
        ),
        ("plants/roses.md", "---\ntitle: Roses\n---\n\n# Roses\n\n## Care\n\n[home](/home)\n"),
    ],
    dead: &["plants/tulips"],
};

fn make(source: &Source, dir: &Path) {
    let git = Git::init(dir);
    for (name, content) in source.files {
        git.write(name, content);
    }
    git.commit("all");
}

async fn dead_links(operator: &User, slug: &str) -> BTreeSet<String> {
    let wiki = operator.on(slug);
    let mut dead = BTreeSet::new();
    for page in wiki.pages().await {
        let path = page["path"].as_str().unwrap();
        let links = wiki.api(Method::GET, format!("/links/{}", encode(path))).await.good().json();
        let targets = links["broken"].as_array().unwrap().iter();
        dead.extend(targets.map(|link| link["target"].as_str().unwrap().to_owned()));
        let _ = wiki.rendered(path).await.good();
    }
    dead
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_is_dead_that_its_source_had_not() {
    let dir = scratch();
    let program = crate::program(&dir.path().join("data"));
    for source in [GITHUB, GOLLUM, OBSIDIAN, WIKI_JS] {
        let from = dir.path().join(source.name);
        make(&source, &from);
        let imported =
            program.run(&["wiki", "import", "--slug", source.name, from.to_str().unwrap()]);
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    }
    let server = program.serve();
    for source in [GITHUB, GOLLUM, OBSIDIAN, WIKI_JS] {
        let dead = dead_links(&server.operator(), source.name).await;
        let expected = source.dead.iter().map(|target| (*target).to_owned()).collect();
        assert_eq!(dead, expected, "{}", source.name);
    }
    server.stop();
}
