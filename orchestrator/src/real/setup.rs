//! What is decided, checked and written before peers are started: the engine, the host's limits, files, configurations.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use peerbed_peer::config::{IdentityFiles, PeerConfig, QuicOptions, TrackerOptions, UplinkRate};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::mpsc;

use crate::{
    authority::Authority,
    content::{self, Content},
    evidence::Wanted,
    links::{
        self, Engine, MissingFeature,
        kernel::{self, reach::Reach},
    },
    plan::{self, EngineChoice, Plan},
    real::{
        attach,
        features::{self, Feature},
        peer::{Peer, Place},
        program::Program,
        supervisor::Supervisor,
    },
    run_directory::{CONTROL, RunDirectory, disk_problem},
    testbed::{Event, Options, SetUpError},
    torrent::Torrent,
};

/// An engine and why it was chosen.
pub(crate) struct Choice {
    pub(super) engine: Engine,
    pub(super) reason: String,
}

/// Finds the engine that can shape the links of `plan` on this kernel. Nothing is left of the attempts.
pub(super) fn choose_engine(plan: &Plan) -> Result<Choice, SetUpError> {
    let choice = |engine, reason: String| Ok(Choice { engine, reason });
    match plan.engine {
        EngineChoice::Kernel => match first_missing(&needs_of_kernel_engine(plan))? {
            None => choice(Engine::Kernel, "asked for by the topology".to_owned()),
            Some(missing) => Err(missing.into()),
        },
        EngineChoice::User => match first_missing(&needs_of_user_engine())? {
            None => choice(Engine::User, "asked for by the topology".to_owned()),
            Some(missing) => Err(missing.into()),
        },
        EngineChoice::Auto => {
            let Some(missing) = first_missing(&needs_of_kernel_engine(plan))? else {
                let reason = "this kernel has every queueing discipline that the plan needs";
                return choice(Engine::Kernel, reason.to_owned());
            };
            match first_missing(&needs_of_user_engine())? {
                None => choice(Engine::User, format!("{} {}, which this kernel lacks", missing.needs, missing.feature)),
                Some(tun) => Err(neither(&missing, &tun).into()),
            }
        }
    }
}

/// Both engines lack something: the kernel's lack first, then why the user engine could not help.
fn neither(kernel: &MissingFeature, user: &MissingFeature) -> MissingFeature {
    let own_cure = kernel.cure.trim_end_matches(OTHER_ENGINE);
    let cure = format!("{own_cure}; or, for the user engine, which lacks {}: {}", user.feature, user.cure);
    MissingFeature { feature: kernel.feature, needs: kernel.needs.clone(), cure }
}

/// What somebody who asked for the kernel engine may do without its disciplines.
const OTHER_ENGINE: &str = "; or take `engine: user`";

/// Features, each with who needs it for what.
type Needs = Vec<(Feature, String)>;

fn needs_of_kernel_engine(plan: &Plan) -> Needs {
    let mut needed = vec![(Feature::Veth, "every peer needs".to_owned())];
    let reaches = kernel::reach::reaches(plan);
    let needs = |which: fn(&Reach) -> bool| reaches.values().flatten().any(which);
    if needs(|reach| reach.bucket) {
        needed.push((Feature::Tbf, "the rates of the links need".to_owned()));
    }
    if let Some(users) = links::netem_users(plan) {
        needed.push((Feature::Netem, users));
    }
    if needs(|reach| reach.codel) {
        needed.push((Feature::CoDel, "the queues of the links need".to_owned()));
    }
    needed
}

fn needs_of_user_engine() -> Needs {
    vec![(Feature::Tun, "the user engine needs".to_owned())]
}

/// Tries them in order.
fn first_missing(needed: &Needs) -> anyhow::Result<Option<MissingFeature>> {
    let features: Vec<Feature> = needed.iter().map(|(feature, _)| *feature).collect();
    let found = features::probe(&features)
        .map_err(|e| anyhow!("cannot make a network namespace: {e}; `peerbed doctor` says what to change"))?;
    let missing = needed.iter().zip(found).find(|(_, (_, words))| words.is_some());
    Ok(missing.map(|((feature, needs), _)| {
        let other = if matches!(feature, Feature::Netem | Feature::CoDel) { OTHER_ENGINE } else { "" };
        let cure = format!("{}{other}", feature.cure());
        MissingFeature { feature: feature.name(), needs: needs.clone(), cure }
    }))
}

