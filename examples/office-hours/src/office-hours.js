// Calls to a number outside of its office hours are refused, and those that still go on some
// minutes after closing time are ended.
//
// | the callee                              | what happens                                       |
// |-----------------------------------------|----------------------------------------------------|
// | has no hours, nor has `*`               | nothing                                            |
// | is called within them                   | the call goes through                              |
// | ... and has `grace_min`                 | so many minutes after closing time it is ended     |
// | is called outside                       | 480 Closed                                         |
// | ... and has `otherwise`                 | 302, with that as the Contact                      |
// | has hours that nobody can read          | the call goes through, with an alarm               |
//
// The timer and what it is about are the state of the call's entity, so the call is ended in time
// also if the server that began it is dead by then.

import { flag, number, permission, service, text } from "resilee-guest";
import { ENDED, INVITE, REFUSED, REJECTED, TIMER, hangUp, refuse } from "resilee-guest/sip";
import { BadHours, closingTime } from "./hours.js";

/** The profile table. A profile's name is the callee's address of record, or `*`. */
const HOURS = "office-hours";
/** The call is to be ended. */
const CLOSED = 1;
const MINUTE = 60_000;

export const unit = service({
  name: "office-hours",
  vendor: "example",
  version: "1.0",
  // Before call control, which would put the call through.
  priority: 100,
  initialEvents: [INVITE],
  events: [REJECTED, ENDED],
  attributeAliases: { [REFUSED]: REFUSED },
  usage: { calls_refused: "counter", calls_redirected: "counter", calls_ended: "counter" },
  permissions: [permission.command("Respond"), permission.command("HangUp")],
  profileTables: [
    {
      name: HOURS,
      about: "when a number takes calls, and what becomes of others",
      attributes: {
        days: text(7),
        opens: text(5, { required: true }),
        closes: text(5, { required: true }),
        minutes_east: number(-720, 840),
        otherwise: text(256),
        grace_min: number(0, 720),
        off: flag(),
      },
      profilesMax: 100_000,
    },
  ],

  onEvent(cx, event) {
    switch (event.type) {
      case INVITE:
        return onInvite(cx, event.payload);
      case TIMER:
        return onClosed(cx);
      case REJECTED:
      case ENDED:
        // The timer goes with the entity.
        return cx.detach();
    }
  },
});

function onInvite(cx, invite) {
  const callee = invite.callee.address_of_record;
  const hours = cx.profile(HOURS, callee) ?? cx.profile(HOURS, "*");
  const closes = hours && !hours.off ? closingTimeOf(cx, callee, hours) : Infinity;
  if (closes === undefined) {
    refuseCall(cx, callee, hours);
  }
  if (closes === undefined || closes === Infinity || !Number.isInteger(hours.grace_min)) {
    cx.detach();
    return;
  }
  cx.state = { callee, closes };
  cx.setTimer(CLOSED, closes + hours.grace_min * MINUTE - cx.now);
}

/** When the callee closes; undefined if he is closed; never, if nobody can read his hours. */
function closingTimeOf(cx, callee, hours) {
  try {
    const closes = closingTime(hours, cx.now);
    cx.clearAlarms("bad_hours", callee);
    return closes;
  } catch (error) {
    if (!(error instanceof BadHours)) {
      throw error;
    }
    cx.raiseAlarm("bad_hours", callee, "minor", `${error.message}: calls go through until then`);
    return Infinity;
  }
}

function refuseCall(cx, callee, { otherwise }) {
  console.log(`${callee} is closed`);
  if (otherwise) {
    cx.count("calls_redirected");
    refuse(cx, 302, "Moved Temporarily", [["Contact", `<${otherwise}>`]]);
  } else {
    cx.count("calls_refused");
    refuse(cx, 480, "Closed");
  }
}

function onClosed(cx) {
  const { callee, closes } = cx.state;
  const minutes = Math.round((cx.now - closes) / MINUTE);
  console.log(`${callee} closed ${minutes} min ago: the call is ended`);
  cx.count("calls_ended");
  hangUp(cx);
  cx.detach();
}
