// When a number is open: days of the week, and times of the day.

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Hours that nobody can read. */
export class BadHours extends Error {}

/**
 * When whoever is open at `now` closes; undefined if he is closed.
 *
 * Days are digits from 1, Monday, to 7; `12345` if they are not given. Who closes earlier than he
 * opens closes the next day. Times are those of a place so many minutes from UTC, all the year.
 */
export function closingTime({ days, opens, closes, minutes_east }, now) {
  const open = daysOfWeek(days || "12345");
  const [from, to] = [timeOfDay(opens), timeOfDay(closes)];
  const length = to > from ? to - from : to - from + DAY;
  const offset = (minutes_east ?? 0) * MINUTE;
  const local = now + offset;
  const today = Math.floor(local / DAY);
  // Of yesterday, if it goes on past midnight, or of today.
  for (const day of [today - 1, today]) {
    const start = day * DAY + from;
    if (open.has(dayOfWeek(day)) && local >= start && local < start + length) {
      return start + length - offset;
    }
  }
  return undefined;
}

/** 1970 began on a Thursday. */
function dayOfWeek(day) {
  return ((day + 3) % 7) + 1;
}

function daysOfWeek(days) {
  if (!/^[1-7]+$/.test(days)) {
    throw new BadHours(`days ${days}: give digits from 1, Monday, to 7`);
  }
  return new Set(Array.from(days, Number));
}

function timeOfDay(time) {
  const parts = /^([01][0-9]|2[0-3]):([0-5][0-9])$/.exec(time);
  if (parts === null) {
    throw new BadHours(`time ${time}: give it as 09:30`);
  }
  return (Number(parts[1]) * 60 + Number(parts[2])) * MINUTE;
}
