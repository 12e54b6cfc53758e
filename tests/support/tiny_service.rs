//! The service that the test repository deploys: answers `/healthz` on the given port with what was released.
//!
//! `tiny-service PORT`: 200 with the first line of `$GUILDHALL_STATE_DIR/release.txt`, or 500 when that says `sick`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .unwrap_or(0);
    let state_dir = PathBuf::from(std::env::var_os("GUILDHALL_STATE_DIR").unwrap_or_default());
    let release = state_dir.join("release.txt");
    // A deployed service outlives its fleet; this one ends with the test's directory.
    std::thread::spawn(move || {
        while state_dir.exists() {
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        std::process::exit(0);
    });
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut request = [0u8; 1024];
        if stream.read(&mut request).is_err() {
            continue;
        }
        let text = std::fs::read_to_string(&release).unwrap_or_default();
        let line = text.lines().next().unwrap_or("nothing released");
        let status = if line == "sick" {
            "500 Internal Server Error"
        } else {
            "200 OK"
        };
        // The client may be gone; the next one is what matters.
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{line}",
            line.len()
        );
    }
    Ok(())
}
