//! The port itself: what answers on it, and where scrapers are sent.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};

use super::{Board, Target, live, text};

/// Takes `address` for these pages, and says which it is: port 0 is any free one.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn listen(address: SocketAddr, pages: Pages) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let what = pages.what();
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot serve {what} on {address}"))?;
    let taken = listener.local_addr().with_context(|| format!("asking for the port of {what}"))?;
    Ok((listener, taken))
}

/// Answers on `listener` until the future is dropped.
///
/// # Errors
///
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, board: Board, pages: Pages) -> anyhow::Result<()> {
    let address = listener.local_addr().with_context(|| format!("asking for the port of {}", pages.what()))?;
    let routes = match pages {
        Pages::Metrics => {
            let state = Serving { board, address, asking: Arc::new(Semaphore::new(ASKING_MAX)) };
            Router::new()
                .route("/sd", get(targets))
                .route("/metrics", get(run))
                .route("/peers/{name}/metrics", get(peer))
                .with_state(state)
        }
        Pages::Live => live::routes(board),
    };
    axum::serve(listener, routes).await.with_context(|| format!("serving {}", pages.what()))
}

/// What is served on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// What Prometheus wants.
    Metrics,
    /// The live page.
    Live,
}

impl Pages {
    fn what(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Live => "the live page",
        }
    }
}

#[derive(Clone, Debug)]
struct Serving {
    board: Board,
    address: SocketAddr,
    /// Places for scrapes of peers at once; others wait their turn, or until their scraper gives up.
    asking: Arc<Semaphore>,
}

async fn targets(State(serving): State<Serving>, headers: HeaderMap) -> Json<Value> {
    let shown = serving.board.lock().clone();
    let address = target(serving.address, headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    let target = |labels: Value| json!({ "targets": [address], "labels": labels });
    let mut all = vec![target(json!({ "__metrics_path__": "/metrics", "run": shown.run, "part": "run" }))];
    all.extend(shown.peers.iter().map(|peer| {
        let Target { name, group, class, .. } = peer;
        let path = format!("/peers/{name}/metrics");
        let labels = json!({ "__metrics_path__": path, "run": shown.run, "part": "peer", "peer": name, "group": group,
            "class": class });
        target(labels)
    }));
    Json(Value::Array(all))
}

/// Where whoever asked reaches this port: an address that stands for all of this host's says nothing to others, and the one
/// that they asked has just worked.
fn target(bound: SocketAddr, host: Option<&str>) -> String {
    match host {
        Some(host) if bound.ip().is_unspecified() && !host.is_empty() => {
            // Without a port the usual one was meant. The last colon of an address in brackets is none before a port.
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            if has_port { host.to_owned() } else { format!("{host}:80") }
        }
        _ => bound.to_string(),
    }
}

async fn run(State(serving): State<Serving>) -> Response {
    let shown = serving.board.lock().clone();
    serving.board.scrapes.send_modify(|scrapes| scrapes.run += 1);
    prometheus(text::of(&shown))
}

async fn peer(State(serving): State<Serving>, Path(name): Path<String>) -> Response {
    let control = serving.board.lock().peers.iter().find(|peer| peer.name == name).map(|peer| peer.control.clone());
    let Some(control) = control else {
        return (StatusCode::NOT_FOUND, format!("there is no peer {name}\n")).into_response();
    };
    serving.board.scrapes.send_modify(|scrapes| scrapes.peers += 1);
    let Ok(_place) = serving.asking.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match control.metrics().await {
        Ok(text) => prometheus(text),
        // A peer that crashed, or was never there, is down to Prometheus, as it should be.
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}

fn prometheus(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Peers asked at once. A scrape takes a peer half a millisecond; more at once would only crowd them.
const ASKING_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_is_refused_by_what_was_to_be_served_there() {
        let (_held, address) = listen(SocketAddr::from(([127, 0, 0, 1], 0)), Pages::Metrics).await.unwrap();
        for (pages, words) in
            [(Pages::Metrics, "cannot serve metrics on "), (Pages::Live, "cannot serve the live page on ")]
        {
            let error = listen(address, pages).await.unwrap_err().to_string();
            assert_eq!(error, format!("{words}{address}"));
        }
    }

    #[test]
    fn targets_are_where_the_scraper_itself_has_asked() {
        let [bound, all, all_6]: [SocketAddr; 3] =
            ["127.0.0.1:9464", "0.0.0.0:9464", "[::]:9464"].map(|text| text.parse().unwrap());
        for (address, host, expected) in [
            (bound, Some("box.example:9464"), "127.0.0.1:9464"),
            (all, Some("box.example:9464"), "box.example:9464"),
            (all, Some("box.example"), "box.example:80"),
            (all_6, Some("[2001:db8::1]:9464"), "[2001:db8::1]:9464"),
            (all_6, Some("[2001:db8::1]"), "[2001:db8::1]:80"),
            (all, None, "0.0.0.0:9464"),
        ] {
            assert_eq!(target(address, host), expected, "{address} {host:?}");
        }
    }
}
