//! The `wikigrove` program. See `wikigrove --help`.

fn main() -> std::process::ExitCode {
    if let Err(error) = wikigrove_sigbus::install() {
        // Everything works without, until a file is cut.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("wikigrove: a file that is cut will end the process: {error}\n").as_bytes(),
        );
    }
    wikigrove_server::cli::main()
}
