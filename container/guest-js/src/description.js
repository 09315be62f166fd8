// What a service says that it is, and what its fields become in a unit's description
// (`container/sbb/src/unit_description.rs`). It is looked at when the unit is built.

const HANDLERS = ["onEvent", "initialEvent", "exceptionThrown", "rolledBack", "migrate"];

/** Fields of a description by what they are called here, and what becomes of their values. */
const FIELDS = {
  name: as("name"),
  vendor: as("vendor"),
  version: as("version"),
  priority: as("priority"),
  initialEvents: as("initial_events"),
  events: as("events"),
  onRollBack: as("on_roll_back"),
  needs: as("needs"),
  begins: as("begins"),
  onRepeatedFailures: as("on_repeated_failures"),
  permissions: as("permissions"),
  attributeAliases: { name: "attribute_aliases", of: Object.entries },
  usage: { name: "usage", of: (kinds) => Object.entries(kinds).map(usageParameter) },
  profileTables: { name: "profile_tables", of: (tables) => tables.map(profileTable) },
};

/** Of a service's object; the unit itself looks at them. */
const OWN = ["stateVersion", "initialState", ...HANDLERS];

function as(name) {
  return { name, of: (value) => value };
}

/** The description of a service. */
export function description(sbb) {
  const known = [...Object.keys(FIELDS), ...OWN];
  const unknown = Object.keys(sbb).find((field) => !known.includes(field));
  if (unknown !== undefined) {
    throw new Error(`a service has no ${unknown}: known are ${known.join(", ")}`);
  }
  if (typeof sbb.name !== "string" || typeof sbb.onEvent !== "function") {
    throw new Error("a service has a name, a text, and onEvent, a function: give it both");
  }
  const noFunction = HANDLERS.find((name) => name in sbb && typeof sbb[name] !== "function");
  if (noFunction !== undefined) {
    throw new Error(`${noFunction} of ${sbb.name} is a handler: make it a function`);
  }
  const described = {
    selects_initial_events: "initialEvent" in sbb,
    tells_if_it_suspends: true,
  };
  for (const [field, { name, of }] of Object.entries(FIELDS)) {
    if (sbb[field] !== undefined) {
      described[name] = of(sbb[field]);
    }
  }
  return described;
}

function usageParameter([name, kind]) {
  const kinds = { counter: "Counter", sample: "Sample" };
  if (!(kind in kinds)) {
    throw new Error(`${name} is a usage parameter: say that it is a "counter" or a "sample"`);
  }
  return [name, kinds[kind]];
}

function profileTable({ name, about, attributes, namedBy, separator, profilesMax }) {
  return {
    name,
    about,
    attributes: Object.entries(attributes).map(([name, attribute]) => ({ name, ...attribute })),
    named_by: namedBy,
    separator,
    profiles_max: profilesMax,
  };
}

/** An attribute: `{ required, indexed, unique, secret }` say what it is besides its kind. */
function attribute(kind, { required = false, indexed, unique, secret = false } = {}) {
  const index = unique ? "Unique" : indexed ? "Indexed" : "None";
  return { kind, required, index, secret };
}

/** A text of so many characters at most. */
export const text = (charsMax, how) => attribute({ Text: { chars_max: charsMax } }, how);

/** So many hex digits. */
export const hex = (digits, how) => attribute({ Hex: { digits } }, how);

/** A whole number. */
export const number = (min, max, how) => attribute({ Number: { min, max } }, how);

/** A decimal number, which a service reads as a whole number of its last place. */
export const decimal = (places, min, max, how) =>
  attribute({ Decimal: { places, min, max } }, how);

/** True or false. */
export const flag = (how) => attribute("Flag", how);

/** What a unit may do, beside what all may: docs/units.md. */
export const permission = {
  command: (kind) => ({ Command: kind }),
  start: (adaptor, to = "") => ({ Start: { adaptor, to } }),
  read: (table) => ({ Read: table }),
  write: (table) => ({ Write: table }),
  record: (journal) => ({ Record: journal }),
  suspend: () => "Suspend",
};
