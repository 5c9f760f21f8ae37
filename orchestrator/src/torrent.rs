//! Torrents of the first kind (BEP 3) for files of a topology, so that other clients can spread the same bytes.
//!
//! Encoding only: one file, pieces by SHA-1, at most one tracker. What Peerbed's own peers verify by is the manifest of
//! `peerbed_proto::content`.

use std::io::Read;

use anyhow::{Context, ensure};
use ring::digest::{Context as Digest, SHA1_FOR_LEGACY_USE_ONLY};

/// What a torrent says beside the bytes of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torrent<'a> {
    /// What the file is called.
    pub name: &'a str,
    /// Size of a piece in bytes; that of the last one may be smaller.
    pub piece: u64,
    /// Where peers find each other; none for clients that are told otherwise.
    pub tracker: Option<&'a str>,
}

impl Torrent<'_> {
    /// The torrent of the bytes of `file`, as bytes.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is empty.
    pub fn encode(&self, file: impl Read) -> anyhow::Result<Vec<u8>> {
        let (pieces, length) = self.pieces(file).with_context(|| format!("cannot read file `{}`", self.name))?;
        ensure!(length > 0, "file `{}` is empty, and there is nothing to spread", self.name);
        // Keys stand in the order of their bytes.
        let mut text = b"d".to_vec();
        if let Some(tracker) = self.tracker {
            string(&mut text, b"announce");
            string(&mut text, tracker.as_bytes());
        }
        string(&mut text, b"info");
        text.push(b'd');
        for (key, value) in [("length", Value::Integer(length)), ("name", Value::String(self.name.as_bytes()))]
            .into_iter()
            .chain([("piece length", Value::Integer(self.piece)), ("pieces", Value::String(&pieces))])
        {
            string(&mut text, key.as_bytes());
            match value {
                Value::Integer(number) => text.extend(format!("i{number}e").into_bytes()),
                Value::String(bytes) => string(&mut text, bytes),
            }
        }
        text.extend(b"ee");
        Ok(text)
    }

    /// The digests of all pieces, one behind the other, and the length of the file.
    fn pieces(&self, mut file: impl Read) -> anyhow::Result<(Vec<u8>, u64)> {
        let (mut digests, mut length) = (Vec::new(), 0);
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let read = file.by_ref().take(self.piece).read_to_end(&mut piece)?;
            if read == 0 {
                return Ok((digests, length));
            }
            length += read as u64;
            let mut digest = Digest::new(&SHA1_FOR_LEGACY_USE_ONLY);
            digest.update(&piece);
            digests.extend(digest.finish().as_ref());
        }
    }
}

enum Value<'a> {
    Integer(u64),
    String(&'a [u8]),
}

fn string(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend(format!("{}:", bytes.len()).into_bytes());
    text.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_is_what_the_standard_says_byte_for_byte() {
        let original = &b"abcabcab"[..];
        let torrent = Torrent { name: "x", piece: 3, tracker: Some("http://t/announce") }.encode(original).unwrap();
        let sha1 =
            |hex: &str| (0..20).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect::<Vec<_>>();
        // SHA-1 of "abc" from FIPS 180, of "ab" by sha1sum.
        let [abc, ab] =
            ["a9993e364706816aba3e25717850c26c9cd0d89d", "da23614e02469a0d7c7bd1bdab5c9c474b1904dc"].map(sha1);
        let mut expected =
            b"d8:announce17:http://t/announce4:infod6:lengthi8e4:name1:x12:piece lengthi3e6:pieces60:".to_vec();
        expected.extend([&abc[..], &abc, &ab, b"ee"].concat());
        assert_eq!(torrent, expected);
        let without = Torrent { name: "x", piece: 3, tracker: None }.encode(original).unwrap();
        assert!(without.starts_with(b"d4:infod6:length"));
    }

    #[test]
    fn an_empty_file_has_no_torrent() {
        let torrent = Torrent { name: "x", piece: 16_384, tracker: None };
        assert!(torrent.encode(&b""[..]).unwrap_err().to_string().contains("is empty"));
    }
}