/// Checks what would only fail half-way: the peer program, and room for file descriptors.
pub(super) fn check_host(plan: &Plan, options: &Options) -> anyhow::Result<()> {
    let program = &options.peer_binary;
    let found = fs::metadata(program)
        .map_err(|e| anyhow!("cannot find the peer program {}: {e}; build it with `cargo build`", program.display()))?;
    if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
        bail!("the peer program {} is not an executable file", program.display());
    }
    raise_file_limit(plan.peers.len())
}

/// Reads back what shapes every link, whether or not links are measured later: it takes a millisecond per ten links, and
/// what a kernel has not understood is an error of ours and not of the host.
pub(super) async fn check_shaping(supervisor: &Supervisor, plan: &Plan) -> anyhow::Result<()> {
    let ends = supervisor.read_back(plan).await?;
    let mut wrong = ends.iter().filter(|end| !end.differences.is_empty());
    let Some(first) = wrong.next() else { return Ok(()) };
    let differences: Vec<String> = first.differences.iter().map(ToString::to_string).collect();
    bail!("{} is not shaped as asked ({}); {} more ends are not", first.place, differences.join("; "), wrong.count());
}

/// Makes room for the descriptors of this many peers: raises this process's own limit as far as it may.
fn raise_file_limit(peers: usize) -> anyhow::Result<()> {
    let needed = files_needed(peers);
    let limit = getrlimit(Resource::Nofile);
    let ceiling = limit.maximum.unwrap_or(u64::MAX);
    if ceiling < needed {
        bail!(
            "{peers} peers take about {needed} open files, and at most {ceiling} are allowed here; \
             raise the hard limit (ulimit -Hn {needed}, or LimitNOFILE= in a systemd unit)"
        );
    }
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).context("raising the limit of open files")?;
    }
    Ok(())
}

/// File descriptors that a run of this many peers takes at most.
pub(crate) fn files_needed(peers: usize) -> u64 {
    FILES_BASE + peers as u64 * FILES_PER_PEER
}

/// What [`make_places`] made.
pub(super) struct Made {
    pub(super) contents: BTreeMap<String, Content>,
    pub(super) contents_time: Duration,
    pub(super) configurations_time: Duration,
}

/// Makes the files of the plan and the directory of every peer, on a thread that may block.
pub(super) async fn make_places(plan: &Plan, run: &RunDirectory, options: &Options) -> anyhow::Result<Made> {
    let (plan, run, files_root) = (plan.clone(), run.clone(), options.files_root.clone());
    let evidence = options.evidence.clone();
    let making = move || {
        let began = Instant::now();
        attach::write_names(&plan, &run)?;
        configure(&plan, &run, &evidence)?;
        let configurations_time = began.elapsed();
        let made = plan.files.iter().map(|file| Ok((file.name.clone(), content::make(file, &run, &files_root)?)));
        let contents: BTreeMap<String, Content> = made.collect::<anyhow::Result<_>>()?;
        for file in plan.files.iter().filter(|file| wants_torrent(&plan, &file.name)) {
            let torrent = Torrent { name: &file.name, piece: file.piece.0, tracker: None };
            run.write_whole(&run.torrent(&file.name), &torrent.encode(content::open(file, &files_root)?)?)?;
        }
        let contents_time = began.elapsed() - configurations_time;
        Ok(Made { contents, contents_time, configurations_time })
    };
    tokio::task::spawn_blocking(making).await.context("making files and configurations")?
}

/// Whether some program is to be given a torrent of this file.
fn wants_torrent(plan: &Plan, file: &str) -> bool {
    let placeholder = format!("{}{file}}}", plan::Program::TORRENT);
    let programs = plan.peers.iter().filter_map(|peer| peer.exec.as_ref());
    programs.into_iter().any(|program| {
        let mut texts = program.arguments.iter().chain(program.environment.values()).chain([&program.command]);
        texts.any(|text| text.contains(&placeholder))
    })
}

/// The peer of a plan, not yet started.
pub(super) fn peer(
    planned: &plan::Peer,
    run: &RunDirectory,
    contents: &BTreeMap<String, Content>,
    events: &mpsc::Sender<Event>,
) -> Peer {
    let name = &planned.name;
    let place = Place {
        directory: run.peer(name),
        config: run.peer_config(name),
        log: run.peer_log(name),
        process: run.peer_process(name),
        files: attach::names(run),
    };
    let program = planned.exec.as_ref().map(|program| Program::new(program, name, run, contents));
    Peer::new(planned.id, name, listen(planned), place, program, events.clone())
}

