// Numbers and times as text.

export const NONE = "\u2013";

export const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const rate = (value) =>
  value === null ? NONE : (value < 10 ? tenths : whole).format(value);
export const size = (value) => (value < 10000 ? tenths : compact).format(value);
export const of = (some, all) => `${whole.format(some)} of ${whole.format(all)}`;
export const clock = (ms) => new Date(ms).toTimeString().slice(0, 8);

// With the day, unless it is today.
export function moment(ms) {
  const at = new Date(ms);
  const today = at.toDateString() === new Date().toDateString();
  return today ? clock(ms) : `${at.toLocaleDateString("sv")} ${clock(ms)}`;
}

// How many decimals these prices need to be told apart: 2 to 4.
export function decimals(prices) {
  const needed = prices
    .filter((price) => price !== null)
    .map((price) => price.toFixed(4).replace(/0{1,2}$/, "").length - 2);
  return Math.max(2, ...needed);
}

export function dollars(value, digits = decimals([value])) {
  return value === null ? NONE : value.toFixed(digits);
}

export function duration(seconds) {
  if (seconds === null) return NONE;
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${whole.format(seconds * 1e6)} \u00b5s`;
  if (seconds < 1) return `${(seconds < 0.1 ? tenths : whole).format(seconds * 1e3)} ms`;
  return `${tenths.format(seconds)} s`;
}

export function span(seconds) {
  if (seconds < 120) return `${whole.format(seconds)} s`;
  if (seconds < 7200) return `${whole.format(seconds / 60)} min`;
  if (seconds < 172800) return `${tenths.format(seconds / 3600)} h`;
  return `${tenths.format(seconds / 86400)} days`;
}
