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
const OPENED = "opened here";

let open = null;
let status = ""; // of its price, as the stream has told it
let asking = false;
let explainedMs = 0;
let titleDueMs = 0;
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
  window.addEventListener("popstate", () => openFromAddress().catch(() => {}));
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
  open = null;
  byId("market").hidden = true;
  if (closed) on.closed(closed);
}

export async function openFromAddress() {
  const market = new URLSearchParams(location.hash.slice(1)).get("market");
  if (!market) {
    hide();
    return;
  }
  if (isOpen(market)) return;
  const found = await find(market, 1);
  const hit = found.hits.find((one) => one.market === market);
  if (hit) display(hit);
  else put(byId("found"), `the market of the address is not known: ${market}`);
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
  if (!open || asking || document.hidden) return;
  const hit = open;
  asking = true;
  try {
    await ask(hit);
  } catch {
    // The silence of the stream tells it.
  } finally {
    asking = false;
  }
}

async function ask(hit) {
  if (status === "unknown") {
    showNoLadder("This market is not followed: the explanation says why, and what to do.");
  } else {
    const answer = await fetch(`/market/${encodeURIComponent(hit.market)}`);
    const told = await answer.json();
    if (hit === open) answer.ok ? showMarket(told) : showNoLadder(told.error);
  }
  if (hit === open) await explain(hit);
  if (hit === open) await learnTitle(hit);
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

async function explain(hit) {
  if (!byId("why").open || Date.now() - explainedMs < EXPLAIN_MS) return;
  explainedMs = Date.now();
  const answer = await fetch(`/explain/${encodeURIComponent(hit.market)}`);
  const told = await answer.json();
  if (hit !== open) return;
  const sentences = told.because || [told.error];
  const list = byId("because");
  while (list.children.length > sentences.length) list.lastChild.remove();
  while (list.children.length < sentences.length) list.append(make("li"));
  sentences.forEach((text, number) => put(list.children[number], text));
}

async function learnTitle(hit) {
  if (hit.title || Date.now() < titleDueMs) return;
  titleDueMs = Date.now() + UNTITLED_MS;
  const [known] = (await find(hit.market, 1)).hits;
  if (hit !== open || !known) return;
  Object.assign(hit, known);
  describe(hit);
}
