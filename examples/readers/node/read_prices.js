// Follow prices in Redis with node-redis and @msgpack/msgpack; one JSON line for each price.
//
//   npm ci
//   node read_prices.js                                   every market that has a price
//   node read_prices.js --url redis://127.0.0.1:6379/0 KXNFLGAME-26DEC09KCDET-KC
//
// Lines go to standard output, what happens to the connection to standard error.
// Act on `live` only.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { decode } from '@msgpack/msgpack';
import { createClient, RESP_TYPES } from 'redis';

const VENUES = ['kalshi', 'polymarket'];
const SILENCE_MS = 2_500; // without a heartbeat for this long, no price of a venue is believed
const KEY_LIFE_MS = 10_000; // feed:venue:<venue> is written once a second, to live this long
const ANSWER_MS = 5_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;

const BEAT = ['venue', 'session', 'state'];
const PRICE = ['market_id', 'platform', 'session', 'seq', 'status', 'yes_bid', 'yes_ask'];

const note = (text) => process.stderr.write(`${text}\n`);

/** Return a list of one message, or of none: anyone may write to this Redis. */
function unpacked(data, keys) {
  try {
    // Times and sessions are integers of 64 bits, more than a number holds: they come as BigInt.
    const message = decode(data, { useBigInt64: true });
    if (keys.every((key) => key in message)) {
      return [{ ...message, session: BigInt(message.session) }];
    }
  } catch {
    // Not msgpack, or not a map: said below.
  }
  note(`not a message of the feed: ${data.subarray(0, 50).toString('latin1')}`);
  return [];
}

/** The newest price of each market, and whether it is to be believed. Does no I/O. */
class Book {
  prices = new Map();
  /** Markets of which it is not certain what the newest price is: their `:last` is to be read. */
  doubted = new Set();
  #venues = new Map();
  #printed = new Map();

  /**
   * Take a price; return how many before it were lost.
   *
   * It is a message, or the value of a `:last`: then `vouched` has the session of each venue whose
   * `feed:venue:<venue>` says that it was alive when the value was read.
   */
  take(price, nowMs, vouched = null) {
    const { market_id: market, platform, session, seq } = price;
    const known = this.prices.get(market);
    if (session < this.#venue(platform).session) return 0; // of a process that has been replaced
    if (session > this.#venue(platform).session && !vouched) this.#begin(platform, session, nowMs);
    if (vouched && known && !this.doubted.has(market)) return 0; // a message was here before
    const step = known?.session === session ? seq - known.seq : 1;
    if (step < 0 || (step === 0 && !vouched)) return 0; // seen already
    this.prices.set(market, price);
    this.doubted.delete(market);
    if (vouched && vouched.get(platform) !== session) this.doubted.add(market);
    this.#print(market);
    if (step > 1 && !vouched) this.doubted.add(market); // a hole: `:last` may be further
    return Math.max(0, step - 1);
  }

  /** Take a heartbeat that came at `heardMs`. Return the venue's markets that are in doubt. */
  beat(name, session, state, heardMs) {
    const before = this.#venue(name);
    if (session < before.session && before.alive) return []; // two processes: the newer one counts
    if (session !== before.session) this.#begin(name, session, heardMs);
    const venue = this.#venue(name);
    venue.heardMs = state === 'stopped' ? -Infinity : Math.max(venue.heardMs, heardMs);
    return this.#marketsOf(name).filter((market) => this.doubted.has(market));
  }

  /** Print what has become stale by silence, or live again by a heartbeat. */
  tick(nowMs) {
    for (const [name, venue] of this.#venues) {
      const alive = nowMs - venue.heardMs <= SILENCE_MS;
      if (alive === venue.alive) continue;
      venue.alive = alive;
      for (const market of this.#marketsOf(name)) this.#print(market);
    }
  }

  /** Doubt everything, until a new connection has told the newest of it. */
  disconnected() {
    this.doubted = new Set(this.prices.keys());
  }

  #begin(name, session, heardMs) {
    this.#venues.set(name, { session, heardMs, alive: true });
    for (const market of this.#marketsOf(name)) {
      this.doubted.add(market);
      this.#print(market);
    }
  }

  #venue(name) {
    if (!this.#venues.has(name)) {
      this.#venues.set(name, { session: 0n, heardMs: -Infinity, alive: false });
    }
    return this.#venues.get(name);
  }

  #marketsOf(name) {
    return [...this.prices.keys()].filter((market) => this.prices.get(market).platform === name);
  }

