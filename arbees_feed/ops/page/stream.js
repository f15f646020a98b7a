// The stream of server-sent events, and whether it can still be heard.
//
//   /events     the status once a second, with the prices of the markets that are asked for

import { byId, put } from "./dom.js";
import { clock, span } from "./format.js";

const SILENCE_MS = 2200; // the feed speaks once a second: two words are missing
const LOOK_MS = 250;
const REFUSED_AGAIN_MS = 10000;

const REFUSED = "It may be that too many pages are open: close some.";
const GONE =
  "Does its process run, is this machine reachable? (docs/operations.md, FeedDown) " +
  "This page tries again by itself.";

let stream = null;
let asked = "";
let again = 0;
let heardMs = Date.now();
let sinceMs = heardMs; // since when the silence lasts: nobody listens while the page is not seen
let isLost = false;
let on = {};

// *on* has functions: status, prices, lost (true or false).
export function follow(handlers) {
  on = handlers;
  document.addEventListener("visibilitychange", () => {
    sinceMs = Date.now();
    if (document.hidden) hangUp();
    else listen();
  });
  setInterval(watch, LOOK_MS);
  listen();
}

export function want(markets) {
  if (markets.join() === asked) return;
  asked = markets.join();
  listen();
}

function listen() {
  hangUp();
  if (document.hidden) return; // few may listen at a time: a page that nobody sees does not
  const mine = (stream = new EventSource(asked ? `/events?markets=${asked}` : "/events"));
  mine.addEventListener("status", (event) => heard(() => on.status(JSON.parse(event.data))));
  mine.addEventListener("prices", (event) => heard(() => on.prices(JSON.parse(event.data))));
  mine.addEventListener("error", () => {
    if (mine !== stream) return;
    // A browser tries again by itself, unless it was refused.
    if (mine.readyState === EventSource.CLOSED) again = setTimeout(listen, REFUSED_AGAIN_MS);
    setLost(true);
  });
}

function hangUp() {
  clearTimeout(again);
  if (stream) stream.close();
  stream = null;
}

function heard(show) {
  heardMs = sinceMs = Date.now();
  setLost(false);
  show();
}

function setLost(lost) {
  if (lost) {
    const refused = stream && stream.readyState === EventSource.CLOSED;
    put(byId("lost-since"), `No word from the feed since ${clock(heardMs)}: what you see is old.`);
    put(byId("lost-do"), refused ? REFUSED : GONE);
  }
  if (lost === isLost) return;
  isLost = lost;
  byId("lost").hidden = !lost;
  document.body.classList.toggle("is-lost", lost);
  on.lost(lost);
}

function watch() {
  if (document.hidden) return;
  const now = Date.now();
  if (now - sinceMs > SILENCE_MS) setLost(true);
  const age = span(Math.floor((now - heardMs) / 1000));
  put(byId("link"), isLost ? ` \u00b7 ${age} old` : ` \u00b7 as of ${clock(heardMs)}`);
}
