"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

/* Elements. Text only ever becomes text: nothing that a collection holds is read as HTML. */

function element(name, attributes = {}, ...children) {
  const made = name === "svg" || element.svg.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
element.svg = new Set(["g", "line", "rect", "circle", "text", "title", "path"]);

const place = (section) => document.querySelector(`#${section} > .made`);
const points = (score, digits = 1) => (score === null || score === undefined ? "–" : (100 * score).toFixed(digits));
const signed = (score, digits = 1) => (score >= 0 ? "+" : "−") + Math.abs(100 * score).toFixed(digits);
const pValue = (p) => (p < 0.0001 ? "< 0.0001" : p.toFixed(4));
const UNITS = 10000;

/* Tables: sorting, and a frame that scrolls. */

function number(cell) {
  const text = cell.textContent.replace(/,(?=\d{3})/g, "").replace("−", "-").replace("<", "").trim();
  const found = text.match(/^[-+]?\d+(\.\d+)?(e[-+]?\d+)?/);
  return found ? parseFloat(found[0]) : null;
}

function sortable(table, columns = null) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    if (columns && !columns.includes(at)) return;
    const button = element("button", { type: "button", class: "sort" }, ...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") !== "descending" && head.classList.contains("number")
        || head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.querySelector("[scope=rowgroup]")).map((row) => ({ row, value: number(row.cells[at]), text: row.cells[at].textContent }));
        const numeric = head.classList.contains("number");
        rows.sort((a, b) => {
          if (numeric && (a.value === null || b.value === null)) return (a.value === null) - (b.value === null);
          const order = numeric ? a.value - b.value : a.text.localeCompare(b.text, "en");
          return descending ? -order : order;
        });
        body.append(...rows.map((one) => one.row));
      }
    });
  });
}

function framed(table, label) {
  if (table.caption) table.caption.replaceChildren(element("span", {}, ...table.caption.childNodes));
  const frame = element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label });
  table.replaceWith(frame);
  frame.append(table);
  return frame;
}

/* A table from rows of text or elements; a column is [heading, is a number]. The first cell names its row. */
function makeTable(caption, columns, rows, sorted = true) {
  const table = element("table", {},
    element("caption", {}, element("span", {}, caption)),
    element("thead", {}, element("tr", {}, ...columns.map(([name, numeric]) =>
      element("th", { scope: "col", class: numeric ? "number" : null }, name)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell, at) =>
      element(at ? "td" : "th", { class: columns[at][1] ? "number" : null, scope: at ? null : "row" }, cell))))));
  if (sorted) sortable(table);
  return table;
}

function frame(table, label, long = false) {
  return element("div", { class: long ? "scroll long" : "scroll", role: "region", tabindex: "0", "aria-label": label }, table);
}

/* Charts are as wide as the page is, up to a limit, so that their text keeps its size. */
const chartWidth = () => Math.min(640, document.querySelector("main").clientWidth - 32);
const LETTER = 7.4; // pixels that one takes about
const labelWidth = (labels, width) => Math.min(0.5 * width, LETTER * Math.max(...labels.map((label) => label.length)) + 8);
const shortened = (text, width) => {
  const most = Math.floor(width / LETTER), half = Math.floor((most - 1) / 2);
  return text.length > most ? `${text.slice(0, half)}…${text.slice(-half)}` : text;
};

/* Controls. */

function choice(label, options, selected, onchange) {
  const select = element("select", { onchange: () => onchange(select.value) },
    ...options.map(([value, text]) => element("option", { value, selected: String(value) === String(selected) }, text)));
  const made = element("label", {}, label, select);
  made.select = select;
  return made;
}

/* Which two systems the page is about; every section that shows them follows. */

const pair = { a: 0, b: 0, followers: [] };
pair.b = Math.max(0, data.systems.indexOf(data.baseline));
pair.a = (() => {
  const rated = data.ranks.length ? data.ranks[0] : { systems: [], ranks: [] };
  const order = rated.systems.filter((system) => system !== pair.b)
    .sort((x, y) => rated.ranks[rated.systems.indexOf(x)].rank - rated.ranks[rated.systems.indexOf(y)].rank);
  return order.length ? order[0] : data.systems.findIndex((_, at) => at !== pair.b);
})();
if (pair.a < 0) pair.a = pair.b;

function pairChoices() {
  const systems = data.systems.map((label, at) => [at, label]);
  const made = ["a", "b"].map((side) => choice(`System ${side.toUpperCase()}`, systems, pair[side], (value) => {
    pair[side] = Number(value);
    for (const follow of pair.followers) follow();
  }));
  pair.followers.push(() => { made[0].select.value = pair.a; made[1].select.value = pair.b; });
  return made;
}

function follow(show) { pair.followers.push(show); show(); }

/* The datasets on which both systems of the pair have scores. */
const shared = () => data.datasets.map((dataset, at) => ({ ...dataset, at }))
  .filter((dataset) => dataset.scores[pair.a] && dataset.scores[pair.b]);

const severalSplits = new Set(data.datasets.map((dataset) => dataset.split)).size > 1;
const datasetName = (dataset) => (severalSplits ? `${dataset.name} (${dataset.split})` : dataset.name);

/* What a pointer rests on or the keyboard reaches is explained. */

const tip = element("div", { id: "tip", role: "tooltip", hidden: true });
document.body.append(tip);

function explained(target, text) {
  const show = () => {
    tip.textContent = text();
    tip.hidden = false;
    const box = target.getBoundingClientRect(), own = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(box.left, innerWidth - own.width - 4))}px`;
    tip.style.top = `${box.bottom + own.height + 6 < innerHeight ? box.bottom + 4 : Math.max(4, box.top - own.height - 4)}px`;
    target.setAttribute("aria-describedby", "tip");
  };
  const hide = () => { tip.hidden = true; target.removeAttribute("aria-describedby"); };
  target.addEventListener("mouseenter", show);
  target.addEventListener("focus", show);
  target.addEventListener("mouseleave", hide);
  target.addEventListener("blur", hide);
  target.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}

function openDialog(title, ...children) {
  const close = element("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const heading = element("h2", { id: "dialog-title" }, title);
  const dialog = element("dialog", { "aria-labelledby": "dialog-title" },
    element("div", { class: "bar" }, close), heading, ...children);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
