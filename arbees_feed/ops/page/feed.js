// The feed as a whole: is all well, venues, Redis, latency, incidents, changes of state.

import { byId, draw, make, put, rows, tone } from "./dom.js";
import { NONE, duration, moment, of, rate, span, whole } from "./format.js";
import { drawTrend, newTrend, remember } from "./trends.js";

const TONES = {
  live: "good", connecting: "warn", stale: "bad", stopped: "bad",
  connected: "good", trouble: "bad", away: "bad",
  matching: "warn", silent: "bad",
};
const MARKS = { good: "\u2713", warn: "!", bad: "\u25b2" };
const AUDIT_LEAST = 0.98;
const AGE_MOST_S = 2;
const CLOCK_MOST_S = 5;
const PAIRS_LATE_S = 5; // its matcher speaks once a second, and is asked every two

export function showStatus(status) {
  showVerdict(status);
  put(byId("uptime"), ` \u00b7 up ${span(status.uptime_s)}`);
  for (const venue of status.venues) showVenue(venue, status.at_ns);
  showRedis(status.redis, status.at_ns);
  if (status.pairs) showPairs(status.pairs, status.at_ns);
  removeOthers([...status.venues.map((venue) => venue.venue), "redis", status.pairs && "pairs"]);
  showDelays(status.delays);
  showIncidents(status.venues);
  showChanges(status.changes);
}

// -- is all well ----------------------------------------------------------------------------------

function total(venues, what) {
  return venues.reduce((sum, venue) => sum + venue[what], 0);
}

function showVerdict(status) {
  const { tone: how, headline, findings } = status.verdict;
  tone(byId("verdict"), how);
  put(byId("headline"), headline);
  put(byId("spoken"), headline);
  const live = of(total(status.venues, "markets_live"), total(status.venues, "markets"));
  const published = rate(status.redis.published_per_s);
  const flow = `readers get ${published} prices a second`;
  put(byId("summary"), `${live} markets have a live price; ${flow}.`);
  title(`${MARKS[how]} ${headline}`);
  showFindings(findings);
}

export function title(text) {
  const whole = `${text} \u00b7 arbees-feed`;
  if (document.title !== whole) document.title = whole;
}

function showFindings(findings) {
  const list = byId("findings");
  while (list.children.length > findings.length) list.lastChild.remove();
  while (list.children.length < findings.length) list.append(newFinding());
  findings.forEach((finding, number) => {
    const item = list.children[number];
    const [who, what, todo, runbook] = item.children;
    tone(item, finding.tone);
    put(who, finding.who);
    put(what, finding.what);
    put(todo, finding.do);
    put(runbook, `docs/operations.md: ${finding.runbook}`);
  });
}

function newFinding() {
  return make(
    "li", {},
    make("strong"), make("bdi"), make("span", { className: "do" }), make("small"),
  );
}

// -- venues, Redis and pairs ----------------------------------------------------------------------

const cards = new Map();

function card(name) {
  if (cards.has(name)) return cards.get(name);
  const made = {
    root: make("article", { className: "card" }),
    state: make("span", { className: "pill" }),
    since: make("span", { className: "since" }),
    reason: make("p", { className: "reason" }),
    rates: make("div", { className: "rates" }),
    facts: make("dl"),
    parts: new Map(),
  };
  const name3 = make("h3", { textContent: name, id: `venue-${name}` });
  made.root.setAttribute("aria-labelledby", name3.id);
  const head = make("div", { className: "head" }, name3, made.since, made.state);
  made.root.append(head, made.reason, made.rates, made.facts);
  byId("venues").append(made.root);
  cards.set(name, made);
  return made;
}

// Another run of the feed may have other venues; the matcher of pairs comes and goes.
function removeOthers(names) {
  for (const [name, made] of cards) {
    if (names.includes(name)) continue;
    made.root.remove();
    cards.delete(name);
  }
}

