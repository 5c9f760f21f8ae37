//! Tests of manifests, geometry and hash trees.

use super::*;

#[test]
fn a_manifest_knows_where_pieces_and_leaves_lie() {
    let manifest = built(32 * 1024, 70_000);

    assert_eq!(manifest.pieces(), 3);
    assert_eq!(manifest.leaves_per_piece(), 2);
    assert_eq!((0..4).map(|piece| manifest.piece_len(piece)).collect::<Vec<_>>(), [32_768, 32_768, 4_464, 0]);
    assert_eq!((0..4).map(|piece| manifest.leaves_in(piece)).collect::<Vec<_>>(), [2, 2, 1, 0]);
    assert_eq!(manifest.leaf_range(1, 1), 49_152..65_536);
    assert_eq!(manifest.leaf_len(2, 0), 4_464);
    assert_eq!(manifest.leaf_len(2, 1), 0);
    assert_eq!(manifest.leaf_len(u32::MAX, u16::MAX), 0);
}

#[test]
fn a_layer_is_accepted_only_if_it_leads_to_the_root() {
    let data = bytes(70_000);
    let manifest = built(32 * 1024, 70_000);
    for piece in 0..3 {
        let range = manifest.piece_range(piece);
        let layer = LeafHashes::of_piece(&data[range.start as usize..range.end as usize]);
        assert_eq!(LeafHashes::verify(&manifest, piece, layer.hashes()), Ok(layer.clone()));

        let mut wrong = layer.hashes().to_vec();
        wrong[0].0[31] ^= 1;
        assert_eq!(LeafHashes::verify(&manifest, piece, &wrong), Err(LayerError::Root { piece }));
        let short = &layer.hashes()[1..];
        assert!(matches!(LeafHashes::verify(&manifest, piece, short), Err(LayerError::Length { .. })));
    }
    assert!(LeafHashes::verify(&manifest, 3, &[]).is_err(), "no such piece");
}

#[test]
fn a_leaf_is_accepted_only_if_its_hash_is_in_the_layer() {
    let data = bytes(20_000);
    let layer = LeafHashes::of_piece(&data);
    assert!(layer.verify_leaf(0, Hash::of(&data[..16_384])));
    assert!(layer.verify_leaf(1, Hash::of(&data[16_384..])));
    assert!(!layer.verify_leaf(1, Hash::of(&data[16_385..])));
    assert!(!layer.verify_leaf(2, Hash::of(&[])));
}

#[test]
fn missing_leaves_count_as_zero_hashes() {
    let leaf = Hash::of(b"x");
    let zero = Hash::default();
    let expected = Hash::of_pair(&Hash::of_pair(&leaf, &zero), &Hash::of_pair(&zero, &zero));
    assert_eq!(LeafHashes::of_piece(b"x").root(4), expected);
}

#[test]
fn the_way_bytes_are_fed_does_not_matter() {
    let data = bytes(100_000);
    let mut builder = ManifestBuilder::new("file", 16 * 1024).unwrap();
    data.chunks(777).for_each(|chunk| builder.feed(chunk));
    assert_eq!(builder.finish().unwrap(), built(16 * 1024, 100_000));
}

#[test]
fn the_leaf_hashes_of_a_file_are_those_of_its_pieces_one_after_another() {
    let data = bytes(70_000);
    let mut builder = ManifestBuilder::new("file", 32 * 1024).unwrap();
    builder.feed(&data);
    let (manifest, leaves) = builder.finish_with_leaves().unwrap();
    assert_eq!(leaves.len(), 5);
    let mut rest = leaves.as_slice();
    for piece in 0..manifest.pieces() {
        let (layer, after) = rest.split_at(usize::from(manifest.leaves_in(piece)));
        LeafHashes::verify(&manifest, piece, layer).unwrap();
        rest = after;
    }
    assert!(rest.is_empty());
}

#[test]
fn impossible_manifests_are_refused() {
    for piece_size in [0, 1, 8 * 1024, 48 * 1024, 32 * 1024 * 1024] {
        assert!(matches!(ManifestBuilder::new("x", piece_size), Err(ManifestError::PieceSize { .. })));
    }
    let empty = ManifestBuilder::new("x", LEAF).unwrap();
    assert!(matches!(empty.finish(), Err(ManifestError::Size { size: 0, .. })));
    let missing = Manifest::new("x".into(), 20_000, LEAF, vec![Hash::default()]);
    assert_eq!(missing, Err(ManifestError::PieceCount { needed: 2, given: 1 }));
    assert!(Manifest::new("x".into(), u64::MAX, LEAF, Vec::new()).is_err());
}

#[test]
fn a_manifest_survives_its_json_form_and_json_is_checked() {
    let manifest = built(16 * 1024, 40_000);
    let json = serde_json::to_string(&manifest).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    assert!(serde_json::from_str::<Manifest>(&json.replace("40000", "60000")).is_err());
    assert!(serde_json::from_str::<Manifest>(&json.replace("\"name\"", "\"nom\"")).is_err());
}

#[test]
fn the_content_id_changes_with_any_part() {
    let manifest = built(16 * 1024, 40_000);
    let renamed = Manifest { name: "other".into(), ..manifest.clone() };
    assert_eq!(manifest.id(), manifest.clone().id());
    assert_ne!(manifest.id(), renamed.id());
    assert_ne!(manifest.id(), built(16 * 1024, 40_001).id());
}

fn built(piece_size: u32, size: usize) -> Manifest {
    let mut builder = ManifestBuilder::new("file", piece_size).unwrap();
    builder.feed(&bytes(size));
    builder.finish().unwrap()
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * at % 251) as u8).collect()
}
