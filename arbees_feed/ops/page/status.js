// The status page. It only reads. Here its parts are put together.

import { note, showStatus, title } from "./feed.js";
import * as market from "./market.js";
import * as markets from "./markets.js";
import { follow, want } from "./stream.js";

let version = null;
let startedNs = null;
let found = [];

function listenTo() {
  const open = market.openMarket();
  want(open && !found.includes(open) ? [...found, open] : found);
}

function onStatus(status) {
  // Another version may tell other things than this page knows to show.
  if (version !== null && version !== status.version) location.reload();
  version = status.version;
  if (startedNs !== null && startedNs !== status.started_ns) {
    note("started", "warn", "the feed has started anew");
    markets.anew();
  }
  startedNs = status.started_ns;
  showStatus(status);
}

function onPrices(prices) {
  markets.showPrices(prices);
  market.showPrices(prices);
}

function onLost(lost) {
  if (lost) title("\u2715 No word from the feed");
  if (lost) note("lost", "bad", "no word from the feed");
  else note("back", "good", "it speaks again");
  if (!lost) markets.anew(); // a search of meanwhile has failed
}

markets.offer({
  isOpen: market.isOpen,
  chosen: market.show,
  found: (hits) => {
    found = hits.map((hit) => hit.market);
    market.foundAgain(hits);
    listenTo();
  },
});
market.begin({
  opened: () => {
    markets.mark();
    listenTo();
  },
  closed: (hit) => {
    markets.mark();
    listenTo();
    markets.focusOn(hit.market);
  },
});
// Not by the address: going back from a market would lead here again, and take the focus along.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("markets").focus();
});
follow({ status: onStatus, prices: onPrices, lost: onLost });
markets.anew().then(market.openFromAddress);