function setState(made, state, now, atNs) {
  const how = TONES[state] || "warn";
  put(made.state, state);
  tone(made.state, how);
  tone(made.root, how);
  put(made.reason, now.reason ?? now.problem);
  put(made.since, now.since_ns ? `for ${span(Math.max(0, atNs - now.since_ns) / 1e9)}` : "");
}

function setRate(made, name, what, value) {
  let part = made.parts.get(what);
  if (!part) {
    part = { number: make("strong"), trend: newTrend() };
    const label = make("span", { textContent: what });
    made.rates.append(make("div", {}, make("p", {}, part.number, label), part.trend));
    made.parts.set(what, part);
  }
  put(part.number, rate(value));
  remember(`${name} ${what}`, value);
  drawTrend(part.trend, `${name} ${what}`, rate, true);
}

function setFact(made, what, text, isGood = true) {
  let part = made.parts.get(what);
  if (!part) {
    part = make("dd");
    made.facts.append(make("div", {}, make("dt", { textContent: what }), part));
    made.parts.set(what, part);
  }
  put(part, text);
  tone(part, isGood ? "good" : "warn");
}

const setShare = (made, what, some, all) => setFact(made, what, of(some, all), some >= all);

function showVenue(venue, atNs) {
  const made = card(venue.venue);
  setState(made, venue.state, venue, atNs);
  setRate(made, venue.venue, "frames/s", venue.frames_per_s);
  setRate(made, venue.venue, "prices/s", venue.prices_per_s);
  setShare(made, "connections", venue.connections, venue.connections_wanted);
  setShare(made, "books in step", venue.books, venue.books_wanted);
  setShare(made, "markets live", venue.markets_live, venue.markets);
  // Rounded down: only if all agreed is it 100 %.
  const share = `${Math.floor(10000 * venue.audit_ratio) / 100} % of ${whole.format(venue.audited)}`;
  const agreed = !venue.audited || venue.audit_ratio >= AUDIT_LEAST;
  setFact(made, "audit agreed", venue.audited ? share : "nothing yet", agreed);
  const offset = venue.clock_offset_s;
  const onTime = offset === null || Math.abs(offset) <= CLOCK_MOST_S;
  setFact(made, "its clock", offset === null ? NONE : `${signed(offset)} s`, onTime);
  const age = venue.age_growth_s;
  setFact(made, "data late by", duration(age), age <= AGE_MOST_S);
}

function signed(seconds) {
  return `${seconds < 0 ? "\u2212" : "+"}${Math.abs(seconds).toFixed(2)}`;
}

function showRedis(redis, atNs) {
  const made = card("redis");
  setState(made, redis.state, redis, atNs);
  setRate(made, "redis", "published/s", redis.published_per_s);
  setRate(made, "redis", "kB/s", redis.bytes_per_s === null ? null : redis.bytes_per_s / 1000);
  setFact(made, "waiting", whole.format(redis.waiting), redis.connected);
  setFact(made, "unanswered", whole.format(redis.unanswered));
  setFact(made, "conflated", whole.format(redis.conflated));
  setFact(made, "errors", whole.format(redis.errors), !redis.errors);
}

function showPairs(pairs, atNs) {
  const made = card("pairs");
  setState(made, pairs.state, pairs, atNs);
  setFact(made, "both prices live", of(pairs.live, pairs.found), !pairs.reason);
  setFact(made, "mapped by hand", whole.format(pairs.mapped));
  setFact(made, "probable", whole.format(pairs.probable));
  setFact(made, "contradicted", whole.format(pairs.contradicted), !pairs.contradicted);
  setFact(made, "markets", whole.format(pairs.markets));
  setFact(made, "last word", `${span(pairs.age_s)} ago`, pairs.age_s < PAIRS_LATE_S);
}

// -- latency --------------------------------------------------------------------------------------

const FASTEST = -5; // powers of ten of a second: 10 µs to 10 s
const SLOWEST = 1;

function along(seconds) {
  const power = Math.log10(Math.max(seconds, 1e-9));
  const share = (power - FASTEST) / (SLOWEST - FASTEST);
  return (100 * Math.min(1, Math.max(0, share))).toFixed(1);
}

