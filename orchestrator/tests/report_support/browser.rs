//! Headless Chromium, driven over its debugging pipe: opens a page, watches console and network, asks about the result.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::tools;

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    session: Option<String>,
    calls: u64,
    /// Everything the browser reported without being asked.
    events: Vec<Value>,
    _profile: TempDir,
}

/// What opening a page showed.
#[derive(Debug)]
pub(crate) struct Opened {
    /// From the order to open it until everything was laid out and painted once.
    pub(crate) took: Duration,
    /// Addresses that were asked for besides the page itself.
    pub(crate) requests: Vec<String>,
    /// What the console and the log said.
    pub(crate) complaints: Vec<String>,
}

impl Browser {
    /// Starts Chromium; none where it is not installed, and says so.
    pub(crate) fn start() -> Option<Self> {
        let program = tools::find(&["chromium", "chromium-browser", "google-chrome"], "chromium")?;
        let profile = tempfile::tempdir().unwrap();
        // The browser listens on descriptor 3 and answers on 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec 3<&0 4>&1 0</dev/null 1>&2; exec \"$0\" \"$@\"", program])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, out) = (process.stdin.take(), process.stdout.take().unwrap());
        let (sender, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(out).split(0).map_while(Result::ok) {
                let sent = serde_json::from_slice(&message).map(|message| sender.send(message));
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        });
        let mut browser = Self { process, to, from, session: None, calls: 0, events: Vec::new(), _profile: profile };
        browser.attach();
        Some(browser)
    }

    /// Opens the file at `path` and waits until it has been painted.
    pub(crate) fn open(&mut self, path: &Path) -> Opened {
        self.go_to(&format!("file://{}", path.display()))
    }

    /// Opens the page at `address` and waits until it has been painted.
    pub(crate) fn go_to(&mut self, address: &str) -> Opened {
        self.events.clear();
        let began = Instant::now();
        self.call("Page.navigate", &json!({ "url": address }));
        self.wait_for("Page.loadEventFired");
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))");
        self.opened(address, began.elapsed())
    }

    /// What the page at `address` has asked for and said since it was opened.
    pub(crate) fn opened(&self, address: &str, took: Duration) -> Opened {
        // The icon is an empty one inside the page.
        let is_own = |url: &str| url == address || url.starts_with("data:");
        let requests = self.reported("Network.requestWillBeSent", |e| e["request"]["url"].as_str().map(str::to_owned));
        let mut complaints = self.reported("Runtime.consoleAPICalled", |e| Some(e["args"].to_string()));
        complaints.extend(self.reported("Runtime.exceptionThrown", |e| Some(e["exceptionDetails"].to_string())));
        complaints.extend(self.reported("Log.entryAdded", |e| Some(e["entry"].to_string())));
        Opened { took, requests: requests.into_iter().filter(|url| !is_own(url)).collect(), complaints }
    }

    /// The value of a JavaScript expression in the page; promises are waited for.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let order = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", &order);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Sets `light` or `dark`, and the width of the window.
    pub(crate) fn show(&mut self, scheme: &str, width: u32) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "media": "screen", "features": features }));
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Shows the page as it is printed on paper so many CSS pixels wide.
    pub(crate) fn print_on(&mut self, width: u32) {
        self.show("light", width);
        self.call("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    }

    /// Presses and releases the mouse on the middle of the first element that `selector` finds.
    pub(crate) fn click(&mut self, selector: &str) {
        let middle = format!(
            "(it => {{ it.scrollIntoView({{ block: 'center' }}); const b = it.getBoundingClientRect(); \
             return [b.left + Math.min(b.width / 2, 30), b.top + b.height / 2]; }})(document.querySelector({selector:?}))"
        );
        let middle = self.evaluate(&middle);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": middle[0], "y": middle[1], "button": "left", "buttons": 1, "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Cuts the page off from everything, or connects it again.
    pub(crate) fn cut_off(&mut self, is_cut: bool) {
        let order = json!({ "offline": is_cut, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.call("Network.emulateNetworkConditions", &order);
    }

    /// A picture of the whole page, as PNG in base64.
    pub(crate) fn picture(&mut self) -> String {
        let answer = self.call("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": true }));
        answer["data"].as_str().unwrap_or_default().to_owned()
    }

    fn attach(&mut self) {
        // It listens before it shows anything.
        let deadline = Instant::now() + PATIENCE;
        let page = loop {
            let targets = self.call("Target.getTargets", &json!({}));
            let all = targets["targetInfos"].as_array().unwrap();
            if let Some(page) = all.iter().find(|target| target["type"] == "page") {
                break page["targetId"].clone();
            }
            assert!(Instant::now() < deadline, "the browser shows no page: {targets}");
            std::thread::park_timeout(Duration::from_millis(10));
        };
        let order = json!({ "targetId": page, "flatten": true });
        let answer = self.call("Target.attachToTarget", &order);
        self.session = Some(answer["sessionId"].as_str().unwrap().to_owned());
        for area in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{area}.enable"), &json!({}));
        }
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.calls += 1;
        let mut order = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let to = self.to.as_mut().unwrap();
        to.write_all(order.to_string().as_bytes()).and_then(|()| to.write_all(&[0])).expect("the browser listens");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.next(deadline, method);
            if message["id"] == self.calls {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn wait_for(&mut self, event: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.events.iter().any(|e| e["method"] == event) {
            let message = self.next(deadline, event);
            self.events.push(message);
        }
    }

    fn next(&mut self, deadline: Instant, what: &str) -> Value {
        match self.from.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("the browser did not answer {what} within {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the browser ended before {what}"),
        }
    }

    fn reported(&self, event: &str, take: impl Fn(&Value) -> Option<String>) -> Vec<String> {
        self.events.iter().filter(|e| e["method"] == event).filter_map(|e| take(&e["params"])).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when its pipe is closed; whatever it still does then is of no interest.
        drop(self.to.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Longer than a busy host takes for anything asked here.
const PATIENCE: Duration = Duration::from_secs(120);
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
];
