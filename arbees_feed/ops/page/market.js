// The one market that is open: its ladder, and why its price is what it is.
//
//   /market/ID   once a second
//   /explain/ID  while somebody reads it
//
// The address names it, so that it can be passed on, and the way back closes it.

import { byId, make, put, rows, tone } from "./dom.js";
import { decimals, dollars, size } from "./format.js";
import { find, middle, standing, titleOf } from "./markets.js";
import { drawTrend, remember } from "./trends.js";

const POLL_MS = 1000;
const EXPLAIN_MS = 2000;
const UNTITLED_MS = 3000;
const SEEK_MS = 3000;
const SEEKS = 10; // after so many it is looked for more rarely
const SEEK_RARELY_MS = 60000;
const PATIENCE_MS = 5000;
const OPENED = "opened here";

let open = null;
let status = ""; // of its price, as the stream has told it
let asking = false;
let explainedMs = 0;
let titleDueMs = 0;
let sought = null; // the market of the address, until it is found
let seeks = 0;
let seekDueMs = 0;
let on = {};

// *on* has functions: opened (of a hit), closed (of a hit).
export function begin(handlers) {
  on = handlers;
  byId("close").addEventListener("click", close);
  byId("market").addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  byId("why").addEventListener("toggle", () => {
    explainedMs = 0;
    poll();
  });
  window.addEventListener("popstate", openFromAddress);
  setInterval(poll, POLL_MS);
}

export const isOpen = (market) => open !== null && open.market === market;
export const openMarket = () => open && open.market;

// -- opening and closing --------------------------------------------------------------------------

export function show(hit) {
  const entry = [`#market=${hit.market}`, open ? "replaceState" : "pushState"];
  if (!isOpen(hit.market)) history[entry[1]](open ? history.state : OPENED, "", entry[0]);
  display(hit);
  byId("market-title").focus();
}

function display(hit) {
  open = hit;
  sought = null;
  status = hit.price.status;
  explainedMs = 0;
  describe(hit);
  byId("explain").href = `/explain/${encodeURIComponent(hit.market)}`;
  byId("because").replaceChildren();
  byId("levels").replaceChildren();
  byId("market").hidden = false;
  showTop(hit.price);
  on.opened(hit);
  poll();
}

function close() {
  if (!open) return;
  if (history.state === OPENED) history.back();
  else history.replaceState(null, "", location.pathname + location.search);
  hide();
}

function hide() {
  const closed = open;
  open = sought = null;
  byId("market").hidden = true;
  if (closed) on.closed(closed);
}

export function openFromAddress() {
  const market = new URLSearchParams(location.hash.slice(1)).get("market");
  if (!market) hide();
  sought = market && !isOpen(market) ? market : null;
  [seeks, seekDueMs] = [0, 0];
  poll();
}

// A feed that has just started does not know all of its markets: one that is not there may come.
async function seek(market) {
  if (Date.now() < seekDueMs) return;
  seeks += 1;
  seekDueMs = Date.now() + (seeks <= SEEKS ? SEEK_MS : SEEK_RARELY_MS);
  const found = await find(market, 1);
  if (sought !== market) return; // somebody has gone elsewhere meanwhile
  const hit = found.hits.find((one) => one.market === market);
  if (hit) display(hit);
  else if (seeks === 1) put(byId("found"), `the market of the address is not known: ${market}`);
}

function describe(hit) {
  put(byId("market-title"), titleOf(hit));
  put(byId("market-about"), hit.event && hit.event !== hit.title ? hit.event : "");
  put(byId("market-id"), `${hit.venue} \u00b7 ${hit.market}`);
}

// A search has found it again, perhaps with its title.
export function foundAgain(hits) {
  const hit = hits.find((one) => isOpen(one.market));
  if (!hit) return;
  open = hit;
  describe(hit);
}

// -- what is known of it --------------------------------------------------------------------------

export function showPrices(prices) {
  const price = prices.find((one) => isOpen(one.market));
  if (!price) return;
  status = price.status;
  showTop(price);
}

function showTop(price) {
  const [text, how] = standing(price);
  put(byId("market-status"), text);
  tone(byId("market-status"), how);
  tone(byId("market"), how);
  const digits = decimals([price.bid, price.ask]);
  const spread = price.bid !== null && price.ask !== null ? price.ask - price.bid : null;
  const sides = `bid ${dollars(price.bid, digits)}, ask ${dollars(price.ask, digits)}`;
  const apart = spread === null ? "" : `, spread ${dollars(spread, digits)}`;
  put(byId("market-now"), price.status === "live" ? sides + apart : "do not act on it");
}

async function poll() {
  if (asking || document.hidden) return;
  const before = [sought, openMarket()];
  asking = true;
  try {
    if (sought) await seek(sought);
    if (open) await ask(open.market);
  } catch {
    // The silence of the stream tells it.
  } finally {
    asking = false;
  }
  // Another one was opened meanwhile: it does not wait for its second.
  if (before[0] !== sought || before[1] !== openMarket()) poll();
}

async function get(path) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(path, { signal: late.signal });
    return [answer.ok, await answer.json()];
  } finally {
    clearTimeout(timer);
  }
}

async function ask(market) {
  if (status === "unknown") {
    showNoLadder("This market is not followed: the explanation says why, and what to do.");
  } else {
    const [isKnown, told] = await get(`/market/${encodeURIComponent(market)}`);
    if (isOpen(market)) isKnown ? showMarket(told) : showNoLadder(told.error);
  }
  if (isOpen(market)) await explain(market);
  if (isOpen(market)) await learnTitle(market);
}

function showMarket(told) {
  showTop(told.price);
  remember(told.price.market, middle(told.price));
  put(byId("market-range"), drawTrend(byId("market-trend"), told.price.market, dollars));
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
  const levels = [...told.bids, ...told.asks];
  const largest = Math.max(...levels.map((level) => level[1]));
  const digits = decimals(levels.map((level) => level[0]));
  rows(byId("levels"), count, 4, false).forEach((row, number) => {
    const [bidSize, bidPrice, askPrice, askSize] = row.cells;
    showLevel([bidSize, bidPrice], told.bids[number], largest, digits, "bid");
    showLevel([askSize, askPrice], told.asks[number], largest, digits, "ask");
  });
}

function showLevel([amount, price], level, largest, digits, side) {
  amount.className = `number share ${side}`;
  price.className = `number ${side}`;
  amount.style.setProperty("--share", level ? `${(100 * level[1]) / largest}%` : "0%");
  put(amount, level ? size(level[1]) : "");
  put(price, level ? dollars(level[0], digits) : "");
}

function showNoLadder(text) {
  byId("ladder").hidden = true;
  byId("no-ladder").hidden = false;
  put(byId("no-ladder"), text);
}

async function explain(market) {
  if (!byId("why").open || Date.now() - explainedMs < EXPLAIN_MS) return;
  explainedMs = Date.now();
  const [, told] = await get(`/explain/${encodeURIComponent(market)}`);
  if (!isOpen(market)) return;
  const sentences = told.because || [told.error];
  const list = byId("because");
  while (list.children.length > sentences.length) list.lastChild.remove();
  while (list.children.length < sentences.length) list.append(make("li"));
  sentences.forEach((text, number) => put(list.children[number], text));
}

async function learnTitle(market) {
  if (open.title || Date.now() < titleDueMs) return;
  titleDueMs = Date.now() + UNTITLED_MS;
  const [known] = (await find(market, 1)).hits;
  if (!known || !isOpen(market)) return;
  Object.assign(open, known);
  describe(open);
}
