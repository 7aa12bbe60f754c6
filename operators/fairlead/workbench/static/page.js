// Behaviour of the Cohorts page beyond plain links and forms: charts, the export as the signed-in user, announcements, keys.
// Runs under a strict content policy: no inline script, no evaluation, same origin only.
"use strict";

const POLL_MS = 2000;
const RETRIES = 3;
const PATIENCE = 30; // lost replies in a row, a minute, before the follow-up says so; it goes on asking
const WAIT_MS = 20000; // a reply that takes longer is a lost one: a proxy may hold a dead connection for minutes
const QUEUED_MS = 30000; // a run that waits longer may wait for somebody to switch the DAG on
const AIRFLOW = "../api/v2/dags/";
const VEGA = ["vega", "vega-lite", "vega-embed"];
const watched = new Map(); // run -> where it is told; a swapped page gives it another place
let vega = null;

document.documentElement.classList.add("scripted");

// --- filters: a value is included or excluded, never both ---------------------------------------------------------------

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.closest?.("#filters")) edited = box;
  if (box.matches?.("#filters input[type=checkbox]") && box.checked) {
    const other = document.getElementById(box.dataset.other);
    if (other) other.checked = false;
  }
}, true);

// --- htmx: refusals go to the alert area, what was typed meanwhile survives the swap, the new headline is read out ------------

let kept = new Map();
let open_ = []; // lists that were folded out, with their old values until the new ones are there
let edited = null; // the filter that was touched last: a refusal is told beside it
const drafts = () => [...document.querySelectorAll("#freeze input[id], #freeze textarea[id]")];
const marks = () => [...document.querySelectorAll("#sets input[id], #compare select[id]")].filter((control) => valueOf(control) !== given(control));

document.addEventListener("htmx:beforeSwap", (event) => {
  const answer = event.detail;
  if (answer.xhr.status < 400) {
    if (answer.target.closest?.("details")?.querySelector(":checked")) answer.shouldSwap = false; // chosen, and not sent yet
    if (answer.target.id !== "page") return;
    keep(answer.requestConfig.verb === "post");
    replaced();
    return;
  }
  answer.isError = false;
  if (answer.target.id === "page") refused(answer.requestConfig.verb === "post");
  if ((answer.xhr.getResponseHeader("content-type") ?? "").startsWith("text/html")) {
    answer.target = placeToTell(answer.requestConfig.elt);
    answer.swapOverride = "innerHTML";
    answer.shouldSwap = true;
  } else {
    alertUser(`The server answered ${answer.xhr.status}.`);
  }
});
document.addEventListener("htmx:sendError", () => alertUser("The server does not answer. The numbers shown are old."));

// A refused filter is told in its card, where the eye is; anything else on top, which is brought into view.
function placeToTell(asker) {
  document.querySelectorAll(".told").forEach((place) => { place.replaceChildren(); });
  const card = asker.id === "filters" && edited?.isConnected ? edited.closest("fieldset") : null;
  if (!card) return document.getElementById("alerts");
  document.getElementById("alerts").replaceChildren();
  card.querySelectorAll(".range input").forEach((box) => { box.setAttribute("aria-invalid", "true"); });
  return card.querySelector(".told") ?? card.appendChild(Object.assign(document.createElement("div"), { className: "told" }));
}

document.addEventListener("htmx:afterSwap", (event) => {
  const place = event.detail.target;
  if (place.matches("#alerts, .told")) place.scrollIntoView({ block: "nearest" });
});
document.addEventListener("htmx:afterSwap", giveBack);
document.addEventListener("htmx:afterSettle", () => {
  const said = document.getElementById("headline")?.textContent.replace(/\s+/g, " ").trim() ?? "";
  const announcer = document.getElementById("announcer");
  if (announcer.textContent !== said) announcer.textContent = said;
  prepare();
});

function keep(frozen) {
  document.getElementById("alerts").replaceChildren();
  const changed = filters().filter((control) => sent.has(control.id) && sent.get(control.id) !== valueOf(control));
  kept = new Map([...changed, ...marks(), ...(frozen ? [] : drafts())].map((control) => [control.id, valueOf(control)]));
  open_ = [...document.querySelectorAll("#page details[id][open]")].map((details) => [details.id, details.querySelector(":scope > ul")]);
}

