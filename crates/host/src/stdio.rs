//! Where the output of components goes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::options::LogSink;

/// The output of one component: a file it shares over all its instances, this process's standard error, or both.
#[derive(Clone)]
pub(crate) struct ComponentLog(Arc<Sinks>);

struct Sinks {
    file: Option<File>,
    /// The component's id, when lines go to standard error.
    prefix: Option<String>,
}

impl ComponentLog {
    /// The log of `component` under `folder`, which is made when needed.
    pub fn open(component: &str, folder: &Path, sink: LogSink) -> io::Result<Self> {
        let file = if sink.files() {
            std::fs::create_dir_all(folder)?;
            Some(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(folder.join(format!("{component}.log")))?,
            )
        } else {
            None
        };
        Ok(Self(Arc::new(Sinks {
            file,
            prefix: sink.stderr().then(|| component.to_string()),
        })))
    }

    /// Writes whole lines; each goes out in one piece, so those of several instances do not mix.
    fn write(&self, lines: &[u8]) {
        if let Some(mut file) = self.0.file.as_ref() {
            // A full disk must not stop the component.
            let _ = file.write_all(lines);
        }
        if let Some(prefix) = &self.0.prefix {
            let mut out = Vec::with_capacity(lines.len() + 64);
            for line in lines.split_inclusive(|b| *b == b'\n') {
                out.extend_from_slice(format!("[{prefix}] ").as_bytes());
                out.extend_from_slice(line);
            }
            let _ = io::stderr().write_all(&out);
        }
    }

    /// A stream for one instance's standard output or error.
    pub fn stream(&self) -> LineStream {
        LineStream(Arc::new(Mutex::new(Lines {
            log: self.clone(),
            pending: Vec::new(),
        })))
    }
}

/// Collects what a guest writes into lines. Clones share one buffer.
#[derive(Clone)]
pub(crate) struct LineStream(Arc<Mutex<Lines>>);

struct Lines {
    log: ComponentLog,
    pending: Vec<u8>,
}

/// A line longer than this goes out in pieces.
const LONGEST_LINE: usize = 64 << 10;

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        if let Some(end) = self.pending.iter().rposition(|b| *b == b'\n') {
            let rest = self.pending.split_off(end + 1);
            self.log.write(&self.pending);
            self.pending = rest;
        }
        if self.pending.len() > LONGEST_LINE {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        if !self.pending.is_empty() {
            self.pending.push(b'\n');
            self.log.write(&self.pending);
            self.pending.clear();
        }
    }
}

impl Drop for Lines {
    /// A guest that ends, or traps, in the middle of a line still has that line shown.
    fn drop(&mut self) {
        self.end_line();
    }
}

impl IsTerminal for LineStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LineStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_whole_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let log = ComponentLog::open("probe", folder.path(), LogSink::Files).unwrap();
        let (one, two) = (log.stream(), log.stream());
        let write = |stream: &LineStream, text: &str| stream.0.lock().unwrap().write(text.as_bytes());
        write(&one, "first ");
        write(&two, "second\nthird");
        write(&one, "line\n");
        drop((one, two));
        let text = std::fs::read_to_string(folder.path().join("probe.log")).unwrap();
        assert_eq!(text, "second\nfirst line\nthird\n");
    }
}
