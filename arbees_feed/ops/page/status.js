// The status page. It only reads. What venues wrote (titles, reasons) is set as text, never as markup.
//
//   /events     the status once a second, with the prices of the markets in the table
//   /markets    a search
//   /market/ID  the ladder of the one market that is open, once a second
//
// The little charts are made of what this page has seen: the feed keeps no past for them.
"use strict";

const SILENCE_MS = 3500; // the feed speaks once a second
const REFUSED_AGAIN_MS = 10000;
const TYPING_MS = 250;
const POLL_MS = 1000;
const EXPLAIN_MS = 2000;
const UNTITLED_MS = 3000;
const UNTITLED_TRIES = 10;
const TREND_MS = 300000;
const TREND_LEAST_MS = 30000;
const TREND_HOLE_MS = 3500;
const TRENDS = 300;
const LOGGED = 20;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tone(element, value) {
  if (element.dataset.tone !== value) element.dataset.tone = value;
}

// -- numbers as text ------------------------------------------------------------------------------

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

const rate = (value) => (value === null ? "\u2013" : (value < 10 ? tenths : whole).format(value));
const size = (value) => (value < 10000 ? tenths : compact).format(value);
const of = (some, all) => `${whole.format(some)} of ${whole.format(all)}`;
const clock = (ms) => new Date(ms).toTimeString().slice(0, 8);

function dollars(value) {
  if (value === null) return "\u2013";
  return value.toFixed(4).replace(/0{1,2}$/, "");
}

