// One question at a time: what is asked while an earlier question is under way takes that one's changes along, so nothing is lost.
"use strict";

// What is asked of a page is a change of the view it shows (its permalink). These parts of the page change one thing and keep the rest;
// any other link (a version, an undone step, "Clear all filters") is a view of its own and replaces whatever was asked before it.
const CHANGES = ".tabs a, #filters, #filters a, #search, #search a, .funnel, .funnel a, .pages a, #another, #only-new, #compare";
const LISTS = /^(in|not)\.|^(of|less|off)$/;

let asks = []; // [elt, pairs] since the last answer; only the newest request is answered on the screen
let newest = null; // the request whose answer the screen will show
const lesser = new Set(); // requests for parts of the page that is shown
let away = false; // a form is being sent, or a version opened: what is asked meanwhile waits for the view that comes of it
let waiting = null; // [elt, path, pairs, base]
let sent = new Map(); // what the filters held for the answer that is awaited: later changes are given back to the new page
let formSaid = new Map(); // what they held when they were last asked, which is not asked again although it was refused

const filters = () => [...document.querySelectorAll("#filters input[id], #filters select[id]")];
const valueOf = (control) => (control.type === "checkbox" ? control.checked : control.value);
const given = (control) => {
  if (control.matches("select")) return [...control.options].find((option) => option.defaultSelected)?.value ?? control.options[0].value;
  return control.type === "checkbox" ? control.defaultChecked : control.defaultValue;
};
const unasked = () => filters().filter((control) => (formSaid.get(control.id) ?? given(control)) !== valueOf(control));

const pairsOf = (address) => [...new URLSearchParams(address.split("?")[1] ?? "")];
const said = (pairs) => pairs.filter(([name, text]) => text !== "" && !(name === "tab" && text === "funnel"));
const shown = () => said(pairsOf(document.getElementById("permalink")?.getAttribute("href") ?? ""));
const texts = (pairs, wanted) => pairs.filter(([name]) => name === wanted).map(([, text]) => text);

function merged(view, base, wish) {
  const names = [...new Set([...view, ...wish].map(([name]) => name))];
  return names.flatMap((name) => {
    const [now, before, after] = [view, base, wish].map((pairs) => texts(pairs, name));
    if (before.join("\n") === after.join("\n")) return now.map((text) => [name, text]);
    if (!LISTS.test(name)) return after.map((text) => [name, text]);
    const kept = now.filter((text) => after.includes(text) || !before.includes(text));
    return [...kept, ...after.filter((text) => !kept.includes(text) && !before.includes(text))].map((text) => [name, text]);
  });
}

const all = (base) => asks.reduce((view, [elt, pairs]) => (elt.matches(CHANGES) ? merged(view, base, pairs) : pairs), base);

const leads = (request) => (request.verb === "post" ? "form" : request.path.split("?")[0] === "./" ? "" : "elsewhere");

function ask(elt, pairs) {
  if (!elt.matches(CHANGES)) asks = [];
  asks = asks.filter(([other]) => !(other.id === "filters" && elt.id === "filters")); // a form says all of itself
  asks.push([elt, said(pairs)]);
}

document.addEventListener("htmx:configRequest", (event) => {
  const request = event.detail;
  if (request.target?.id !== "page" || request.errors.length) return;
  const wish = [...pairsOf(request.path), ...request.formData];
  if (away) {
    event.preventDefault();
    if (request.verb === "get" && request.elt.id !== "filters") waiting = [request.elt, request.path, said(wish), shown()]; // filters are given back to the new page
    return;
  }
  if (leads(request)) { asks = leads(request) === "elsewhere" ? [] : asks; return; }
  const form = document.getElementById("filters");
  if (form && request.elt !== form && request.elt.matches(CHANGES) && unasked().length) ask(form, [...new FormData(form)]);
  ask(request.elt, wish);
  request.path = `./?${new URLSearchParams(all(shown()))}`;
  request.parameters = {};
});

// What is overtaken is called off: of an answer for a page that is gone htmx tells nobody, and puts it where it can.
document.addEventListener("htmx:beforeRequest", (event) => {
  const { xhr, target, requestConfig } = event.detail;
  if (target?.id !== "page") { lesser.add(xhr); return; }
  newest?.abort();
  newest = xhr;
  const form = requestConfig.verb === "post";
  away = leads(requestConfig) !== "";
  sent = new Map(filters().map((control) => [control.id, form ? given(control) : valueOf(control)]));
  if (!away) formSaid = sent;
  const overtaken = form ? asks.findLast(([elt]) => elt.id !== "filters") : undefined;
  if (overtaken) waiting = [overtaken[0], "./", overtaken[1], shown()];
});
for (const lost of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(lost, (event) => { if (event.detail.xhr === newest) unanswered(); });

function answered() {
  asks = [];
  away = false;
  newest = null;
}

function replaced() {
  answered();
  lesser.forEach((xhr) => { xhr.abort(); });
  lesser.clear();
}

function unanswered() {
  answered();
  formSaid = new Map(); // asked again with the next question
  waiting = null;
}

// A form was refused and stays on the page: filters that changed meanwhile are asked now.
function refused(wasPost) {
  answered();
  if (wasPost) waiting = null;
  const late = wasPost ? unasked()[0] : undefined;
  if (late && late !== document.activeElement) late.dispatchEvent(new Event("change", { bubbles: true }));
}

// After a form's answer: what was asked meanwhile, of the page that is there now.
function goOn() {
  if (!waiting) return false;
  const [elt, path, wish, base] = waiting;
  const now = unasked().length ? said([...new FormData(document.getElementById("filters"))]) : shown();
  waiting = null;
  visit(elt.matches(CHANGES) ? merged(now, base, wish) : wish, path.split("?")[0]);
  return true;
}

function visit(pairs, place = "./") {
  htmx.ajax("GET", `${place}?${new URLSearchParams(pairs)}`, { source: "#page", target: "#page", swap: "outerHTML" });
}
