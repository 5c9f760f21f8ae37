//! `peerbed`: reads arguments and environment, calls the pipeline, decides the exit code.
//!
//! Data and tables go to standard output, everything else to standard error. What the commands do lives in the
//! library; what can be asked of them, in `arguments`.

use std::{
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context, anyhow};
use clap::Parser;
use peerbed_orchestrator::{
    calendar::timestamp,
    capacity::{self, Calibration},
    content,
    diagnose::{Colour, Problems, suggestion},
    doctor,
    evidence::{Keep, Wanted},
    plan::{self, Plan},
    progress::Progress,
    real::netns,
    reference, report,
    results::{Conclusion, Found, Provenance},
    run::{self, Job, Links, Payload, Stop, series},
    run_directory::{RunDirectory, disk_problem},
    schema,
    suite::Suite,
    testbed,
    topology::{
        self, Setting, Topology,
        sweep::{self, Overrides},
    },
    torrent::Torrent,
};
use peerbed_proto::Hash;
use tokio::signal::unix::{SignalKind, signal};

use arguments::{Arguments, Command};
use watching::Watchers;

mod arguments;
mod judging;
mod visiting;
mod watching;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&arguments.log);
    match filter {
        Ok(filter) => tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init(),
        Err(error) => return Problem::Input(format!("--log {}: {error}", arguments.log)).tell(),
    }
    let done = match arguments.command {
        Command::Run(arguments) => run(&arguments),
        Command::Validate(arguments) => return validate(&arguments.files),
        Command::Plan(arguments) => show_plan(&arguments),
        Command::Schema(arguments) => show_schema(&arguments),
        Command::Report(arguments) => judging::report(&arguments),
        Command::Suite(arguments) => judging::suite(&arguments),
        Command::Compare(arguments) => judging::compare(&arguments),
        Command::Torrent(arguments) => write_torrent(&arguments),
        Command::Exec(arguments) => visiting::exec(&arguments),
        Command::Shell(arguments) => visiting::shell(&arguments, std::env::var_os("SHELL")),
        Command::Ps(arguments) => visiting::ps(&arguments),
        Command::Doctor(arguments) => return examine(arguments.peers),
    };
    done.unwrap_or_else(|problem| problem.tell())
}

/// Why a command ends early.
enum Problem {
    /// Bad arguments, or a bad topology; the text is complete.
    Input(String),
    /// The run could not be carried out.
    Run(anyhow::Error),
}

impl Problem {
    fn tell(&self) -> ExitCode {
        match self {
            Self::Input(text) => {
                complain(text.trim_end());
                ExitCode::from(BAD_INPUT)
            }
            Self::Run(error) => {
                complain(&format!("error: {error:#}"));
                ExitCode::from(NOT_CARRIED_OUT)
            }
        }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::Run(error)
    }
}

impl From<Problems> for Problem {
    fn from(problems: Problems) -> Self {
        let colour = if io::stderr().is_terminal() { Colour::On } else { Colour::Off };
        Self::Input(problems.render(colour))
    }
}

/// What a conclusion is to a shell.
fn exit_code(conclusion: Conclusion) -> ExitCode {
    ExitCode::from(match conclusion {
        Conclusion::Held => 0,
        Conclusion::ExpectationFailed => 1,
        Conclusion::NotCarriedOut => NOT_CARRIED_OUT,
        Conclusion::Invalid => 4,
    })
}