function duration(seconds) {
  if (seconds === null) return "\u2013";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${whole.format(seconds * 1e6)} \u00b5s`;
  if (seconds < 1) return `${(seconds < 0.1 ? tenths : whole).format(seconds * 1e3)} ms`;
  return `${tenths.format(seconds)} s`;
}

function span(seconds) {
  if (seconds < 120) return `${whole.format(seconds)} s`;
  if (seconds < 7200) return `${whole.format(seconds / 60)} min`;
  if (seconds < 172800) return `${tenths.format(seconds / 3600)} h`;
  return `${tenths.format(seconds / 86400)} days`;
}

// -- trends ---------------------------------------------------------------------------------------

const trends = new Map(); // name -> [[ms, value], ...], the least recently used first

function remember(name, value) {
  const now = Date.now();
  const points = trends.get(name) || [];
  trends.delete(name);
  trends.set(name, points);
  if (trends.size > TRENDS) trends.delete(trends.keys().next().value);
  while (points.length && points[0][0] < now - TREND_MS) points.shift();
  const last = points[points.length - 1];
  if (value === null || (last && now - last[0] < POLL_MS / 2)) return;
  points.push([now, value]);
}

function trendLine(points, now) {
  const begin = Math.min(points[0][0], now - TREND_LEAST_MS);
  const values = points.map((point) => point[1]);
  const low = Math.min(...values);
  const range = Math.max(...values) - low;
  let before = -Infinity;
  return points
    .map(([at, value]) => {
      const x = (100 * (at - begin)) / (now - begin);
      const y = range ? 28 - (26 * (value - low)) / range : 15;
      const step = at - before > TREND_HOLE_MS ? "M" : "L";
      before = at;
      return `${step}${x.toFixed(2)} ${y.toFixed(2)}`;
    })
    .join("");
}

function newTrend() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "trend");
  svg.setAttribute("role", "img");
  return svg;
}

function drawTrend(svg, name, format) {
  const points = trends.get(name) || [];
  if (!svg.firstChild) {
    svg.setAttribute("viewBox", "0 0 100 30");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.append(document.createElementNS(SVG, "path"));
  }
  if (!points.length) {
    svg.firstChild.setAttribute("d", "");
    svg.setAttribute("aria-label", "nothing yet");
    return;
  }
  const now = Date.now();
  const [first, last] = [points[0], points[points.length - 1]];
  svg.firstChild.setAttribute("d", trendLine(points, now));
  const passed = span((now - first[0]) / 1000);
  svg.setAttribute("aria-label", `from ${format(first[1])} to ${format(last[1])} in ${passed}`);
}

function middle(price) {
  if (price.bid !== null && price.ask !== null) return (price.bid + price.ask) / 2;
  return null;
}

// -- the stream -----------------------------------------------------------------------------------

let stream = null;
let listed = [];
let heardMs = Date.now();
let isLost = false;
let again = 0;

function listen() {
  hangUp();
  if (document.hidden) return; // few may listen at a time: a page that nobody sees does not
  const query = listed.length ? `?markets=${listed.join(",")}` : "";
  stream = new EventSource(`/events${query}`);
  stream.addEventListener("status", (event) => heard(() => showStatus(JSON.parse(event.data))));
  stream.addEventListener("prices", (event) => heard(() => showPrices(JSON.parse(event.data))));
  stream.addEventListener("error", () => {
    // A browser tries again by itself, unless it was refused.
    if (stream.readyState === EventSource.CLOSED) again = setTimeout(listen, REFUSED_AGAIN_MS);
  });
}

function hangUp() {
  clearTimeout(again);
  if (stream) stream.close();
  stream = null;
}

function heard(show) {
  heardMs = Date.now();
  setLost(false);
  show();
}

function setLost(lost) {
  if (lost) {
    const refused = stream && stream.readyState === EventSource.CLOSED;
    const why = refused ? " It may be that too many pages are open: close some." : "";
    put(byId("lost"), `No word from the feed since ${clock(heardMs)}: what you see is old.${why}`);
  }
  if (lost === isLost) return;
  isLost = lost;
  byId("lost").hidden = !lost;
  document.body.classList.toggle("is-lost", lost);
  note("this page", lost ? "bad" : "good", lost ? "no word from the feed" : "hears the feed again");
}

function watchSilence() {
  if (document.hidden) return;
  const silent = Date.now() - heardMs > SILENCE_MS;
  if (silent) setLost(true);
  put(byId("link"), silent ? "" : ` \u00b7 as of ${clock(heardMs)}`);
}

// -- venues ---------------------------------------------------------------------------------------

const TONES = { live: "good", connecting: "warn", stale: "bad", stopped: "bad" };
const cards = new Map();
const states = new Map();

function card(name) {
  if (cards.has(name)) return cards.get(name);
  const made = {
    root: make("article", { className: "card" }),
    state: make("span", { className: "pill" }),
    reason: make("p", { className: "reason" }),
    rates: make("div", { className: "rates" }),
    facts: make("dl"),
    parts: new Map(),
  };
  const title = make("h3", { textContent: name, id: `venue-${name}` });
  made.root.setAttribute("aria-labelledby", title.id);
  const head = make("div", { className: "head" }, title, made.state);
  made.root.append(head, made.reason, made.rates, made.facts);
  byId("venues").append(made.root);
  cards.set(name, made);
  return made;
}

function setState(made, name, state, how, reason) {
  put(made.state, state);
  tone(made.state, how);
  tone(made.root, how);
  put(made.reason, reason);
  const before = states.get(name);
  states.set(name, state);
  if (before !== undefined && before !== state) {
    note(name, how, reason ? `${state}: ${reason}` : state);
  }
}

function setRate(made, name, what, value) {
  let part = made.parts.get(what);
  if (!part) {
    part = { number: make("strong"), trend: newTrend() };
    const label = make("span", { textContent: what });
    made.rates.append(make("div", {}, part.number, label, part.trend));
    made.parts.set(what, part);
  }
  put(part.number, rate(value));
  remember(`${name} ${what}`, value);
  drawTrend(part.trend, `${name} ${what}`, rate);
}

function setFact(made, what, text) {
  let part = made.parts.get(what);
  if (!part) {
    part = make("dd");
    made.facts.append(make("dt", { textContent: what }), part);
    made.parts.set(what, part);
  }
  put(part, text);
}

function showVenue(venue) {
  const made = card(venue.venue);
  setState(made, venue.venue, venue.state, TONES[venue.state] || "warn", venue.reason);
  setRate(made, venue.venue, "frames/s", venue.frames_per_s);
  setRate(made, venue.venue, "prices/s", venue.prices_per_s);
  setFact(made, "connections open", of(venue.connections, venue.connections_wanted));
  setFact(made, "books in step", of(venue.books, venue.books_wanted));
  setFact(made, "markets live", of(venue.markets_live, venue.markets));
  const share = `${(100 * venue.audit_ratio).toFixed(2)} % of ${whole.format(venue.audited)}`;
  setFact(made, "audit agreed", venue.audited ? share : "nothing yet");
  const offset = venue.clock_offset_s;
  setFact(made, "its clock", offset === null ? "not known" : `${offset.toFixed(2)} s off ours`);
  setFact(made, "data older than at best", duration(venue.age_growth_s));
}

function showRedis(redis) {
  const made = card("redis");
  const state = redis.connected ? (redis.problem ? "trouble" : "connected") : "away";
  setState(made, "redis", state, { connected: "good", trouble: "warn" }[state] || "bad", redis.problem);
  setRate(made, "redis", "published/s", redis.published_per_s);
  setRate(made, "redis", "kB/s", redis.bytes_per_s === null ? null : redis.bytes_per_s / 1000);
  setFact(made, "markets waiting", whole.format(redis.waiting));
  setFact(made, "commands unanswered", whole.format(redis.unanswered));
  setFact(made, "prices conflated", whole.format(redis.conflated));
  setFact(made, "errors", whole.format(redis.errors));
}

function showStatus(status) {
  put(byId("ready"), status.ready ? "ready" : "not ready");
  tone(byId("ready"), status.ready ? "good" : "bad");
  put(byId("missing"), status.ready ? "" : `missing: ${Object.keys(status.missing).join(", ")}`);
  put(byId("uptime"), ` \u00b7 up ${span(status.uptime_s)}`);
  for (const venue of status.venues) showVenue(venue);
  showRedis(status.redis);
  showDelays(status.delays);
  showIncidents(status.venues);
}

// -- latency and incidents ------------------------------------------------------------------------

function rows(body, count, width, head = true) {
  while (body.rows.length > count) body.deleteRow(-1);
  while (body.rows.length < count) {
    const row = body.insertRow();
    for (let cell = 0; cell < width; cell += 1) {
      const isHead = head && cell === 0;
      row.append(make(isHead ? "th" : "td", isHead ? { scope: "row" } : { className: "number" }));
    }
  }
  return [...body.rows];
}

function showDelays(delays) {
  const seconds = Math.max(...delays.map((delay) => delay.window_s));
  put(byId("window"), seconds ? `Over the last ${span(seconds)}` : "Since the start of the feed");
  rows(byId("delays").tBodies[0], delays.length, 5).forEach((row, number) => {
    const delay = delays[number];
    const texts = [delay.what, ...[delay.p50_s, delay.p95_s, delay.p99_s].map(duration)];
    [...texts, whole.format(delay.count)].forEach((text, cell) => put(row.cells[cell], text));
    row.cells[4].className = "number count";
  });
}

function showIncidents(venues) {
  const table = byId("incidents");
  const head = table.tHead.rows[0];
  if (head.cells.length !== venues.length + 1) {
    head.replaceChildren(make("td"));
    for (const venue of venues) {
      head.append(make("th", { scope: "col", className: "number", textContent: venue.venue }));
    }
    table.tBodies[0].replaceChildren();
  }
  const kinds = [...new Set(venues.flatMap((venue) => Object.keys(venue.incidents)))];
  rows(table.tBodies[0], kinds.length, venues.length + 1).forEach((row, number) => {
    put(row.cells[0], kinds[number]);
    venues.forEach((venue, cell) => {
      put(row.cells[cell + 1], whole.format(venue.incidents[kinds[number]] || 0));
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

function note(who, how, text) {
  const at = make("time", { textContent: clock(Date.now()) });
  const pill = make("span", { className: "pill", textContent: who });
  tone(pill, how);
  byId("log").prepend(make("li", {}, at, pill, text));
  while (byId("log").children.length > LOGGED) byId("log").lastChild.remove();
}

// -- markets --------------------------------------------------------------------------------------

const shownRows = new Map();
let searching = null;
let typing = 0;
let untitled = 0;

function standing(price) {
  if (price.status === "unknown") return ["not followed", "warn"];
  if (price.status === "unpriced") return ["no price yet", "warn"];
  if (price.status === "closed") return ["closed", "warn"];
  if (price.status !== "live") return [price.status, "bad"];
  if (price.state === "live" || price.state === "quiet") return [price.state, "good"];
  return [`live, ${price.state}`, "warn"];
}

function titleOf(hit) {
  const title = hit.title || hit.market;
  const says = hit.subtitle && !/^(yes|no)$/i.test(hit.subtitle) && !title.includes(hit.subtitle);
  return says ? `${title}: ${hit.subtitle}` : title;
}

function newRow(hit) {
  const button = make("button", { type: "button", textContent: titleOf(hit) });
  button.addEventListener("click", () => openMarket(hit));
  const about = make("small", { textContent: `${hit.venue} \u00b7 ${hit.market}`, title: hit.market });
  const made = {
    row: make("tr"),
    bid: make("td", { className: "number" }),
    ask: make("td", { className: "number" }),
    last: make("td", { className: "number last" }),
    status: make("span", { className: "pill" }),
    trend: newTrend(),
  };
  made.row.append(
    make("th", { scope: "row" }, button, about),
    made.bid,
    made.ask,
    made.last,
    make("td", {}, made.status),
    make("td", { className: "trend" }, made.trend),
  );
  for (const cell of [made.bid, made.ask]) {
    cell.append(make("span"), make("small"));
    cell.addEventListener("animationend", () => cell.classList.remove("up", "down"));
  }
  made.row.dataset.market = hit.market;
  return made;
}

function showSide(cell, price, amount) {
  const [number, small] = cell.children;
  const before = Number(number.dataset.value);
  if (price !== null && before && before !== price) {
    cell.classList.remove("up", "down");
    cell.classList.add(price > before ? "up" : "down");
  }
  number.dataset.value = price === null ? "" : price;
  put(number, dollars(price));
  put(small, price === null ? "" : size(amount));
}

function showPrice(made, price) {
  showSide(made.bid, price.bid, price.bid_size);
  showSide(made.ask, price.ask, price.ask_size);
  put(made.last, dollars(price.last));
  const [text, how] = standing(price);
  put(made.status, text);
  tone(made.status, how);
  tone(made.row, how);
  remember(price.market, middle(price));
  drawTrend(made.trend, price.market, dollars);
}

function showPrices(prices) {
  for (const price of prices) {
    const made = shownRows.get(price.market);
    if (made) showPrice(made, price);
  }
}

function showHits(found, text) {
  const focused = document.activeElement.closest("#hits tr");
  shownRows.clear();
  const made = found.hits.map((hit) => {
    const row = newRow(hit);
    shownRows.set(hit.market, row);
    showPrice(row, hit.price);
    if (open && open.market === hit.market) {
      row.row.setAttribute("aria-current", "true");
      describe(hit);
    }
    return row.row;
  });
  byId("hits").replaceChildren(...made);
  byId("table").hidden = !made.length;
  if (focused) shownRows.get(focused.dataset.market)?.row.querySelector("button").focus();
  const count = made.length === 1 ? "1 market" : `${made.length} markets`;
  const what = text ? `${count} found` : `${count}, the most traded`;
  const note = found.note ? `${count}: ${found.note}` : what;
  put(byId("found"), made.length ? note : found.note || "no market has these words");
  const markets = found.hits.map((hit) => hit.market);
  if (markets.join() !== listed.join()) {
    listed = markets;
    listen();
  }
}

async function find(text, limit, signal) {
  const query = new URLSearchParams({ q: text, limit });
  const answer = await fetch(`/markets?${query}`, { signal });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

// A feed that has just started does not know its markets, or not their titles.
function searchAgain(found) {
  untitled += 1;
  const waiting = !found.hits.length || found.hits.some((hit) => !hit.title);
  if (waiting && untitled <= UNTITLED_TRIES) typing = setTimeout(search, UNTITLED_MS);
}

async function search() {
  clearTimeout(typing);
  if (searching) searching.abort();
  const mine = (searching = new AbortController());
  const text = byId("q").value.trim();
  try {
    const found = await find(text, 25, mine.signal);
    if (mine !== searching) return;
    showHits(found, text);
    searchAgain(found);
  } catch (error) {
    if (mine === searching) put(byId("found"), `the search failed: ${error.message}`);
  }
}

// -- one market -----------------------------------------------------------------------------------

let open = null;
let asking = false;
let explainedMs = 0;
let titleDueMs = 0;

function describe(hit) {
  put(byId("market-title"), titleOf(hit));
  put(byId("market-about"), hit.event && hit.event !== hit.title ? hit.event : "");
  put(byId("market-id"), `${hit.venue} \u00b7 ${hit.market}`);
}

function openMarket(hit) {
  open = hit;
  explainedMs = 0;
  describe(hit);
  byId("explain").href = `/explain/${encodeURIComponent(hit.market)}`;
  byId("because").replaceChildren();
  byId("levels").replaceChildren();
  byId("market").hidden = false;
  for (const [market, made] of shownRows) {
    if (market === hit.market) made.row.setAttribute("aria-current", "true");
    else made.row.removeAttribute("aria-current");
  }
  history.replaceState(null, "", `#market=${hit.market}`);
  byId("market-title").focus();
  pollMarket();
}

