// Puts new pictures in the place of the old ones as the run goes on. Only the element that has the focus stays as it is, so that
// whoever reads with the keyboard is not thrown out; everything around it is replaced. What the reader has unfolded stays
// unfolded and what was scrolled stays scrolled, both by name and not by number, since figures come and go. Needs nothing from
// outside; without it the page shows the moment at which it was opened.
'use strict';
const EVERY_MS = 1000;
// A host that is busy may take this long to answer once.
const ANSWER_MS = 30000;
// So many questions in a row without an answer, and the run is taken to have ended; it is still asked for, more rarely.
const UNANSWERED_MAX = 8;
const AFTERWARDS_MS = 5000;
const state = document.getElementById('live-state');
let shown = '';
let unanswered = 0;

function say(words, kind) {
  if (state.textContent === words) return;
  state.textContent = words;
  state.className = 'badge ' + kind;
}

// What tells an element from its siblings in any two versions of the page.
function name(it) {
  const own = it.id || it.getAttribute('aria-labelledby') || it.getAttribute('href');
  if (own) return own;
  if (it.localName === 'details') return it.firstElementChild.textContent;
  const alike = [...it.parentElement?.children ?? []].filter(other => other.localName === it.localName && !other.id);
  return `${it.localName} ${alike.indexOf(it)}`;
}

// The name of an element within `place`, with those of what it lies in.
function path(it, place) {
  const names = [];
  for (; it && it !== place; it = it.parentElement) names.unshift(name(it));
  return names.join('\n');
}

// Makes the children of `place` those of `fresh`, around the one that is or holds `focus`.
function replace(place, fresh, focus) {
  const kept = [...place.children].find(child => child.contains(focus));
  const twin = kept && [...fresh.children].find(child => name(child) === name(kept));
  if (!twin) {
    place.replaceChildren(...fresh.childNodes);
    return;
  }
  const nodes = [...fresh.childNodes];
  const at = nodes.indexOf(twin);
  if (kept !== focus) replace(kept, twin, focus);
  [...place.childNodes].filter(node => node !== kept).forEach(node => node.remove());
  kept.before(...nodes.slice(0, at));
  kept.after(...nodes.slice(at + 1));
}

function updatePart(id, html) {
  const place = document.getElementById(id);
  const open = new Set([...place.querySelectorAll('details[open]')].map(it => path(it, place)));
  const moved = [...place.querySelectorAll('.scroll, .drawing, pre')].filter(it => it.scrollTop || it.scrollLeft);
  const scrolled = new Map(moved.map(it => [path(it, place), [it.scrollTop, it.scrollLeft]]));
  const fresh = document.createElement(place.localName);
  fresh.innerHTML = html;
  replace(place, fresh, place.contains(document.activeElement) ? document.activeElement : null);
  place.querySelectorAll('details').forEach(it => { it.open = open.has(path(it, place)); });
  if (scrolled.size === 0) return;
  place.querySelectorAll('.scroll, .drawing, pre').forEach(it => {
    const [top, left] = scrolled.get(path(it, place)) ?? [0, 0];
    it.scrollTop = top;
    it.scrollLeft = left;
  });
}

function show(text) {
  if (text === shown || document.hidden) return;
  const now = JSON.parse(text);
  document.title = now.title + ' · live';
  updatePart('head', now.head);
  updatePart('main', now.main);
  shown = text;
  document.body.dataset.updates = String(Number(document.body.dataset.updates || 0) + 1);
}

async function update() {
  try {
    const answer = await fetch('/now', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.ok) {
      show(await answer.text());
      say('live', 'good');
    } else {
      say('no run has begun yet', 'doubtful');
    }
    unanswered = 0;
  } catch {
    unanswered += 1;
    const ended = 'no answer: the run seems to have ended; report.html in its directory has everything';
    say(unanswered < UNANSWERED_MAX ? 'no answer; asking again' : ended, 'doubtful');
  }
  setTimeout(update, unanswered < UNANSWERED_MAX ? EVERY_MS : AFTERWARDS_MS);
}

update();
