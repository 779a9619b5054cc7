// Live updates: signal, then fetch. The socket says only what changed; elements with hx-trigger="fills-changed from:body"
// fetch their own fragment. Nothing is replayed: after a gap, `desk-refetch` has everything fetched once.
// htmx's own `throttle:` forgets the last event of a burst, so the spacing is kept here, where the last one always counts.
// `changed-lately` comes two seconds after any signal, and after the page has connected: what was announced before it was
// committed, or is read from the record, is there by then, and so is what happened while the page was on its way.
(() => {
  "use strict";
  const SPACING_MS = 400;
  const LATELY_MS = 2000;
  const waiting = new Set();
  let timer = 0;
  let latelyTimer = 0;
  let latelyAgain = false;
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
  const signalLately = () => {
    latelyAgain = latelyTimer !== 0; // then another round follows, however busy the desk is
    if (latelyAgain) return;
    latelyTimer = setTimeout(() => {
      latelyTimer = 0;
      signal("changed-lately");
      if (latelyAgain) signalLately();
    }, LATELY_MS);
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
      signalLately();
    };
    socket.onmessage = (message) => {
      signal(JSON.parse(message.data).signal);
      signalLately();
    };
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