function closeMarket() {
  const closed = open;
  open = null;
  byId("market").hidden = true;
  for (const made of shownRows.values()) made.row.removeAttribute("aria-current");
  history.replaceState(null, "", location.pathname + location.search);
  const back = shownRows.get(closed.market);
  (back ? back.row.querySelector("button") : byId("q")).focus();
}

async function pollMarket() {
  if (!open || asking || document.hidden) return;
  const hit = open;
  asking = true;
  try {
    if (hit.price.status === "unknown") {
      showNoLadder("This market is not followed: the explanation says why, and what to do.");
    } else {
      const answer = await fetch(`/market/${encodeURIComponent(hit.market)}`);
      const told = await answer.json();
      if (hit === open) answer.ok ? showMarket(told) : showNoLadder(told.error);
      if (hit === open) await explain(hit);
      if (hit === open) await learnTitle(hit);
    }
  } catch {
    // The silence of the stream tells it.
  } finally {
    asking = false;
  }
}

function showMarket(told) {
  remember(told.price.market, middle(told.price));
  drawTrend(byId("market-trend"), told.price.market, dollars);
  put(byId("market-doubt"), told.doubt ? `in doubt: ${told.doubt}` : "");
  const count = Math.max(told.bids.length, told.asks.length);
  if (told.book !== "live" || !count) {
    const only = "Its full book is not followed: bid and ask are those that the venue tells.";
    const why = { none: only, empty: "Its book has not come yet.", lost: "Its book is out of step." };
    showNoLadder(why[told.book] || "Nobody offers anything.");
    return;
  }
  byId("no-ladder").hidden = true;
  byId("ladder").hidden = false;
  showLevels(told, count);
}

