//! The program under test.

use std::process::ExitCode;

fn main() -> ExitCode {
    wikigrove_server::cli::main()
}