fn run(arguments: &arguments::Run) -> Result<ExitCode, Problem> {
    let started = SystemTime::now();
    let (topology, text) = read(&arguments.file, &arguments.settings)?;
    let overrides = Overrides { seed: arguments.seed, repeat: arguments.repeat.map(|count| count as usize) };
    let runs = sweep::expand_with(&topology, overrides)?;
    let peer_binary = peer_binary(arguments.peer_binary.clone())?;
    warn_of_capacity(&runs);
    // Only a process with a single thread may enter a user namespace, so this comes before the runtime.
    netns::enter_user_namespace_if_needed().map_err(anyhow::Error::from)?;
    let files_root = arguments.file.parent().unwrap_or(Path::new("."));
    let mut options = testbed::Options::new(peer_binary, files_root);
    options.evidence = wanted_evidence(arguments, &runs)?;
    // What is refused leaves no directory behind, so that the next attempt may have the same one. The runs of a sweep
    // differ in figures; one that is refused alone is noted as failed among the others.
    if let Some((_, plan)) = runs.first() {
        testbed::Testbed::check(plan, &options).map_err(|error| Problem::Run(anyhow!("{error:#}")))?;
    }
    let root = arguments.out.clone().unwrap_or_else(|| RunDirectory::default_root(&topology.name, started));
    let directory = RunDirectory::create(&root)?;
    let order = Order {
        name: &topology.name,
        text: text.as_bytes(),
        directory: &directory,
        testbed: options,
        payload: if arguments.keep_files { Payload::Keep } else { Payload::Remove },
        links: if arguments.no_verify { Links::Trust } else { Links::Verify },
        provenance: provenance(&text, started),
    };
    let progress = if arguments.quiet { Progress::quiet() } else { Progress::on_stderr() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let work = async |progress: &mut Progress| carry_out(&order, runs, progress).await;
    let conclusion = runtime.block_on(Watchers::of(arguments).during(&directory, progress, work))?;
    // A thread that still reads files back must not hold up the end of a run that was stopped.
    runtime.shutdown_background();
    if let Err(error) = write_reports(&directory, arguments.summary.as_deref())
        && conclusion != Conclusion::NotCarriedOut
    {
        // They are no reason to call a run that was carried out a failure, and can be made again. What kept a run from being
        // carried out, a full disk say, has been told already.
        complain(&format!("warning: not all reports were written: {error:#}"));
    }
    print(&report::summary(&directory)?);
    Ok(exit_code(conclusion))
}

/// Whose connections are to be written down; every name means somebody in every run.
fn wanted_evidence(arguments: &arguments::Run, runs: &[(sweep::Combination, Plan)]) -> Result<Wanted, Problem> {
    let keep = if arguments.keep_evidence { Keep::Always } else { Keep::WhenNeeded };
    let wanted = Wanted { packets: arguments.pcap.clone(), qlog: arguments.qlog.clone(), keep };
    for (_, plan) in runs {
        for (option, found) in [("--pcap", wanted.packets_of(plan)), ("--qlog", wanted.qlog_of(plan))] {
            found.map_err(|error| Problem::Input(format!("error: {option}: {error}")))?;
        }
    }
    Ok(wanted)
}

/// Writes everything that is made from the files of a run: the page, JUnit, and Markdown where it is wanted.
fn write_reports(directory: &RunDirectory, summary: Option<&Path>) -> anyhow::Result<()> {
    report::html::write(directory)?;
    report::junit::write(directory)?;
    summary.map_or(Ok(()), |file| append(file, &report::markdown::summary(&Found::read(directory)?)))
}

/// Adds `text` to the end of `file`, which others may have begun.
fn append(file: &Path, text: &str) -> anyhow::Result<()> {
    let opened = std::fs::File::options().create(true).append(true).open(file);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Everything about a `run` but its plans.
struct Order<'a> {
    name: &'a str,
    text: &'a [u8],
    directory: &'a RunDirectory,
    testbed: testbed::Options,
    payload: Payload,
    links: Links,
    provenance: Provenance,
}

async fn carry_out(
    order: &Order<'_>,
    runs: Vec<(sweep::Combination, Plan)>,
    progress: &mut Progress,
) -> anyhow::Result<Conclusion> {
    let stop = stop_on_signals()?;
    let (directory, payload, links) = (order.directory, order.payload, order.links);
    let provenance = order.provenance.clone();
    if let [(combination, plan)] = runs.as_slice()
        && combination.values.is_empty()
    {
        directory.begin(plan, order.text)?;
        let job = Job { plan, directory, testbed: &order.testbed, payload, links, provenance };
        let results = run::carry_out(job, &stop, progress).await?;
        if let Some(error) = &results.error {
            complain(&format!("error: {error}"));
        }
        return Ok(results.conclusion());
    }
    let members: Vec<series::Member> = runs
        .into_iter()
        .map(|(combination, plan)| series::Member { values: combination.values, repeat: combination.repeat, plan })
        .collect();
    let (name, topology) = (order.name, order.text);
    let series = series::Series { name, topology, directory, testbed: &order.testbed, payload, links, provenance };
    Ok(series::carry_out_all(&series, &members, &stop, progress).await?.conclusion())
}

/// Ctrl-C, termination and a closed terminal wish to stop.
fn stop_on_signals() -> anyhow::Result<Stop> {
    let (sender, stop) = Stop::channel();
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let signals = kinds.map(signal).into_iter().collect::<io::Result<Vec<_>>>().context("listening for signals")?;
    let sender = std::sync::Arc::new(sender);
    for mut signal in signals {
        let sender = std::sync::Arc::clone(&sender);
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                if sender.wish() == 1 {
                    complain("stopping the run; its files stay (once more to stop at once)");
                }
            }
        });
    }
    Ok(stop)
}

