// Buttons that copy what stands on the page, and addresses as the browser knows them.
"use strict";
(() => {
  async function copied(element) {
    const text = element.textContent.replace(/[ \t]+$/gm, "").trim();
    try {
      await navigator.clipboard.writeText(text);
    } catch { // no secure context, or a frame that may not: the old way, which leaves the text marked for Ctrl+C
      getSelection().selectAllChildren(element);
      return document.execCommand("copy");
    }
    return true;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy]");
    const element = button && document.getElementById(button.dataset.copy);
    if (!element) return;
    const said = await copied(element) ? "Copied." : "Marked: press Ctrl+C.";
    document.getElementById("announcer").textContent = said;
    button.dataset.words ??= button.textContent;
    button.textContent = said;
    setTimeout(() => { button.textContent = button.dataset.words; }, 2000);
  });

  // The server may stand behind a proxy that changes its address; the browser knows the one that people use.
  const absolute = () => {
    document.querySelectorAll("[data-link]").forEach((place) => { place.textContent = new URL(place.dataset.link, location.href).href; });
  };
  absolute();
  document.addEventListener("htmx:afterSettle", absolute);
})();
