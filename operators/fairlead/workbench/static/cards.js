// The cards beyond plain forms: a value is excluded by the right button, and searched for among many.
"use strict";
(() => {
  // --- right button: excludes a value, or takes that back; Shift gives the browser's own menu. Keyboard and touch use the button − ----

  document.addEventListener("contextmenu", (event) => {
    const row = event.target.closest?.("#filters .value");
    if (!row || event.shiftKey || event.button !== 2 || event.pointerType === "touch") return;
    event.preventDefault();
    row.querySelector(".drop input").click();
  });

  // --- pictures: Space opens the viewer, as Enter does ---------------------------------------------------------------------------------

  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.matches?.("a.frame")) return;
    event.preventDefault();
    event.target.click();
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    if (!event.detail.requestConfig?.elt?.matches?.("a.frame")) return;
    const said = document.getElementById("look");
    if (said) document.getElementById("announcer").textContent = said.textContent.trim();
    said?.querySelector("a")?.focus();
  });

  // --- search within a card: the page's filters stay as they are, so leaving the box asks nothing of the page ------------------------

  document.addEventListener("change", (event) => {
    if (!event.target.matches?.("input.find")) return;
    event.stopPropagation();
    if (!event.isTrusted) htmx.trigger(event.target, "look"); // typed while the page was swapped: the list is that of older letters
  }, true);

  const unsent = (list) => [...list.querySelectorAll("input")].some((box) => box.checked !== box.defaultChecked);

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.matches?.(".listed") && unsent(event.detail.target)) event.detail.shouldSwap = false; // chosen, and not sent yet
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    const box = event.detail.requestConfig?.elt;
    if (!box?.matches?.("input.find")) return;
    const found = box.closest("fieldset").querySelectorAll(".listed .value:not(.unknown)").length;
    document.getElementById("announcer").textContent = `${found} ${found === 1 ? "value" : "values"} in ${box.placeholder.replace("Find in ", "")}`;
  });
})();
