//! Counters of a ring node.

/// What a ring node has counted since it was made. Numbers only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Questions asked.
    pub questions: u64,
    /// Questions asked a second time or more often.
    pub questions_repeated: u64,
    /// Peers found dead: no answer to any attempt, or an answer that they are no member.
    pub deaths: u64,
    /// Stabilisations begun.
    pub stabilisations: u64,
    /// Steps put off because the node asked was in the middle of its own.
    pub busy: u64,
    /// Times all successors were dead and others were taken from memory.
    pub orphaned: u64,
    /// Self-lookups that found another owner of our own point.
    pub misplaced: u64,
    /// Lookups begun, of any kind.
    pub lookups: u64,
    /// Lookups that failed after all retries.
    pub lookups_failed: u64,
    /// Lookups of others passed on.
    pub forwarded: u64,
    /// Lookups of others dropped: no live peer towards the key, too many hops, or too many questions under way.
    pub forwards_dropped: u64,
    /// Questions not asked because too many were under way.
    pub questions_withheld: u64,
    /// Messages dropped because their sender sent too many.
    pub flooded: u64,
    /// Answers nobody waited for: late, or made up.
    pub answers_stray: u64,
    /// Answers that do not fit their question or break the circle's order.
    pub answers_bad: u64,
    /// Messages whose sender sits where it cannot, undecodable ones, and those that name somebody at another's point.
    pub violations: u64,
    /// Peers that did that too often: nothing is asked of them or taken from them any more.
    pub outlawed: u64,
    /// Messages of those dropped.
    pub outlawed_dropped: u64,
    /// Hints to look after the pointers that came faster than they are followed.
    pub hints_put_off: u64,
    /// Successor lists received out of order, cut where they turned back.
    pub lists_cut: u64,
    /// Peers further down a successor's list that were dead before they had ever answered.
    pub entries_false: u64,
    /// Answers of a node on a lookup's way that it is alone in the ring, or its own successor.
    pub steps_false: u64,
    /// Times the key-range of the node began to grow and records were collected for it.
    pub intakes: u64,
    /// Writes taken as owner.
    pub writes: u64,
    /// Writes that no replica acknowledged in time.
    pub writes_unreplicated: u64,
    /// Reads answered as owner or from a copy.
    pub reads: u64,
    /// Records sent to other nodes.
    pub records_sent: u64,
    /// Records received from other nodes.
    pub records_received: u64,
    /// Records refused because of a limit.
    pub records_refused: u64,
    /// Records dropped because their time was up.
    pub records_expired: u64,
    /// Copies handed to their owner and dropped here.
    pub records_returned: u64,
}
