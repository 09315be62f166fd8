// What one delivery has asked for. Lines and alarms stay if it rolls back, and if the unit is
// stopped: so the node is told at once.

import host from "resilee:sbb/host@0.1.0";
import { encode } from "./codec.js";

/** Effects of each kind: those that stay, and the others. */
const EFFECTS_MAX = 256;
const STAYING = ["Trace", "RaiseAlarm", "ClearAlarms"];

export class Effects {
  #all = [];
  #count = { stays: 0, goes: 0 };
  /** Why the delivery rolls back, whatever its handler does. */
  rollBackReason = undefined;

  /** Asks for something. */
  ask(kind, effect) {
    const whether = STAYING.includes(kind) ? "stays" : "goes";
    if (this.#count[whether] >= EFFECTS_MAX) {
      this.rollBackReason ??= `more than ${EFFECTS_MAX} effects`;
      return;
    }
    this.#count[whether] += 1;
    const asked = { [kind]: effect };
    if (whether === "stays") {
      host.keep(encode(asked));
    }
    this.#all.push(asked);
  }

  /** All of them, in order. */
  all() {
    return this.#all;
  }

  /** Those that stay if the delivery rolls back. */
  staying() {
    return this.#all.filter((effect) => STAYING.some((kind) => kind in effect));
  }
}
