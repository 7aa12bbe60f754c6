// The card "Other centres": one stream of events; every centre's row is filled when its answer comes. No answer holds up another.
(() => {
  if (window.fairleadCenters) return;
  window.fairleadCenters = true;
  const words = {
    answered: "● answered", pending: "◌ no answer yet", refused: "▲ refused by policy", offline: "✕ offline", "cannot-map": "◇ cannot map",
  };

  const number = (row) => row.patients === null ? (row.below ? `below ${row.below}` : "") : `${row.patients} ± ${row.plus_minus}`;

  const show = (card, row) => {
    const line = [...card.querySelectorAll("tr[data-center]")].find((one) => one.dataset.center === row.center);
    if (!line) return;
    line.dataset.state = row.state;
    line.querySelector(".state").textContent = words[row.state] || row.state;
    line.querySelector(".patients").textContent = row.state === "answered" ? number(row) : (row.message || "");
    line.title = row.policy ? `Policy ${row.policy}, ${row.seconds} s` : (row.remedy || "");
  };

  const total = (sum) => `${sum.patients} ± ${sum.plus_minus} patients in ${sum.of.length} centres (${sum.of.join(", ") || "none"}); ` +
    "may count patients twice." + (sum.without.length ? ` Without ${sum.without.join(", ")}.` : "");

  let source = null;
  document.addEventListener("click", (event) => {
    if (event.target.id !== "ask-centers") return;
    const card = document.getElementById("centers"), status = document.getElementById("centers-sum");
    if (source) source.close();
    card.querySelectorAll(".state").forEach((cell) => { cell.textContent = "◌ asked"; });
    status.textContent = "";
    source = new EventSource(card.dataset.answers);
    const done = (text) => { status.textContent = text; source.close(); };
    source.addEventListener("center", (message) => show(card, JSON.parse(message.data)));
    source.addEventListener("sum", (message) => done(total(JSON.parse(message.data).sum)));
    source.addEventListener("problem", (message) => { const told = JSON.parse(message.data); done(`${told.message} ${told.remedy}`); });
    source.onerror = () => done("The answers stopped. Ask again.");
  });
})();