fn validate(files: &[PathBuf]) -> ExitCode {
    let mut worst = ExitCode::SUCCESS;
    for file in files {
        if Suite::is_at(file) {
            match judging::validate_suite(file) {
                Ok(count) => print(&format!("{}: valid (a suite of {count})\n", file.display())),
                Err(problem) => worst = problem.tell(),
            }
            continue;
        }
        let checked = read(file, &[]).and_then(|(topology, _)| Ok(sweep::expand(&topology)?));
        match checked {
            Ok(runs) => {
                let peers = runs.iter().map(|(_, plan)| plan.peers.len()).max().unwrap_or(0);
                let runs = if runs.len() == 1 { String::new() } else { format!(", {} runs", runs.len()) };
                print(&format!("{}: valid ({peers} peers{runs})\n", file.display()));
            }
            Err(problem) => worst = problem.tell(),
        }
    }
    worst
}

fn show_plan(arguments: &arguments::PlanOf) -> Result<ExitCode, Problem> {
    let (topology, _) = read(&arguments.file, &arguments.settings)?;
    let runs = sweep::expand_with(&topology, Overrides { seed: arguments.seed, repeat: None })?;
    warn_of_capacity(&runs);
    if runs.len() > 1 {
        print(&comment(&sweep::listing(&runs)));
    }
    for (index, (combination, plan)) in runs.iter().enumerate() {
        if index > 0 {
            print("---\n");
        }
        if runs.len() > 1 {
            print(&format!("# {combination}\n"));
        }
        print(&plan.to_yaml()?);
        print(&comment(&plan::matrix(plan)));
    }
    Ok(ExitCode::SUCCESS)
}

