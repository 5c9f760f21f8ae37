//! The reference of the topology file: every key with its form, its meaning, its default and its limits, as Markdown.
//!
//! It is made from the tables of keys that the readers use, like the schema, and kept in `docs/topology.md`.

use crate::topology::{self, PLACES, PRESETS};

/// The reference as printed by `peerbed schema --markdown`, with a newline at its end.
#[must_use]
pub fn text() -> String {
    let mut text = BEGINNING.to_owned();
    text.push_str(&topology::reference());
    text.push_str(LINK_PRESETS);
    for preset in PRESETS {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            preset.name, preset.up, preset.down, preset.delay, preset.source
        ));
    }
    text.push_str("\n## Ready regions\n");
    for places in PLACES {
        let names: Vec<String> = places.names().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!("\n`preset: {}`: {}.\n\nSource: {}.\n", places.name, names.join(", "), places.source));
        text.push_str(&distances(places));
    }
    text.push_str(CHANGES);
    text.push_str(TRACES);
    text.push_str(PLACEHOLDERS);
    text
}

/// One-way latencies in milliseconds, each region with those before it.
fn distances(places: &topology::Places) -> String {
    let names: Vec<&str> = places.names().collect();
    let mut text = String::from("\nOne way, in milliseconds:\n\n| |");
    text.push_str(&names[..names.len() - 1].iter().map(|name| format!(" {name} |")).collect::<String>());
    text.push_str(&format!("\n|---|{}\n", "--:|".repeat(names.len() - 1)));
    for from in &names[1..] {
        text.push_str(&format!("| {from} |"));
        for to in &names[..names.len() - 1] {
            let found = places.latencies().find(|(a, b, _)| a == from && b == to);
            let cell = found.map_or(String::new(), |(.., span)| (span.seconds() * 1000.0).to_string());
            text.push_str(&format!(" {cell} |"));
        }
        text.push('\n');
    }
    text
}

const BEGINNING: &str = "# The topology file

A topology is one YAML file: links, groups of peers behind them, files, and a scenario. `peerbed validate FILE` reports
everything that is wrong with it at once; `peerbed plan FILE` prints what it comes to, with every default filled in.
This page is made from the program's own tables by `peerbed schema --markdown > docs/topology.md`; a test holds it current.

- Quantities have units: rates `kbit` `mbit` `gbit`, times `ns` `us` `ms` `s` `m` `h`, sizes `B` `kB` `MB` `GB` `KiB` `MiB`
  `GiB`, shares `%`. Bare numbers are refused where a unit belongs.
- Rates are bits per second over whole IP packets. Every figure of a link is for one direction, one way: the round trip
  between two peers is twice (delay of the one + delay of the other + latency between their regions).
- Names have lower-case letters, digits and `-` between them, at most 40 characters.
- Keys that begin with `x-` at the top are free: a place for YAML anchors.
- `set:` at the top puts values in the places that dotted paths lead to (`links.home.up: 4mbit`), with the number of an item
  in a list, from 0. `peerbed run FILE --set PATH=VALUE` and suites write it at the file's end.
- A packet meets, in this order: loss, duplication and corruption; the queue and the rate; delay with jitter or reordering.
- Bounds in the results are those of the nominal rates; overhead, traces and steps that change links are not in them.
";

const LINK_PRESETS: &str = "
## Ready links

A preset fills in what a link leaves open. None of them loses packets, because their sources give no loss.

| preset | up | down | delay | source |
|---|---|---|---|---|
";

const CHANGES: &str = "
## Steps that change links, the network and processes

