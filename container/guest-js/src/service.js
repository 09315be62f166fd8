// A unit's two functions: what it is, and the answer to a delivery.
//
// | the delivery's task | handlers that run                                             |
// |---------------------|---------------------------------------------------------------|
// | event               | `onEvent`; if it throws, `exceptionThrown`                    |
// | select              | `initialEvent`                                                |
// | rolled back         | `rolledBack`                                                  |
//
// What a handler throws rolls the delivery back. Each delivery runs in an instance of its own, so
// what a service keeps in variables is not there in the next one: its state is `cx.state`.

import host from "resilee:sbb/host@0.1.0";
import { decode, encode } from "./codec.js";
import { Context } from "./context.js";
import { description } from "./description.js";
import { Failure, placeOf, reasonOf } from "./failure.js";
import { convergenceName } from "./initial.js";
import { begin } from "./surroundings.js";

/**
 * The unit of a service: `export const unit = service({ name, onEvent, ... })`.
 *
 * @param sbb what it is (see `description.js`), its `stateVersion` and `initialState()`, and its
 *   handlers: `onEvent(cx, event)`, `initialEvent(cx, event)`, `rolledBack(cx, event, reason)`,
 *   `exceptionThrown(cx, event, error)`, `migrate(version, state)`
 */
export function service(sbb) {
  // Made when the unit is built, as all that is done outside of handlers.
  const described = encode({ services: [sbb.name], sbbs: [description(sbb)] });
  return {
    describe: () => described,
    deliver(name, delivery) {
      try {
        return encode(answer(sbb, decode(delivery)));
      } catch (error) {
        // A delivery or an answer that cannot be read or written.
        host.panicked(reasonOf(error), placeOf(error));
        throw error;
      }
    },
  };
}

function answer(sbb, deliver) {
  const cx = new Context(sbb, deliver);
  begin(deliver.now, deliver.seed, (level, line) => cx.trace(level, line));
  try {
    const selected = run(sbb, cx, deliver);
    if (cx.effects.rollBackReason !== undefined) {
      throw new Failure(cx.effects.rollBackReason);
    }
    if (deliver.task === "Select") {
      const effects = cx.effects.staying();
      return { Selected: { convergence_name: convergenceName(selected, cx.event), effects } };
    }
    const state = { version: sbb.stateVersion ?? 1, bytes: encode(cx.state) };
    const entities = [{ number: deliver.entity.number, born: null, state }];
    return { Delivered: { entities, removed: [], effects: cx.effects.all() } };
  } catch (error) {
    if (!(error instanceof Failure)) {
      cx.trace("severe", `threw ${reasonOf(error)} ${placeOf(error)}`);
    }
    return { RolledBack: { reason: reasonOf(error), effects: cx.effects.staying() } };
  }
}

function run(sbb, cx, deliver) {
  if (deliver.task === "Select") {
    const byActivityContext = { activityContext: true };
    return sbb.initialEvent ? sbb.initialEvent(cx, cx.event) : byActivityContext;
  }
  cx.state = restored(sbb, deliver.tree[deliver.entity.number]?.state);
  if (deliver.task !== "Event") {
    return sbb.rolledBack?.(cx, cx.event, deliver.task.RolledBack.reason);
  }
  try {
    return sbb.onEvent(cx, cx.event);
  } catch (error) {
    try {
      sbb.exceptionThrown?.(cx, cx.event, error);
    } catch {
      // The first failure counts.
    }
    throw error;
  }
}

/** The state of an entity; a new one has none. */
function restored(sbb, state) {
  if (!state || state.bytes.length === 0) {
    return sbb.initialState?.() ?? {};
  }
  const known = decode(state.bytes);
  const isOwn = state.version === (sbb.stateVersion ?? 1);
  return isOwn || !sbb.migrate ? known : sbb.migrate(state.version, known);
}
