//! The links of a run as they are at the moment: changed by either engine, and looked at again.
//!
//! What a change comes to is reckoned in `links::course`; how a link that is down loses everything lives in `cuts`. Must
//! run on the thread that holds the network; it is left in the first core's namespace.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::{Ipv4Addr, UdpSocket},
};

use anyhow::{Context, bail};
use peerbed_proto::{id::PeerId, random::Random};

use super::{FIRST_PEER_LINK, GATEWAY, Layout, Network, Towards, link, link_seed, peer_end, read_back};
use crate::{
    links::{
        course::{Course, Figures},
        emulation::settings::Settings,
        kernel::{
            self, Tc,
            compare::{self, Found},
            reach::{Reach, reaches},
        },
        traces::Move,
        user::{Side, UserEngine},
    },
    plan::{Changes, LinkChange, LinkState, Peer, Plan},
    real::{
        netlink::{Request, Socket},
        qdisc,
    },
};

/// The links of all peers.
pub(super) type Current = BTreeMap<PeerId, PeerLink>;

/// One peer's link.
#[derive(Debug)]
pub(super) struct PeerLink {
    peer: Peer,
    /// The core it hangs on, and its index there; for the kernel engine.
    pub(super) core: usize,
    index: i32,
    up: Way,
    down: Way,
}

/// One direction.
#[derive(Debug)]
struct Way {
    course: Course,
    reach: Reach,
    /// What the kernel engine has been told last.
    tc: Tc,
    state: LinkState,
    /// How often the kernel engine has been told something else than at first.
    changes: u32,
}

/// One direction of one peer's link.
type End = (PeerId, Towards);

/// The links of `plan` as they are made.
pub(super) fn current(plan: &Plan) -> anyhow::Result<Current> {
    let (layout, reaches) = (Layout::of(plan), reaches(plan));
    let made = (0..).zip(&plan.peers).map(|(number, peer)| {
        let class = link(plan, peer)?;
        let [up_reach, down_reach] = reaches.get(class.name.as_str()).copied().unwrap_or_default();
        let way = |direction, reach, word| Way {
            course: Course::new(direction),
            reach,
            tc: kernel::read_within(direction, reach, link_seed(peer, word)),
            state: LinkState::Up,
            changes: 0,
        };
        let link = PeerLink {
            peer: peer.clone(),
            core: layout.core_of(peer),
            index: FIRST_PEER_LINK + number,
            up: way(&class.up, up_reach, "up"),
            down: way(&class.down, down_reach, "down"),
        };
        Ok((peer.id, link))
    });
    made.collect()
}

impl Network {
    /// Gives links other figures, and looks whether the engine has them; how many ends were looked at.
    ///
    /// # Errors
    ///
    /// When the engine refuses, or has not what it was given.
    pub(in crate::real) fn change_links(&mut self, changes: &[LinkChange]) -> anyhow::Result<usize> {
        let mut ends = Vec::new();
        for change in changes {
            for peer in &change.peers {
                let link = self.current.get_mut(peer).with_context(|| format!("there is no link of {peer}"))?;
                for (towards, new) in [(Towards::Core, &change.up), (Towards::Peer, &change.down)] {
                    if change.reset || *new != Changes::default() {
                        link.way_mut(towards).course.change(change.reset, new);
                        ends.push((*peer, towards));
                    }
                }
            }
        }
        self.carry_out(&ends)?;
        self.look_again(&ends)?;
        Ok(ends.len())
    }

