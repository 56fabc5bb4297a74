//! The command line.

mod channel;
mod conflict;
mod hardening;
mod local;
mod output;
mod reach;
mod remote;
mod serve;
mod through;
mod wiki;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Many wikis, each with its own git repository, in one process.
#[derive(Debug, Parser)]
#[command(name = "wikigrove", version)]
struct Cli {
    /// The data directory.
    #[arg(
        long,
        value_name = "DIR",
        env = "WIKIGROVE_DATA",
        default_value = "./data",
        global = true
    )]
    data: PathBuf,
    /// The file with the key that encrypts the wikis' secrets [default: secret-key in the data
    /// directory].
    #[arg(long, value_name = "FILE", env = "WIKIGROVE_SECRET_KEY_FILE", global = true)]
    secret_key_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the wikis of the data directory (the default without a command).
    Serve(Box<serve::ServeArgs>),
    /// Create, list, import and export wikis.
    Wiki(Through<wiki::WikiCommand>),
    /// Manage remotes: git repositories elsewhere that wikis are linked to.
    Remote(Box<RemoteArgs>),
    /// Manage notification channels, which are told when a remote needs attention.
    Channel(Through<channel::ChannelCommand>),
    /// Show and resolve conflicts of synchronisation.
    Conflict(Through<conflict::ConflictCommand>),
    /// Manage tokens for programs.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// A command that uses the API of the server that has the data directory open, or works in this process.
#[derive(Args, Debug)]
struct Through<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// The operator's token, instead of the one in `<data>/operator-token`.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "WIKIGROVE_ADMIN_TOKEN",
        hide = true,
        hide_env_values = true
    )]
    admin_token: Option<String>,
}

#[derive(Args, Debug)]
struct RemoteArgs {
    #[command(flatten)]
    through: Through<remote::RemoteCommand>,
    #[command(flatten)]
    reach: reach::ReachArgs,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a new operator token in `<data>/operator-token`; the old one becomes invalid at the next
    /// start.
    Create(CreateToken),
}

#[derive(Args, Debug)]
struct CreateToken {
    /// Create the operator's token, which administers all wikis.
    #[arg(long, required = true)]
    operator: bool,
}

/// Maximum time for leftover background work after a command is done.
const LAST_WORK: Duration = Duration::from_secs(1);

/// The error of a failed command, as it is printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command line of this process. Exit codes: 0 for success, 1 for failure, 2 for wrong usage.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    start_logging();
    if let Err(error) = wikigrove_sigbus::install() {
        tracing::warn!(%error, "a file that another program cuts will end this process");
    }
    hardening::close_off();
    let exposed = hardening::secrets_on_the_command_line(&matches);
    match run(cli, &exposed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // An error is ignored: with a broken pipe there is no reader to report it to.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("wikigrove: {error}\n").as_bytes(),
            );
            ExitCode::FAILURE
        }
    }
}

/// Runs a command. `exposed` lists the options whose secrets are on the command line, with the
/// environment variable to use instead.
fn run(cli: Cli, exposed: &[(&str, &str)]) -> Result<(), Failure> {
    for (option, variable) in exposed {
        tracing::warn!(
            "every user of this machine can see the value of {option}: set {variable} instead"
        );
    }
    hardening::check_data_dir(&cli.data)?;
    let place = local::Place { data: cli.data, secret_key_file: cli.secret_key_file };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = run_on(&runtime, place, cli.command);
    // A thread that never finishes doesn't keep the process alive.
    runtime.shutdown_timeout(LAST_WORK);
    done
}

fn run_on(
    runtime: &tokio::runtime::Runtime,
    place: local::Place,
    command: Option<Command>,
) -> Result<(), Failure> {
    match command {
        None => runtime.block_on(serve::serve(place, serve::ServeArgs::from_environment())),
        Some(Command::Serve(args)) => runtime.block_on(serve::serve(place, *args)),
        Some(Command::Wiki(Through { command, json, admin_token })) => {
            runtime.block_on(wiki::run(place, admin_token, command, json))
        }
        Some(Command::Remote(args)) => {
            let Through { command, json, admin_token } = args.through;
            runtime.block_on(remote::run(place, admin_token, args.reach, command, json))
        }
        Some(Command::Conflict(Through { command, json, admin_token })) => {
            runtime.block_on(conflict::run(place, admin_token, command, json))
        }
        Some(Command::Channel(Through { command, json, admin_token })) => {
            runtime.block_on(channel::run(place, admin_token, command, json))
        }
        Some(Command::Token(TokenCommand::Create(_))) => {
            runtime.block_on(local::replace_operator_token(place))
        }
    }
}

fn start_logging() {
    use tracing_subscriber::EnvFilter;
    // RUST_LOG is the ecosystem's switch; the default shows the warnings that an operator should see.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
