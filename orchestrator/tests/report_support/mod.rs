//! What the tests of pages share: made-up runs, a reader of HTML that is strict, and a browser.
#![allow(dead_code, reason = "every test file takes what it needs")]

pub(crate) mod browser;
pub(crate) mod html;
pub(crate) mod made_up;
#[path = "../tools/mod.rs"]
mod tools;
