
"use strict";
// Draws the panels again every few seconds. Text comes into the page as text only.
const EVERY = 5000, KEPT = 60;
const watch = document.getElementById("watch"), told = document.getElementById("told");
const pause = document.getElementById("pause"), search = document.getElementById("find");
const seen = new Map();
let paused = false, timer = 0, last = "";

const make = (name, className, text) => {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

// The rate a minute between two looks, for each count.
const note = (key, count, now) => {
  const kept = seen.get(key) || { count, now, rates: [] };
  if (now > kept.now) {
    kept.rates.push(Math.max(0, count - kept.count) * 60000 / (now - kept.now));
    if (kept.rates.length > KEPT) kept.rates.shift();
    kept.count = count;
    kept.now = now;
  }
  seen.set(key, kept);
  return kept.rates;
};

const line = (rates) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 60 16");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const most = Math.max(1, ...rates), from = KEPT - rates.length;
  const points = rates.map((rate, place) => `${from + place},${(15 - 14 * rate / most).toFixed(1)}`);
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  drawn.setAttribute("points", points.join(" "));
  svg.append(drawn);
  return svg;
};

// Copies a text to paste. Without a clipboard, as on a page without TLS, the text can be selected.
const copies = (text) => {
  const button = make("button", "copy", "Copy");
  button.type = "button";
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser does not allow it";
    }
  });
  return button;
};

const cell = (panel, row, place, now) => {
  const kind = panel.columns[place][1], value = row[place];
  const element = make(place === 0 ? "th" : "td", kind === "number" || kind === "spark" ? kind : "");
  if (place === 0) element.scope = "row";
  if (kind === "spark") {
    const rates = note(`${panel.id} ${row[0].t}`, value.n, now);
    if (rates.length) element.append(line(rates), rates[rates.length - 1].toFixed(0));
  } else if (kind === "code" && value.t) {
    element.append(make("pre", "", value.t), copies(value.t));
  } else {
    element.append(value.c ? make("span", value.c, value.t) : value.t);
  }
  return element;
};

const draw = (view) => {
  const now = Date.now();
  document.getElementById("head").replaceChildren(...view.head.map((one) => {
    const item = make("li");
    item.append(one.c ? make("span", one.c, one.t) : one.t);
    return item;
  }));
  for (const panel of view.panels) {
    const section = document.getElementById(panel.id);
    if (!section) continue;
    section.querySelector(".note").textContent = panel.note;
    section.querySelector(".none").hidden = panel.rows.length > 0;
    section.querySelector(".scroll").hidden = panel.rows.length === 0;
    for (const head of section.querySelectorAll("th.spark")) head.hidden = false;
    // A screen reader is told of news only.
    const text = JSON.stringify(panel.rows);
    if (section.hasAttribute("aria-live") && section.dataset.drawn === text) continue;
    section.dataset.drawn = section.hasAttribute("aria-live") ? text : "";
    section.querySelector("tbody").replaceChildren(...panel.rows.map((row) => {
      const line = make("tr");
      line.append(...row.map((_, place) => cell(panel, row, place, now)));
      return line;
    }));
  }
};

const look = async () => {
  clearTimeout(timer);
  if (!paused && !document.hidden) {
    try {
      const name = search.value ? `?name=${encodeURIComponent(search.value)}` : "";
      const answer = await fetch(`/api/v1/view${name}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      draw(await answer.json());
      last = new Date().toLocaleTimeString();
      told.textContent = "";
    } catch {
      const text = `No answer since ${last || "the page was loaded"}.`;
      if (told.textContent !== text) told.textContent = text;
    }
  }
  if (!paused) timer = setTimeout(look, EVERY);
};

// Tries a request with a key that is typed; it stays in its field and nowhere else.
const tries = document.getElementById("try");
if (tries) {
  const field = (name) => document.getElementById(`try-${name}`);
  const ask = async () => {
    const [told, key] = [field("told"), field("key").value];
    field("ask").disabled = true;
    told.textContent = "Asking.";
    try {
      const answer = await fetch("/api/v1/try", {
        method: "POST",
        cache: "no-store",
        headers: { "content-type": "application/json", "x-tieline-console": "1" },
        body: JSON.stringify({ endpoint: field("endpoint").value, query: field("query").value, key }),
      });
      told.textContent = JSON.stringify(await answer.json(), null, 2);
    } catch {
      told.textContent = "No answer.";
    }
    field("ask").disabled = false;
  };
  field("form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  tries.hidden = false;
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Resume" : "Pause";
  if (!paused) look();
});
search.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(look, 300);
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
search.closest(".find").hidden = false;
watch.hidden = false;
look();
