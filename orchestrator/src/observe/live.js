// Puts new pictures in the place of the old ones as the run goes on. What the reader has unfolded stays unfolded, and the page
// stays where it was scrolled to. Needs nothing from outside; without it the page shows the moment at which it was opened.
'use strict';
const EVERY_MS = 1000;
const state = document.getElementById('live-state');
let shown = '';

function say(words, kind) {
  state.textContent = words;
  state.className = 'badge ' + kind;
}

function replace(id, html) {
  const place = document.getElementById(id);
  const open = [...place.querySelectorAll('details')].map(it => it.open);
  const focused = place.contains(document.activeElement);
  if (focused) return; // Whoever reads a table with the keyboard is not thrown out of it.
  place.innerHTML = html;
  place.querySelectorAll('details').forEach((it, n) => { it.open = open[n] === true; });
}

async function update() {
  let answer;
  try {
    answer = await fetch('/now', { cache: 'no-store' });
  } catch {
    say('the run has ended; report.html in its directory has everything', 'doubtful');
    return;
  }
  if (answer.ok) {
    const text = await answer.text();
    if (text !== shown && !document.hidden) {
      shown = text;
      const now = JSON.parse(text);
      document.title = now.title + ' · live';
      replace('head', now.head);
      replace('main', now.main);
      document.body.dataset.updates = String(Number(document.body.dataset.updates || 0) + 1);
    }
    say('live', 'good');
  }
  setTimeout(update, EVERY_MS);
}

update();
