// The search, and the markets that it has found.
//
//   /markets    a search

import { byId, make, put, tone } from "./dom.js";
import { decimals, dollars, size } from "./format.js";
import { drawTrend, newTrend, remember } from "./trends.js";

const TYPING_MS = 250;
const AGAIN_MS = 3000;
const TRIES = 10; // after so many it is asked again more rarely
const RARELY_MS = 60000;
const PATIENCE_MS = 10000;
const LIMIT = 25;

const listed = new Map(); // market -> what its row is made of
let searching = null;
let typing = 0;
let later = 0;
let tries = 0;
let shown = ""; // what the list is made of
let on = {};

// *on* has functions: found (of all hits), chosen (of one hit), isOpen (of a market's id).
export function offer(handlers) {
  on = handlers;
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    anew();
  });
  byId("q").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(anew, TYPING_MS);
  });
  byId("q").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") step(event, byId("hits").rows[0]);
  });
  byId("hits").addEventListener("keydown", (event) => {
    const row = event.target.closest("tr");
    if (event.key === "ArrowDown") step(event, row.nextElementSibling);
    if (event.key === "ArrowUp") step(event, row.previousElementSibling);
  });
}

function step(event, row) {
  if (!row) return;
  event.preventDefault();
  row.querySelector("button").focus();
}

// -- searching ------------------------------------------------------------------------------------

// Whatever *mine* aborts, and a feed that does not answer, makes it throw.
export async function find(text, limit, mine = new AbortController()) {
  const query = new URLSearchParams({ q: text, limit });
  const late = setTimeout(() => mine.abort(new Error("no answer in time")), PATIENCE_MS);
  try {
    const answer = await fetch(`/markets?${query}`, { signal: mine.signal });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  } finally {
    clearTimeout(late);
  }
}

export function anew() {
  tries = 0;
  return search();
}

async function search() {
  clearTimeout(typing);
  clearTimeout(later);
  if (searching) searching.abort();
  const mine = (searching = new AbortController());
  const text = byId("q").value.trim();
  try {
    const found = await find(text, LIMIT, mine);
    if (mine !== searching) return;
    showHits(found, text);
    if (found.hits.length < LIMIT || found.hits.some((hit) => !hit.title)) again();
  } catch (error) {
    if (mine !== searching) return;
    put(byId("found"), `the search failed: ${error.message}`);
    again();
  }
}

// A feed that has just started does not know all of its markets, or not their titles; one with many
// markets takes minutes to learn them.
function again() {
  tries += 1;
  // Nobody asks for a page that nobody sees.
  const look = () => (document.hidden ? again() : search());
  clearTimeout(later);
  later = setTimeout(look, tries <= TRIES ? AGAIN_MS : RARELY_MS);
}

function showHits(found, text) {
  put(byId("found"), summary(found, text));
  // The same once more: its rows stay, a click on one of them must not meet another element.
  const told = JSON.stringify(found.hits.map((hit) => [hit.market, titleOf(hit)]));
  if (told !== shown) makeRows(found.hits);
  shown = told;
  for (const hit of found.hits) showPrice(listed.get(hit.market), hit.price);
  on.found(found.hits);
}

function makeRows(hits) {
  const focused = document.activeElement.closest("#hits tr");
  listed.clear();
  const made = hits.map((hit) => {
    const row = newRow(hit);
    listed.set(hit.market, row);
    return row.row;
  });
  byId("hits").replaceChildren(...made);
  byId("table").hidden = !made.length;
  if (focused) button(focused.dataset.market)?.focus();
}

function summary(found, text) {
  const count = found.hits.length;
  if (!count) return found.note || (text ? "no market has these words" : "no market yet");
  const markets = count === 1 ? "1 market" : `${count} markets`;
  if (found.note) return `${markets}: ${found.note}`;
  if (!text) return `${markets}, the most traded`;
  return count < LIMIT ? `${markets} found` : `the first ${markets} found`;
}

// -- rows -----------------------------------------------------------------------------------------

export function titleOf(hit) {
  const title = hit.title || hit.market;
  const says = hit.subtitle && !/^(yes|no)$/i.test(hit.subtitle) && !title.includes(hit.subtitle);
  return says ? `${title}: ${hit.subtitle}` : title;
}

export function standing(price) {
  if (price.status === "unknown") return ["not followed", "warn"];
  if (price.status === "unpriced") return ["no price yet", "warn"];
  if (price.status === "closed") return ["closed", "warn"];
  if (price.status !== "live") return [price.status, "bad"];
  if (price.state === "live" || price.state === "quiet") return [price.state, "good"];
  return [`live, ${price.state}`, "warn"];
}

export function middle(price) {
  if (price.bid !== null && price.ask !== null) return (price.bid + price.ask) / 2;
  return null;
}

function newRow(hit) {
  const title = make("button", { type: "button", textContent: titleOf(hit) });
  title.addEventListener("click", () => on.chosen(hit));
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
    make("th", { scope: "row" }, title, about),
    made.bid,
    made.ask,
    made.last,
    make("td", {}, made.status),
    make("td", { className: "chart" }, made.trend),
  );
  for (const cell of [made.bid, made.ask]) cell.append(make("span"), make("small"));
  made.row.dataset.market = hit.market;
  if (on.isOpen(hit.market)) made.row.setAttribute("aria-current", "true");
  return made;
}

export function showPrices(prices) {
  for (const price of prices) {
    const made = listed.get(price.market);
    if (made) showPrice(made, price);
    else remember(price.market, middle(price));
  }
}

function showPrice(made, price) {
  const digits = decimals([price.bid, price.ask, price.last]);
  showSide(made.bid, price.bid, price.bid_size, digits);
  showSide(made.ask, price.ask, price.ask_size, digits);
  put(made.last, dollars(price.last, digits));
  const [text, how] = standing(price);
  put(made.status, text);
  tone(made.status, how);
  tone(made.row, how);
  remember(price.market, middle(price));
  drawTrend(made.trend, price.market, dollars);
}

function showSide(cell, price, amount, digits) {
  const [number, small] = cell.children;
  const before = Number(number.dataset.value);
  const moved = price !== null && before ? Math.sign(price - before) : 0;
  cell.classList.toggle("up", moved > 0); // until the next word, a second later
  cell.classList.toggle("down", moved < 0);
  number.dataset.value = price === null ? "" : price;
  put(number, dollars(price, digits));
  put(small, price === null ? "" : size(amount));
}

// -- for the one that is open ---------------------------------------------------------------------

function button(market) {
  return listed.get(market)?.row.querySelector("button");
}

// Mark the row of the market that is open, if any is.
export function mark() {
  for (const [market, made] of listed) {
    if (on.isOpen(market)) made.row.setAttribute("aria-current", "true");
    else made.row.removeAttribute("aria-current");
  }
}

export function focusOn(market) {
  (button(market) || byId("q")).focus();
}
