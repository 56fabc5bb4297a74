//! Decisions about a push that need no objects.

use wikigrove_tenant::Revision;

use super::commands::{Asked, Command};
use super::report::Refused;

/// The wiki's branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Branch {
    /// The full ref name, such as `refs/heads/main`.
    pub(super) name: String,
    pub(super) head: Option<Revision>,
}

/// The results that are known already, and the index of the command that git has to decide.
pub(super) struct Verdicts {
    pub(super) results: Vec<Result<(), Refused>>,
    pub(super) open: Option<usize>,
}

/// Judges all commands. At most one is left open: the command that moves the branch.
pub(super) fn judge(asked: &Asked, branch: &Branch) -> Verdicts {
    let of_branch = asked.commands.iter().filter(|command| command.name == branch.name).count();
    let mut open = None;
    let mut results: Vec<Result<(), Refused>> = Vec::new();
    for (index, command) in asked.commands.iter().enumerate() {
        results.push(match one(command, branch, of_branch) {
            Ok(is_done) => {
                open = if is_done { open } else { Some(index) };
                Ok(())
            }
            Err(reason) => Err(Refused::because(reason)),
        });
    }
    if asked.wishes.atomic && results.iter().any(Result::is_err) {
        open = None;
        let all = results.iter_mut().filter(|result| result.is_ok());
        all.for_each(|result| *result = Err(Refused::because("something else in it was refused")));
    }
    Verdicts { results, open }
}

/// Returns `true` if the command has nothing to do, or the reason for its refusal.
fn one(command: &Command, branch: &Branch, of_branch: usize) -> Result<bool, String> {
    let short = branch.name.strip_prefix("refs/heads/").unwrap_or(&branch.name);
    if command.name != branch.name {
        return Err(format!("only the branch {short} is kept here"));
    }
    if of_branch > 1 {
        return Err("it is named twice".to_owned());
    }
    match command.new {
        None => Err(format!("the branch {short} can't be deleted")),
        // Probably a retry after a lost response.
        new if new == branch.head => Ok(true),
        _ if command.old != branch.head => Err("fetch first".to_owned()),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::super::commands::Wishes;
    use super::*;

    fn id(digit: &str) -> Option<Revision> {
        Some(digit.repeat(40).parse().unwrap())
    }

    fn judged(atomic: bool, commands: &[(&str, Option<Revision>, Option<Revision>)]) -> Verdicts {
        let branch = Branch { name: "refs/heads/main".to_owned(), head: id("a") };
        let command = |(name, old, new): &(&str, _, _)| Command {
            old: *old,
            new: *new,
            name: format!("refs/{name}"),
        };
        let asked = Asked {
            commands: commands.iter().map(command).collect(),
            wishes: Wishes { atomic, ..Wishes::default() },
            ..Asked::default()
        };
        judge(&asked, &branch)
    }

    fn reason(verdicts: &Verdicts, index: usize) -> &str {
        verdicts.results[index].as_ref().err().map_or("", |refused| &refused.reason)
    }

    #[test]
    fn only_the_branch_is_for_git_to_decide() {
        let commands = [
            ("tags/v1", None, id("b")),
            ("heads/main", id("a"), id("b")),
            ("wiki/x", None, id("b")),
        ];
        let verdicts = judged(false, &commands);
        assert_eq!(verdicts.open, Some(1));
        assert_eq!(reason(&verdicts, 0), "only the branch main is kept here");
        assert_eq!(reason(&verdicts, 2), "only the branch main is kept here");
        let verdicts = judged(true, &commands);
        assert_eq!(
            (verdicts.open, reason(&verdicts, 1)),
            (None, "something else in it was refused")
        );
    }

    #[test]
    fn a_branch_that_is_elsewhere_is_to_be_fetched_first() {
        for old in [id("c"), None] {
            let verdicts = judged(false, &[("heads/main", old, id("b"))]);
            assert_eq!((verdicts.open, reason(&verdicts, 0)), (None, "fetch first"));
        }
    }

    #[test]
    fn what_is_there_already_is_fine_and_deleting_it_is_not() {
        let verdicts = judged(false, &[("heads/main", id("c"), id("a"))]);
        assert_eq!((verdicts.open, reason(&verdicts, 0)), (None, ""));
        let verdicts = judged(false, &[("heads/main", id("a"), None)]);
        assert_eq!(reason(&verdicts, 0), "the branch main can't be deleted");
        let twice = [("heads/main", id("a"), id("b")), ("heads/main", id("a"), id("c"))];
        let verdicts = judged(false, &twice);
        assert_eq!((verdicts.open, reason(&verdicts, 1)), (None, "it is named twice"));
    }
}