    /// Takes links to where their traces are.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    pub(in crate::real) fn follow(&mut self, moves: &[Move]) -> anyhow::Result<()> {
        let mut ends = Vec::new();
        for it in moves {
            for peer in &it.peers {
                let link = self.current.get_mut(peer).with_context(|| format!("there is no link of {peer}"))?;
                link.way_mut(it.towards).course.follow(it.point);
                ends.push((*peer, it.towards));
            }
        }
        self.carry_out(&ends)
    }

    /// What holds for a peer's link now, up and down.
    pub(in crate::real) fn figures(&self, peer: PeerId) -> Option<[Figures; 2]> {
        let link = self.current.get(&peer)?;
        Some([link.up.course.figures(), link.down.course.figures()])
    }

    /// Tells the engine what the courses of these ends have come to.
    fn carry_out(&mut self, ends: &[End]) -> anyhow::Result<()> {
        if let Some(engine) = &self.user {
            for (peer, towards) in ends {
                let settings = Settings::from(&self.current[peer].way(*towards).course.figures());
                engine.change(*peer, side(*towards), settings)?;
            }
            return Ok(());
        }
        let mut in_cores: BTreeMap<usize, Vec<Request>> = BTreeMap::new();
        let mut in_peers: BTreeMap<PeerId, Vec<Request>> = BTreeMap::new();
        let (mut held, mut turned) = (Vec::new(), Vec::new());
        for (peer, towards) in ends {
            let Some(link) = self.current.get_mut(peer) else { continue };
            let core = link.core;
            let told = link.tell(*towards);
            match towards {
                Towards::Core => in_peers.entry(*peer).or_default().extend(told.requests),
                Towards::Peer => in_cores.entry(core).or_default().extend(told.requests),
            }
            if told.frees {
                held.push((*peer, *towards));
            }
            turned.extend(told.turns_to.map(|state| (*peer, *towards, state)));
        }
        for (core, requests) in in_cores {
            self.cores[core].socket.perform(requests)?;
        }
        for (peer, requests) in in_peers.into_iter().filter(|(_, requests)| !requests.is_empty()) {
            self.in_peer(peer, |socket| Ok(socket.perform(requests)?))?;
        }
        for (peer, towards, state) in turned {
            self.turn(peer, towards, state)?;
        }
        held.into_iter().try_for_each(|(peer, towards)| self.knock(peer, towards))
    }

    /// Compares what the engine has with what it was given.
    fn look_again(&mut self, ends: &[End]) -> anyhow::Result<()> {
        if let Some(engine) = &self.user {
            return ends.iter().try_for_each(|(peer, towards)| {
                let link = &self.current[peer];
                same_settings(engine, *peer, *towards, link)
            });
        }
        let mut in_cores: BTreeMap<usize, BTreeMap<i32, Vec<Found>>> = BTreeMap::new();
        for (peer, towards) in ends {
            let link = &self.current[peer];
            let (core, place, tc) = (link.core, link.place(*towards), link.way(*towards).tc.clone());
            let found = match towards {
                Towards::Core => {
                    let index = peer_end(&link.peer).index;
                    self.in_peer(*peer, |socket| read_back::list(socket, &place))?.remove(&index)
                }
                Towards::Peer => {
                    let index = link.index;
                    // One list has all links of a core.
                    let listed = match in_cores.entry(core) {
                        Entry::Occupied(listed) => listed.into_mut(),
                        Entry::Vacant(place_of) => {
                            place_of.insert(read_back::list(&mut self.cores[core].socket, &place)?)
                        }
                    };
                    listed.remove(&index)
                }
            };
            let differences = compare::compare(&tc, &found.unwrap_or_default());
            if !differences.is_empty() {
                let words: Vec<String> = differences.iter().map(ToString::to_string).collect();
                bail!("{place} has not taken its change ({})", words.join("; "));
            }
        }
        Ok(())
    }

    /// Does `work` with a netlink socket in a peer's namespace.
    pub(super) fn in_peer<T>(
        &self,
        peer: PeerId,
        work: impl FnOnce(&mut Socket) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let namespace = self.namespace(peer).with_context(|| format!("{peer} has no namespace"))?;
        namespace.enter().with_context(|| format!("entering the namespace of {peer}"))?;
        let done = Socket::open().context("opening a netlink socket").and_then(|mut socket| work(&mut socket));
        // Back in any case: what comes next expects the thread where it was.
        self.cores[0].namespace.enter().context("going back to the core's namespace")?;
        done
    }

    /// Sends one small packet through an end whose rate has risen. A bucket sleeps until the packet at its head is due by
    /// the rate of before, which may be for hours, and looks up when another packet comes.
    fn knock(&self, peer: PeerId, towards: Towards) -> anyhow::Result<()> {
        let link = &self.current[&peer];
        let (namespace, target) = match towards {
            // Nobody listens, and the answer that says so is small.
            Towards::Core => (self.namespace(peer), GATEWAY),
            Towards::Peer => (self.cores.get(link.core).map(|core| &core.namespace), link.peer.address),
        };
        let namespace = namespace.context("a link without a namespace")?;
        namespace.enter().context("entering a namespace")?;
        // What cannot be sent finds the bucket awake or its queue full, and a full queue looks up as well.
        let _ = UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| socket.send_to(&[], (target, DISCARD)));
        self.cores[0].namespace.enter().context("going back to the core's namespace")
    }
}