function showStrip(cell, delay) {
  if (!cell.firstChild) {
    cell.className = "strip";
    cell.ariaHidden = "true"; // the numbers beside it say the same
    const svg = draw("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none" });
    svg.append(...["axis", "most", "half"].map((name) => draw("line", { class: name })));
    cell.append(svg);
  }
  const [axis, most, half] = cell.firstChild.children;
  const known = delay.p50_s !== null && delay.p99_s !== null;
  place(axis, 0, 100);
  place(most, known ? along(delay.p50_s) : 0, known ? along(delay.p99_s) : 0);
  place(half, known ? along(delay.p50_s) : 0, known ? Number(along(delay.p50_s)) + 1.5 : 0);
}

function place(line, from, to) {
  for (const [name, value] of [["x1", from], ["x2", to], ["y1", 5], ["y2", 5]]) {
    line.setAttribute(name, value);
  }
}

function showDelays(delays) {
  const seconds = Math.max(...delays.map((delay) => delay.window_s));
  put(byId("window"), seconds ? `Over the last ${span(seconds)}` : "Since the start of the feed");
  rows(byId("delays").tBodies[0], delays.length, 6).forEach((row, number) => {
    const delay = delays[number];
    const texts = [delay.what, ...[delay.p50_s, delay.p95_s, delay.p99_s].map(duration)];
    texts.forEach((text, cell) => put(row.cells[cell], text));
    showStrip(row.cells[4], delay);
    put(row.cells[5], whole.format(delay.count));
    row.cells[5].className = "number count";
  });
}

// -- incidents and changes ------------------------------------------------------------------------

function showIncidents(venues) {
  const table = byId("incidents");
  const head = table.tHead.rows[0];
  const names = venues.map((venue) => venue.venue);
  if ([...head.cells].slice(1).map((cell) => cell.textContent).join() !== names.join()) {
    head.replaceChildren(make("td"));
    for (const name of names) {
      head.append(make("th", { scope: "col", className: "number", textContent: name }));
    }
    table.tBodies[0].replaceChildren();
  }
  const kinds = [...new Set(venues.flatMap((venue) => Object.keys(venue.incidents)))];
  rows(table.tBodies[0], kinds.length, venues.length + 1).forEach((row, number) => {
    put(row.cells[0], kinds[number]);
    venues.forEach((venue, cell) => {
      const count = venue.incidents[kinds[number]] || 0;
      put(row.cells[cell + 1], whole.format(count));
      row.cells[cell + 1].classList.toggle("some", count > 0);
    });
  });
  showProblems(venues);
}

function showProblems(venues) {
  const told = venues.flatMap((venue) =>
    Object.entries(venue.problems).map(([what, text]) => [`${venue.venue}, ${what}`, text]),
  );
  const list = byId("problems");
  while (list.children.length > 2 * told.length) list.lastChild.remove();
  while (list.children.length < 2 * told.length) list.append(make("dt"), make("dd"));
  told.flat().forEach((text, number) => put(list.children[number], text));
}

const NOTES = 20;
const notes = []; // what this page has to say itself, newest first
let shown = "";

export function note(state, how, reason) {
  notes.unshift({ who: "this page", state, how, reason, at_ns: Date.now() * 1e6 });
  notes.length = Math.min(notes.length, NOTES);
}

function showChanges(changes) {
  const all = [...changes, ...notes].sort((one, other) => other.at_ns - one.at_ns);
  const signature = all.map((change) => `${change.who} ${change.at_ns}`).join();
  if (signature === shown) return;
  shown = signature;
  byId("log").replaceChildren(...all.slice(0, NOTES).map(changeLine));
}

function changeLine(change) {
  const at = change.at_ns / 1e6;
  const time = make("time", { textContent: moment(at), dateTime: new Date(at).toISOString() });
  const pill = make("span", { className: "pill", textContent: change.state });
  tone(pill, change.how || TONES[change.state] || "warn");
  const who = make("strong", { textContent: change.who });
  return make("li", {}, time, who, " ", pill, " ", make("bdi", { textContent: change.reason }));
}
