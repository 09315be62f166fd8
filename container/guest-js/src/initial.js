// What an initial event selector answers: the convergence name of the root entity that gets the
// event (`javax.slee.InitialEventSelector`).

import { byteLength } from "./text.js";

/**
 * The name; null if the event is not initial. Its parts cannot run into each other, since each
 * names its length.
 *
 * @param selected null, or which variables count: `activityContext`, `cell`, `eventType` (true if
 *   so), `address` and `customName` (their values)
 */
export function convergenceName(selected, event) {
  if (selected === null || selected === undefined) {
    return null;
  }
  const part = (tag, value) => `${tag}${byteLength(value)}:${value}`;
  const { activityContext, cell, eventType, address, customName } = selected;
  return [
    activityContext && part("a", String(event.activity.number)),
    cell && part("c", ""),
    eventType && part("t", event.type),
    address !== undefined && part("d", address),
    customName !== undefined && part("n", customName),
  ].filter(Boolean).join("");
}