/// What follows for the kernel engine from an end's course.
struct Told {
    requests: Vec<Request>,
    /// A packet may be waiting for a time that has become much shorter.
    frees: bool,
    turns_to: Option<LinkState>,
}

impl PeerLink {
    /// What the kernel engine has been told last of one direction.
    pub(super) fn tc(&self, towards: Towards) -> &Tc {
        &self.way(towards).tc
    }

    /// How often one direction has been given other settings.
    pub(super) fn changes(&self, towards: Towards) -> u32 {
        self.way(towards).changes
    }

    /// The index of the link's end in its core.
    pub(super) fn index(&self) -> i32 {
        self.index
    }

    /// The index of the link's end in its peer's namespace.
    pub(super) fn index_in_peer(&self) -> i32 {
        peer_end(&self.peer).index
    }

    pub(super) fn address(&self) -> Ipv4Addr {
        self.peer.address
    }

    fn way(&self, towards: Towards) -> &Way {
        match towards {
            Towards::Core => &self.up,
            Towards::Peer => &self.down,
        }
    }

    fn way_mut(&mut self, towards: Towards) -> &mut Way {
        match towards {
            Towards::Core => &mut self.up,
            Towards::Peer => &mut self.down,
        }
    }

    fn place(&self, towards: Towards) -> String {
        let name = &self.peer.name;
        match towards {
            Towards::Core => format!("eth0 of {name}"),
            Towards::Peer => format!("core's end of the link of {name}"),
        }
    }

    /// Takes over an end's course and says what the kernel has to be told.
    fn tell(&mut self, towards: Towards) -> Told {
        let (place, seed) = (self.place(towards), self.peer.seed);
        let (index, word) = match towards {
            Towards::Core => (peer_end(&self.peer).index, "up"),
            Towards::Peer => (self.index, "down"),
        };
        let first = link_seed(&self.peer, word);
        let way = self.way_mut(towards);
        let figures = way.course.figures();
        // Random numbers that began anew with every change would lose the same packets behind each.
        let drawn = |changes: u32| match changes {
            0 => first,
            number => Random::new(seed, &format!("link {word}, change {number}")).bits(),
        };
        let read = |changes| kernel::read_within(&figures.direction, way.reach, drawn(changes));
        let turns_to = (figures.state != way.state).then_some(figures.state);
        way.state = figures.state;
        if read(way.changes) == way.tc {
            return Told { requests: Vec::new(), frees: false, turns_to };
        }
        let new = read(way.changes + 1);
        let requests = qdisc::change_requests(&way.tc, &new, index, &place);
        let frees = rate(&way.tc).is_some_and(|before| before < SLOW && rate(&new).is_none_or(|now| now > before));
        way.changes += 1;
        way.tc = new;
        Told { requests, frees, turns_to }
    }
}

fn same_settings(engine: &UserEngine, peer: PeerId, towards: Towards, link: &PeerLink) -> anyhow::Result<()> {
    let asked = Settings::from(&link.way(towards).course.figures());
    let found = engine.settings(peer, side(towards))?;
    if asked != found {
        bail!("{} has not taken its change (asked {asked:?}, found {found:?})", link.place(towards));
    }
    Ok(())
}

/// Bytes per second that a chain lets through; none where it has no bucket.
fn rate(tc: &Tc) -> Option<u64> {
    tc.chain.iter().find_map(|qdisc| if let kernel::Qdisc::Bucket { rate, .. } = qdisc { Some(*rate) } else { None })
}

fn side(towards: Towards) -> Side {
    match towards {
        Towards::Core => Side::Up,
        Towards::Peer => Side::Down,
    }
}

/// Bytes per second below which a full packet takes longer than 100 ms, so that nobody should wait for its time.
const SLOW: u64 = 15_000;
/// The port of nobody (discard, RFC 863).
const DISCARD: u16 = 9;
