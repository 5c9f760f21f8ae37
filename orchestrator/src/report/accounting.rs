//! Where the uplinks' time went, and who was dropped for what, a line or two per distribution.

use super::{figures, line};
use crate::{accounting::Account, results::Distribution};

pub(super) fn summary(text: &mut String, all: &[Distribution]) {
    for distribution in all.iter().filter(|distribution| !distribution.dropped.is_empty()) {
        let dropped: Vec<String> = distribution.dropped.iter().map(|(why, count)| format!("{why} {count}")).collect();
        let what = format!("{} via {}", distribution.name, distribution.via);
        line(text, &format!("neighbours dropped in {what}: {}", dropped.join(", ")));
    }
    for distribution in all {
        let Some(accounting) = &distribution.accounting else { continue };
        let what = format!("{} via {}", distribution.name, distribution.via);
        let uplinks = accounting.peers.len();
        line(text, &format!("uplinks of {what} ({uplinks} together): {}", parts(&accounting.all)));
        line(text, &format!("  the seeds' alone: {}", parts(&accounting.seeds)));
    }
}

fn parts(account: &Account) -> String {
    let names = ["payload", "duplicate", "protocol", "sent again", "idle though wanted", "idle, nothing wanted"];
    let shares = names.iter().zip(account.shares()).map(|(name, share)| format!("{name} {}", figures::share(share)));
    let unexplained = account.unexplained();
    let rest = (unexplained.abs() >= crate::accounting::TOLERANCE)
        .then(|| format!("not accounted for {}", figures::share(unexplained)));
    shares.chain(rest).collect::<Vec<_>>().join(", ")
}
