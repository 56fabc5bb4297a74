//! The git program, as an operator would use it, but without the machine's configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A repository, looked at from outside.
#[derive(Clone, Debug)]
pub struct Git {
    dir: PathBuf,
}

impl Git {
    /// Works in `dir`, bare or not.
    pub fn at(dir: impl AsRef<Path>) -> Self {
        Self { dir: dir.as_ref().to_owned() }
    }

    /// Makes a repository in `dir` that isn't bare, on the branch `main`.
    pub fn init(dir: impl AsRef<Path>) -> Self {
        std::fs::create_dir_all(&dir).unwrap();
        let git = Self::at(dir);
        git.run(&["init", "-q", "-b", "main"]);
        git
    }

    /// Clones `url` into the new directory `dir`.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn clone(url: &str, dir: impl AsRef<Path>) -> Self {
        Self::clone_with(url, dir, &[])
    }

    /// As [`clone`](Self::clone), with options.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn clone_with(url: &str, dir: impl AsRef<Path>, options: &[&str]) -> Self {
        let git = Self::at(dir.as_ref());
        let parent = Self::at(git.dir.parent().unwrap());
        let place = git.dir.to_str().unwrap();
        parent.run(&[&["clone", "-q"], options, &["--", url, place]].concat());
        git
    }

    /// Where it works.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file of the work tree.
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    /// Commits everything in the work tree.
    pub fn commit(&self, message: &str) -> &Self {
        self.run(&["add", "-A"]);
        self.run(&["commit", "-q", "--allow-empty", "-m", message]);
        self
    }

    /// What a command prints, without the last newline.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> String {
        String::from_utf8(self.bytes(args)).unwrap().trim_end_matches('\n').to_owned()
    }

    /// What a command prints, byte for byte.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn bytes(&self, args: &[&str]) -> Vec<u8> {
        let output = self.output(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?} in {}: {said}", self.dir.display());
        output.stdout
    }

    /// As [`run`](Self::run), for a command that reads `input`.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.bytes_with(args, input)).unwrap()
    }

    /// As [`bytes`](Self::bytes), for a command that reads `input`.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn bytes_with(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the git program is needed");
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        });
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?} in {}: {said}", self.dir.display());
        output.stdout
    }

    /// What a command that may fail does.
    pub fn output(&self, args: &[&str]) -> Output {
        self.command().args(args).output().expect("the git program is needed")
    }

    /// Checks every object.
    ///
    /// # Panics
    /// Something is damaged or missing.
    #[track_caller]
    pub fn fsck(&self) {
        self.run(&["fsck", "--full", "--strict", "--no-dangling"]);
    }

    /// A command without arguments yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(&self.dir)
            .env_remove("GIT_DIR")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_NAME", "Ann")
            .env("GIT_AUTHOR_EMAIL", "ann@example.org")
            .env("GIT_AUTHOR_DATE", "2020-02-02T02:02:02Z")
            .env("GIT_COMMITTER_NAME", "Ann")
            .env("GIT_COMMITTER_EMAIL", "ann@example.org")
            .env("GIT_COMMITTER_DATE", "2020-02-02T02:02:02Z")
            .args(["-c", "safe.directory=*", "-c", "core.quotePath=false"]);
        command
    }
}