A step ends when its change has been made, and the next one may begin. Whether the change has bitten is proved meanwhile, and
a change that has not ends the run with exit code 3 and one sentence. A further change of the network waits until the one
before is proved, which takes as long as packets take with full queues and a tenth of a second; `changes` in `results.json`
has for each when it was asked for (`asked_at`, since the scenario's start), how long until it was made (`applied_seconds`)
and proved (`proved_seconds`), and the proof's numbers; `events.ndjson` has the same as `change-asked`, `change-applied`
and `change-proved`.

| step | what holds then | how it is proved |
|---|---|---|
| `link` | relative figures are relative to the class's own, not to earlier changes; what earlier steps changed stays, unless `reset: true` | what shapes every changed direction is read back (kernel) or asked for (user engine); at the first peer of each class, probes arrive in the time between the delay and the delay with a full queue, and where the rate changed to 20mbit or less, a train of 5 to 28 full packets is no faster than it |
| `link` with `state: down`, `flap` | every packet is lost, and queues run empty | probes are lost and counted |
| `partition` | packets from one side to another are lost behind their sender's link, those between regions also when they are on their way; what has reached its receiver's link arrives | up to 32 ways across, in which each peer is as far as they suffice: of 5 probes each none arrives, and the partition has counted packets |
| `heal` | as before the partition | a probe arrives on each of these ways |
| `pause` | the processes stand still (SIGSTOP); who is paused when a distribution begins takes no part in it, like those who are down; what a paused participant is told, it hears when it goes on | the kernel shows them as stopped |
| `resume` | they go on (SIGCONT) | the kernel shows them as running, and they answer |

Probes are datagrams of 40 bytes from sockets of Peerbed's own, as many as it takes, and trains of up to 42 kB; they take their
time on the links as other packets do. The two engines differ in this:

- The kernel engine loses packets of an uplink that is down behind the uplink and not before it, so that they take their
  time there.
- Where a change brings another queue discipline, or takes jitter from `normal` or `pareto` to `uniform`, the kernel's chain of
  disciplines is made anew and what waits in it is lost; by all other changes nothing is lost, with both engines.
- After a change of its rate the kernel's bucket is full: the rate of 4 ms and a packet may go at once, and of an outage
  (`0kbit` in a trace) a packet at its beginning. The kernel engine's outage is a rate of 8 bits per second.
";

const TRACES: &str = "
## Trace files

Comma-separated values. The first line names the columns: `time` and `rate`, and `delay` and `loss` where they change too;
every value has its unit. Empty lines and lines that begin with `#` are skipped.

```
time,rate,delay,loss
0s,12mbit,20ms,0%
4.5s,3mbit,45ms,1%
6s,0kbit,45ms,0%
9s,8mbit,25ms,0%
```

Times count from the start of the scenario and increase; at most 10000 lines and 1 MiB. A line holds until the next one,
the last one to the end, or until `repeat` begins the trace anew. Before the first line, and for columns that are not
there, the link's own figures hold. A rate of `0kbit` is an outage: nothing leaves, the queue fills. The path is relative to
the topology file, which is also where `plan` and `run` look; the plan holds every line, so a run needs the file no more.
A figure that a step has changed is the step's and no longer the trace's, until `reset: true`. Lines that are over before
this host gets to them are skipped and counted: `traces` in `results.json` has how many were carried out, how many skipped,
and how late the latest was; `events.ndjson` has each as `traced`.
";

const PLACEHOLDERS: &str = "
## Placeholders of `exec`

In command, arguments, values of the environment and paths:

| placeholder | stands for |
|---|---|
| `{name}` `{group}` `{id}` | the peer's name, its group's, its number in the plan |
| `{address}` | its address |
| `{address.PEER}` | the address of another peer |
| `{peers}` | the addresses of all other peers of its group, with commas between |
| `{peers.GROUP}` | the addresses of a group |
| `{directory}` | the peer's own directory, in which it is started |
| `{file.NAME}` | the path of the original of an entry under `files:` |
| `{torrent.NAME}` | the path of a torrent (BEP 3) of that entry, which names no tracker |

Other small letters in braces are refused; braces around anything else are left alone.

## Programs as peers

A program of a group with `exec` runs in its peer's directory, in a network namespace behind a link like any other peer,
where the names of all peers resolve; what it prints on either stream is in `peers/NAME/log`. It has a process namespace
of its own: whatever it starts ends with it. `leave` sends SIGTERM, `crash` SIGKILL.

`distribute` among programs (`from` and `to` both) starts those of `to` that are down, at the begin of the distribution,
and puts a file `begin` into the directories of those that are up already. Each completes as its `complete` says; then
its copy (`output`) is read back. `via` says which bound the time is compared with. `wait: { programs: … }` waits for
completions without a distribution. Lines are looked at up to 4096 bytes; `\\r` ends one too. Files are looked for every
20 ms; one that has to be the same as another is compared whenever it has grown to the same size and changed.
";
