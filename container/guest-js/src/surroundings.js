// Time and chance, where JavaScript looks for them: both are the delivery's, so that a delivery has
// the same answer wherever it is computed. And `console`, whose lines go to the trace.

/** Microseconds since 1970. */
let now = 0;
/** State of the sequence of random numbers. */
let random = 0n;
/** Takes a level and a text; nobody does outside a delivery. */
let trace = () => {};

/** A delivery begins: its time, its seed, and who takes lines of the console. */
export function begin(deliveryNow, seed, takesLine) {
  now = Number(deliveryNow);
  random = BigInt(seed);
  trace = takesLine;
}

/** Microseconds since 1970. */
export function nowMicros() {
  return now;
}

/** The next number of the delivery's sequence (SplitMix64), as a linked service has it. */
export function nextRandom() {
  random = BigInt.asUintN(64, random + 0x9e3779b97f4a7c15n);
  let z = random;
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

Math.random = () => Number(nextRandom() >> 11n) / 2 ** 53;

const millis = () => Math.floor(now / 1000);

globalThis.Date = new Proxy(Date, {
  apply: (date) => new date(millis()).toString(),
  construct: (date, parts, target) =>
    Reflect.construct(date, parts.length === 0 ? [millis()] : parts, target),
  get: (date, key) => (key === "now" ? millis : Reflect.get(date, key)),
});

const line = (level) => (...parts) => trace(level, parts.map(shown).join(" "));

globalThis.console = {
  debug: line("fine"),
  log: line("info"),
  info: line("info"),
  warn: line("warning"),
  error: line("severe"),
};

function shown(part) {
  if (typeof part === "object" && part !== null && !(part instanceof Error)) {
    return JSON.stringify(part, (_, value) => (typeof value === "bigint" ? `${value}` : value));
  }
  return String(part);
}
