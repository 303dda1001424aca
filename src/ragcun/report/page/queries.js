/* Query by query: what was asked, what each system returned, who won. */

function answerList(dataset, detail, documents) {
  return element("ol", {}, ...documents.map((at) => {
    const [id, text] = dataset.documents[at], grade = detail.grades[at];
    return element("li", { class: grade ? "relevant" : null },
      element("span", { class: "id" }, grade ? `✓ relevant${grade > 1 ? `, grade ${grade}` : ""} · ${id}` : id),
      element("div", { dir: "auto" }, text || "(not in the corpus)"));
  }));
}

function detailOf(dataset, at) {
  const detail = dataset.details[at];
  if (!detail) {
    return element("p", {}, dataset.found
      ? `The text of this query is not on the page, which is limited to 5 MB; queries on which systems differ most are. The rankings are in ${dataset.cells.flat().map((number) => data.records[number].file.replace(/result\.json$/, "run.trec"))[0] ?? "the runs"}.`
      : "The collection was not found when this page was written, so there is no text. Give its folder with --data-dir.");
  }
  const order = [pair.a, pair.b, ...data.systems.keys()].filter((system, at, all) => all.indexOf(system) === at && dataset.scores[system]);
  return element("div", {},
    element("blockquote", { dir: "auto" }, detail.text),
    element("div", { class: "systems" },
      ...order.map((system) => element("div", { class: "answer" },
        element("h4", {}, `${data.systems[system]}: ${points(dataset.scores[system][at] / UNITS)}`),
        detail.tops[system].length ? answerList(dataset, detail, detail.tops[system]) : element("p", {}, "It returned nothing."))),
      element("div", { class: "answer" }, element("h4", {}, dataset.features ? `Relevant (${detail.relevant.length} of ${dataset.features.relevant[at]})` : "Relevant"),
        answerList(dataset, { grades: detail.grades }, detail.relevant))));
}

(function explorer() {
  const PAGE = 20, state = { dataset: 0, outcome: "all", order: "loss", search: "", page: 0 };
  const shown = element("div"), told = element("p", { role: "status" });
  const show = () => {
    const dataset = data.datasets[state.dataset], a = dataset.scores[pair.a], b = dataset.scores[pair.b];
    if (!a || !b) {
      told.textContent = "";
      shown.replaceChildren(element("p", {}, "One of the two systems has no results on this dataset."));
      return;
    }
    const wanted = state.search.toLowerCase();
    let rows = dataset.queries.map((id, at) => ({ id, at, text: dataset.details[at]?.text ?? "", difference: a[at] - b[at] }));
    rows = rows.filter((row) => (!wanted || row.id.toLowerCase().includes(wanted) || row.text.toLowerCase().includes(wanted))
      && (state.outcome === "all" || Math.sign(row.difference) === { won: 1, tied: 0, lost: -1 }[state.outcome]));
    const by = { win: (x, y) => y.difference - x.difference, loss: (x, y) => x.difference - y.difference, file: () => 0 }[state.order];
    rows.sort((x, y) => by(x, y) || x.at - y.at);
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const body = element("tbody");
    for (const row of rows.slice(state.page * PAGE, (state.page + 1) * PAGE)) {
      const cells = [points(a[row.at] / UNITS), points(b[row.at] / UNITS), signed(row.difference / UNITS)];
      if (dataset.features) {
        const overlap = dataset.features.overlap[row.at];
        cells.push(String(dataset.features.words[row.at]), overlap === null ? "–" : overlap.toFixed(2), String(dataset.features.relevant[row.at]));
      }
      const toggle = element("button", { type: "button", class: "plain", "aria-expanded": "false", dir: "auto" }, row.text || row.id);
      const line = element("tr", {}, element("th", { scope: "row", class: "query" }, toggle, row.text ? element("div", { class: "id" }, row.id) : null),
        ...cells.map((cell) => element("td", { class: "number" }, cell)));
      toggle.addEventListener("click", () => {
        const open = toggle.getAttribute("aria-expanded") === "true";
        toggle.setAttribute("aria-expanded", String(!open));
        if (open) line.nextElementSibling.remove();
        else line.after(element("tr", { class: "detail" }, element("td", { colspan: cells.length + 1 }, detailOf(dataset, row.at))));
      });
      body.append(line);
    }
    const heads = ["A", "B", "A − B", ...(dataset.features ? ["Words", "Overlap", "Relevant"] : [])];
    const table = element("table", {},
      element("caption", {}, element("span", {}, `A is ${data.systems[pair.a]}, B is ${data.systems[pair.b]}; ${data.measure} (×100). A query opens what each system returned.`)),
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Query"), ...heads.map((head) => element("th", { scope: "col", class: "number" }, head)))), body);
    const move = (name, by) => element("button", { type: "button", disabled: state.page + by < 0 || state.page + by >= pages, onclick: () => { state.page += by; show(); shown.scrollIntoView(); } }, name);
    told.textContent = `${rows.length.toLocaleString("en")} of ${dataset.queries.length.toLocaleString("en")} queries, page ${state.page + 1} of ${pages}. `
      + `${Object.keys(dataset.details).length.toLocaleString("en")} of them have texts on this page.`;
    shown.replaceChildren(frame(table, "Queries"), element("div", { class: "controls" }, move("Previous", -1), move("Next", 1)));
  };
  const change = (name, convert = String) => (value) => { state[name] = convert(value); state.page = 0; show(); };
  const search = element("input", { type: "search", oninput: () => change("search")(search.value) });
  place("queries").append(
    element("div", { class: "controls" }, ...pairChoices(),
      choice("Dataset", data.datasets.map((dataset, at) => [at, datasetName(dataset)]), 0, change("dataset", Number)),
      choice("Outcome for A", [["all", "all"], ["won", "won"], ["tied", "tied"], ["lost", "lost"]], "all", change("outcome")),
      choice("Order", [["loss", "largest loss first"], ["win", "largest win first"], ["file", "as in the collection"]], "loss", change("order")),
      element("label", {}, "Search in texts and ids", search)), told, shown);
  follow(show);
})();
