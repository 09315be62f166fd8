// A service that asks for all that there is, and its twin in Rust (`twin.rs`) does the same. Below
// it what no honest service does.

import { Failure, decimal, flag, hex, number, permission, service, text } from "resilee-guest";
import { REFUSED, TIMER, hangUp, phonesOf, proxy, redirect, refuse } from "resilee-guest/sip";

const PROFILES = "twins";

export const unit = service({
  name: "twin",
  vendor: "test",
  version: "1.2",
  priority: -3,
  initialEvents: ["test.activities", "test.values"],
  events: ["test.timers"],
  onRollBack: "Retry",
  needs: ["other"],
  begins: "Inactive",
  onRepeatedFailures: "RefuseNew",
  stateVersion: 2,
  initialState: () => ({ note: "new", seen: null, at: 0, random: 0 }),
  attributeAliases: { [REFUSED]: REFUSED },
  usage: { calls: "counter", ring_ms: "sample" },
  permissions: [
    permission.command("Respond"),
    permission.command("HangUp"),
    permission.command("Proxy"),
    permission.command("Redirect"),
    permission.start("http", "a.test"),
    permission.start("sip"),
    permission.read("registrations"),
    permission.read("rows"),
    permission.write("rows"),
    permission.record("notes"),
    permission.suspend(),
  ],
  profileTables: [
    {
      name: PROFILES,
      about: "twins",
      attributes: {
        first: text(20, { required: true, indexed: true }),
        key: hex(4, { unique: true }),
        count: number(-5, 5),
        price: decimal(2, 0, 1000),
        on: flag(),
      },
      namedBy: ["first"],
      separator: "@",
      profilesMax: 9,
    },
  ],

  initialEvent(cx, { type, payload }) {
    cx.trace("info", `asked about ${type}`);
    cx.setTimer(1, 1000);
    if (payload?.name === "none") {
      return null;
    }
    if (payload?.name === "cell") {
      return { cell: true, eventType: true };
    }
    return { activityContext: true, address: "sip:é@test", customName: payload?.name ?? "" };
  },

  onEvent(cx, event) {
    const handlers = { ...honest, ...odd };
    const handler = handlers[event.type.replace("test.", "")];
    if (!handler) {
      throw new Failure(`${event.type} is not for it`);
    }
    cx.state.note = event.type;
    handler(cx, event);
  },

  exceptionThrown(cx, event, error) {
    cx.raiseAlarm("thrown", event.type, "warning", error.message);
    throw new Error("and once more");
  },

  rolledBack(cx, event, reason) {
    cx.state.note = `${event.type}: ${reason}`;
  },

  migrate(version, state) {
    return { note: `of ${version}`, seen: null, at: state.at, random: 7 };
  },
});

const honest = {
  activities(cx) {
    const asked = cx.createNullActivity();
    cx.attach(asked);
    cx.attach(asked);
    cx.setAttribute("own", { list: [1, "two"] }, asked);
    cx.setAttribute(REFUSED, true);
    cx.trace("info", `${cx.attribute(REFUSED)} ${cx.attribute("own", asked).list[1]}`);
    cx.trace("info", `${cx.attribute("other") ?? "nothing"} of ${cx.activities().length}`);
    cx.fire(asked, "test.fired", { name: "x" });
    cx.mask(cx.activity, ["test.timers"]);
    cx.setPriority(-9);
    const second = cx.createNullActivity();
    cx.endActivity(second);
    cx.trace("info", `${cx.isEnding(second)} ${cx.isEnding(asked)}`);
    cx.suspendEvent(1500);
    cx.detach();
    cx.state.seen = cx.activity;
  },

  timers(cx) {
    cx.setTimer(1, 1500);
    cx.startTimer(2, { every: 2500 });
    cx.startTimer(3, { every: 2000, after: 0, times: 3, preserveMissed: "All", lateAfter: 10 });
    cx.cancelTimer(1);
    cx.state.at = cx.nowMicros;
    cx.state.random = cx.random();
    cx.state.random = cx.random();
  },

  facilities(cx) {
    cx.trace("fine", "not wanted");
    cx.trace("fine", "wanted", "steps");
    cx.trace("warning", "é".repeat(600));
    cx.raiseAlarm("a", "b", "major", "bad");
    cx.clearAlarms("a", "b");
    cx.clearAlarms("a");
    cx.clearAlarms();
    cx.count("calls");
    cx.count("calls", -2, "set");
    cx.sample("ring_ms", 1_800_000_000_000);
  },

  tables(cx) {
    const names = [...cx.findProfiles(PROFILES, "first", "ann")];
    cx.trace("info", names.join());
    cx.trace("info", `${cx.profile(PROFILES, names[0]).count}`);
    cx.trace("info", `${cx.profile(PROFILES, "nobody") ?? "nobody"}`);
    let sum = 0;
    for (const [key, row] of cx.rows("rows")) {
      sum += Number(key) * row.count;
    }
    cx.trace("info", `${sum} ${cx.row("rows", "3").count}`);
    cx.putRow("rows", "new", { count: 5_000_000_000 });
    cx.removeRow("rows", "1");
    cx.record("notes", { count: -3 });
  },

  adaptors(cx) {
    const call = cx.startActivity("http", { method: "GET", url: "http://a.test/" });
    cx.attach(call);
    refuse(cx, 480, "Closed", [["Contact", "<sip:é@test>"]]);
    const targets = phonesOf(cx, "sip:bob@example.test");
    proxy(cx, targets);
    redirect(cx, targets, { from: "sip:a@test", reason: "NoAnswer" });
    hangUp(cx);
    cx.detach(cx.activity);
  },

  values(cx, { payload }) {
    cx.fire(cx.activity, "test.echo", payload);
  },

  resumes(cx) {
    cx.resumeEvent(cx.activity);
  },

  fails(cx) {
    cx.setTimer(1, 1000);
    cx.trace("info", "before it fails");
    throw new Failure("it has had enough");
  },

  lost(cx) {
    cx.attach({ cell: cx.activity.cell, number: 99 });
  },

  only(cx) {
    cx.setRollbackOnly("rather not");
    cx.setRollbackOnly("or later");
  },
};

const odd = {
  throws(cx) {
    cx.trace("info", "before it throws");
    undefined.calls();
  },

  loops(cx) {
    cx.trace("info", "before it loops");
    for (;;);
  },

  recurses() {
    const deeper = (n) => deeper(n + 1) + 1;
    deeper(0);
  },

  grows() {
    const all = [];
    for (;;) {
      all.push(new Uint8Array(1 << 20));
    }
  },

  floods(cx) {
    for (let line = 0; line < 300; line += 1) {
      console.log(line);
    }
  },

  reads(cx) {
    cx.row("accounts", "alice");
  },

  surroundings(cx) {
    console.log("a", 1, { b: 2n });
    console.warn(new Date().toISOString(), Date.now() === cx.now, new Date(0).getTime());
    console.error(new Date().getHours(), typeof Date(), new Date() instanceof Date);
    cx.state.random = Math.random();
    cx.state.seen = globalThis.left ?? null;
    globalThis.left = "by the delivery before";
  },

  unwritable(cx) {
    cx.state.seen = () => {};
  },
};

honest[TIMER] = (cx, event) => cx.trace("info", `${event.payload.timer}`);