function foldOut(details, old) {
  if (details === null) return;
  if (details.dataset.values && old) {
    old.querySelectorAll("li").forEach((row) => { if (document.getElementById(row.querySelector("input").id)) row.remove(); });
    old.querySelectorAll("input").forEach((box) => { box.checked = false; });
    details.querySelector(":scope > ul").replaceWith(old);
  }
  details.setAttribute("open", "");
}

document.addEventListener("toggle", (event) => {
  const address = event.target.dataset?.values;
  if (!address || !event.target.open) return;
  delete event.target.dataset.values;
  htmx.ajax("GET", address, { source: event.target, target: event.target.querySelector(":scope > ul"), swap: "innerHTML" });
}, true);

function giveBack(event) {
  if (event.detail.target.id !== "page") return;
  formSaid = new Map();
  for (const [id, old] of open_) foldOut(document.getElementById(id), old);
  open_ = [];
  const late = [...kept].map(([id, value]) => [document.getElementById(id), value]).filter(([control, value]) => control && valueOf(control) !== value);
  for (const [control, value] of late) {
    if (control.type === "checkbox") control.checked = value;
    else control.value = value;
  }
  kept = new Map();
  late.map(([control]) => control).filter((control) => control.matches(".find")).forEach((box) => { setTimeout(tell, 0, box); }); // each asks for its own list
  if (goOn()) return;
  const changed = late.map(([control]) => control).find((control) => control.closest("#filters") && !control.matches(".find"));
  if (changed === undefined) return;
  if (changed === document.activeElement && changed.matches("input:not([type=checkbox])")) changed.addEventListener("blur", () => tell(changed), { once: true }); // still being typed
  else setTimeout(tell, 0, changed); // htmx listens to the new form when it has settled, which is after this
}

const tell = (control) => control.dispatchEvent(new Event("change", { bubbles: true }));

function alertUser(text) {
  const box = document.createElement("div");
  box.className = "alert";
  box.setAttribute("role", "alert");
  box.textContent = text;
  document.getElementById("alerts").replaceChildren(box);
}

// --- undo and redo: every view is a link, so the steps are links -----------------------------------------------------------

const steps = { past: [], future: [], here: null };

function remember() {
  const here = document.getElementById("permalink")?.getAttribute("href") ?? null;
  if (here === null || here === steps.here) return mayStep();
  if (steps.here !== null) { steps.past.push(steps.here); steps.future = []; }
  steps.here = here;
  tellAirflow(here);
  mayStep();
}

function mayStep() {
  const [undo, redo] = ["undo", "redo"].map((name) => document.getElementById(name));
  if (undo) undo.disabled = steps.past.length === 0;
  if (redo) redo.disabled = steps.future.length === 0;
}

function step(from, to) {
  const link = from.pop();
  if (link === undefined) return;
  to.push(steps.here);
  steps.here = link; // at once: the key may be pressed again before the answer is there
  visit(pairsOf(link));
}

document.addEventListener("click", (event) => {
  if (event.target.id === "undo") step(steps.past, steps.future);
  if (event.target.id === "redo") step(steps.future, steps.past);
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.matches?.("input:not([type=checkbox]), textarea, select")) return;
  event.preventDefault();
  if (event.shiftKey) step(steps.future, steps.past);
  else step(steps.past, steps.future);
});

// --- the funnel: a rule is dragged to another place; the arrows beside it do the same without a mouse -----------------------------

let dragged = null;

document.addEventListener("dragstart", (event) => {
  dragged = event.target.closest?.(".funnel tr[data-rule]") ?? null;
  if (dragged) event.dataTransfer.effectAllowed = "move";
});
document.addEventListener("dragover", (event) => {
  const row = event.target.closest?.(".funnel tr[data-rule]");
  if (!dragged || !row) return;
  event.preventDefault();
  document.querySelectorAll(".funnel .over").forEach((other) => { other.classList.remove("over"); });
  row.classList.add("over");
});
document.addEventListener("drop", (event) => {
  const row = event.target.closest?.(".funnel tr[data-rule]");
  if (!dragged?.isConnected || !row || row === dragged) return;
  event.preventDefault();
  if (row.rowIndex > dragged.rowIndex) row.after(dragged);
  else row.before(dragged);
  const table = row.closest("table");
  const order = [...table.querySelectorAll("tr[data-rule]")].map((one) => `order=${encodeURIComponent(one.dataset.rule)}`);
  htmx.ajax("GET", `./?${[table.dataset.query, ...order].filter(Boolean).join("&")}`, { source: table, target: "#page", swap: "outerHTML" });
});
document.addEventListener("dragend", () => {
  dragged = null;
  document.querySelectorAll(".funnel .over").forEach((other) => { other.classList.remove("over"); });
});

