// The chat of /telegram/: stays at its end as messages come, and empties the entry once it is sent.
(() => {
  const chat = document.getElementById("chat");
  if (!chat) return;
  let atEnd = true;
  const toEnd = () => { chat.scrollTop = chat.scrollHeight; };
  chat.addEventListener("scroll", () => { atEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 40; });
  chat.addEventListener("load", () => { if (atEnd) toEnd(); }, true);
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    // Unchanged messages stay as they are, so that nothing flickers and no selection is lost.
    if (event.detail.target === chat && event.detail.xhr.responseText.replace(/value="[^"]{64}"/g, "") === chat.dataset.shown) event.detail.shouldSwap = false;
  });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== chat) return;
    chat.dataset.shown = event.detail.xhr.responseText.replace(/value="[^"]{64}"/g, "");
    if (atEnd) toEnd();
  });
  document.getElementById("chat-entry").addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && event.target.id === "chat-entry") { event.target.reset(); atEnd = true; toEnd(); }
  });
  chat.addEventListener("click", (event) => {
    // As Telegram does: the words to search by come into the entry, to be finished there.
    const search = event.target.closest("[data-search]");
    if (!search) return;
    event.preventDefault();
    const entry = document.getElementById("chat-text");
    entry.value = search.value;
    entry.focus();
  });
  toEnd();
})();
