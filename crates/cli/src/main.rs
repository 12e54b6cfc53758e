//! The `guildhall` program; see the library for what it does.

fn main() -> std::process::ExitCode {
    guildhall_cli::main()
}
