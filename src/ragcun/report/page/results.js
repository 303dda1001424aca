/* Results, ranks, figures and records. */

function comparisonText(row) {
  const found = row.against;
  if (!found) return `${row.label} scores ${points(row.score, 2)} and is the baseline`;
  const test = row.adjusted, across = found.across_seeds;
  return [
    `${row.label} against ${row.baseline}: ${signed(found.difference, 2)} ${data.measure}`,
    `95% interval ${signed(found.low, 2)} to ${signed(found.high, 2)}`,
    `p = ${pValue(test.p_value)} corrected, ${pValue(found.p_value)} alone`,
    across ? `across ${row.seeds} seeds: p = ${pValue(test.p_across_seeds)}, interval ${signed(across.low, 2)} to ${signed(across.high, 2)}` : null,
    `${found.wins} queries won, ${found.ties} tied, ${found.losses} lost`,
    `verdict: ${row.verdict}`,
  ].filter(Boolean).join("\n");
}

function recordLines(record) {
  const whole = { ...record };
  for (const name of ["settings", "environment", "inputs"]) {
    if (typeof record[name] === "number") whole[name] = data.shared[record[name]];
  }
  const lines = [];
  const walk = (value, path) => {
    if (value !== null && typeof value === "object" && Object.keys(value).length) {
      for (const [key, one] of Object.entries(value)) walk(one, path ? `${path}.${key}` : key);
    } else lines.push([path, typeof value === "string" ? value : JSON.stringify(value)]);
  };
  walk(whole, "");
  return lines;
}

function copyButton(text) {
  const button = element("button", { type: "button", onclick: async () => {
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
    catch { button.textContent = "Select and copy it"; }
  } }, "Copy");
  return button;
}

function showRecords(title, numbers, rows = []) {
  const parts = rows.map((row) => element("p", { class: "pre" }, comparisonText(row).replaceAll("\n", "; ") + "."));
  for (const number of numbers) {
    const record = data.records[number];
    parts.push(
      element("h3", {}, `${record.label} on ${record.dataset} (${record.split})`),
      element("p", {}, "The command that computes it again: ", copyButton(record.command)),
      element("pre", {}, record.command),
      element("details", { open: numbers.length === 1 }, element("summary", {}, `The record in ${record.file}`),
        frame(makeTable("Manifest", [["Field"], ["Value"]], recordLines(record)), "Manifest", true)));
  }
  openDialog(title, ...parts);
}

(function results() {
  const table = document.querySelector("#results-table table");
  [...table.tBodies[0].rows].forEach((row, system) => {
    [...row.cells].slice(1).forEach((cell, at) => {
      const column = data.columns[at], rows = column.rows[system];
      if (!rows.length) return;
      const numbers = column.datasets.flatMap((dataset) => data.datasets[dataset].cells[system] || []);
      const what = `${data.systems[system]}, ${table.tHead.rows[0].cells[at + 1].textContent}`;
      const button = element("button", {
        type: "button", class: "score", "aria-haspopup": "dialog",
        onclick: () => showRecords(what, numbers, rows),
      }, ...cell.childNodes);
      cell.append(button);
      explained(button, () => `${rows.map(comparisonText).join("\n\n")}\nSelect the score to see its record.`);
    });
  });
  for (const one of document.querySelectorAll("main > section table")) {
    sortable(one);
    framed(one, one.caption ? one.caption.textContent : "Table");
  }
  const queries = data.datasets.reduce((sum, dataset) => sum + dataset.queries.length, 0);
  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
  document.getElementById("summary").textContent =
    `${plural(data.systems.length, "system")} on ${plural(data.datasets.length, "dataset")} with ${queries.toLocaleString("en")} queries in all. `
    + `The baseline is ${data.baseline}. Headings sort. Rest on a score to see its test; select it to see the run behind it and the command that repeats it.`;
})();