// --- pictures: asked for when they come into view; where there is none, the words stay ------------------------------------------

const seen = new IntersectionObserver((found) => {
  for (const one of found.filter((each) => each.isIntersecting)) { seen.unobserve(one.target); show_(one.target); }
});

function show_(frame) {
  const image = new Image();
  image.alt = "";
  image.addEventListener("load", () => frame.replaceChildren(image));
  image.addEventListener("error", () => { frame.textContent = "No picture"; });
  image.src = frame.dataset.picture;
}

// --- keys may be switched off (WCAG 2.1.4): who speaks to the machine, or shakes, would press them unawares ------------------------

const KEYS = "fairlead-keys";

document.addEventListener("change", (event) => {
  if (event.target.id === "keys") localStorage.setItem(KEYS, event.target.checked ? "on" : "off");
});

// --- keys: / goes to the search box, f to the freeze form, d to the comparison --------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input:not([type=checkbox]), textarea, select")) return;
  if (localStorage.getItem(KEYS) === "off") return;
  if (event.key === "d") document.getElementById("tab-compare")?.click();
  const goal = { "/": "#q", f: "#freeze-title" }[event.key];
  if (goal && document.querySelector(goal)) {
    event.preventDefault();
    document.querySelector(goal).focus();
  }
});

// --- charts ----------------------------------------------------------------------------------------------------------------

function script(name) {
  return new Promise((resolve, reject) => {
    const tag = document.createElement("script");
    tag.src = `static/vendor/${name}.min.js`;
    tag.addEventListener("load", resolve);
    tag.addEventListener("error", () => reject(new Error(name)));
    document.head.append(tag);
  });
}

function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { labelColor: colour("--muted"), titleColor: colour("--text"), gridColor: colour("--line"), domainColor: colour("--edge"), tickColor: colour("--edge") };
  return { background: "transparent", axis, legend: { labelColor: axis.labelColor, titleColor: axis.titleColor }, bar: { color: colour("--bar") }, view: { stroke: null }, font: "system-ui, sans-serif" };
}

async function draw(place) {
  vega ??= VEGA.reduce((before, name) => before.then(() => script(name)), Promise.resolve());
  try {
    await vega;
    const { view } = await vegaEmbed(place, JSON.parse(place.dataset.spec), { ast: true, actions: false, renderer: "canvas", defaultStyle: false, tooltip: { disableDefaultStyle: true }, config: theme() });
    if (place.dataset.brush) brushed(place, view);
  } catch {
    place.textContent = "The chart could not be drawn; its numbers are below.";
  }
}

// What is drawn over becomes the bounds of the card on the left, where the keyboard sets them too.
function brushed(place, view) {
  let years = null;
  view.addSignalListener("brush", (_name, drawn) => { years = drawn.bin ?? null; });
  place.onpointerup = () => setTimeout(() => { // after Vega has heard of it
    const [from, to] = ["from", "to"].map((end) => document.getElementById(`${end}-${place.dataset.brush}`));
    if (!years?.length || !from || !to) return;
    from.value = `${years[0]}-01-01`;
    to.value = `${years.at(-1)}-12-31`;
    to.dispatchEvent(new Event("change", { bubbles: true }));
  }, 50);
}

// --- the export: Airflow starts it as the signed-in user --------------------------------------------------------------------

async function start(form) {
  const asked = Object.fromEntries([...new FormData(form)].filter(([, text]) => text !== "")); // what is empty stays as it was published
  const cohort = form.dataset.cohort;
  const wish = JSON.stringify(asked);
  if (form.dataset.wish === wish && form.dataset.run) return begin(form, form.dataset.run, asked, 1); // asked again after a lost reply: the same run
  const random = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const run = `cohorts__${cohort.replace("@", "__v")}__${random}`;
  Object.assign(form.dataset, { wish, run });
  return begin(form, run, asked, 0);
}

async function begin(form, run, asked, before) {
  const body = JSON.stringify({ dag_run_id: run, logical_date: null, conf: { cohort: form.dataset.cohort, ...asked } });
  const answer = await post(`${AIRFLOW}${encodeURIComponent(form.dataset.dag)}/dagRuns`, body, before);
  delete form.dataset.run; // answered: asking again is another export
  if (!answer.ok) throw new Error(await refusal(answer));
  return run;
}

