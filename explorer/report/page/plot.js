// The scatter plot: large and outlined on the front, hollow where a trial may well belong to it, pale where dominated;
// a step line is the edge of what can be had.

const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function hoverText(trial) {
  const params = Object.entries(trial.params).map(([name, text]) => `${plain(heading(name))}: ${plain(text)}`);
  const metrics = study.metrics
    .filter(({ name }) => name in trial.said)
    .map(({ name }) => `${plain(heading(name).replace(/[*†]+$/, ""))}: <b>${plain(trial.said[name])}</b>`);
  const place = trial.number === study.baseline ? ", dense fp32" : "";
  const front = `${trial.front ? "on the front" : "off the front"}; probability of belonging to it: ${trial.chance}`;
  const chance = trial.probability === null ? [] : [plain(front)];
  const readings = trial.readings > 1 ? [`measured ${trial.readings} times`] : [];
  const against = study.compared.map(({ name, heading }) => `${plain(heading)}: ${plain(trial.against[name])}`);
  const flags = trial.flags.map((flag) => `! ${plain(flag)}`);
  const lines = [...chance, ...readings, "", ...params, "", ...metrics, ...against, ...flags];
  return [`<b>trial ${trial.number}</b>${place}`, ...lines].join("<br>");
}

function wide(trials, name) {
  const numbers = trials.map((trial) => value(trial, name)).filter((number) => number !== null);
  return (
    name !== "trial" &&
    numbers.length > 0 &&
    Math.min(...numbers) > 0 &&
    Math.max(...numbers) >= 8 * Math.min(...numbers)
  );
}

function bars(trials, name) {
  if (name === "trial") return undefined;
  const reach = (end) => trials.map(({ metrics: { [name]: m } }) => (m[end] === null ? 0 : Math.abs(m[end] - m.value)));
  return {
    type: "data",
    symmetric: false,
    array: reach("high"),
    arrayminus: reach("low"),
    thickness: 1,
    width: 0,
    color: metricOf.has(state.colour) ? css("--soft") : undefined,
  };
}

const [DOMINATED, NEAR, FRONT] = [0, 1, 2];
const standing = (trial) => (trial.front ? FRONT : trial.near ? NEAR : DOMINATED);

function points(trials, place, marker, more) {
  const onFront = place === FRONT;
  const shape = (trial) => study.shapes[trial.params[study.shapeBy]] ?? "circle";
  const symbols = trials.map((trial) => shape(trial) + (place === NEAR ? "-open" : ""));
  const line = { color: onFront ? css("--paper") : undefined, width: [0, 1.5, 1.2][place] };
  return {
    type: "scatter",
    mode: "markers",
    x: trials.map((trial) => value(trial, state.x)),
    y: trials.map((trial) => value(trial, state.y)),
    text: trials.map(hoverText),
    customdata: trials.map((trial) => trial.number),
    hovertemplate: "%{text}<extra></extra>",
    marker: {
      size: [8, 9, 12][place],
      opacity: place === DOMINATED ? Number(css("--pale")) : 1,
      symbol: symbols,
      line,
      ...marker(trials),
    },
    error_x: onFront ? bars(trials, state.x) : undefined,
    error_y: onFront ? bars(trials, state.y) : undefined,
    ...more,
  };
}

// One trace a colour and standing, so that the legend can name the colours; a metric as colour has a scale instead.
function coloured(trials) {
  const parts = [DOMINATED, NEAR, FRONT].map((place) => trials.filter((trial) => standing(trial) === place));
  if (metricOf.has(state.colour)) {
    const numbers = study.trials.map((trial) => value(trial, state.colour)).filter((number) => number !== null);
    const scale = { colorscale: "Cividis", cmin: Math.min(...numbers), cmax: Math.max(...numbers) };
    const marker = (bar) => (some) => ({
      ...scale,
      color: some.map((trial) => value(trial, state.colour)),
      showscale: bar,
      colorbar: { title: { text: heading(state.colour), side: "right" }, thickness: 12, outlinewidth: 0 },
    });
    return parts.map((part, place) => points(part, place, marker(place === FRONT), { showlegend: false }));
  }
  const axis = axisOf.get(state.colour) ?? { values: [], colours: {} };
  return axis.values.flatMap((name) => {
    const mine = parts.map((part) => part.filter((trial) => trial.params[axis.name] === name));
    const marker = () => ({ color: axis.colours[name] });
    const label = Number.isNaN(Number(name)) ? name : `${axis.heading} ${name}`;
    const told = [FRONT, NEAR, DOMINATED].find((place) => mine[place].length > 0); // the one that the legend shows
    return mine.map((part, place) =>
      points(part, place, marker, { name: plain(label), legendgroup: name, showlegend: place === told }),
    );
  });
}

