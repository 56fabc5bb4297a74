//! The history of one branch, packed by the git program into a bundle.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use wikigrove_tenant::Revision;

use crate::import::ImportError;
use crate::import::git::{Heard, failed, git, missing};

const NAME: &str = "pack-objects";

/// A bundle that is being written. Dropping it ends git.
pub(super) struct Packing {
    child: Child,
    head: Revision,
    file: File,
}

impl Packing {
    /// Starts to write a bundle of `branch` at `head` into an empty file.
    ///
    /// The head is passed to git as an object id: a branch name would mean its commit at the time when git reads it.
    /// git only reads, and ends when its output is closed, so it needn't hold the lock on the data directory.
    pub(super) fn start(
        repo: &Path,
        branch: &str,
        head: Revision,
        mut file: File,
    ) -> Result<Self, ImportError> {
        let unable = |error: std::io::Error| missing(NAME, &error);
        // With HEAD, so that a clone knows which branch to check out.
        let beginning = format!("# v2 git bundle\n{head} {branch}\n{head} HEAD\n\n");
        file.write_all(beginning.as_bytes()).map_err(unable)?;
        let mut command = git();
        command
            // A relative path stays valid even if the repository's directory is moved.
            .current_dir(repo)
            .env("GIT_DIR", ".")
            .args([NAME, "--revs", "--stdout", "--delta-base-offset", "--progress"])
            .stdin(Stdio::piped())
            .stdout(file.try_clone().map_err(unable)?)
            .stderr(Stdio::piped());
        let child = Command::from(command).kill_on_drop(true).spawn().map_err(unable)?;
        Ok(Self { child, head, file })
    }

    /// Waits until the bundle is complete.
    pub(super) async fn finish(
        self,
        progress: &mut impl FnMut(&str, u8),
    ) -> Result<File, ImportError> {
        let Self { mut child, head, mut file } = self;
        let unable = |error: std::io::Error| missing(NAME, &error);
        if let Some(mut stdin) = child.stdin.take() {
            // If git has ended already, its status says why.
            let _ = stdin.write_all(format!("{head}\n").as_bytes()).await;
        }
        let mut heard = Heard::default();
        if let Some(mut stderr) = child.stderr.take() {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
                heard.hear(&buffer[..length], progress);
            }
        }
        let status = child.wait().await.map_err(unable)?;
        if !status.success() {
            return Err(failed(NAME, &heard.said));
        }
        file.rewind().map_err(unable)?;
        Ok(file)
    }
}
