//! What a comparison judges, on made-up figures.

use peerbed_proto::random::Random;

use super::*;

/// Five repeats around `middle` with noise as swarms have it: a few per cent, and sometimes a slow one.
fn build(name: &str, middle: f64, random: &mut Random) -> Build {
    let noise = |random: &mut Random| {
        let even = (random.fraction() + random.fraction() + random.fraction() - 1.5) * 0.02;
        if random.fraction() < 0.1 { even + 0.04 } else { even }
    };
    let seconds = (0..5).map(|_| middle * (1.0 + noise(random))).collect();
    built(name, "release via swarm", seconds, 0)
}

fn try_ten(factor: f64) -> Vec<Finding> {
    let limit: Limit = "slower-than 5%".parse().unwrap();
    let one = |attempt: u64| {
        let mut random = Random::new(attempt, "tests of compare");
        let (a, b) = (build("a", 18.3, &mut random), build("b", 18.3 * factor, &mut random));
        compare(&[a, b], 1).hold_against(limit)
    };
    (0..10).map(one).collect()
}

#[test]
fn equal_builds_are_never_flagged_in_ten_tries() {
    assert!(try_ten(1.0).iter().all(|found| *found == Finding::Held), "{:?}", try_ten(1.0));
}

#[test]
fn a_tenth_slower_is_caught_in_ten_of_ten_tries() {
    assert!(try_ten(1.1).iter().all(|found| matches!(found, Finding::Worse(all) if all.len() == 1)));
}

#[test]
fn a_faster_build_holds() {
    assert!(try_ten(0.9).iter().all(|found| *found == Finding::Held));
}

/// A build that measured one thing.
fn built(name: &str, what: &str, seconds: Vec<f64>, unfinished: usize) -> Build {
    let measured = vec![Measured { what: what.into(), seconds, unfinished }];
    Build { name: name.into(), measured, left_out: Vec::new() }
}

#[test]
fn two_runs_of_each_are_neither_pass_nor_fail() {
    let two = |name: &str| built(name, "x", vec![1.0, 2.0], 0);
    let comparison = compare(&[two("a"), two("b")], 1);
    assert_eq!(comparison.rows[0].changes[0].judgement(), Judgement::TooFew);
    let Finding::Unknown(words) = comparison.hold_against(Limit { share: 0.05 }) else { panic!("judged") };
    assert_eq!(words, ["x: 2 and 2 runs are too few; 3 of each are needed"]);
}

#[test]
fn a_build_that_comes_to_its_end_less_often_is_worse_however_fast_the_others_are() {
    let good = || built("old", "x", vec![2.0; 5], 0);
    let limit = Limit { share: 0.05 };
    let compared =
        |seconds: usize, unfinished: usize| compare(&[good(), built("new", "x", vec![1.0; seconds], unfinished)], 1);
    for (seconds, unfinished) in [(0, 5), (3, 2), (4, 1), (0, 1)] {
        let comparison = compared(seconds, unfinished);
        assert_eq!(comparison.rows[0].changes[0].judgement(), Judgement::LessComplete);
        assert!(matches!(comparison.hold_against(limit), Finding::Worse(_)), "{seconds} and {unfinished}");
    }
    let Finding::Worse(words) = compared(3, 2).hold_against(limit) else { panic!("passed") };
    assert_eq!(words, ["x: 2 of 5 runs of new did not come to their end, of old 0 of 5, and slower-than 5% fails"]);
}

#[test]
fn a_build_that_comes_to_its_end_as_often_or_more_is_judged_by_its_seconds() {
    let limit = Limit { share: 0.05 };
    let bad = |name: &str, seconds: usize, unfinished: usize| built(name, "x", vec![2.0; seconds], unfinished);
    assert_eq!(compare(&[bad("a", 3, 2), bad("b", 3, 2)], 1).hold_against(limit), Finding::Held);
    assert_eq!(compare(&[bad("a", 3, 2), bad("b", 5, 0)], 1).hold_against(limit), Finding::Held);
    // Twice as many of four times the runs are fewer.
    assert_eq!(compare(&[bad("a", 3, 2), bad("b", 16, 4)], 1).hold_against(limit), Finding::Held);
    assert!(matches!(compare(&[bad("a", 0, 5), bad("b", 0, 5)], 1).hold_against(limit), Finding::Unknown(_)));
}

#[test]
fn what_only_one_build_has_is_shown_and_not_judged() {
    let one = |name: &str, what: &str| built(name, what, vec![1.0, 1.0, 1.0], 0);
    let comparison = compare(&[one("a", "x"), one("b", "y")], 1);
    assert_eq!(comparison.rows.len(), 2);
    assert!(comparison.rows.iter().all(|row| row.changes[0].ratio.is_none()));
}

#[test]
fn limits_are_written_as_people_say_them() {
    assert_eq!("slower-than 5%".parse(), Ok(Limit { share: 0.05 }));
    assert_eq!("slower-than 2.5 %".parse(), Ok(Limit { share: 0.025 }));
    for bad in ["5%", "slower-than 5", "slower-than x%", "slower-than -5%", "faster-than 5%"] {
        assert!(bad.parse::<Limit>().is_err(), "{bad}");
    }
}
