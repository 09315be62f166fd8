// The page Units: a file that is dropped or chosen is looked at by the node at once, and what is in
// it is shown; only the button below that deploys it. orders.js sends both, with the token.
"use strict";
(() => {
  const drop = document.getElementById("unit-drop");
  const look = document.getElementById("unit-look");
  const found = document.getElementById("unit-found");
  const deploy = document.getElementById("unit-deploy");
  if (!drop || !look || !found || !deploy) return;
  const form = drop.closest("form");
  const input = drop.querySelector("input");

  // What is shown, and so what may be deployed. The answer for a file that another one has taken the
  // place of meanwhile is not shown.
  let shown = null;

  function lookAtIt() {
    shown = null;
    found.hidden = true;
    deploy.disabled = true;
    if (input.files.length) form.requestSubmit(look);
  }

  input.addEventListener("change", lookAtIt);
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    lookAtIt();
  });
  // Beside it a file would take the page's place.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => event.preventDefault());
  }

  // Before orders.js sends it.
  form.addEventListener("submit", (event) => {
    if (event.submitter === look || (shown && shown === input.files[0])) return;
    event.preventDefault();
    event.stopPropagation();
    lookAtIt();
  });

  function fact(name, value) {
    if (!value) return [];
    const row = document.createElement("div");
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    row.append(term, text);
    return [row];
  }

  found.addEventListener("told", (event) => {
    const { file, answer: { unit, conflict } } = event.detail;
    if (file !== input.files[0]) return;
    shown = file;
    const usage = Object.entries(unit.usage).map(([name, kind]) => `${name} (${kind})`);
    const childSbbs = (unit.child_sbbs ?? []).map(({ name, version, events }) => {
      const gets = events.length ? ` (${events.join(", ")})` : "";
      return `${name} ${version}${gets}`;
    });
    const initial = unit.initial_events.join(", ") || "nothing";
    const chosen = unit.selects_initial_events ? "; it chooses which of them" : "";
    found.querySelector("h3").textContent = `${unit.service} ${unit.version}`;
    found.querySelector("dl").replaceChildren(
      ...fact("Vendor", unit.vendor),
      ...fact("Unit", unit.id),
      ...fact("Bytes", String(unit.bytes)),
      ...fact("Priority", String(unit.priority)),
      ...fact("May", unit.permissions.join(", ")),
      ...fact("Is started by", initial + chosen),
      ...fact("Also gets", unit.events.join(", ")),
      ...fact("Reads profiles of", unit.profile_tables.join(", ")),
      ...fact("Shares attributes", unit.shares.join(", ")),
      ...fact("Needs", unit.needs.join(", ")),
      ...fact("May take over what is of", unit.migrates_from.join(", ")),
      ...fact("Has child SBBs", childSbbs.join(", ")),
      ...fact("On roll back", unit.on_roll_back ?? ""),
      ...fact("If it fails again and again", unit.on_repeated_failures ?? ""),
      ...fact("Counts and measures", usage.join(", ")),
    );
    const notice = found.querySelector(".notice");
    notice.textContent = conflict ? `It cannot be deployed now: ${conflict}` : "";
    notice.hidden = !conflict;
    deploy.disabled = Boolean(conflict);
    found.hidden = false;
    if (!conflict) deploy.focus();
  });
})();
