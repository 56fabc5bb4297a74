//! Random events at both ends of a partial link, with every decision a person can make.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// An event, applied with a number that selects its place.
#[derive(Clone, Copy, Debug)]
enum Happening {
    SavedHere,
    DeletedHere,
    SavedThere,
    DeletedThere,
    /// Outside the mapped directory.
    CodeThere,
    /// Rewinds the remote to any earlier tip.
    SetBackThere,
    /// A full run; one of three options is chosen if a person has to decide.
    Synced,
    /// As above, but the push never arrives.
    Cut,
}

fn happening() -> impl Strategy<Value = (Happening, usize)> {
    use Happening::*;
    let any = [SavedHere, SavedHere, DeletedHere, SavedThere, SavedThere, DeletedThere];
    let any = [&any[..], &[CodeThere, SetBackThere, SetBackThere, Synced, Synced, Cut]].concat();
    (proptest::sample::select(any), 0..12_usize)
}

struct Life {
    project: Project,
    seen: Option<Revision>,
    tips: Vec<Revision>,
    saved: Vec<Revision>,
    number: usize,
}

impl Life {
    fn new() -> Self {
        let project = Project::new(&[("code/main.rs", "0"), ("docs/home.md", "text\n")]);
        let tips = project.tip().into_iter().collect();
        Self { project, seen: None, tips, saved: Vec::new(), number: 0 }
    }

    fn happens(&mut self, what: Happening, at: usize) {
        self.number += 1;
        let (page, number) = (format!("p{}", at % 4), self.number);
        let (file, text) = (format!("docs/{page}.md"), format!("text number {number}\n"));
        let is_here = self.project.wiki.paths().contains(&page);
        let is_there = self.project.files().contains(&file);
        match what {
            Happening::SavedHere if is_here => {
                self.saved.push(self.project.wiki.update(&page, &text).revision);
            }
            Happening::SavedHere => {
                self.saved.push(self.project.wiki.create(&page, &text).revision);
            }
            Happening::DeletedHere if is_here => {
                let commit = self.project.wiki.remove_with_git(&format!("{page}.md"));
                self.saved.push(commit.parse().unwrap());
            }
            Happening::SavedThere => drop(self.project.work(&[(&file, &text)])),
            Happening::DeletedThere if is_there => drop(self.project.work(&[(&file, "")])),
            Happening::CodeThere => drop(self.project.work(&[("code/main.rs", &text)])),
            Happening::SetBackThere => self.project.rewind(self.tips[at % self.tips.len()]),
            Happening::Synced => self.sync(at),
            Happening::Cut => self.look(at),
            Happening::DeletedHere | Happening::DeletedThere => {}
        }
        self.tips.extend(self.project.tip());
    }

    /// Integrates the remote's tip, like a run of the link.
    fn look(&mut self, choice: usize) {
        let (project, tip) = (&self.project, self.project.tip().unwrap());
        let rewritten = self.seen.filter(|seen| project.compare(*seen).rewritten);
        let path = project.fetch();
        let wiki = project.wiki.wiki();
        let standing = wiki.project(&path, Some(tip), LINK, &project.mapping);
        let is_taken = match standing {
            Ok(Some(_)) => true,
            Ok(None) | Err(Error::Sync(SyncError::NotIntegrated)) => false,
            Err(error) => panic!("{error}"),
        };
        match (rewritten, choice % 3) {
            (Some(seen), 0) => drop(project.pull_from(Some(seen))),
            (Some(_), 1) if !is_taken => drop(project.pull_from(Some(tip))),
            _ if !is_taken => drop(project.pull_from(None)),
            _ => {}
        }
        self.seen = Some(tip);
    }

    fn sync(&mut self, choice: usize) {
        self.look(choice);
        let tree = |path: &str| self.project.remote.git(&["rev-parse", &format!("main:{path}")]);
        let code = tree("code");
        self.project.push();
        assert_eq!(tree("code"), code, "nothing else is touched");
        let here = self.project.wiki.paths().into_iter().map(|page| format!("docs/{page}.md"));
        let there = self.project.files().into_iter().filter(|file| file.starts_with("docs/"));
        assert_eq!(here.collect::<BTreeSet<_>>(), there.collect(), "both are the same");
        if !self.project.wiki.paths().is_empty() {
            assert_eq!(tree("docs"), self.project.wiki.git(&["rev-parse", "main:"]));
        }
        self.seen = self.project.tip();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn both_ends_become_the_same_and_nothing_is_lost(
        happenings in proptest::collection::vec(happening(), 4..20)
    ) {
        let mut life = Life::new();
        for (what, at) in happenings {
            life.happens(what, at);
        }
        life.sync(2);
        let tip = life.project.tip();
        life.sync(2);
        prop_assert_eq!(life.project.tip(), tip, "and it stays like that");
        let repo = life.project.wiki.wiki().repo();
        for saved in &life.saved {
            prop_assert!(repo.is_ancestor(*saved, life.project.head()).unwrap(), "{} is lost", saved);
        }
    }
}
