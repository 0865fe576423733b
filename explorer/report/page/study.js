// The study as embedded in the page, what the reader has chosen, and which trials are left by it.

const study = JSON.parse(document.getElementById("study").textContent);
const axisOf = new Map(study.axes.map((axis) => [axis.name, axis]));
const metricOf = new Map(study.metrics.map((metric) => [metric.name, metric]));

const start = () => ({
  x: study.objectives[1] ?? "trial",
  y: study.objectives[0],
  colour: study.colourBy ?? study.axes[0]?.name,
  frontOnly: false,
  tableOfFront: study.frontFirst,
  allowed: new Map(), // axis → Set of values left
  bounds: new Map(), // metric → [low, high]
  chosen: null, // number of the trial clicked on
  sort: { key: study.objectives[0], descending: metricOf.get(study.objectives[0])?.better === "max" },
});
let state = start();

const value = (trial, name) => (name === "trial" ? trial.number : (trial.metrics[name]?.value ?? null));
const heading = (name) => (name === "trial" ? "trial" : (metricOf.get(name) ?? axisOf.get(name)).heading);

function visible() {
  return study.trials.filter(
    (trial) =>
      (trial.front || !state.frontOnly) &&
      [...state.allowed].every(([axis, values]) => !(axis in trial.params) || values.has(trial.params[axis])) &&
      [...state.bounds].every(([name, [low, high]]) => {
        const number = value(trial, name);
        return number === null || (number >= low && number <= high);
      }),
  );
}

// Four digits that say something, for the ends of a range; measured values come with their own wording.
function brief(number) {
  const [factor, letter] = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ].find(([size]) => Math.abs(number) >= Math.max(size, 1e5)) ?? [1, ""];
  return Number((number / factor).toPrecision(4)) + letter;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
