//! Tests of whom the server serves.

use super::*;
use crate::content::{ContentId, LEAF, ManifestBuilder};
use crate::hash::Hash;

#[test]
fn a_client_gets_the_bytes_from_where_it_asks() {
    let (mut server, content) = server(2);
    let answer = server.handle_get(PeerId(1), Get { content, from: 16_384 });
    assert_eq!(answer, Ok(GetAnswer { range: 16_384..40_000 }));
    assert_eq!(server.handle_get(PeerId(2), Get { content, from: 40_000 }), Ok(GetAnswer { range: 40_000..40_000 }));
    assert_eq!(server.clients(), 2);
    server.handle_ended(PeerId(1), 23_616);
    server.handle_ended(PeerId(1), 23_616);
    assert_eq!(server.stats(), FetchServerStats { gets: 2, refused: 0, ended: 1, sent_bytes: 23_616 });
}

#[test]
fn wrong_requests_are_refused_and_counted() {
    let (mut server, content) = server(2);
    let other = ContentId(Hash::of(b"other"));
    assert_eq!(server.handle_get(PeerId(1), Get { content: other, from: 0 }), Err(RefusedGet::UnknownContent));
    let beyond = server.handle_get(PeerId(1), Get { content, from: 40_001 });
    assert_eq!(beyond, Err(RefusedGet::BeyondEnd { from: 40_001 }));
    server.handle_get(PeerId(1), Get { content, from: 0 }).unwrap();
    assert_eq!(server.handle_get(PeerId(1), Get { content, from: 0 }), Err(RefusedGet::AlreadyServed));
    assert_eq!(server.stats().refused, 3);
}

#[test]
fn more_clients_than_the_limit_are_refused_until_one_ends() {
    let (mut server, content) = server(1);
    server.handle_get(PeerId(1), Get { content, from: 0 }).unwrap();
    let get = Get { content, from: 0 };
    assert_eq!(server.handle_get(PeerId(2), get), Err(RefusedGet::Full { clients: 1 }));
    server.handle_ended(PeerId(1), 40_000);
    assert!(server.handle_get(PeerId(2), get).is_ok());
}

fn server(clients_max: usize) -> (FetchServer, ContentId) {
    let mut builder = ManifestBuilder::new("file", LEAF).unwrap();
    builder.feed(&[5; 40_000]);
    let manifest = Arc::new(builder.finish().unwrap());
    let content = manifest.id();
    (FetchServer::new(manifest, FetchServerOptions { clients_max }), content)
}
