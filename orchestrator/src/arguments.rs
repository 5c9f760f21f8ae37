//! The command line: what can be asked of `peerbed`, with every option's meaning.
//!
//! Only form is checked here. `main.rs` acts on it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand};
use peerbed_orchestrator::{compare::Limit, topology::Setting};

#[cfg(test)]
mod tests;

/// Overlay testbeds from one YAML file: many real peers on one host, shaped links, and the textbook's bounds.
#[derive(Debug, Parser)]
#[command(name = "peerbed", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What is logged to standard error: a level (error, warn, info, debug, trace) or a filter such as
    /// `peerbed_orchestrator=debug`.
    #[arg(long, global = true, env = "PEERBED_LOG", default_value = "warn", value_name = "FILTER")]
    pub(crate) log: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Carries a topology's scenario out with real peers on this host, and shows what it took.
    #[command(after_help = EXIT_CODES)]
    Run(Run),
    /// Checks topologies and reports every problem with its place; touches nothing.
    #[command(after_help = EXIT_CODES)]
    Validate(Validate),
    /// Prints the complete plan of a topology: every peer, address, seed and step, and the RTT and rate between groups.
    #[command(after_help = EXIT_CODES)]
    Plan(PlanOf),
    /// Prints the JSON Schema of topologies, for editors.
    Schema(Schema),
    /// Makes the summary of a run or a sweep again, from its files alone.
    #[command(after_help = EXIT_CODES)]
    Report(Report),
    /// Puts builds side by side, each with its repeated runs, and says what is a difference and what is noise.
    #[command(after_help = COMPARE_CODES)]
    Compare(Compare),
    /// Runs the topologies of a suite one after another, and judges them together.
    #[command(after_help = EXIT_CODES)]
    Suite(Suite),
    /// Runs a command in the network of a peer of a live run, where the names of all peers resolve.
    #[command(after_help = EXIT_CODES_OF_EXEC)]
    Exec(Exec),
    /// Starts a shell in the network of a peer of a live run.
    #[command(after_help = EXIT_CODES_OF_EXEC)]
    Shell(Shell),
    /// Lists live runs and what their peers are doing.
    Ps(Ps),
    /// Writes a torrent (BEP 3) of a file of a topology, for other clients.
    #[command(after_help = EXIT_CODES)]
    Torrent(TorrentOf),
    /// Says what this host offers and lacks for a run, with a cure for each lack.
    #[command(after_help = EXIT_CODES)]
    Doctor(Doctor),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The topology.
    pub(crate) file: PathBuf,

    /// Directory for the run's files; it must not hold a run yet. Default: runs/NAME-TIME below the working
    /// directory.
    #[arg(long, env = "PEERBED_OUT", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Keep the distributed files in the peers' directories. By default they are removed once they have been read
    /// back and compared; a run that fails or is stopped keeps them in any case.
    #[arg(long, env = "PEERBED_KEEP_FILES")]
    pub(crate) keep_files: bool,

    /// The program to start as each peer. Default: `peerbed-peer` beside this program.
    #[arg(long, env = "PEERBED_PEER", value_name = "PATH")]
    pub(crate) peer_binary: Option<PathBuf>,

    /// Show no progress. The table at the end and problems are shown all the same.
    #[arg(long, short, env = "PEERBED_QUIET")]
    pub(crate) quiet: bool,

    /// Do not measure the links before the scenario. By default each class of links is probed in both directions, and a
    /// run whose links are not as asked for ends with exit code 3.
    #[arg(long, env = "PEERBED_NO_VERIFY")]
    pub(crate) no_verify: bool,

    /// Seed in place of the topology's: everything random in the run follows from it.
    #[arg(long, env = "PEERBED_SEED", value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Repeat the run, or each combination of a sweep, so many times, each with a seed of its own; in place of the
    /// topology's `repeat`.
    #[arg(long, env = "PEERBED_REPEAT", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) repeat: Option<u32>,

    /// A value in place of the topology's, by its path in the file: `--set links.home.up=4mbit`. A path that is swept takes
    /// one value, or the list of those to sweep: `--set 'groups.home.count=[5, 10]'`. May be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) settings: Vec<Setting>,

    /// Serve metrics of the run and of every peer on this address while it goes on, with service discovery for Prometheus at
    /// `/sd`; a port alone is one of this host, 0 is any free one.
    #[arg(long, env = "PEERBED_METRICS", value_name = "[ADDR:]PORT", value_parser = address)]
    pub(crate) metrics: Option<SocketAddr>,

    /// Start Debian's `prometheus` beside the run, with its pages on this address (`--prometheus=PORT`; 9090 of this host when
    /// nothing else is said, 0 is any free port). It scrapes every second and knows the rules of dashboards/; it ends with the
    /// run, and its samples stay in prometheus/data of the run's directory. The scenario begins once it has scraped the peers,
    /// which takes it 5 s.
    #[arg(long, env = "PEERBED_PROMETHEUS", value_name = "[ADDR:]PORT", value_parser = address, num_args = 0..=1,
        default_missing_value = "9090", require_equals = true)]
    pub(crate) prometheus: Option<SocketAddr>,

    /// Serve a live page of the run on this address (`--watch=PORT`; 9465 of this host when nothing else is said, 0 is any free
    /// port): the pictures of `report.html`, made anew as the run goes on.
    #[arg(long, env = "PEERBED_WATCH", value_name = "[ADDR:]PORT", value_parser = address, num_args = 0..=1,
        default_missing_value = "9465", require_equals = true)]
    pub(crate) watch: Option<SocketAddr>,

    /// Capture the packets of these peers or groups (`all`: of everybody) at their own end of the link, and the secrets that decode
    /// them: `packets.pcap` and `keys.log` in the peer's directory. Kept when the run does not pass, and around faults.
    #[arg(long, env = "PEERBED_PCAP", value_name = "PEERS", value_delimiter = ',')]
    pub(crate) pcap: Vec<String>,

    /// Have these peers or groups write a qlog of their connections, `connections.sqlog` in the peer's directory; kept whole when
    /// the run does not pass, and when there were faults.
    #[arg(long, env = "PEERBED_QLOG", value_name = "PEERS", value_delimiter = ',')]
    pub(crate) qlog: Vec<String>,

    /// Keep all packets, secrets and qlogs whatever becomes of the run.
    #[arg(long, env = "PEERBED_KEEP_EVIDENCE")]
    pub(crate) keep_evidence: bool,

    /// Append a summary in Markdown to this file, as the pages of CI servers show it; for GitHub Actions:
    /// `--summary "$GITHUB_STEP_SUMMARY"`.
    #[arg(long, env = "PEERBED_SUMMARY", value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// The topologies.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanOf {
    /// The topology.
    pub(crate) file: PathBuf,

    /// A value in place of the topology's, as for `run`.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) settings: Vec<Setting>,

    /// Seed in place of the topology's.
    #[arg(long, env = "PEERBED_SEED", value_name = "N")]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct TorrentOf {
    /// The topology.
    pub(crate) topology: PathBuf,

    /// Name of an entry under `files:`.
    pub(crate) file: String,

    /// Where the torrent goes.
    #[arg(long, short, value_name = "PATH")]
    pub(crate) out: PathBuf,

    /// URL of the tracker. Default: none, for clients that are told where their peers are.
    #[arg(long, value_name = "URL")]
    pub(crate) tracker: Option<String>,

    /// Where the file itself goes as well, where it is one that follows from the seed. Default: it is not written.
    #[arg(long, value_name = "PATH")]
    pub(crate) content: Option<PathBuf>,

    /// Seed in place of the topology's: generated bytes follow from it.
    #[arg(long, env = "PEERBED_SEED", value_name = "N")]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Directory of a run or a sweep.
    pub(crate) directory: PathBuf,

    /// Write `report.html` into the directory in place of showing the summary: the run in pictures, in one file that needs
    /// nothing else. Of a sweep, also those of its runs. `run` writes it at its end.
    #[arg(long, group = "form")]
    pub(crate) html: bool,

    /// Write `junit.xml` into the directory in place of showing the summary. `run` writes it at its end.
    #[arg(long, group = "form")]
    pub(crate) junit: bool,

    /// Show the summary as Markdown.
    #[arg(long, group = "form")]
    pub(crate) markdown: bool,

    /// Show everything that a run wrote down in one order of time: events, faults, and what peers logged.
    #[arg(long, group = "form")]
    pub(crate) timeline: bool,

    /// Show medians of repeated runs as Markdown, a row for each program, way and size. The directory may also be one
    /// that holds several of runs and sweeps.
    #[arg(long, group = "form")]
    pub(crate) medians: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Directories of runs, of sweeps or of `--repeat`s, or of several of these; others are compared with the first.
    #[arg(required = true, num_args = 2..)]
    pub(crate) builds: Vec<PathBuf>,

    /// When to end with exit code 1: `slower-than 5%` fails when a distribution takes more than 5 % longer than in the
    /// first build and the difference is no noise.
    #[arg(long, value_name = "LIMIT")]
    pub(crate) fail_if: Option<Limit>,

    /// Show the table as Markdown.
    #[arg(long, group = "form")]
    pub(crate) markdown: bool,

    /// Print JSON, with the seconds of every repeat; what `--fail-if` finds goes to standard error then.
    #[arg(long, group = "form")]
    pub(crate) json: bool,

    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Suite {
    /// The suite: a list of topologies with tags, timeouts and retries.
    pub(crate) file: PathBuf,

    /// Run only topologies with this tag; may be given several times, and one of them is enough.
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,

    /// Show what would be run, and run nothing.
    #[arg(long)]
    pub(crate) list: bool,

    /// Directory for the files of all runs. Default: runs/NAME-TIME below the working directory.
    #[arg(long, env = "PEERBED_OUT", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// The program to start as each peer. Default: `peerbed-peer` beside this program.
    #[arg(long, env = "PEERBED_PEER", value_name = "PATH")]
    pub(crate) peer_binary: Option<PathBuf>,

    /// Do not measure links before the scenarios.
    #[arg(long, env = "PEERBED_NO_VERIFY")]
    pub(crate) no_verify: bool,

    /// Append a summary in Markdown to this file; for GitHub Actions: `--summary "$GITHUB_STEP_SUMMARY"`.
    #[arg(long, env = "PEERBED_SUMMARY", value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// How many peers shall run at once; limits of the host are compared with what so many need.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) peers: u32,
}

