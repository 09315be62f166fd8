// Keeps a page fresh: the server sends elements as they look now, this puts them in by their ids.
// What did not change is left alone, so that focus, selection and animations stay.
"use strict";
(() => {
  const SILENT_MS = 4000; // The server sends something each second.
  const RETRY_MS = 1500;
  const url = document.body.dataset.events;
  const sign = document.getElementById("stream");
  let source, watchdog;

  function show(state, title) {
    sign.hidden = false;
    sign.dataset.state = state;
    sign.textContent = state;
    sign.title = title;
    document.body.classList.toggle("stale", state === "stale");
  }

  function isSame(old, fresh) {
    return old.nodeName === fresh.nodeName && (old.id || "") === (fresh.id || "");
  }

  // Makes `old` look like `fresh`; children with an id are found again by it.
  function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      // Whether a reader opened it is the reader's.
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const known = child.id && [...old.children].find((other) => other.id === child.id);
      if (known && known !== at) old.insertBefore(known, at);
      const match = known || (at && isSame(at, child) ? at : null);
      if (!match) {
        if (child.id) child.classList.add("arrived");
        old.insertBefore(child, at);
        continue;
      }
      if (match === at) at = at.nextSibling;
      morph(match, child);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function swap(parts) {
    for (const { id, html } of parts) {
      const old = document.getElementById(id);
      const template = document.createElement("template");
      template.innerHTML = html.trim();
      const fresh = template.content.firstElementChild;
      if (old && fresh && isSame(old, fresh)) morph(old, fresh);
    }
  }

  function heard() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => {
      show("stale", "The node has gone quiet; connecting again");
      connect();
    }, SILENT_MS);
  }

  function connect() {
    disconnect();
    source = new EventSource(url);
    heard();
    source.addEventListener("swap", (event) => {
      heard();
      swap(JSON.parse(event.data));
      show("live", "This page is kept fresh each second");
    });
    source.addEventListener("down", (event) => {
      heard();
      show("stale", JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      show("stale", "The connection to the node is broken; connecting again");
      clearTimeout(watchdog);
      watchdog = setTimeout(connect, RETRY_MS);
    });
  }

  function disconnect() {
    clearTimeout(watchdog);
    if (source) source.close();
  }

  // A browser has few connections to one host: hidden pages give theirs back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect();
    else connect();
  });
  window.addEventListener("pagehide", disconnect);
  if (url && sign && !document.hidden) connect();
})();
