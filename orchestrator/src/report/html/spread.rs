//! Two heat maps of a distribution: how widely each piece was spread, and how far each peer was, over time.

use super::{
    figure::Figure,
    frame::HALF_WIDTH,
    heat::{self, COLUMNS, HeatMap},
    markup::{Table, count},
};
use crate::{record::course::Course, report::figures::seconds, results::percentile};

/// How many of the peers had each piece, over time; none without reports of pieces.
pub(super) fn pieces(id: &str, course: &Course) -> Option<Figure> {
    let peers = course.receivers().count();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); course.pieces as usize];
    for (t, piece) in course.receivers().flat_map(|(_, part)| &part.gained) {
        if let Some(times) = times.get_mut(*piece as usize) {
            times.push(*t);
        }
    }
    if peers == 0 || times.iter().all(Vec::is_empty) {
        return None;
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let end = course.length();
    let rows = times.iter().map(|times| shares(times, peers, end)).collect();
    let last = course.pieces.saturating_sub(1);
    let map = HeatMap {
        end,
        rows: heat::merged(rows),
        labels: vec![(0.0, "0".into()), (0.5, (last / 2).to_string()), (1.0, last.to_string())],
        name: "piece",
    };
    Some(Figure {
        id: format!("{id}-pieces"),
        title: "Spread of the pieces".into(),
        description: describe(&times, peers, end),
        caption: format!(
            "How many of {} had each piece of the file. In order means a diagonal; rarest first spreads all pieces at once.",
            count(peers, "peer")
        ),
        legend: heat::legend("nobody", "everybody"),
        drawing: map.drawing(),
        width: HALF_WIDTH,
        height: HeatMap::height(),
        table: Some(table(&times, end)),
    })
}

/// How far each peer was, over time, the first to complete at the top.
pub(super) fn peers(id: &str, course: &Course) -> Option<Figure> {
    let end = course.length();
    let mut rows: Vec<(f64, &String, Vec<f64>)> = course
        .receivers()
        .map(|(name, part)| {
            let steps = part.progress();
            let cell = |column: usize| {
                let after = steps.partition_point(|(t, _)| *t <= instant(column, end));
                f64::from(steps[after.max(1) - 1].1) / f64::from(course.pieces.max(1))
            };
            (part.completed.unwrap_or(f64::INFINITY), name, (0..COLUMNS).map(cell).collect())
        })
        .collect();
    if rows.len() < ROWS_MIN || course.pieces == 0 {
        return None;
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (first, last) = (rows[0].1.clone(), rows[rows.len() - 1].1.clone());
    let map = HeatMap {
        end,
        labels: vec![(0.0, "first".into()), (1.0, "last".into())],
        rows: heat::merged(rows.into_iter().map(|(_, _, row)| row).collect()),
        name: "peer",
    };
    Some(Figure {
        id: format!("{id}-peers"),
        title: "Progress, peer by peer".into(),
        description: format!(
            "{first} was the first to complete, {last} the last. The table of progress has every peer."
        ),
        caption: "A row per peer in the order of completion; the colour is its share of the file.".into(),
        legend: heat::legend("nothing", "the file"),
        drawing: map.drawing(),
        width: HALF_WIDTH,
        height: HeatMap::height(),
        table: None,
    })
}

/// The end of a column, in seconds.
fn instant(column: usize, end: f64) -> f64 {
    end * (column + 1) as f64 / COLUMNS as f64
}

/// Share of the peers that had a piece at the end of each column.
fn shares(times: &[f64], peers: usize, end: f64) -> Vec<f64> {
    let had = |t: f64| times.partition_point(|at| *at <= t);
    (0..COLUMNS).map(|column| had(instant(column, end) + 1e-9) as f64 / peers as f64).collect()
}

/// Holders of each piece at `t`, in rising order.
fn holders(times: &[Vec<f64>], t: f64) -> Vec<f64> {
    let mut holders: Vec<f64> = times.iter().map(|times| times.partition_point(|at| *at <= t + 1e-9) as f64).collect();
    holders.sort_by(f64::total_cmp);
    holders
}

fn describe(times: &[Vec<f64>], peers: usize, end: f64) -> String {
    let halfway = holders(times, end / 2.0);
    let (rarest, commonest) = (halfway.first().copied().unwrap_or(0.0), halfway.last().copied().unwrap_or(0.0));
    let firsts = times.iter().filter_map(|times| times.first().copied()).fold(0.0, f64::max);
    format!(
        "Halfway through the time the rarest piece was held by {rarest:.0} and the commonest by {commonest:.0} of {}; \
         every piece had reached a first peer after {} s.",
        count(peers, "peer"),
        seconds(Some(firsts))
    )
}

fn table(times: &[Vec<f64>], end: f64) -> Table {
    let header = ["seconds", "rarest piece held by", "middle piece held by", "commonest piece held by"];
    let mut table = Table::new("How many peers held the pieces", &header, 0);
    for part in 1..=TABLE_ROWS {
        let t = end * f64::from(part) / f64::from(TABLE_ROWS);
        let holders = holders(times, t);
        let at = |share: f64| format!("{:.0}", percentile(&holders, share).unwrap_or(0.0));
        table.row([seconds(Some(t)), at(0.0), at(0.5), at(1.0)]);
    }
    table
}

/// Instants in the table.
const TABLE_ROWS: u32 = 20;
/// Fewer peers are seen better as lines.
const ROWS_MIN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn a_piece_is_spread_as_far_as_peers_have_it() {
        let cells = shares(&[1.0, 5.0], 4, 10.0);
        let at = |t: f64| cells[((t / 10.0 * COLUMNS as f64) as usize).min(COLUMNS) - 1];
        assert_eq!([0.9, 4.0, 10.0].map(at), [0.0, 0.25, 0.5]);
    }

    #[test]
    fn both_maps_are_drawn_of_a_swarm() {
        let course = fixture::course(6, 8);
        let spread = pieces("d0", &course).unwrap();
        assert!(spread.drawing.contains("class=\"l8 fill\""), "everybody had something in the end");
        assert!(spread.description.contains("of 6 peers"), "{}", spread.description);
        assert!(peers("d0", &course).unwrap().drawing.contains("class=\"l8 fill\""));
    }

    #[test]
    fn without_reports_of_pieces_there_is_nothing_to_draw() {
        assert!(pieces("d0", &Course::default()).is_none());
        assert!(peers("d0", &fixture::course(2, 8)).is_none(), "two lines say more than two rows");
    }
}
