// Keeps every visible age true: <time data-age datetime="…"> counts on between fetches, by the server's clock.
(() => {
  "use strict";
  const words = (seconds) => {
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  };
  document.addEventListener("DOMContentLoaded", () => {
    const ahead = Date.parse(document.body.dataset.now) - Date.now();
    setInterval(() => {
      if (document.hidden) return;
      const now = Date.now() + ahead;
      for (const element of document.querySelectorAll("time[data-age]")) {
        const text = words(Math.max(0, now - Date.parse(element.dateTime)) / 1000);
        if (element.textContent !== text) element.textContent = text;
      }
    }, 1000);
  });
})();
