//! The live page: the pictures of `report.html` while the run goes on.
//!
//! | path | answers |
//! |---|---|
//! | `/` | the page, with the pictures as they are now |
//! | `/now` | its inside, as JSON: `title`, `head` and `main` |
//! | `/live.js` | the script that asks for `/now` and puts it in place |
//!
//! Pictures are made from the run directory by the code of the report, on a thread beside the run, and only when somebody asks.
//! What was made is shown to all until it is a second old and ten times as old as it took to make: watching costs at most a
//! tenth of one core, however large the run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tokio::sync::Mutex;

use super::Board;
use crate::report::html::{self, Drawn};

/// The page and what it needs.
pub(super) fn routes(board: Board) -> Router {
    let state = Live { board, made: Arc::default() };
    Router::new().route("/", get(page)).route("/now", get(now)).route("/live.js", get(script)).with_state(state)
}

#[derive(Clone, Debug)]
struct Live {
    board: Board,
    /// Held while pictures are made, so that nobody makes the same ones at the same time.
    made: Arc<Mutex<Option<Made>>>,
}

/// Pictures that were made.
#[derive(Clone, Debug)]
struct Made {
    at: Instant,
    took: Duration,
    drawn: Arc<Drawn>,
}

impl Live {
    async fn drawn(&self) -> Option<Arc<Drawn>> {
        self.board.attend().await;
        let mut made = self.made.lock().await;
        if let Some(made) = made.as_ref()
            && made.at.elapsed() < (made.took * REST_FOLD).max(FRESH)
        {
            return Some(Arc::clone(&made.drawn));
        }
        let (results, directory) = self.board.picture()?;
        let began = Instant::now();
        let drawn = tokio::task::spawn_blocking(move || html::live(&results, &directory)).await.ok()?;
        let drawn = Arc::new(drawn);
        *made = Some(Made { at: Instant::now(), took: began.elapsed(), drawn: Arc::clone(&drawn) });
        Some(drawn)
    }
}

async fn page(State(live): State<Live>) -> Response {
    Html(html::live_page(&live.drawn().await.unwrap_or_default())).into_response()
}

async fn now(State(live): State<Live>) -> Response {
    match live.drawn().await {
        Some(drawn) => Json(json!({ "title": drawn.title, "head": drawn.head, "main": drawn.main })).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no run has begun yet\n").into_response(),
    }
}

async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

const SCRIPT: &str = include_str!("live.js");
/// Pictures are at least this old before others are made; samples come once a second.
const FRESH: Duration = Duration::from_secs(1);
/// And so many times as old as it took to make them.
const REST_FOLD: u32 = 10;
