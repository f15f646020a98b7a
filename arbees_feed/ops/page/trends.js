// The little charts. They are made of what this page has seen: the feed keeps no past for them.

import { draw } from "./dom.js";
import { span } from "./format.js";

const KEPT_MS = 300000;
const LEAST_MS = 30000;
const HOLE_MS = 3500;
const APART_MS = 500;
const TRENDS = 300;

const trends = new Map(); // name -> [[ms, value], ...], the least recently used first

export function remember(name, value) {
  const now = Date.now();
  const points = trends.get(name) || [];
  trends.delete(name);
  trends.set(name, points);
  if (trends.size > TRENDS) trends.delete(trends.keys().next().value);
  while (points.length && points[0][0] < now - KEPT_MS) points.shift();
  const last = points[points.length - 1];
  if (value === null || (last && now - last[0] < APART_MS)) return;
  points.push([now, value]);
}

export function newTrend() {
  return draw("svg", { class: "trend", role: "img" });
}

function bounds(points, isRate) {
  const values = points.map((point) => point[1]);
  return [isRate ? 0 : Math.min(...values), Math.max(...values)];
}

// Lines of what was seen without a hole; those of a rate stand on zero, and are shaded below.
function lines(points, now, isRate) {
  const begin = Math.min(points[0][0], now - LEAST_MS);
  const [low, high] = bounds(points, isRate);
  const still = isRate ? 29 : 15;
  const pieces = [];
  let before = -Infinity;
  for (const [at, value] of points) {
    if (at - before > HOLE_MS) pieces.push([]);
    before = at;
    const x = (100 * (at - begin)) / (now - begin);
    const y = high > low ? 29 - (27 * (value - low)) / (high - low) : still;
    pieces[pieces.length - 1].push([x.toFixed(2), y.toFixed(2)]);
  }
  return pieces;
}

const joined = (piece) => piece.map((point) => point.join(" ")).join("L");

function shade(piece) {
  const [first, last] = [piece[0][0], piece[piece.length - 1][0]];
  return `M${first} 30L${joined(piece)}L${last} 30Z`;
}

// Draw what is remembered under a name; return it in words.
export function drawTrend(svg, name, format, isRate = false) {
  if (!svg.firstChild) {
    svg.setAttribute("viewBox", "0 0 100 30");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.append(draw("path", { class: "area" }), draw("path", { class: "line" }));
  }
  const [area, line] = svg.children;
  const points = trends.get(name) || [];
  const now = Date.now();
  const pieces = points.length ? lines(points, now, isRate) : [];
  line.setAttribute("d", pieces.map((piece) => `M${joined(piece)}`).join(""));
  area.setAttribute("d", isRate ? pieces.map(shade).join("") : "");
  const words = points.length ? inWords(points, now, format) : "nothing yet";
  svg.setAttribute("aria-label", words);
  return words;
}

function inWords(points, now, format) {
  const [low, high] = bounds(points, false).map((value) => format(value));
  const within = low === high ? `${low} all the time` : `${low} to ${high}`;
  return `${within}, in ${span((now - points[0][0]) / 1000)}`;
}
