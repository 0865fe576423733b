// What the reader chooses: the plot's axes and colour, the front alone, and a filter for each axis and metric.

function choice(label, id, names) {
  const options = names.map((name) =>
    element("option", { value: name, textContent: heading(name), selected: state[id] === name }),
  );
  const select = element("select", { id, onchange: () => update({ [id]: select.value }) }, ...options);
  return element("label", { className: "choice" }, label, select);
}

function toggle(label, id) {
  const box = element("input", {
    type: "checkbox",
    id,
    checked: state[id],
    onchange: () => update({ [id]: box.checked }),
  });
  return element("label", { className: "toggle" }, box, label);
}

function chips(axis) {
  const left = new Set(axis.values);
  const items = axis.values.map((name) => {
    const box = element("input", { type: "checkbox", checked: true, name: axis.name, value: name });
    box.onchange = () => {
      left[box.checked ? "add" : "delete"](name);
      update({ allowed: new Map(state.allowed).set(axis.name, left) });
    };
    return element("label", {}, box, element("span", { textContent: name }));
  });
  return element(
    "fieldset",
    {},
    element("legend", { textContent: axis.heading }),
    element("div", { className: "chips" }, ...items),
  );
}

// Two thumbs on one line. Their positions are ranks among the measured values, so that each step changes what is shown.
function range(metric) {
  const numbers = [...new Set(study.trials.map((trial) => value(trial, metric.name)).filter((n) => n !== null))].sort(
    (a, b) => a - b,
  );
  if (numbers.length < 2) return "";
  const thumb = (end, at) =>
    element("input", {
      type: "range",
      min: 0,
      max: numbers.length - 1,
      step: 1,
      value: at,
      name: metric.name,
      ariaLabel: `${end} ${metric.heading}`,
    });
  const [low, high] = [thumb("least", 0), thumb("most", numbers.length - 1)];
  const [least, most] = [element("span"), element("span")];
  const say = () => {
    const ends = [low, high].map((each) => numbers[Number(each.value)]).sort((a, b) => a - b);
    [least.textContent, most.textContent] = ends.map(brief);
    return ends;
  };
  low.oninput = high.oninput = () => update({ bounds: new Map(state.bounds).set(metric.name, say()) });
  say();
  return element(
    "fieldset",
    {},
    element("legend", { textContent: metric.heading }),
    element("div", { className: "range" }, low, high),
    element("div", { className: "bounds" }, least, most),
  );
}

function drawControls() {
  const metrics = study.metrics.map(({ name }) => name);
  const axes = study.axes.filter((axis) => axis.varies);
  document
    .getElementById("choices")
    .replaceChildren(
      choice("across", "x", [...metrics, "trial"]),
      choice("up", "y", metrics),
      choice("colour", "colour", [...axes.map(({ name }) => name), ...metrics]),
      toggle("front only", "frontOnly"),
      toggle("table: front only", "tableOfFront"),
    );
  document.getElementById("filters").replaceChildren(...axes.map(chips), ...study.metrics.map(range));
}
