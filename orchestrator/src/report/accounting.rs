//! Where the uplinks' time went, a line per distribution that gives account.

use super::{figures, line};
use crate::{accounting::Account, results::Distribution};

pub(super) fn summary(text: &mut String, all: &[Distribution]) {
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