(function ranks() {
  if (data.systems.length < 2) {
    place("ranks").append(element("p", {}, "There is only one system."));
    return;
  }
  const shown = element("div");
  const show = (at) => {
    const group = data.ranks[at], order = group.systems.map((system, index) => ({ label: data.systems[system], ...group.ranks[index] }))
      .sort((x, y) => x.rank - y.rank || x.best - y.best);
    const last = Math.max(2, order.length), width = chartWidth(), left = labelWidth(order.map((one) => one.label), width), x = (rank) => left + 16 + ((rank - 1) / (last - 1)) * (width - left - 32);
    const title = `Ranks on ${group.name}`;
    const chart = element("svg", { viewBox: `0 0 ${width} ${28 + 26 * order.length}`, role: "img", width, "aria-label": `${title}; the table below has the numbers.` });
    for (let rank = 1; rank <= last; rank += 1) {
      chart.append(element("line", { class: "grid", x1: x(rank), x2: x(rank), y1: 4, y2: 8 + 26 * order.length }),
        element("text", { x: x(rank), y: 24 + 26 * order.length, "text-anchor": "middle" }, String(rank)));
    }
    order.forEach((one, row) => {
      const y = 18 + 26 * row, name = shortened(one.label, left);
      chart.append(element("text", { x: left, y: y + 4, "text-anchor": "end" }, name),
        element("line", { class: "interval", x1: x(one.best), x2: x(one.worst), y1: y, y2: y }),
        element("circle", { class: "point", cx: x(one.rank), cy: y, r: 6 }));
    });
    const over = group.datasets > 1 ? `, the mean over ${group.datasets} datasets` : "";
    shown.replaceChildren(chart, frame(makeTable(`${title}${over}. Best and worst are the ends of the 95% confidence set.`,
      [["System"], ["Rank", true], ["Best", true], ["Worst", true]],
      order.map((one) => [one.label, String(one.rank), String(one.best), String(one.worst)])), title));
  };
  place("ranks").append(
    element("p", {}, "A rank is certain only as far as the queries show. The line spans the ranks that they leave possible (95%, for each system against all others together; Mogstad, Romano, Shaikh and Wilhelm 2024)."),
    element("div", { class: "controls" }, choice("Dataset", data.ranks.map((group, at) => [at, group.name]), 0, show)), shown);
  show(0);
})();

(function figures() {
  for (const button of document.querySelectorAll("button.zoom")) {
    button.addEventListener("click", () => {
      const source = button.querySelector("img");
      const picture = element("img", { src: source.src, alt: source.alt });
      let scale = 1;
      const zoom = (to) => {
        scale = Math.min(6, Math.max(0.25, to));
        picture.style.width = `${Math.round(picture.naturalWidth * scale)}px`;
        level.textContent = `${Math.round(100 * scale)}%`;
      };
      const level = element("output", { "aria-live": "polite" });
      const act = (name, to) => element("button", { type: "button", onclick: () => zoom(to()) }, name);
      const dialog = openDialog(source.alt, element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": source.alt }, picture));
      dialog.classList.add("picture");
      dialog.querySelector(".bar").append(
        act("Larger", () => scale * 1.5), act("Smaller", () => scale / 1.5),
        act("Whole width", () => (dialog.clientWidth - 40) / picture.naturalWidth), level);
      dialog.addEventListener("keydown", (event) => {
        if (event.key === "+" || event.key === "=") zoom(scale * 1.5);
        if (event.key === "-") zoom(scale / 1.5);
      });
      const fit = () => zoom((dialog.clientWidth - 40) / picture.naturalWidth);
      if (picture.complete) fit(); else picture.addEventListener("load", fit);
    });
  }
})();

(function records() {
  const rows = data.records.map((record, at) => [
    element("button", { type: "button", class: "plain", "aria-haspopup": "dialog", onclick: () => showRecords("Record", [at]) }, record.label),
    record.dataset, record.split, String(record.queries ?? "–"), (record.seconds ?? 0).toFixed(1), (record.time || "–").replace("+00:00", "Z"),
    element("code", {}, record.command),
  ]);
  place("records").append(
    element("p", {}, "Each number of this page comes from these runs. A label opens the run's manifest: model, data, settings, versions and machine."),
    frame(makeTable("Runs behind the numbers", [["System"], ["Dataset"], ["Split"], ["Queries", true], ["Seconds", true], ["Computed"], ["Command that repeats it"]], rows), "Runs behind the numbers", true));
})();
