//! What a peer writes down of its connections when it is told to: the secrets that decode a capture, and qlog.
//!
//! Both grow with the traffic, and so are off unless the configuration names a file. What becomes of the files after a run is
//! the orchestrator's business.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use quinn::{QlogConfig, QlogStream};

/// Secrets of all connections in the format of `SSLKEYLOGFILE`, which Wireshark reads.
#[derive(Debug)]
pub(crate) struct KeyLog(Mutex<File>);

impl KeyLog {
    /// Appends to the file at `path`, which a peer that comes back goes on with.
    ///
    /// # Errors
    ///
    /// When it cannot be opened; the message names it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        Ok(Self(Mutex::new(file.with_context(|| format!("cannot open {}", path.display()))?)))
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = format!("{label} ");
        hexadecimal(&mut line, client_random);
        line.push(' ');
        hexadecimal(&mut line, secret);
        line.push('\n');
        // A disk that takes no evidence is no reason to stop.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}

fn hexadecimal(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

/// Opens a qlog of all connections of the endpoint at `path`. What is older than [`QLOG_BYTES`] goes to the same name with `.old`
/// behind it, and what is twice as old is lost.
///
/// # Errors
///
/// When the file cannot be made; the message names it.
pub(crate) fn qlog(path: &Path, peer: &str) -> anyhow::Result<Option<QlogStream>> {
    let file = Rotating::create(path, QLOG_BYTES).with_context(|| format!("cannot make {}", path.display()))?;
    let mut config = QlogConfig::default();
    config.writer(Box::new(file)).title(Some(peer.to_owned()));
    Ok(config.into_stream())
}

/// A file of records that each begin with RS (RFC 7464) and the first of which, the header, begins every part.
#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    file: BufWriter<File>,
    header: Vec<u8>,
    records: u64,
    written: u64,
    most: u64,
}

impl Rotating {
    fn create(path: &Path, most: u64) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        Ok(Self { path: path.to_owned(), file, header: Vec::new(), records: 0, written: 0, most })
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let mut old = self.path.clone().into_os_string();
        old.push(".old");
        fs::rename(&self.path, old)?;
        self.file = BufWriter::new(File::create(&self.path)?);
        self.file.write_all(&self.header)?;
        self.written = self.header.len() as u64;
        Ok(())
    }
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.first() == Some(&RECORD) {
            self.records += 1;
            if self.records > 1 && self.written > self.most {
                self.rotate()?;
            }
        }
        if self.records == 1 {
            self.header.extend_from_slice(bytes);
        }
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// RFC 7464: begins a record.
const RECORD: u8 = 0x1e;
/// Bytes of one part of a qlog. A swarm's peer writes about 100 bytes for each KiB it moves: a quarter of a GiB of traffic.
const QLOG_BYTES: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_full_becomes_the_old_one_and_each_part_has_the_header() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.sqlog");
        let mut file = Rotating::create(&path, 20).unwrap();
        for text in ["\u{1e}header\n", "\u{1e}first, and long\n", "\u{1e}second\n"] {
            // A record may come in pieces.
            let (start, rest) = text.as_bytes().split_at(1);
            file.write_all(start).unwrap();
            file.write_all(rest).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "\u{1e}header\n\u{1e}second\n");
        let old = fs::read_to_string(place.path().join("a.sqlog.old")).unwrap();
        assert_eq!(old, "\u{1e}header\n\u{1e}first, and long\n");
    }

    #[test]
    fn secrets_are_lines_as_wireshark_reads_them() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keys");
        for _ in 0..2 {
            rustls::KeyLog::log(&KeyLog::open(&path).unwrap(), "CLIENT_TRAFFIC_SECRET_0", &[0xab, 1], &[0xff]);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "CLIENT_TRAFFIC_SECRET_0 ab01 ff\n".repeat(2));
    }
}