function showLevels(told, count) {
  const largest = Math.max(...[...told.bids, ...told.asks].map((level) => level[1]));
  rows(byId("levels"), count, 4, false).forEach((row, number) => {
    const [bid, ask] = [told.bids[number], told.asks[number]];
    const [bidSize, bidPrice, askPrice, askSize] = row.cells;
    showLevel(bidSize, bidPrice, bid, largest, "number bid");
    showLevel(askSize, askPrice, ask, largest, "number ask");
  });
}

function showLevel(amount, price, level, largest, name) {
  amount.className = name;
  amount.style.setProperty("--share", level ? `${(100 * level[1]) / largest}%` : "0%");
  put(amount, level ? size(level[1]) : "");
  put(price, level ? dollars(level[0]) : "");
}

function showNoLadder(text) {
  byId("ladder").hidden = true;
  byId("no-ladder").hidden = false;
  put(byId("no-ladder"), text);
}

async function explain(hit) {
  if (!byId("why").open || Date.now() - explainedMs < EXPLAIN_MS) return;
  explainedMs = Date.now();
  const answer = await fetch(`/explain/${encodeURIComponent(hit.market)}`);
  const told = await answer.json();
  if (hit !== open) return;
  const sentences = told.because || [told.error];
  byId("because").replaceChildren(...sentences.map((text) => make("li", { textContent: text })));
}

async function learnTitle(hit) {
  if (hit.title || Date.now() < titleDueMs) return;
  titleDueMs = Date.now() + UNTITLED_MS;
  const [known] = (await find(hit.market, 1)).hits;
  if (hit !== open || !known) return;
  Object.assign(hit, known);
  describe(hit);
}

async function openFromAddress() {
  const market = new URLSearchParams(location.hash.slice(1)).get("market");
  if (!market) return;
  const found = await find(market, 1);
  const hit = found.hits.find((one) => one.market === market);
  if (hit) openMarket(hit);
}

// -- begin ----------------------------------------------------------------------------------------

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  untitled = 0;
  search();
});
byId("q").addEventListener("input", () => {
  clearTimeout(typing);
  untitled = 0;
  typing = setTimeout(search, TYPING_MS);
});
byId("close").addEventListener("click", closeMarket);
byId("market").addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeMarket();
});
byId("why").addEventListener("toggle", () => {
  explainedMs = 0;
  pollMarket();
});
document.addEventListener("visibilitychange", () => {
  heardMs = Date.now();
  if (document.hidden) hangUp();
  else listen();
});
setInterval(watchSilence, 500);
setInterval(pollMarket, POLL_MS);
listen();
search().then(openFromAddress).catch(() => {});