async function post(address, body, before) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await reply(address, { method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body });
      if (answer.status === 409 && attempt + before > 1) return new Response(null, { status: 200 }); // an earlier attempt got through: the run id is ours
      if (answer.status < 500) return answer;
      if (attempt === RETRIES) throw new TypeError("no answer");
    } catch (error) {
      if (attempt === RETRIES) throw error;
    }
    await pause(attempt * 500);
  }
}

function reply(address, options) {
  const late = pause(WAIT_MS).then(() => { throw new TypeError("no reply in time"); });
  return Promise.race([fetch(address, options), late]);
}

async function refusal(answer) {
  if (answer.status === 401) return "You are not signed in to Airflow any more.";
  if (answer.status === 403) return "You may not start exports. Ask an administrator for the right to trigger this DAG.";
  if (answer.status === 404) return "Airflow does not know the export DAG.";
  const said = await answer.json().catch(() => ({}));
  return typeof said.detail === "string" ? `Airflow refused: ${said.detail}` : `Airflow answered ${answer.status}.`;
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function watch(dag, run, place) {
  const before = watched.get(run);
  if (!before?.isConnected) watched.set(run, place);
  if (before) return;
  try {
    const address = `${AIRFLOW}${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(run)}`;
    for (let done = false, lost = 0; !done && watched.get(run).isConnected; ) {
      try {
        done = await look(address, run);
        lost = 0;
      } catch (error) {
        if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error; // no reply, or half of one: the run goes on, so do we
        lost += 1;
        if (lost === PATIENCE) alertUser("Airflow does not answer; the export goes on without this page.");
      }
      if (!done) await pause(POLL_MS);
    }
  } finally {
    watched.delete(run);
  }
}

async function look(address, run) {
  // Airflow first: our own state, read after a run has ended, is the last one
  const airflow = await reply(address, { headers: { Accept: "application/json" } });
  const ours = await reply(`exports?run=${encodeURIComponent(run)}`, { headers: { Accept: "text/html", "HX-Request": "true" } });
  const passing = [airflow, ours].some((answer) => answer.status >= 500 || answer.status === 429);
  if (passing) throw new TypeError("no answer yet"); // a server that restarts is a lost reply too
  const state = airflow.ok ? (await airflow.json()).state : `not visible to you (${airflow.status})`;
  return show(watched.get(run), { state, registered: ours.status === 200, fragment: ours.status === 200 ? await ours.text() : "" }) || state === "success" || state === "failed";
}

function show(place, { state, registered, fragment }) {
  if (!registered) {
    place.dataset.since ??= Date.now();
    const long = Date.now() - place.dataset.since > QUEUED_MS;
    const queue = long ? "Still in Airflow's queue: the DAG may be paused." : "Airflow has it in its queue.";
    say(place, state === "queued" ? queue : `Airflow: ${state}.`);
    return false;
  }
  if (place.dataset.shown !== fragment) place.innerHTML = fragment; // our own template, escaped by the server
  place.dataset.shown = fragment;
  const unfinished = state === "failed" && !place.querySelector("[data-final]");
  if (unfinished) say(place, "The run failed in Airflow; its log says why.");
  return place.querySelector("[data-final]") !== null;
}

function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
  delete place.dataset.shown;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "export") return;
  event.preventDefault();
  const place = form.querySelector("#export-state");
  const button = form.querySelector("button");
  button.disabled = true;
  say(place, "Starting …");
  delete place.dataset.since;
  try {
    await watch(form.dataset.dag, await start(form), place);
  } catch (error) {
    say(place, error instanceof TypeError ? "Airflow does not answer. Try again." : error.message);
  } finally {
    button.disabled = false;
  }
});

// --- after every load and swap ------------------------------------------------------------------------------------------------

function prepare() {
  remember();
  const keys = document.getElementById("keys");
  if (keys) keys.checked = localStorage.getItem(KEYS) !== "off";
  document.querySelectorAll(".funnel tr[data-rule]").forEach((row) => { row.draggable = true; });
  document.querySelectorAll(".frame:not([data-asked])").forEach((frame) => { frame.dataset.asked = ""; seen.observe(frame); });
  document.querySelectorAll(".chart:not([data-drawn])").forEach((place) => { place.dataset.drawn = ""; draw(place); });
  const dag = document.getElementById("export")?.dataset.dag;
  document.querySelectorAll(".exports .export:not([data-final])").forEach((export_) => { watch(dag, export_.dataset.run, export_.parentElement); });
}
prepare();
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
  document.querySelectorAll(".chart").forEach(draw);
});
