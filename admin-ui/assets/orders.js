// Sends orders: each form with data-post, or data-put, becomes a POST or PUT to the REST interface,
// with the node's token, which is asked for once and kept until the tab is closed. A button may send
// something else (data-method, data-query, data-url, data-body), and have the answer told to an
// element instead of the page loaded again (data-told). A form with a file sends that. Without
// scripts no order is shown: `resilee ctl` gives the same ones.
"use strict";
(() => {
  const KEY = "resilee-token"; // The same as in write.js: it is typed once in a tab.
  const dialog = document.getElementById("token");
  const field = document.getElementById("token-field");
  const told = document.getElementById("order-told");
  if (!dialog || !field || !told) return;
  document.body.classList.add("scripted");
  let token = null;
  try { token = sessionStorage.getItem(KEY); } catch { /* It is asked for on each page. */ }
  let waiting = null;

  function tell(text) {
    told.textContent = text;
    told.hidden = !text;
  }

  function keep(value) {
    token = value;
    try {
      if (value) sessionStorage.setItem(KEY, value);
      else sessionStorage.removeItem(KEY);
    } catch { /* It is asked for on each page. */ }
  }

  // A new profile is named by its fields, or by a field of its own.
  function url(form, button) {
    const { post, put, namedBy, separator } = form.dataset;
    const base = button.dataset.url || put || post;
    if (namedBy === undefined) return base + (button.dataset.query || "");
    const free = form.querySelector("input[data-name]");
    const text = (name) => form.querySelector(`input[name="${name}"]`).value;
    return base + encodeURIComponent(free ? free.value : namedBy.split(" ").map(text).join(separator));
  }

  function file(form) {
    const chosen = form.querySelector("input[data-file]");
    return chosen && chosen.files[0];
  }

  // In a profile, what is empty and not required is not there; a secret that is empty stays.
  function body(form, button) {
    if (button.dataset.body) return button.dataset.body;
    if (button.dataset.list) return JSON.stringify({ [button.dataset.list]: [form.elements.service.value] });
    let entries = [...new FormData(form)];
    if (form.dataset.put) {
      entries = entries.filter(([name, value]) => value || "required" in form.elements[name].dataset);
    } else {
      entries = entries.map(([name, value]) => [name, value === "" ? null : value]);
    }
    return JSON.stringify(Object.fromEntries(entries));
  }

  async function send(form, button) {
    const hasFile = Boolean(form.querySelector("input[data-file]"));
    const sent = file(form);
    if (hasFile && !sent) return tell("Choose a file first.");
    if (!token) {
      waiting = [form, button];
      field.value = "";
      dialog.showModal();
      return;
    }
    const method = button.dataset.method || (form.dataset.put ? "PUT" : "POST");
    if (hasFile) tell("The file is sent, and the node compiles it…");
    let answer;
    try {
      answer = await fetch(url(form, button), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": hasFile ? "application/wasm" : "application/json",
        },
        body: method === "DELETE" ? undefined : sent || body(form, button),
      });
    } catch {
      const read = hasFile ? ", or the file cannot be read" : "";
      return tell(`The node does not answer${read}. It may have done it before: load this page again, and look.`);
    }
    if (answer.ok && button.dataset.told) {
      const detail = { file: sent, answer: await answer.json() };
      tell("");
      return document.getElementById(button.dataset.told).dispatchEvent(new CustomEvent("told", { detail }));
    }
    if (answer.ok) return form.dataset.then ? location.assign(form.dataset.then) : location.reload();
    if (answer.status === 401 || answer.status === 403) keep(null);
    const problem = await answer.json().catch(() => ({}));
    tell(`Not done: ${problem.error || answer.status}${problem.help ? "; " + problem.help : ""}`);
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.post || form.dataset.put) {
      event.preventDefault();
      tell("");
      send(form, event.submitter || form.querySelector("button"));
    }
  });
  dialog.addEventListener("close", () => {
    const order = waiting;
    waiting = null;
    if (dialog.returnValue !== "send" || !field.value || !order) return;
    keep(field.value.trim());
    field.value = "";
    send(...order);
  });
})();
