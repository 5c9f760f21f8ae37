//! Pinging successors beyond the first, which stabilise asks anyway: the textbook's "pings both periodically".

use super::contact::Contact;
use super::core::Core;
use super::message::Question;
use super::purpose::Purpose;
use crate::time::Time;

/// Pings every successor but the first. Who does not answer leaves the list (`core.rs`).
pub(super) fn ping_successors(now: Time, core: &mut Core) {
    let others: Vec<Contact> = core.successors.contacts().skip(1).collect();
    for successor in others {
        core.ask(now, successor, Question::Ping, Purpose::PingSuccessor);
    }
}