function shapeKeys() {
  if (!study.shapeBy) return [];
  return Object.entries(study.shapes).map(([name, symbol]) => {
    const label = Number.isNaN(Number(name)) ? name : `${heading(study.shapeBy)} ${name}`;
    return {
      type: "scatter",
      mode: "markers",
      x: [null],
      y: [null],
      name: plain(label),
      legendrank: 1001,
      hoverinfo: "skip",
      marker: { symbol, size: 9, color: css("--soft") },
    };
  });
}

function nearKey(trials) {
  if (!trials.some(({ near }) => near)) return [];
  const marker = { symbol: "circle-open", size: 9, color: css("--soft"), line: { width: 1.5 } };
  const name = "may belong to it";
  return [{ type: "scatter", mode: "markers", x: [null], y: [null], name, legendrank: 1002, hoverinfo: "skip", marker }];
}

function edge(trials) {
  const [across, along] = [metricOf.get(state.x)?.better, metricOf.get(state.y)?.better];
  if (!across || !along) return [];
  const gain = (number, better) => (better === "max" ? number : -number);
  const ranked = [...trials].sort(
    (a, b) =>
      gain(value(b, state.x), across) - gain(value(a, state.x), across) ||
      gain(value(b, state.y), along) - gain(value(a, state.y), along),
  );
  let best = -Infinity;
  const kept = ranked.filter((trial) => {
    const height = gain(value(trial, state.y), along);
    const better = height > best;
    best = Math.max(best, height);
    return better;
  });
  // From the best x to the worst: what a point reaches, it reaches up to the x of the next.
  const line = { shape: "hv", color: css("--soft"), width: 1.3 };
  const [x, y] = [state.x, state.y].map((name) => kept.map((trial) => value(trial, name)));
  return [{ type: "scatter", mode: "lines", x, y, line, name: "best of the two", legendrank: 1003, hoverinfo: "skip" }];
}

function ring(trials) {
  const chosen = trials.filter((trial) => trial.number === state.chosen);
  const base = trials.filter((trial) => trial.number === study.baseline);
  const at = (some) => ({
    x: some.map((t) => value(t, state.x)),
    y: some.map((t) => value(t, state.y)),
    type: "scatter",
    mode: "markers",
    hoverinfo: "skip",
  });
  return [
    {
      ...at(base),
      name: "dense fp32",
      legendrank: 1002,
      marker: { symbol: "star-open", size: 20, color: css("--ink"), line: { width: 1.6 } },
      showlegend: base.length > 0,
    },
    {
      ...at(chosen),
      showlegend: false,
      marker: { symbol: "circle-open", size: 24, color: css("--accent"), line: { width: 3 } },
    },
  ];
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// 1, 2 and 5 of each decade.
function roundTicks(numbers) {
  const decades = [Math.min(...numbers), Math.max(...numbers)].map((number) => Math.floor(Math.log10(number)));
  const tickvals = [];
  for (let decade = decades[0]; decade <= decades[1]; decade++)
    tickvals.push(...[1, 2, 5].map((n) => n * 10 ** decade));
  return { tickmode: "array", tickvals, ticktext: tickvals.map(brief) };
}

function axisLayout(trials, name, arrows) {
  const better = { max: `   ${arrows[0]} better`, min: `   ${arrows[1]} better` }[metricOf.get(name)?.better] ?? "";
  const type = wide(trials, name) ? "log" : "linear";
  const ticks = type === "log" ? roundTicks(trials.map((trial) => value(trial, name)).filter((n) => n !== null)) : {};
  return {
    title: { text: plain(heading(name)) + better },
    type,
    gridcolor: css("--line"),
    zeroline: false,
    linecolor: css("--line"),
    automargin: true,
    ...ticks,
  };
}

// What every plot of the page has in common.
function paper() {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
    hovermode: "closest",
    hoverlabel: {
      align: "left",
      bgcolor: css("--panel"),
      bordercolor: css("--line"),
      font: { color: css("--ink"), size: 12.5 },
    },
  };
}

function drawPlot(trials) {
  const placed = trials.filter((trial) => value(trial, state.x) !== null && value(trial, state.y) !== null);
  const layout = {
    xaxis: axisLayout(study.trials, state.x, "→←"),
    yaxis: axisLayout(study.trials, state.y, "↑↓"),
    margin: { l: 70, r: 16, t: 12, b: 60 },
    ...paper(),
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, itemclick: false, itemdoubleclick: false },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--accent") },
    uirevision: `${state.x} ${state.y}`,
  };
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };
  const traces = [...edge(placed), ...coloured(placed), ...ring(placed), ...shapeKeys(), ...nearKey(placed)];
  return Plotly.react("plot", traces, layout, config);
}
