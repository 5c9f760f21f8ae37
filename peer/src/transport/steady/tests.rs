//! Tests of the controller on a made-up path: one bottleneck with a queue, a delay, and loss by chance.

use peerbed_proto::Random;

use super::*;

#[test]
fn window_covers_the_path_although_one_packet_in_thirty_is_lost() {
    let mut path = Path::new(500_000.0, Duration::from_millis(100), 0.03);
    path.run(Duration::from_secs(10));
    let used = path.delivered_in_the_last_half() / 500_000.0;
    assert!(used > 0.9, "{used} of the bottleneck's rate");
}

#[test]
fn queue_before_the_bottleneck_stays_within_a_round_trip_and_what_receivers_hold_back() {
    let mut path = Path::new(500_000.0, Duration::from_millis(100), 0.0);
    path.run(Duration::from_secs(10));
    assert!(path.longest_wait < Duration::from_millis(250), "{:?}", path.longest_wait);
    assert!(path.delivered_in_the_last_half() > 0.95 * 500_000.0);
}

#[test]
fn heavy_loss_is_taken_for_congestion_and_forgotten_when_it_ends() {
    let mut path = Path::new(500_000.0, Duration::from_millis(50), 0.5);
    path.run(Duration::from_secs(3));
    let cautious = path.controller.window();
    path.loss = 0.0;
    path.run(Duration::from_secs(6));
    let calm = path.controller.window();
    assert!(cautious * 2 < calm, "{cautious} under heavy loss, {calm} after it");
}

#[test]
fn short_queue_before_a_thin_bottleneck_loses_one_in_six_at_most() {
    let mut path = Path::new(250_000.0, Duration::from_millis(4), 0.0);
    // Twice what receivers hold back: acknowledgements come in bunches of ten, and so does what follows them.
    path.queue = Duration::from_millis(100);
    path.run(Duration::from_secs(10));
    let lost = path.dropped as f64 / (path.dropped + path.delivered.len()) as f64;
    assert!(lost < 0.17, "{lost} of all packets found the queue full");
    assert!(path.delivered_in_the_last_half() > 0.9 * 250_000.0);
}

#[test]
fn longer_path_is_filled_too_once_the_shorter_one_is_forgotten() {
    let mut path = Path::new(500_000.0, Duration::from_millis(20), 0.0);
    path.run(Duration::from_secs(5));
    path.round_trip = Duration::from_millis(300);
    path.run(Duration::from_secs(40));
    let used = path.delivered_in_the_last_half() / 500_000.0;
    assert!(used > 0.9, "{used} of the bottleneck's rate");
}

#[test]
fn what_data_did_not_fill_does_not_shrink_the_window() {
    let mut path = Path::new(500_000.0, Duration::from_millis(50), 0.0);
    path.run(Duration::from_secs(5));
    let before = path.controller.window();
    path.supply = Some(20_000.0);
    path.run(Duration::from_secs(8));
    assert!(path.controller.window() > before / 2, "{before} before, {} after", path.controller.window());
}

/// A sender with this controller and a path for its packets.
struct Path {
    controller: Steady,
    random: Random,
    now: Instant,
    /// Bytes per second of the bottleneck.
    rate: f64,
    round_trip: Duration,
    loss: f64,
    /// Bytes per second that there are to send; without limit if not given.
    supply: Option<f64>,
    free_at: Instant,
    /// When the fate of each packet on its way is known, when it was sent, and whether it got through.
    on_its_way: VecDeque<(Instant, Instant, bool)>,
    /// What arrived and is not acknowledged: when it arrived, and when it was sent.
    held: Vec<(Instant, Instant)>,
    /// Longest wait before the bottleneck; who would wait longer is dropped.
    queue: Duration,
    dropped: usize,
    delivered: Vec<Instant>,
    longest_wait: Duration,
}

impl Path {
    fn new(rate: f64, round_trip: Duration, loss: f64) -> Self {
        let now = Instant::now();
        Self {
            controller: Steady::new(64 << 10, now, MTU),
            random: Random::new(1, "path"),
            now,
            rate,
            round_trip,
            loss,
            supply: None,
            free_at: now,
            on_its_way: VecDeque::new(),
            held: Vec::new(),
            queue: Duration::MAX,
            dropped: 0,
            delivered: Vec::new(),
            longest_wait: Duration::ZERO,
        }
    }

    /// Lets time pass, a millisecond at a time.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let began = self.now;
        let mut supplied = 0.0;
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.acknowledge();
            let available = self.supply.map_or(f64::INFINITY, |rate| rate * (self.now - began).as_secs_f64());
            while (self.in_flight() + 1) * u64::from(MTU) <= self.controller.window()
                && supplied + f64::from(MTU) <= available
            {
                supplied += f64::from(MTU);
                self.send();
            }
        }
    }

    fn in_flight(&self) -> u64 {
        (self.on_its_way.len() + self.held.len()) as u64
    }

    fn send(&mut self) {
        let now = self.now;
        self.controller.on_sent(now, MTU.into(), 0);
        let wait = self.free_at.saturating_duration_since(now);
        if wait > self.queue {
            self.dropped += 1;
            return self.on_its_way.push_back((self.free_at + self.round_trip, now, false));
        }
        self.longest_wait = self.longest_wait.max(wait);
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(f64::from(MTU) / self.rate);
        let arrives = self.random.fraction() >= self.loss;
        self.on_its_way.push_back((self.free_at + self.round_trip, now, arrives));
    }

    /// The receiver acknowledges ten packets at once, after a gap, or when 50 ms have passed.
    fn acknowledge(&mut self) {
        while let Some(&(known, sent, arrived)) = self.on_its_way.front().filter(|(known, ..)| *known <= self.now) {
            self.on_its_way.pop_front();
            if arrived {
                self.held.push((known, sent));
            } else {
                self.controller.on_congestion_event(known, sent, false, MTU.into());
            }
            if !arrived || self.held.len() == 10 {
                self.flush();
            }
        }
        if self.held.first().is_some_and(|&(arrived, _)| self.now - arrived >= Duration::from_millis(50)) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let limited = self.supply.is_some();
        for (_, sent) in std::mem::take(&mut self.held) {
            self.controller.on_acknowledged(self.now, sent, MTU.into(), limited);
            self.delivered.push(self.now);
        }
    }

    /// Bytes per second.
    fn delivered_in_the_last_half(&self) -> f64 {
        let first = self.delivered.first().copied().unwrap_or(self.now);
        let half = (self.now - first) / 2;
        let count = self.delivered.iter().filter(|&&at| at + half > self.now).count();
        count as f64 * f64::from(MTU) / half.as_secs_f64()
    }
}

/// Bytes of a full packet.
const MTU: u16 = 1_452;
