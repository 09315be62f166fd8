// Sends orders: each form with data-post becomes a POST to the REST interface, with the node's
// token, which is asked for once and kept until the tab is closed. Without scripts no order is
// shown: `resilee ctl` gives the same ones.
"use strict";
(() => {
  const dialog = document.getElementById("token");
  const field = document.getElementById("token-field");
  const told = document.getElementById("order-told");
  if (!dialog || !field || !told) return;
  document.body.classList.add("orders");
  let token = null;
  try { token = sessionStorage.getItem("token"); } catch { /* It is asked for on each page. */ }
  let waiting = null;

  function tell(text) {
    told.textContent = text;
    told.hidden = !text;
  }

  function keep(value) {
    token = value;
    try {
      if (value) sessionStorage.setItem("token", value);
      else sessionStorage.removeItem("token");
    } catch { /* It is asked for on each page. */ }
  }

  async function send(form) {
    if (!token) {
      waiting = form;
      field.value = "";
      dialog.showModal();
      return;
    }
    const entries = [...new FormData(form)].map(([name, value]) => [name, value === "" ? null : value]);
    let answer;
    try {
      answer = await fetch(form.dataset.post, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(Object.fromEntries(entries)),
      });
    } catch {
      return tell("The node does not answer: nothing was done.");
    }
    if (answer.ok) return location.reload();
    if (answer.status === 401 || answer.status === 403) keep(null);
    const problem = await answer.json().catch(() => ({}));
    tell(`Not done: ${problem.error || answer.status}${problem.help ? "; " + problem.help : ""}`);
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.post) {
      event.preventDefault();
      tell("");
      send(form);
    }
  });
  dialog.addEventListener("close", () => {
    const form = waiting;
    waiting = null;
    if (dialog.returnValue !== "send" || !field.value || !form) return;
    keep(field.value.trim());
    field.value = "";
    send(form);
  });
})();
