//! Lines of a fetch request.

use wikigrove_tenant::Revision;

use crate::git::packet::Packet;

/// One line, or a packet that separates sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A flush or delimiter packet: `0000` or `0001`.
    Mark(u8),
    /// A wanted commit, with the client's capabilities if it is the first.
    Want(Revision, String),
    /// A commit that the client has.
    Have(Revision),
    /// A commit that the client has without its parents.
    Shallow(Revision),
    /// A ref whose history is to be excluded.
    Exclude(String),
    /// A line that names neither an object nor a ref.
    Plain(String),
    /// A line that this server doesn't support.
    Unknown(String),
}

impl Line {
    /// The commit that the line names.
    pub(super) fn id(&self) -> Option<Revision> {
        match self {
            Self::Want(id, _) | Self::Have(id) | Self::Shallow(id) => Some(*id),
            _ => None,
        }
    }

    /// The wanted commit.
    pub(super) fn wanted(&self) -> Option<Revision> {
        if let Self::Want(id, _) = self { Some(*id) } else { None }
    }

    /// The excluded ref.
    pub(super) fn excluded(&self) -> Option<&str> {
        if let Self::Exclude(name) = self { Some(name) } else { None }
    }

    /// The unsupported line.
    pub(super) fn unknown(&self) -> Option<&str> {
        if let Self::Unknown(what) = self { Some(what) } else { None }
    }

    /// The line as it is passed to git; empty for a separator. `branch` replaces any excluded ref.
    pub(super) fn written(&self, branch: &str) -> String {
        match self {
            Self::Mark(_) => String::new(),
            Self::Want(id, capabilities) if capabilities.is_empty() => format!("want {id}\n"),
            Self::Want(id, capabilities) => format!("want {id} {capabilities}\n"),
            Self::Have(id) => format!("have {id}\n"),
            Self::Shallow(id) => format!("shallow {id}\n"),
            Self::Exclude(_) => format!("deepen-not {branch}\n"),
            Self::Plain(line) | Self::Unknown(line) => format!("{line}\n"),
        }
    }
}

/// The section of a request that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Version 2: the command, once it has been named, and the client's capabilities.
    Command(Option<Command>),
    /// Version 2: the arguments of the command.
    Arguments(Command),
    /// Versions 0 and 1: wanted commits and shallow boundaries.
    Wants,
    /// Versions 0 and 1: commits that the client has.
    Haves,
    /// After the end.
    End,
}

/// A command of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    List,
    Fetch,
    Other,
}

impl Section {
    /// The section after a special packet; `None` if the packet isn't allowed here.
    pub(super) fn after(self, mark: u8) -> Option<Self> {
        match (self, mark) {
            (Self::Wants | Self::Haves, 0) => Some(Self::Haves),
            (Self::Command(Some(command)), 1) => Some(Self::Arguments(command)),
            (Self::Command(_) | Self::Arguments(_), 0) => Some(Self::End),
            _ => None,
        }
    }

    /// Parses a line of this section, and returns the section of the next line.
    pub(super) fn read(self, data: &[u8]) -> Result<(Line, Self), &'static str> {
        let text = std::str::from_utf8(Packet::line(data)).map_err(|_| "a line isn't text")?;
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("a line isn't text");
        }
        match self {
            Self::Command(command) => {
                let (line, named) = about_client(text);
                match (command, named) {
                    (Some(_), Some(_)) => Err("it has two commands"),
                    (command, named) => Ok((line, Self::Command(command.or(named)))),
                }
            }
            Self::Arguments(Command::List) => Ok((argument_of_list(text), self)),
            Self::Arguments(Command::Fetch) => Ok((argument_of_fetch(text)?, self)),
            Self::Arguments(Command::Other) => Ok((Line::Unknown(text.to_owned()), self)),
            Self::Wants => Ok((want(text)?, self)),
            Self::Haves => Ok((have(text)?, self)),
            Self::End => Err("it goes on behind its end"),
        }
    }
}

fn about_client(text: &str) -> (Line, Option<Command>) {
    let plain = Line::Plain(text.to_owned());
    match text.split_once('=') {
        Some(("command", "ls-refs")) => (plain, Some(Command::List)),
        Some(("command", "fetch")) => (plain, Some(Command::Fetch)),
        Some(("command", _)) => (Line::Unknown(text.to_owned()), Some(Command::Other)),
        Some(("agent" | "session-id" | "server-option", _)) | Some(("object-format", "sha1")) => {
            (plain, None)
        }
        _ => (Line::Unknown(text.to_owned()), None),
    }
}

fn argument_of_list(text: &str) -> Line {
    match text {
        "peel" | "symrefs" | "unborn" => Line::Plain(text.to_owned()),
        _ if text.starts_with("ref-prefix ") => Line::Plain(text.to_owned()),
        _ => Line::Unknown(text.to_owned()),
    }
}

fn argument_of_fetch(text: &str) -> Result<Line, &'static str> {
    Ok(match text {
        "thin-pack" | "no-progress" | "include-tag" | "ofs-delta" | "deepen-relative"
        | "wait-for-done" => Line::Plain(text.to_owned()),
        _ if text.starts_with("have ") || text == "done" => have(text)?,
        _ => match want(text)? {
            Line::Want(_, capabilities) if !capabilities.is_empty() => {
                return Err("a `want` names no object");
            }
            line => line,
        },
    })
}

fn want(text: &str) -> Result<Line, &'static str> {
    let (name, value) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match name {
        "want" => {
            let (id, capabilities) = value.split_once(' ').unwrap_or((value, ""));
            let id = id.parse().map_err(|_| "a `want` names no object")?;
            Line::Want(id, capabilities.to_owned())
        }
        "shallow" => Line::Shallow(value.parse().map_err(|_| "a `shallow` names no object")?),
        "deepen-not" => Line::Exclude(value.to_owned()),
        "deepen" | "deepen-since" if value.parse::<u32>().is_ok() => Line::Plain(text.to_owned()),
        _ => Line::Unknown(text.to_owned()),
    })
}

fn have(text: &str) -> Result<Line, &'static str> {
    match text.strip_prefix("have ") {
        Some(id) => Ok(Line::Have(id.parse().map_err(|_| "a `have` names no object")?)),
        None if text == "done" => Ok(Line::Plain(text.to_owned())),
        None => Ok(Line::Unknown(text.to_owned())),
    }
}
