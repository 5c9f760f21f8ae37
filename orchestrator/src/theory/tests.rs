//! The textbook's figures, and what lies beside them.

use super::{Bound, Rates, Term, client_server, swarm, whole_pieces};
use crate::units::{Rate, Size};

/// One seed or server, and `count` equal peers; rates in bit/s.
fn rates(seed: u64, count: usize, up: u64, down: u64) -> Rates {
    Rates {
        from_up: vec![Some(Rate(seed))],
        to_up: vec![Some(Rate(up)); count],
        to_down: vec![Some(Rate(down)); count],
    }
}

/// The textbook's figure: F/u = 1 hour, u_s = 10 u, d_min ≥ u_s.
fn hours(bound: Option<Bound>) -> (f64, Term) {
    let bound = bound.unwrap();
    (bound.seconds / 3600.0, bound.term)
}

const U: u64 = 8_000;
/// Bytes that take an hour at `U`.
const FILE: u64 = 3_600_000;

#[test]
fn the_textbooks_client_server_line_reaches_three_and_a_half_hours() {
    for (peers, wanted) in [(5, 0.5), (10, 1.0), (20, 2.0), (35, 3.5)] {
        let (found, term) = hours(client_server(FILE, &rates(10 * U, peers, U, 10 * U)));
        assert!((found - wanted).abs() < 1e-9, "{peers}: {found}");
        assert_eq!(term, Term::ServerUpload);
    }
}

#[test]
fn the_textbooks_swarm_curve_stays_below_an_hour() {
    for peers in 1..=35_usize {
        let (found, term) = hours(swarm(FILE, &rates(10 * U, peers, U, 10 * U)));
        let wanted = (peers as f64 / (10.0 + peers as f64)).max(0.1);
        assert!((found - wanted).abs() < 1e-9 && found < 1.0, "{peers}: {found}");
        assert_eq!(term, if peers == 1 { Term::SeedUpload } else { Term::TotalUpload });
    }
}

#[test]
fn the_demo_has_the_bounds_of_the_measured_baseline() {
    let demo = rates(20_000_000, 10, 2_000_000, 20_000_000);
    assert!((client_server(8 << 20, &demo).unwrap().seconds - 33.554).abs() < 1e-3);
    assert!((swarm(8 << 20, &demo).unwrap().seconds - 16.777).abs() < 1e-3);
}

#[test]
fn a_slow_download_binds() {
    let mut mixed = rates(20_000_000, 3, 2_000_000, 20_000_000);
    mixed.to_down[1] = Some(Rate(1_000_000));
    for bound in [client_server(1_000_000, &mixed), swarm(1_000_000, &mixed)] {
        assert_eq!(bound, Some(Bound { seconds: 8.0, term: Term::SlowestDownload }));
    }
}

#[test]
fn free_riders_take_and_do_not_give() {
    let mut riders = rates(2_000_000, 4, 2_000_000, 100_000_000);
    let all = swarm(1_000_000, &riders).unwrap();
    riders.to_up[0] = Some(Rate(0));
    riders.to_up[1] = Some(Rate(0));
    let some = swarm(1_000_000, &riders).unwrap();
    assert_eq!((all.term, all.seconds), (Term::SeedUpload, 4.0));
    assert_eq!((some.term, some.seconds), (Term::TotalUpload, 4.0 * 8.0 / 6.0));
}

#[test]
fn several_seeds_count_together() {
    let mut seeds = rates(1_000_000, 1, 1_000_000, 100_000_000);
    seeds.from_up.push(Some(Rate(3_000_000)));
    assert_eq!(swarm(1_000_000, &seeds), Some(Bound { seconds: 2.0, term: Term::SeedUpload }));
}

#[test]
fn a_direction_without_limit_does_not_bind() {
    let mut open = rates(1_000_000, 2, 1_000_000, 4_000_000);
    open.from_up[0] = None;
    assert_eq!(swarm(1_000_000, &open), Some(Bound { seconds: 2.0, term: Term::SlowestDownload }));
    open.to_down = vec![None, None];
    assert_eq!(swarm(1_000_000, &open), None);
    assert_eq!(client_server(1_000_000, &open), None);
    open.from_up[0] = Some(Rate(1_000_000));
    open.to_up[1] = None;
    assert_eq!(swarm(1_000_000, &open), Some(Bound { seconds: 8.0, term: Term::SeedUpload }));
}

#[test]
fn nobody_to_wait_for_has_no_bound() {
    let nobody = Rates { to_down: Vec::new(), ..rates(1_000, 2, 1_000, 1_000) };
    assert_eq!(swarm(1_000_000, &nobody), None);
    assert_eq!(client_server(1_000_000, &nobody), None);
}

#[test]
fn whole_pieces_take_the_known_optimum() {
    // Ratios to F/u of Mundinger, Weber & Weiss for 256 KiB pieces.
    for (peers, pieces, wanted) in
        [(10, 16, 1.188), (20, 64, 1.062), (50, 256, 1.020), (100, 64, 1.094), (200, 16, 1.438)]
    {
        let bytes = pieces * (256 << 10);
        let equal = rates(2_000_000, peers, 2_000_000, 20_000_000);
        let found = whole_pieces(bytes, Size(256 << 10), &equal).unwrap() / (bytes as f64 * 8.0 / 2e6);
        assert!((found - wanted).abs() < 6e-4, "{peers} peers, {pieces} pieces: {found}");
    }
}

#[test]
fn whole_pieces_have_no_known_optimum_elsewhere() {
    let piece = Size(256 << 10);
    assert_eq!(whole_pieces(8 << 20, piece, &rates(20_000_000, 10, 2_000_000, 20_000_000)), None);
    assert_eq!(whole_pieces(8 << 20, piece, &rates(2_000_000, 10, 2_000_000, 1_000_000)), None);
    assert_eq!(whole_pieces((8 << 20) + 1, piece, &rates(2_000_000, 10, 2_000_000, 2_000_000)), None);
}
