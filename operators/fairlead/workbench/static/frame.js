// Inside Airflow the page lives in a frame whose address nobody sees: Airflow's own address carries the view behind its #.
"use strict";

const framed = window.parent !== window;
let leaving = false;

function airflow(work) {
  if (!framed) return;
  try {
    work(window.parent);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // another origin around us: the page works, its address is only its own
  }
}

// A bookmark or a reload of Airflow's page opens the view again. An entry of this frame's own history has a state and is left alone.
airflow((outer) => {
  const kept = outer.location.hash;
  if (location.search !== "" || history.state !== null || !kept.startsWith("#?")) return;
  leaving = true;
  location.replace(`./?${new URLSearchParams(kept.slice(2))}`);
});

function tellAirflow(link) {
  airflow((outer) => {
    if (leaving) return;
    const address = new URL(outer.location.href);
    address.hash = link.split("?")[1] ? `?${link.split("?")[1]}` : "";
    if (address.href !== outer.location.href) outer.history.replaceState(outer.history.state, "", address);
  });
}

// A view that the server refuses is not kept, or the way back would lead into it again.
if (document.title.startsWith("4")) tellAirflow("./");

// Keys work at once: the click that opened the page was outside of it. Whoever is typing outside is left in peace.
airflow((outer) => {
  if (!outer.document.activeElement?.matches("input, textarea, select, [contenteditable]")) window.focus();
});

// Airflow's sandbox blocks target=_top, so its own page follows the link.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.airflow, a.dataset");
  if (!link || !framed || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const out = window.parent.document.createElement("a");
  out.href = link.href;
  if (link.matches(".dataset")) { out.target = "_blank"; out.rel = "noopener"; }
  window.parent.document.body.append(out);
  out.click();
  out.remove();
});