/// An address with its port; a port alone is one of the loopback address, so that nobody else is served by accident.
fn address(text: &str) -> Result<SocketAddr, String> {
    let own = text.parse::<u16>().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    own.or_else(|_| text.parse())
        .map_err(|_| "write a port, or an address and a port, such as 127.0.0.1:9464".to_owned())
}

/// The meaning of exit codes of `compare`.
const COMPARE_CODES: &str = "\
Exit codes:
  0  nothing is beyond the limit, or there is none
  1  something is beyond the limit
  2  bad arguments, or a directory without runs
  4  nothing is beyond the limit, but something could not be judged: too few runs";

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) which: WhichRun,

    /// Name of the peer. Its namespace and link are there even while its process is down.
    pub(crate) peer: String,

    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    #[command(flatten)]
    pub(crate) which: WhichRun,

    /// Name of the peer. Its namespace and link are there even while its process is down.
    pub(crate) peer: String,
}

#[derive(Debug, Args)]
pub(crate) struct Ps {
    #[command(flatten)]
    pub(crate) which: WhichRun,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhichRun {
    /// The run: its directory, the directory's name below runs/, or the topology's name. Default: what is live below
    /// runs/ in the working directory.
    #[arg(long, env = "PEERBED_RUN", value_name = "DIR|NAME")]
    pub(crate) run: Option<PathBuf>,
}

/// The meaning of exit codes of a joined command.
const EXIT_CODES_OF_EXEC: &str = "\
Exit codes: the command's own; 128 and the signal's number where one ended it, as at the end of the run (137);
126 and 127 where it cannot be started or found; 2 for an unknown run or peer; 3 where the peer cannot be joined";

/// The meaning of exit codes, as `--help` shows it.
const EXIT_CODES: &str = "\
Exit codes:
  0  every expectation holds
  1  an expectation failed
  2  bad arguments or a bad topology; nothing was created
  3  the run could not be carried out: a missing feature, a peer that died, a full disk, Ctrl-C
  4  the host was in the way (verdict `invalid`): neither pass nor fail";

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Print the reference of all keys as Markdown in place of the schema.
    #[arg(long)]
    pub(crate) markdown: bool,
}
