/* Two systems side by side, and slices made after the fact. */

const ALONE = "Tests on this page swap the systems within queries 9,999 times; intervals are studentised bootstraps over queries. Seeds of one system are averaged first.";

function differenceChart(rows, label) {
  const width = chartWidth(), left = labelWidth(rows.map((row) => row.name), width), height = 26 * rows.length + 34;
  const reach = Math.max(0.001, ...rows.map((row) => Math.max(Math.abs(row.low), Math.abs(row.high))).filter((end) => end < 1), ...rows.map((row) => Math.abs(row.difference)));
  const x = (value) => left + 10 + ((Math.max(-reach, Math.min(reach, value)) + reach) / (2 * reach)) * (width - left - 30);
  const chart = element("svg", { viewBox: `0 0 ${width} ${height}`, width, role: "img", "aria-label": `${label}; the table below has the numbers.` });
  for (const tick of [-reach, 0, reach]) {
    chart.append(element("line", { class: tick ? "grid" : "zero", x1: x(tick), x2: x(tick), y1: 4, y2: height - 22 }),
      element("text", { x: x(tick), y: height - 6, "text-anchor": "middle" }, tick ? signed(tick) : "0"));
  }
  rows.forEach((row, at) => {
    const y = 18 + 26 * at, name = shortened(row.name, left);
    chart.append(element("text", { x: left, y: y + 4, "text-anchor": "end" }, name),
      element("line", { class: "interval", x1: x(row.low), x2: x(row.high), y1: y, y2: y }),
      element("circle", { class: "point", cx: x(row.difference), cy: y, r: 5 }));
  });
  return chart;
}

function comparedTable(caption, first, rows) {
  const a = data.systems[pair.a], b = data.systems[pair.b], adjusted = holm(rows.map((row) => row.p));
  const cell = (row, at) => {
    const strong = adjusted[at] < 0.05;
    const text = pValue(adjusted[at]);
    return strong ? element("strong", {}, text) : text;
  };
  return makeTable(caption,
    [[first], ["Queries", true], [a, true], [b, true], ["Difference", true], ["95% interval", true], ["p (Holm)", true], ["p", true], ["Won", true], ["Tied", true], ["Lost", true]],
    rows.map((row, at) => [row.name, String(row.count), points(row.a, 2), points(row.b, 2),
      element("span", { class: row.difference > 0 ? "good" : row.difference < 0 ? "bad" : null }, signed(row.difference, 2)),
      row.count < 2 ? "–" : `${signed(row.low, 2)} to ${signed(row.high, 2)}`, cell(row, at), pValue(row.p), String(row.won), String(row.tied), String(row.lost)]));
}

(function sideBySide() {
  const shown = element("div", { "aria-live": "polite" });
  place("compare").append(element("p", {}, `Choose two systems: differences are A minus B. ${ALONE}`),
    element("div", { class: "controls" }, ...pairChoices()), shown);
  follow(() => {
    const a = data.systems[pair.a], b = data.systems[pair.b], there = shared();
    if (pair.a === pair.b || !there.length) {
      shown.replaceChildren(element("p", {}, pair.a === pair.b ? "Choose two different systems." : "They have no dataset in common."));
      return;
    }
    const rows = there.map((dataset) => ({ name: datasetName(dataset), ...compared(dataset.scores[pair.a], dataset.scores[pair.b]) }));
    const title = `${a} minus ${b}, ${data.measure} (×100)`;
    const differing = (dataset) => {
      const sides = [pair.a, pair.b].map((system) => new Map(recordLines(data.records[dataset.cells[system][0]])));
      const ignored = /^(metrics|files|inputs|seconds$|time$|command$|file$|xxh3_128$|settings\.vectors)/;
      return [...new Set([...sides[0].keys(), ...sides[1].keys()])]
        .filter((key) => !ignored.test(key) && sides[0].get(key) !== sides[1].get(key))
        .map((key) => [element("code", {}, key), sides[0].get(key) ?? "–", sides[1].get(key) ?? "–"]);
    };
    const manifests = element("div");
    const showManifests = (at) => {
      const dataset = there.find((one) => one.at === Number(at));
      manifests.replaceChildren(frame(makeTable(`What differs between the records on ${datasetName(dataset)}`,
        [["Field"], [a], [b]], differing(dataset), false), "Differences between the records", true));
    };
    shown.replaceChildren(differenceChart(rows, title), frame(comparedTable(`${title}. p-values in bold are below 0.05 after Holm's correction over these datasets.`, "Dataset", rows), title),
      element("h3", {}, "Their records"),
      element("div", { class: "controls" }, choice("Dataset", there.map((one) => [one.at, datasetName(one)]), there[0].at, showManifests)), manifests);
    showManifests(there[0].at);
  });
})();

