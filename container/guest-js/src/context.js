// What a handler may read and ask for during one delivery, as `Context` of `resilee-sbb`. What it
// asks for is looked at by the node, which rolls the delivery back if it cannot be.
//
// An activity is named by an object, which goes into the state and into events as it is. Where an
// activity may be left out it is that of the event.

import host from "resilee:sbb/host@0.1.0";
import { decode, encode } from "./codec.js";
import { Effects } from "./effects.js";
import { Failure } from "./failure.js";
import { nextRandom, nowMicros } from "./surroundings.js";
import { cut } from "./text.js";

const LEVELS = ["finest", "finer", "fine", "config", "info", "warning", "severe"];
const TRACE_TEXT_MAX = 1024;
const TRACER_NAME_MAX = 128;
const ALARM_NAME_MAX = 128;
const ALARM_TEXT_MAX = 1024;
/** A one-shot timer is late after this, in milliseconds. */
const LATE_AFTER = 1000;

export class Context {
  #sbb;
  #deliver;
  #contexts;
  #nextActivity;
  /** What was asked for. */
  effects = new Effects();
  /** The state of the entity, plain data: what it is when the handler returns is kept. */
  state = {};

  constructor(sbb, deliver) {
    this.#sbb = sbb;
    this.#deliver = deliver;
    this.#contexts = deliver.contexts;
    this.#nextActivity = deliver.next_activity;
    const { event_type: type, activity, payload } = deliver.event;
    /** The event: its type, its activity, and what it says. */
    this.event = { type, activity, payload: payload.length === 0 ? null : decode(payload) };
  }

  // The delivery.

  /** Cluster time in milliseconds since 1970, as `Date.now()`. */
  get now() {
    return Math.floor(nowMicros() / 1000);
  }

  /** The same in microseconds, as it is in events. */
  get nowMicros() {
    return nowMicros();
  }

  /** The activity of the event. */
  get activity() {
    return this.event.activity;
  }

  /** The entity that handles the event. */
  get entity() {
    return this.#deliver.entity;
  }

  /** The next number of a sequence that the delivery determines: a BigInt of 64 bits. */
  random() {
    return nextRandom();
  }

  /** Rolls the delivery back, whatever the handler does. */
  setRollbackOnly(reason) {
    this.effects.rollBackReason ??= String(reason);
  }

  get isRollbackOnly() {
    return this.effects.rollBackReason !== undefined;
  }

  // Activity contexts.

