// The table below the plot: what is visible, sorted by a click on a heading.

const reasons = ({ flags }) => flags.map((flag) => `${flag}: ${study.doubts[flag]}`).join("\n");

const doubtful = {
  key: "doubts",
  heading: "doubts",
  word: true,
  of: ({ flags }) => flags.length,
  say: ({ flags }) => flags.join(", ") || "–",
  tip: reasons,
};

// A score's difference from the dense fp32 net, beside the score.
const against = ({ name, heading }) => ({
  key: `against ${name}`,
  heading,
  word: false,
  of: ({ against: { [name]: text } }) => (text === "–" ? null : parseFloat(text)),
  say: ({ against: { [name]: text } }) => text,
  hint: "the difference, its 95 % interval, and how often chance alone would show as much",
});

const columns = [
  { key: "trial", heading: "trial", word: false, of: ({ number }) => number, say: ({ label }) => label, tip: reasons },
  {
    key: "on front",
    heading: "on front",
    word: false,
    of: ({ probability }) => probability,
    say: ({ chance }) => chance,
    hint: "the probability of belonging to the front, by the intervals of all readings",
  },
  ...study.axes.map(({ name, heading, values }) => {
    const word = values.some((text) => Number.isNaN(Number(text)));
    return {
      key: name,
      heading,
      word,
      of: ({ params: { [name]: v } }) => (word ? v : Number(v)),
      say: ({ params }) => params[name] ?? "–",
    };
  }),
  ...study.metrics.flatMap(({ name, heading }) => [
    {
      key: name,
      heading,
      word: false,
      of: (trial) => value(trial, name),
      say: ({ said }) => said[name] ?? "–",
    },
    ...study.compared.filter((score) => score.name === name).map(against),
  ]),
  ...(Object.keys(study.doubts).length ? [doubtful] : []),
];

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  return typeof a === "string" ? a.localeCompare(b) : a - b;
}

function sortBy(column) {
  const again = state.sort.key === column.key;
  const first = metricOf.get(column.key)?.better === "max";
  update({ sort: { key: column.key, descending: again ? !state.sort.descending : first } });
}

function headCell(column) {
  const cell = element("th", {
    textContent: column.heading,
    className: column.word ? "word" : "",
    title: column.hint ?? "",
    scope: "col",
    tabIndex: 0,
  });
  cell.onclick = () => sortBy(column);
  cell.onkeydown = ({ key }) => key === "Enter" && sortBy(column);
  if (state.sort.key === column.key) cell.ariaSort = state.sort.descending ? "descending" : "ascending";
  return cell;
}

function drawTable(trials) {
  const { key, descending } = state.sort;
  const { of } = columns.find((column) => column.key === key);
  const shown = trials.filter((trial) => trial.front || !state.tableOfFront || trial.number === state.chosen);
  shown.sort((a, b) => (descending ? -1 : 1) * compare(of(a), of(b)) || a.number - b.number);
  const rows = shown.map((trial) => {
    const cells = columns.map((column) =>
      element("td", {
        textContent: column.say(trial),
        className: column.word ? "word" : "",
        title: column.tip?.(trial) ?? "",
      }),
    );
    const row = element("tr", { onclick: () => choose(trial.number) }, ...cells);
    row.classList.toggle("dominated", !trial.front);
    row.classList.toggle("chosen", trial.number === state.chosen);
    return row;
  });
  const table = document.getElementById("table");
  table.tHead.replaceChildren(element("tr", {}, ...columns.map(headCell)));
  table.tBodies[0].replaceChildren(...rows);
}
