//! The `wikigrove` program. See `wikigrove --help`.

fn main() -> std::process::ExitCode {
    wikigrove_server::cli::main()
}
