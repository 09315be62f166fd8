// SIP as a service sees it: the types of its events, and its commands. What events say and what
// commands take is in `container/sip-api`, field by field.

import { Failure } from "./failure.js";

export const INVITE = "sip.invite";
export const PROGRESS = "sip.progress";
export const ANSWERED = "sip.answered";
export const REJECTED = "sip.rejected";
export const ENDED = "sip.ended";
export const REQUEST = "sip.request";
export const REGISTER = "sip.register";
/** Beside SIP's, each entity gets these two: a timer of its own, and the end of an activity. */
export const TIMER = "slee.timer";
export const ACTIVITY_END = "slee.activity_end";

/** Attribute of an activity whose request a service has answered: others leave it alone. */
export const REFUSED = "sip.refused";

/** Table of where users can be reached; its key is the address of record. */
const REGISTRATIONS = "registrations";

/**
 * Answers the request of an activity, and tells services of lower priority so.
 *
 * @param headers further headers: pairs of name and value
 */
export function refuse(cx, status, reason, headers = [], activity = cx.activity) {
  if (!cx.shares(REFUSED, REFUSED)) {
    throw new Failure(`add ${REFUSED} to the attributeAliases of the service, as ${REFUSED}`);
  }
  cx.setAttribute(REFUSED, true, activity);
  cx.send({ Respond: { status, reason, headers } }, activity);
}

/** Forwards the request to all targets at once. */
export function proxy(cx, targets, activity = cx.activity) {
  cx.send({ Proxy: { targets } }, activity);
}

/** Sends a call that nobody has answered on to other targets. */
export function redirect(cx, targets, diversion = null, activity = cx.activity) {
  cx.send({ Redirect: { targets, diversion } }, activity);
}

/** Ends a call. */
export function hangUp(cx, activity = cx.activity) {
  cx.send("HangUp", activity);
}

/** Where a user (`sip:user@host`) can be reached: targets, those with the highest `q` first. */
export function phonesOf(cx, user) {
  const contacts = cx.row(REGISTRATIONS, user)?.contacts ?? [];
  const live = contacts.filter((contact) => contact.expires_at > cx.nowMicros);
  live.sort((a, b) => b.q_thousandths - a.q_thousandths || b.expires_at - a.expires_at);
  const instances = new Set();
  // Of several ways to one phone the one that was prolonged last.
  const isFirst = ({ instance, reg_id }) => {
    if (!instance || reg_id === null || reg_id === undefined) {
      return true;
    }
    const isNew = !instances.has(instance);
    instances.add(instance);
    return isNew;
  };
  return live.filter(isFirst).map(({ uri, source, path }) => ({
    uri,
    destination: source,
    routes: path?.length ? path : undefined,
  }));
}