const FEATURES = {
  words: "Query length (words)", overlap: "Lexical overlap with relevant documents", relevant: "Number of relevant documents", b: "Score of B",
};

function featureOf(dataset, name) {
  if (name === "b") return dataset.scores[pair.b].map((score) => score / UNITS);
  return dataset.features ? dataset.features[name] : null;
}

/* Cuts at quantiles, so that slices have about as many queries each; equal values stay together. */
function quantiles(values, slices) {
  const sorted = [...values].sort((x, y) => x - y), cuts = [];
  for (let at = 1; at < slices; at += 1) {
    const cut = sorted[Math.floor((at * sorted.length) / slices)];
    if (cut > sorted[0] && cut !== cuts.at(-1)) cuts.push(cut);
  }
  return cuts;
}

(function slices() {
  const state = { dataset: "all", feature: "words", slices: 3, cuts: "" };
  const shown = element("div", { "aria-live": "polite" });
  const show = () => {
    const a = data.systems[pair.a], b = data.systems[pair.b];
    const there = shared().filter((dataset) => state.dataset === "all" || dataset.at === Number(state.dataset));
    const queries = there.flatMap((dataset) => {
      const values = featureOf(dataset, state.feature);
      return values ? values.map((value, at) => ({ value, a: dataset.scores[pair.a][at], b: dataset.scores[pair.b][at] })) : [];
    }).filter((query) => query.value !== null);
    if (pair.a === pair.b) { shown.replaceChildren(element("p", {}, "Choose two different systems.")); return; }
    if (!queries.length) {
      shown.replaceChildren(element("p", {}, "This feature needs the collection's texts, and they were not found. Give the folder of the collections (--data-dir) to ragcun report html."));
      return;
    }
    const own = state.cuts.split(/[,;\s]+/).filter(Boolean).map(Number).filter((cut) => Number.isFinite(cut)).sort((x, y) => x - y);
    const cuts = own.length ? own : quantiles(queries.map((query) => query.value), state.slices);
    const edges = [-Infinity, ...cuts, Infinity], show = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(2));
    const rows = edges.slice(0, -1).map((low, at) => {
      const high = edges[at + 1], within = queries.filter((query) => query.value >= low && query.value < high);
      const name = low === -Infinity ? (high === Infinity ? "all" : `below ${show(high)}`) : high === Infinity ? `${show(low)} and more` : `${show(low)} to below ${show(high)}`;
      return within.length ? { name, ...compared(within.map((query) => query.a), within.map((query) => query.b)) } : null;
    }).filter(Boolean);
    const trend = queries.length > 2 ? spearman(queries.map((query) => query.value), queries.map((query) => query.a - query.b)) : null;
    const title = `${a} minus ${b} by ${FEATURES[state.feature].toLowerCase()}`;
    shown.replaceChildren(differenceChart(rows, title),
      frame(comparedTable(`${title}, ${data.measure} (×100), ${queries.length.toLocaleString("en")} queries. p-values in bold are below 0.05 after Holm's correction over these slices.`, FEATURES[state.feature], rows), title),
      element("p", { class: "trend" }, trend ? `Does the difference depend on the feature? Spearman's correlation is ${trend.rho >= 0 ? "+" : "−"}${Math.abs(trend.rho).toFixed(3)}, p = ${pValue(trend.p)} (1,999 permutations).` : "All queries have the same value of the feature."),
      element("p", { class: "small" }, state.feature === "b"
        ? "A low score of B is partly chance, and the other system is likely to be better there by chance alone: regression to the mean. Read this slice with care."
        : "Slices that were chosen after looking at many of them show differences by chance; test such a finding on other queries."));
  };
  const datasets = [["all", "all datasets, each query counts the same"], ...data.datasets.map((dataset, at) => [at, datasetName(dataset)])];
  const cuts = element("input", { type: "text", size: 12, placeholder: "e.g. 5, 10", onchange: () => { state.cuts = cuts.value; show(); } });
  place("slices").append(
    element("p", {}, `Where does A gain on B? Queries are cut by what was known before any system answered, and each slice has its own test. ${ALONE}`),
    element("div", { class: "controls" }, ...pairChoices(),
      choice("Dataset", datasets, "all", (value) => { state.dataset = value; show(); }),
      choice("Feature", Object.entries(FEATURES), "words", (value) => { state.feature = value; show(); }),
      choice("Slices", [2, 3, 4, 5].map((count) => [count, String(count)]), 3, (value) => { state.slices = Number(value); show(); }),
      element("label", {}, "Own cuts", cuts)), shown);
  follow(show);
})();
