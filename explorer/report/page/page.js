// Puts the page together, and draws it again after each choice.

function list(id, sentences) {
  document.getElementById(id).replaceChildren(...sentences.map((textContent) => element("li", { textContent })));
}

function update(changes) {
  state = { ...state, ...changes };
  const trials = visible();
  const front = trials.filter((trial) => trial.front).length;
  document.getElementById("shown").textContent =
    `${trials.length} of ${study.trials.length} trials shown, ${front} of them on the front`;
  drawTable(trials);
  return drawPlot(trials);
}

function choose(number) {
  update({ chosen: state.chosen === number ? null : number });
  document.querySelector("tr.chosen")?.scrollIntoView({ block: "nearest" });
}

function switchTheme() {
  const dark =
    getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  update({});
  drawControl();
}

async function open() {
  document.getElementById("name").textContent = study.name;
  document.getElementById("counts").textContent = [study.counts, study.device].filter(Boolean).join(" · ");
  list("notes", study.notes);
  list("footnotes", study.footnotes);
  drawLeftOut();
  drawMethod();
  drawControl();
  if (study.trials.length === 0) {
    document.getElementById("main").hidden = true;
    document.getElementById("theme").hidden = true;
    return;
  }
  drawControls();
  await update({});
  document.getElementById("plot").on("plotly_click", ({ points: [point] }) => choose(point.customdata));
  document.getElementById("theme").onclick = switchTheme;
  matchMedia("(prefers-color-scheme: dark)").onchange = () => {
    update({});
    drawControl();
  };
  document.getElementById("reset").onclick = () => {
    const { x, y, colour, sort } = state;
    state = { ...start(), x, y, colour, sort };
    drawControls();
    update({});
  };
}

open();