/// Writes every peer's certificate, key and configuration.
fn configure(plan: &Plan, run: &RunDirectory, evidence: &Wanted) -> anyhow::Result<()> {
    let (decoded, logged) = (evidence.packets_of(plan)?, evidence.qlog_of(plan)?);
    let name = run_name(run.root());
    let authority = Authority::new(&name).context("making the run's certificate authority")?;
    write(&run.authority(), authority.certificate().as_bytes(), 0o644)?;
    super::rings::write_rosters(plan, run)?;
    for peer in &plan.peers {
        let directory = run.peer(&peer.name);
        fs::create_dir_all(&directory).map_err(|e| disk_problem(&e, "make", &directory))?;
        if peer.exec.is_some() {
            continue;
        }
        let identity = authority.identity(peer.id, &peer.name);
        let identity = identity.with_context(|| format!("making the certificate of {}", peer.name))?;
        write(&run.peer_certificate(&peer.name), identity.certificate.as_bytes(), 0o644)?;
        write(&run.peer_key(&peer.name), identity.key.as_bytes(), 0o600)?;
        let mut config = config(plan, peer, run, &name)?;
        config.quic.key_log = decoded.contains(&peer.id).then(|| run.peer_key_log(&peer.name));
        config.quic.qlog = logged.contains(&peer.id).then(|| run.peer_qlog(&peer.name));
        let text = serde_json::to_vec_pretty(&config).context("encoding a configuration")?;
        write(&run.peer_config(&peer.name), &text, 0o644)?;
    }
    Ok(())
}

fn config(plan: &Plan, peer: &plan::Peer, run: &RunDirectory, run_name: &str) -> anyhow::Result<PeerConfig> {
    let link = plan.links.iter().find(|link| link.name == peer.link);
    let up = &link.with_context(|| format!("the plan has no link `{}`", peer.link))?.up;
    // Without a shaper below, the kernel's own buffer is right.
    let send_queue_bytes =
        up.rate.map(|rate| QuicOptions::send_queue_for(rate.0, u64::from(kernel::queue_bytes(up.queue, rate.0 / 8))));
    // Where a link's rate changes, nominal rates give no account.
    let changes = up.trace.is_some() || plan.steps.iter().any(|step| matches!(step.action, plan::Action::Link(_)));
    let uplink =
        up.rate.filter(|_| !changes).map(|rate| UplinkRate { bits_per_second: rate.0, packet_overhead: up.overhead });
    let usual = match super::rings::has_place(plan, peer.id) {
        true => super::rings::quiet_connections(),
        false => QuicOptions::default(),
    };
    Ok(PeerConfig {
        run: run_name.to_owned(),
        name: peer.name.clone(),
        id: peer.id.0,
        listen: listen(peer),
        seed: peer.seed,
        directory: run.peer(&peer.name),
        // Named from its own directory, in which it is started.
        control: PathBuf::from(CONTROL),
        identity: IdentityFiles {
            certificate: run.peer_certificate(&peer.name),
            key: run.peer_key(&peer.name),
            authority: run.authority(),
        },
        parent: Some(std::process::id()),
        quic: QuicOptions {
            send_queue_bytes,
            uplink,
            congestion: peer.congestion,
            segmentation_offload: is_open(plan),
            ..usual
        },
        tracker: peer.tracker.as_ref().map(|tracker| TrackerOptions {
            interval: tracker.interval.0,
            answer_max: u16::try_from(tracker.answer_max).unwrap_or(u16::MAX),
            ..TrackerOptions::default()
        }),
    })
}

/// Whether no link of the plan ever does anything to packets, so that trains of them may be handed over as one.
fn is_open(plan: &Plan) -> bool {
    let does_nothing = |it: &plan::Direction| it.rate.is_none() && !kernel::needs_netem(it) && it.trace.is_none();
    plan.links.iter().all(|link| does_nothing(&link.up) && does_nothing(&link.down))
        && !plan.steps.iter().any(|step| matches!(step.action, plan::Action::Link(_)))
}

pub(super) fn listen(peer: &plan::Peer) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(peer.address), peer.port)
}

/// The run's name in certificates: that of its directory, as far as it fits into a URI.
fn run_name(root: &Path) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' }).collect()
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|e| disk_problem(&e, "write", path))
}

/// Descriptors that do not grow with the number of peers: files, sockets, the runtime's own.
const FILES_BASE: u64 = 256;
/// Namespace, pidfd, output, event stream, connections for questions and for scrapes; while being told something two more.
const FILES_PER_PEER: u64 = 8;
