// The box in the head of a list of accounts marks every row that is shown, or none; it follows what is marked by hand.
(() => {
  "use strict";
  const boxes = () => [...document.querySelectorAll("#fleet td.tick input")];
  document.addEventListener("change", (event) => {
    if (!event.target.matches("#fleet .tick input")) return;
    const all = document.getElementById("mark-all");
    if (event.target === all) for (const box of boxes()) box.checked = all.checked;
    const marked = boxes().filter((box) => box.checked).length;
    all.checked = marked > 0 && marked === boxes().length;
    all.indeterminate = marked > 0 && !all.checked;
  });
})();