  #number() {
    return this.#deliver.entity.number;
  }

  #context(activity) {
    const { cell } = this.#deliver.entity;
    const isOwn = activity.cell.cohort === cell.cohort && activity.cell.number === cell.number;
    const context = isOwn ? this.#contexts[activity.number] : undefined;
    if (context === undefined) {
      throw new Failure(`there is no activity ${shown(activity)} here`);
    }
    return context;
  }

  #goingOn(activity) {
    const context = this.#context(activity);
    if (context.is_ending) {
      throw new Failure(`activity ${shown(activity)} is ending`);
    }
    return context;
  }

  /** Attaches the entity to an activity context: it gets its events from now on. */
  attach(activity) {
    const { attached } = this.#goingOn(activity);
    if (!attached.includes(this.#number())) {
      attached.push(this.#number());
      this.effects.ask("Attach", { entity: this.#number(), activity: activity.number });
    }
  }

  /** Detaches it. An entity that is attached to nothing is removed. */
  detach(activity = this.activity) {
    const context = this.#context(activity);
    context.attached = context.attached.filter((number) => number !== this.#number());
    this.effects.ask("Detach", { entity: this.#number(), activity: activity.number });
  }

  /** Activities that it is attached to. */
  activities() {
    const numbers = Object.keys(this.#contexts).map(Number);
    return numbers
      .filter((number) => this.#contexts[number].attached.includes(this.#number()))
      .map((number) => this.#activity(number));
  }

  #activity(number) {
    return { cell: this.#deliver.entity.cell, number };
  }

  /** True if an activity ends or is over. */
  isEnding(activity) {
    return this.#contexts[activity.number]?.is_ending ?? true;
  }

  /** Event types of an activity that the entity does not get, instead of those before. */
  mask(activity, events) {
    this.#context(activity);
    const masked = { entity: this.#number(), activity: activity.number, events };
    this.effects.ask("Mask", masked);
  }

  /** An attribute of an activity context; undefined if it is not set. */
  attribute(name, activity = this.activity) {
    const value = this.#context(activity).attributes[this.#attributeKey(name)];
    return value === undefined ? undefined : decode(value);
  }

  /** Sets an attribute of an activity context. */
  setAttribute(name, value, activity = this.activity) {
    const key = this.#attributeKey(name);
    const bytes = encode(value);
    this.#context(activity).attributes[key] = bytes;
    this.effects.ask("SetAttribute", { activity: activity.number, name: key, value: bytes });
  }

  /** True if the SBB shares an attribute under this alias. */
  shares(name, alias) {
    return this.#attributeKey(name) === alias;
  }

  #attributeKey(name) {
    return this.#sbb.attributeAliases?.[name] ?? `${this.#sbb.name}/${name}`;
  }

  #start(isNull) {
    const number = this.#nextActivity;
    this.#nextActivity += 1;
    const context = { attributes: {}, attached: [], names: [], is_ending: false, is_null: isNull };
    this.#contexts[number] = { ...context, is_suspended: false, mirror_of: null };
    return this.#activity(number);
  }

  /** Starts a null activity, on which services fire events; its name. */
  createNullActivity() {
    const activity = this.#start(true);
    this.effects.ask("StartActivity", { activity: activity.number });
    return activity;
  }

  /** Starts an activity of a resource adaptor, as a command of its own says; its name. */
  startActivity(adaptor, command) {
    const activity = this.#start(false);
    const started = { adaptor, activity: activity.number, command: encode(command) };
    this.effects.ask("StartActivityOf", started);
    return activity;
  }

  /** Ends a null activity. */
  endActivity(activity) {
    this.#context(activity).is_ending = true;
    this.effects.ask("EndActivity", { activity: activity.number });
  }

  /** Fires an event on an activity. */
  fire(activity, type, payload) {
    this.#goingOn(activity);
    const fired = { activity: activity.number, event_type: type, payload: encode(payload) };
    this.effects.ask("Fire", fired);
  }

  /** Nobody else gets the event for now, nor a later one of its activity. */
  suspendEvent(millis) {
    this.effects.ask("SuspendEvent", { until: this.#after(millis) });
  }

  /** Goes on with the event that is suspended on an activity. */
  resumeEvent(activity) {
    this.#context(activity);
    this.effects.ask("ResumeEvent", { activity: activity.number });
  }

  /** Another priority of the entity. */
  setPriority(priority) {
    this.effects.ask("SetPriority", { entity: this.#number(), priority });
  }

  // Timers. Their ids are whole numbers of the service's own; one that is set already is replaced.

  #after(millis) {
    return this.nowMicros + micros(millis);
  }

  /** Sets a timer that fires once, so many milliseconds from now. */
  setTimer(timer, millis) {
    this.startTimer(timer, { after: millis });
  }

  /**
   * Starts a timer: `after` or `every` so many milliseconds, or both; `times` for a periodic one,
   * 0: for ever; `preserveMissed`: "None", "All" or "Last"; `lateAfter` so many milliseconds.
   */
  startTimer(timer, { after, every, times, preserveMissed = "Last", lateAfter }) {
    const setting = {
      due: this.#after(after ?? every),
      period: every === undefined ? null : duration(every),
      repetitions: every === undefined ? 1 : times ?? 0,
      preserve_missed: preserveMissed,
      late_after: duration(lateAfter ?? every ?? LATE_AFTER),
    };
    this.effects.ask("SetTimer", { entity: this.#number(), timer, setting });
  }

  /** Cancels a timer; nothing if it is not set. */
  cancelTimer(timer) {
    this.effects.ask("CancelTimer", { entity: this.#number(), timer });
  }

  // Resource adaptors and shared tables.

  /** Sends a command to the resource adaptor of an activity. */
  send(command, activity = this.activity) {
    this.effects.ask("Command", { activity, payload: encode(command) });
  }

  /** A row of a shared table; undefined if there is none. */
  row(table, key) {
    const row = host.row(table, key);
    return row === null || row === undefined ? undefined : decode(row);
  }

  /** Keys and rows of a shared table, in the order of their keys. */
  *rows(table, from = "") {
    let rows = host.rows(table, from);
    while (rows.length > 0) {
      for (const [key, row] of rows) {
        yield [key, decode(row)];
      }
      rows = host.rows(table, `${rows[rows.length - 1][0]}\0`);
    }
  }

  /** A profile; undefined if there is none. */
  profile(table, name) {
    if (!host.hasProfileTable(table)) {
      throw noProfileTable(table);
    }
    return this.row(table, name);
  }

  /** Names of the profiles whose attribute has this value, in their order. */
  *findProfiles(table, attribute, value) {
    const next = (after) => host.find(table, attribute, String(value), after);
    let names = next("");
    if (names === null || names === undefined) {
      throw host.hasProfileTable(table)
        ? new Failure(`${attribute} of ${table} has no index: declare the attribute as indexed`)
        : noProfileTable(table);
    }
    while (names.length > 0) {
      yield* names;
      names = next(names[names.length - 1]);
    }
  }

  /** Adds or replaces a row, where a service may. */
  putRow(table, key, row) {
    this.effects.ask("PutRow", { table, key, row: encode(row) });
  }

  /** Removes a row. */
  removeRow(table, key) {
    this.effects.ask("RemoveRow", { table, key });
  }

  /** Writes a record that is kept for ever, once for each call and journal. */
  record(journal, record) {
    this.effects.ask("Record", { journal, record: encode(record) });
  }

  // Traces and alarms, which stay if the delivery rolls back; usage, which does not.

  #tracer(below) {
    const name = below === "" ? this.#sbb.name : `${this.#sbb.name}.${below}`;
    return cut(name, TRACER_NAME_MAX);
  }

  /** True if a tracer writes lines of this level. */
  isTraceable(level, below = "") {
    const { given, root } = this.#deliver.trace_levels;
    let name = this.#tracer(below);
    while (name !== "" && !(name in given)) {
      name = name.slice(0, Math.max(0, name.lastIndexOf(".")));
    }
    const least = given[name] ?? root;
    return least !== "off" && LEVELS.indexOf(level) >= LEVELS.indexOf(least);
  }

  /** Writes a line to the SBB's tracer, or to one below it. */
  trace(level, text, below = "") {
    if (!LEVELS.includes(level)) {
      throw new Failure(`${level} is no trace level: ${LEVELS.join(", ")} are`);
    }
    if (this.isTraceable(level, below)) {
      const line = cut(String(text), TRACE_TEXT_MAX);
      this.effects.ask("Trace", { tracer: this.#tracer(below), level, text: line });
    }
  }

  /** Raises an alarm; severities are indeterminate, warning, minor, major, critical. */
  raiseAlarm(type, instance, severity, text) {
    this.effects.ask("RaiseAlarm", {
      alarm_type: cut(type, ALARM_NAME_MAX),
      instance: cut(instance, ALARM_NAME_MAX),
      severity,
      text: cut(String(text), ALARM_TEXT_MAX),
    });
  }

  /** Clears an alarm; without an instance all of its type; without a type all of the service. */
  clearAlarms(type, instance) {
    const name = (text) => cut(text, ALARM_NAME_MAX);
    if (type === undefined) {
      this.effects.ask("ClearAlarms", "All");
    } else if (instance === undefined) {
      this.effects.ask("ClearAlarms", { OfType: name(type) });
    } else {
      const one = { alarm_type: name(type), instance: name(instance) };
      this.effects.ask("ClearAlarms", { One: one });
    }
  }

  /** Adds to a counter that the service declares. */
  count(parameter, increment = 1, set = "") {
    this.effects.ask("Usage", { set, parameter, value: { Count: increment } });
  }

  /** One more value of a sample that it declares. */
  sample(parameter, value, set = "") {
    this.effects.ask("Usage", { set, parameter, value: { Sample: value } });
  }
}

function shown({ cell, number }) {
  return `${BigInt(cell.cohort).toString(16).padStart(16, "0")}-${cell.number}/a${number}`;
}

function micros(millis) {
  if (!(millis >= 0)) {
    throw new Failure(`a time of ${millis} ms: 0 or more are expected`);
  }
  return Math.round(millis * 1000);
}

function duration(millis) {
  const all = micros(millis);
  return { secs: Math.floor(all / 1e6), nanos: (all % 1e6) * 1000 };
}

function noProfileTable(table) {
  const what = `there is no profile table "${table}"`;
  return new Failure(`${what}: name it in profileTables of the service`);
}
