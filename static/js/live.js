// Live updates: signal, then fetch. The socket says only what changed; elements with hx-trigger="fills-changed from:body"
// fetch their own fragment. Nothing is replayed: after a gap, `desk-refetch` has everything fetched once.
// htmx's own `throttle:` forgets the last event of a burst, so the spacing is kept here, where the last one always counts.
(() => {
  "use strict";
  const SPACING_MS = 400;
  const waiting = new Set();
  let timer = 0;
  let dispatchedAt = 0;
  let attempts = 0;
  let wasOpen = false;

  const dispatch = () => {
    timer = 0;
    if (document.hidden) return; // the names stay in `waiting` until someone looks
    dispatchedAt = Date.now();
    for (const name of waiting) document.body.dispatchEvent(new CustomEvent(name));
    waiting.clear();
  };
  const signal = (name) => {
    waiting.add(name);
    if (!timer) timer = setTimeout(dispatch, Math.max(0, dispatchedAt + SPACING_MS - Date.now()));
  };
  const show = (state, text) => {
    const element = document.getElementById("link-state");
    if (!element) return;
    element.dataset.state = state;
    element.textContent = text;
  };
  const connect = () => {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/pages`);
    socket.onopen = () => {
      attempts = 0;
      show("open", "live");
      if (wasOpen) signal("desk-refetch");
      wasOpen = true;
    };
    socket.onmessage = (message) => signal(JSON.parse(message.data).signal);
    socket.onclose = () => {
      show("closed", "reconnecting");
      attempts += 1;
      setTimeout(connect, Math.min(15000, 250 * 2 ** attempts) * (0.5 + Math.random() / 2));
    };
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && waiting.size && !timer) dispatch();
  });
  document.addEventListener("DOMContentLoaded", () => {
    if (document.body.dataset.live === "yes") connect();
  });
})();