fn write_torrent(arguments: &arguments::TorrentOf) -> Result<ExitCode, Problem> {
    let (topology, _) = read(&arguments.topology, &[])?;
    let runs = sweep::expand_with(&topology, Overrides { seed: arguments.seed, repeat: None })?;
    let files: Vec<&plan::File> = runs.first().map(|(_, plan)| plan.files.iter().collect()).unwrap_or_default();
    let file = files.iter().find(|file| file.name == arguments.file).ok_or_else(|| {
        let hint = suggestion(&arguments.file, files.iter().map(|file| file.name.as_str()));
        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        Problem::Input(format!("error: {} has no file `{}`{hint}", arguments.topology.display(), arguments.file))
    })?;
    let root = arguments.topology.parent().unwrap_or(Path::new("."));
    let torrent = Torrent { name: &file.name, piece: file.piece.0, tracker: arguments.tracker.as_deref() };
    let bytes = torrent.encode(content::open(file, root)?)?;
    std::fs::write(&arguments.out, bytes).map_err(|error| disk_problem(&error, "write", &arguments.out))?;
    if let Some(path) = &arguments.content {
        let copied = std::fs::File::create(path).and_then(|mut copy| {
            let mut bytes = content::open(file, root).map_err(io::Error::other)?;
            io::copy(&mut bytes, &mut copy)
        });
        copied.map_err(|error| disk_problem(&error, "write", path))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says where this host is probably too small for one of `runs`. It is a guess, and an unknown host is no reason to stop.
fn warn_of_capacity(runs: &[(sweep::Combination, Plan)]) {
    let directory = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")))
        .map(|cache| cache.join("peerbed"));
    let Ok(host) = Calibration::kept_in(directory.as_deref()) else { return };
    let mut told = std::collections::BTreeSet::new();
    for warning in runs.iter().flat_map(|(_, plan)| capacity::warnings(plan, &host)) {
        if told.insert(warning.clone()) {
            complain(&format!("warning: {warning}"));
        }
    }
}

/// `text` as comments of YAML.
fn comment(text: &str) -> String {
    text.lines().map(|line| format!("# {line}\n")).collect()
}

fn show_schema(arguments: &arguments::Schema) -> Result<ExitCode, Problem> {
    print(&if arguments.markdown { reference::text() } else { schema::text() });
    Ok(ExitCode::SUCCESS)
}

fn examine(peers: u32) -> ExitCode {
    let diagnosis = doctor::examine(&netns::enter_user_namespace_if_needed(), peers);
    print(&format!("{diagnosis}\n"));
    if diagnosis.is_fit() { ExitCode::SUCCESS } else { ExitCode::from(NOT_CARRIED_OUT) }
}

/// A topology and its text, with `settings` at its end.
fn read(file: &Path, settings: &[Setting]) -> Result<(Topology, String), Problem> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Problem::Input(format!("error: cannot read {}: {error}", file.display())))?;
    let text = topology::with_settings(&text, settings);
    let topology = topology::read_with(&file.to_string_lossy(), &text, &|name| read_beside(file, name))?;
    Ok((topology, text))
}

/// The text of a file that a topology names, as far as it may be long; one byte more shows that it is longer.
fn read_beside(topology: &Path, name: &str) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(topology.parent().unwrap_or(Path::new("")).join(name))?;
    file.take(topology::ATTACHED_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The program for peers; a missing one is named before anything is made.
fn peer_binary(asked: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = default_peer(asked);
    if path.is_file() {
        // Peers are started in directories of their own.
        return Ok(path.canonicalize().unwrap_or(path));
    }
    Err(anyhow!(
        "cannot find the peer program {}; build it with `cargo build --bins`, or name it with --peer-binary or \
         PEERBED_PEER",
        path.display()
    ))
}

fn default_peer(asked: Option<PathBuf>) -> PathBuf {
    let beside = || std::env::current_exe().ok().map(|own| own.with_file_name("peerbed-peer"));
    asked.or_else(beside).unwrap_or_else(|| "peerbed-peer".into())
}

fn provenance(topology: &str, started: SystemTime) -> Provenance {
    Provenance {
        started_at: timestamp(started),
        command_line: std::env::args().collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        topology_sha256: Hash::of(topology.as_bytes()).to_string(),
        ..Provenance::default()
    }
}

/// Writes data to standard output. A reader that has gone away wants no more of it; data lost for any other reason must
/// not look like success.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else { return };
    if error.kind() != io::ErrorKind::BrokenPipe {
        complain(&format!("error: cannot write to standard output: {error}"));
        std::process::exit(NOT_CARRIED_OUT.into());
    }
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

const BAD_INPUT: u8 = 2;
const NOT_CARRIED_OUT: u8 = 3;