  #print(market) {
    const { market_id, platform, status, yes_bid, yes_ask, session, seq } = this.prices.get(market);
    const venue = this.#venue(platform);
    const believed = venue.alive && venue.session === session && !this.doubted.has(market);
    const before = this.#printed.get(market);
    // The session as text: its 19 digits are more than a number holds in many JSON tools.
    let line = { market_id, status, yes_bid, yes_ask, session: String(session), seq };
    if (status === 'live' && !believed) {
      if (before?.status === 'stale') return; // once is enough
      line = { ...line, status: 'stale', yes_bid: 0, yes_ask: 1 };
    }
    const text = JSON.stringify(line);
    if (text === before?.text) return;
    this.#printed.set(market, { status: line.status, text });
    process.stdout.write(`${text}\n`);
  }
}

/** Keep the book, over as many connections as it takes. */
async function follow(book, url, markets) {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS)) {
    const beganMs = performance.now();
    // Without its own way of reconnecting, of which nobody would see the hole.
    const redis = createClient({
      url,
      socket: { reconnectStrategy: false, connectTimeout: 2_000 },
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    });
    try {
      await read(book, redis, markets);
    } catch (error) {
      book.disconnected();
      if (performance.now() - beganMs > LONGEST_DELAY_MS) delayMs = FIRST_DELAY_MS;
      note(`lost Redis (${error.message || error.code}); again in ${delayMs / 1000} s`);
    } finally {
      if (redis.isOpen) redis.destroy();
    }
    await sleep(delayMs * (0.5 + Math.random() / 2));
  }
}

/** Join, then read until the connection is lost. */
async function read(book, redis, markets) {
  const lost = new Promise((_, reject) => redis.on('error', reject));
  const within = (work) => Promise.race([work, lost, late()]);
  const healing = (ids) => heal(book, redis, ids).catch((error) => redis.emit('error', error));
  const onStatus = (data) => {
    for (const { venue, session, state } of unpacked(data, BEAT)) {
      const inDoubt = book.beat(venue, session, state, performance.now());
      if (inDoubt.length) healing(inDoubt);
    }
  };
  const onPrice = (data) => {
    for (const price of unpacked(data, PRICE)) {
      const count = book.take(price, performance.now());
      tellLost(count);
      if (count) healing([price.market_id]);
    }
  };
  await within(redis.connect());
  await within(redis.subscribe('feed:status', onStatus, true));
  const channels = markets.map((market) => `market:${market}:price`);
  if (markets.length) await within(redis.subscribe(channels, onPrice, true));
  else await within(redis.pSubscribe('market:*:price', onPrice, true));
  // Redis has confirmed: from here on every message arrives. Now, and not before:
  await within(heal(book, redis, markets.length ? markets : await allMarkets(redis)));
  note('joined');
  for (;;) {
    await Promise.race([sleep(2_000), lost]);
    await within(redis.ping()); // a connection may be dead without a word
  }
}

async function late() {
  await sleep(ANSWER_MS);
  throw new Error(`no answer for ${ANSWER_MS / 1000} s`);
}

/** Return the ids of all markets that have a price. */
async function allMarkets(redis) {
  const found = await Promise.all(VENUES.map((venue) => redis.sMembers(`feed:markets:${venue}`)));
  return found.flat().map(String);
}

/** Take the `:last` of markets; the venues' keys, read before, tell which are to be believed. */
async function heal(book, redis, markets) {
  const vouched = new Map();
  for (const venue of VENUES) {
    const lifeMs = await redis.pTTL(`feed:venue:${venue}`);
    const session = BigInt(String((await redis.hGet(`feed:venue:${venue}`, 'session')) ?? 0));
    const ageMs = KEY_LIFE_MS - lifeMs;
    if (session && ageMs <= SILENCE_MS) {
      vouched.set(venue, session);
      book.beat(venue, session, '', performance.now() - ageMs);
    }
  }
  const names = markets.map((market) => `market:${market}:last`);
  const found = names.length ? await redis.mGet(names) : [];
  const prices = found.filter((data) => data !== null).flatMap((data) => unpacked(data, PRICE));
  tellLost(prices.reduce((sum, price) => sum + book.take(price, performance.now(), vouched), 0));
}

/** Tell how many prices were published and will never be printed. */
function tellLost(count) {
  if (count) note(`lost ${count}`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { url: { type: 'string', default: 'redis://127.0.0.1:6379/0' } },
});
const book = new Book();
process.stdout.on('error', () => process.exit(0)); // as in `| head`
setInterval(() => book.tick(performance.now()), 100); // also while disconnected
await follow(book, values.url, positionals);
