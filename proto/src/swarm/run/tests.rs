//! Tests of runs and run streams.

use super::*;
use crate::content::{LEAF, LeafHashes, ManifestBuilder};

#[test]
fn a_run_stream_fed_in_any_cuts_comes_apart_into_its_parts() {
    let (manifest, data) = content();
    let run = Run { piece: 1, first: 1, count: 1 };
    let layer = LeafHashes::of_piece(&data[32_768..]);
    let mut stream = BytesMut::new();
    RunHeader { run, layer: LayerWish::Send }.encode(&mut stream);
    layer.encode(&mut stream);
    let range = run.range(&manifest);
    let leaf = &data[range.start as usize..range.end as usize];
    stream.extend_from_slice(leaf);

    for cut in [1, 7, 1_000, 100_000] {
        let mut reader = RunReader::new(Arc::clone(&manifest));
        let mut parts = Vec::new();
        for chunk in stream.chunks(cut) {
            reader.feed(chunk);
            while let Some(part) = reader.next_part().unwrap() {
                parts.push(part);
            }
        }
        let expected = [
            RunPart::Header(RunHeader { run, layer: LayerWish::Send }),
            RunPart::Layer(layer.hashes().to_vec()),
            RunPart::Leaf { leaf: 1, data: Bytes::copy_from_slice(leaf) },
        ];
        assert_eq!(parts, expected, "cut into {cut} bytes");
        assert!(reader.is_complete());
    }
}

#[test]
fn runs_outside_the_content_and_bytes_behind_the_end_are_refused() {
    let (manifest, data) = content();
    for run in [
        Run { piece: 2, first: 0, count: 1 },
        Run { piece: 0, first: 1, count: 2 },
        Run { piece: 0, first: u16::MAX, count: u16::MAX },
        Run { piece: u32::MAX, first: 0, count: 1 },
    ] {
        let mut reader = RunReader::new(Arc::clone(&manifest));
        reader.feed(&RunHeader { run, layer: LayerWish::Omit }.to_bytes());
        assert_eq!(reader.next_part(), Err(DecodeError::Bad { what: "run" }), "{run:?}");
    }

    let mut reader = RunReader::new(Arc::clone(&manifest));
    let run = Run { piece: 0, first: 0, count: 1 };
    reader.feed(&RunHeader { run, layer: LayerWish::Omit }.to_bytes());
    reader.feed(&data[..LEAF as usize + 1]);
    assert!(matches!(reader.next_part(), Ok(Some(RunPart::Header(_)))));
    assert!(matches!(reader.next_part(), Ok(Some(RunPart::Leaf { .. }))));
    assert_eq!(reader.next_part(), Err(DecodeError::Trailing { bytes: 1 }));
}

#[test]
fn a_header_of_the_longest_kind_fits_its_limit() {
    let run = Run { piece: u32::MAX >> 2, first: u16::MAX, count: u16::MAX };
    assert!(RunHeader { run, layer: LayerWish::Send }.to_bytes().len() <= RunHeader::LEN_MAX);
}

fn content() -> (Arc<Manifest>, Vec<u8>) {
    let data: Vec<u8> = (0..60_000_u32).map(|at| (at % 251) as u8).collect();
    let mut builder = ManifestBuilder::new("file", 2 * LEAF).unwrap();
    builder.feed(&data);
    (Arc::new(builder.finish().unwrap()), data)
}
