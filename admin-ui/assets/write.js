// Sends a form as one JSON object to REST, with the token that the operator types. The token stays
// in this tab, and goes to this node only.
"use strict";
(() => {
  const KEY = "resilee-token";

  // Attributes that are empty and not required are not there; a secret that is empty stays.
  function body(form, button) {
    if (button.dataset.body) return button.dataset.body;
    if (button.dataset.list) {
      const name = form.querySelector("[data-order]").value;
      return JSON.stringify({ [button.dataset.list]: [name] });
    }
    const fields = [...form.querySelectorAll("input[name]")];
    const given = fields.filter((field) => field.value !== "" || "required" in field.dataset);
    return JSON.stringify(Object.fromEntries(given.map((field) => [field.name, field.value])));
  }

  function url(form, button) {
    const base = button.dataset.url || form.dataset.url;
    const names = form.dataset.namedBy;
    if (names === undefined) return base + (button.dataset.query || "");
    const text = (name) => form.querySelector(`input[name="${name}"]`).value;
    const free = form.querySelector("input[data-name]");
    const name = free ? free.value : names.split(" ").map(text).join(form.dataset.separator);
    return base + encodeURIComponent(name);
  }

  async function write(form, button) {
    const outcome = form.querySelector("[role=status]");
    const token = form.querySelector("[data-token]").value;
    const method = button.dataset.method || form.dataset.write;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const request = { method, headers };
    if (method !== "DELETE") request.body = body(form, button);
    outcome.className = "outcome";
    outcome.textContent = "…";
    try {
      const response = await fetch(url(form, button), request);
      const answer = await response.json();
      if (!response.ok) throw new Error(`${answer.error}; ${answer.help}`);
      sessionStorage.setItem(KEY, token);
      location.assign(form.dataset.then);
    } catch (error) {
      outcome.className = "outcome bad-text";
      outcome.textContent = error.message;
    }
  }

  for (const form of document.querySelectorAll("form[data-write]")) {
    const token = form.querySelector("[data-token]");
    token.value = sessionStorage.getItem(KEY) || "";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      write(form, event.submitter || form.querySelector("button"));
    });
  }
})();
