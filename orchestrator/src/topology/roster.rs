//! Who there is: peers numbered and named in the order of their groups.

use std::ops::Range;

use super::Group;

/// Groups with the numbers of their peers, counted from 1.
#[derive(Clone, Debug)]
pub(crate) struct Roster<'a> {
    groups: Vec<(&'a Group, Range<u32>)>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// These peers.
    Peers(Range<u32>),
    /// Nobody.
    Nobody,
    /// It cannot be said, because the size of its group could not be read.
    Unclear,
}

impl<'a> Roster<'a> {
    pub(crate) fn new(groups: &'a [Group]) -> Self {
        let mut next = 1_u32;
        let groups = groups
            .iter()
            .map(|group| {
                let count = group.count.map_or(0, |count| count.value);
                let first = next;
                next = next.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                (group, first..next)
            })
            .collect();
        Self { groups }
    }

    /// What the name of a group or of a peer stands for.
    pub(crate) fn find(&self, name: &str) -> Found {
        if let Some((group, peers)) = self.groups.iter().find(|(group, _)| group.name.value == name) {
            return if group.count.is_some() { Found::Peers(peers.clone()) } else { Found::Unclear };
        }
        let Some((prefix, number)) = name.rsplit_once('-') else { return Found::Nobody };
        let Some((group, peers)) = self.groups.iter().find(|(group, _)| group.name.value == prefix) else {
            return Found::Nobody;
        };
        if group.count.is_none() {
            return Found::Unclear;
        }
        // `home-03` is not how a peer is called, and a lone peer has no number.
        let position = number.parse::<u32>().ok().filter(|parsed| parsed.to_string() == number && peers.len() > 1);
        match position.filter(|position| (1..=peers.len()).contains(&(*position as usize))) {
            Some(position) => Found::Peers(peers.start + position - 1..peers.start + position),
            None => Found::Nobody,
        }
    }

    /// The peers that a name stands for; none for a name of nobody.
    pub(crate) fn range(&self, name: &str) -> Range<u32> {
        match self.find(name) {
            Found::Peers(range) => range,
            Found::Nobody | Found::Unclear => 0..0,
        }
    }

    /// The group of a peer.
    pub(crate) fn group_of(&self, peer: u32) -> Option<&'a Group> {
        self.groups.iter().find(|(_, peers)| peers.contains(&peer)).map(|(group, _)| *group)
    }

    /// The peers in a region.
    pub(crate) fn region(&self, name: &str) -> impl Iterator<Item = Range<u32>> {
        let within = move |group: &Group| group.region.as_ref().is_some_and(|region| region.value == name);
        self.groups.iter().filter(move |(group, _)| within(group)).map(|(_, peers)| peers.clone())
    }

    /// The name of a peer.
    pub(crate) fn name(&self, peer: u32) -> String {
        match self.groups.iter().find(|(_, peers)| peers.contains(&peer)) {
            Some((group, peers)) => peer_name(&group.name.value, peers, peer),
            None => format!("peer {peer}"),
        }
    }

    /// Every peer with its group and name, in order.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (u32, &'a Group, String)> {
        self.groups.iter().flat_map(|(group, peers)| {
            peers.clone().map(move |peer| (peer, *group, peer_name(&group.name.value, peers, peer)))
        })
    }

    /// Groups and the numbers of their peers.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&'a Group, Range<u32>)> {
        self.groups.iter().map(|(group, peers)| (*group, peers.clone()))
    }

    /// Names to suggest in place of a wrong one: the groups, and a peer of each that has several.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.groups.iter().map(|(group, _)| group.name.value.as_str())
    }

    /// What the peers of a group are called, where a name looks like one of them.
    pub(crate) fn hint(&self, name: &str) -> Option<String> {
        let (prefix, number) = name.rsplit_once('-')?;
        let (_, peers) = self.groups.iter().find(|(group, _)| group.name.value == prefix)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| match peers.len() {
            1 => format!("the one peer of group `{prefix}` is called `{prefix}`"),
            count => format!("the peers of group `{prefix}` are `{prefix}-1` to `{prefix}-{count}`"),
        })
    }
}

fn peer_name(group: &str, peers: &Range<u32>, peer: u32) -> String {
    if peers.len() == 1 { group.to_owned() } else { format!("{group}-{}", peer - peers.start + 1) }
}
