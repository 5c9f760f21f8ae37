//! Table: what peers measured by themselves, merged over all of them and by group.

use super::markup::Table;
use crate::{
    report::figures::seconds,
    results::{Results, TimingSpread},
};

/// Percentiles of each quantity; none where no peer measured anything.
pub(super) fn table(results: &Results) -> Option<Table> {
    let header =
        ["time", "group", "count", "peers", "missing", "median, s", "90 %, s", "99 %, s", "99.9 %, s", "longest, s"];
    let mut table = Table::new("Times that peers measured, merged over them", &header, 2);
    for found in &results.timings {
        table.row(row(words(&found.name), "all", &found.all));
        // With one group alone, it is all.
        for (group, spread) in found.groups.iter().filter(|_| found.groups.len() > 1) {
            table.row(row(words(&found.name), group, spread));
        }
    }
    (!table.is_empty()).then_some(table)
}

/// What stands above the table.
pub(super) const LEAD: &str = "Percentiles of all values of all peers that lived to the end, never means of percentiles. Missing are peers \
                               that take part by the plan and could not be asked.";

fn words(name: &str) -> &str {
    match name {
        "swarm.leaf" => "swarm.leaf: from request to verified arrival",
        "ring.answer" => "ring.answer: from question to answer",
        other => other,
    }
}

fn row(time: &str, group: &str, spread: &TimingSpread) -> Vec<String> {
    let counts = [spread.count.to_string(), spread.peers.to_string(), spread.missing.to_string()];
    let at = &spread.seconds;
    let times = [at.p50, at.p90, at.p99, at.p99_9, at.max].map(|it| seconds(Some(it)));
    [time.to_owned(), group.to_owned()].into_iter().chain(counts).chain(times).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::html::fixture,
        results::{Percentiles, TimingFound},
    };

    #[test]
    fn groups_have_rows_of_their_own_where_there_are_several() {
        let seconds = Percentiles { p50: 0.125, p90: 0.5, p99: 1.25, p99_9: 2.5, max: 60.0 };
        let spread = TimingSpread { count: 1_234, peers: 9, missing: 2, saturated: 0, seconds };
        let of = |name: &str, groups: &[&str]| TimingFound {
            name: name.into(),
            all: spread.clone(),
            groups: groups.iter().map(|group| ((*group).to_owned(), spread.clone())).collect(),
        };
        let mut results = fixture::results(Vec::new());
        assert!(table(&results).is_none());
        results.timings = vec![of("swarm.leaf", &["home", "late"]), of("ring.answer", &["home"])];
        let html = table(&results).unwrap().html();
        assert_eq!(html.matches("<tr>").count(), 1 + 3 + 1, "{html}");
        assert!(html.contains("<td class=\"n\">1234</td><td class=\"n\">9</td><td class=\"n\">2</td>"), "{html}");
        assert!(html.contains("<td class=\"n\">0.125</td>") && html.contains("<td class=\"n\">60.0</td>"), "{html}");
    }
}
