// Below the table: the control chart, what is not on the front and why, and how it was measured.

const row = (tag, texts, numeric = () => false) =>
  element(
    "tr",
    {},
    ...texts.map((textContent, i) => element(tag, { textContent, className: numeric(i) ? "" : "word" })),
  );

function section(id, title, ...content) {
  document.getElementById(id).replaceChildren(element("h2", { textContent: title }), ...content);
}

function drawLeftOut() {
  if (study.leftOut.length === 0) return;
  const counts = (i) => i === 1;
  const rows = study.leftOut.map(({ kind, count, trials, why }) => row("td", [kind, count, trials, why], counts));
  const head = row("th", ["", "trials", "numbers", "reason"], counts);
  section("leftOut", "What is not on the front, and why", element("table", { className: "plain" }, head, ...rows));
}

function drawMethod() {
  const rows = Object.entries(study.method).map((texts) => row("td", texts));
  if (rows.length) section("method", "How it was measured", element("table", { className: "plain" }, ...rows));
}

// The reference engine over time, a chart a board: the centre, the limits, and what lies beyond them.
function drawControl() {
  if (study.control.length === 0) return;
  const places = study.control.map(() => element("div", { className: "control" }));
  const several = new Set(study.control.map(({ board }) => board)).size > 1;
  section("control", "The reference engine over time", ...places);
  study.control.forEach((chart, i) => Plotly.newPlot(places[i], ...controlChart(chart, several)));
}

function controlChart({ board, heading, centre, low, high, points }, several) {
  const told = ({ trial, time, said, out }) =>
    [`<b>${said}</b>`, trial === null ? "" : `beside trial ${trial}`, plain(time), out ? "out of control" : ""]
      .filter(Boolean)
      .join("<br>");
  const trace = (out, more) => {
    const some = points.filter((point) => point.out === out);
    return {
      type: "scatter",
      mode: "markers",
      x: some.map(({ time }) => time),
      y: some.map(({ value }) => value),
      text: some.map(told),
      hovertemplate: "%{text}<extra></extra>",
      ...more,
    };
  };
  const line = (y, dash) => ({
    type: "line",
    xref: "paper",
    x0: 0,
    x1: 1,
    y0: y,
    y1: y,
    line: { color: css("--soft"), width: 1, dash },
  });
  const traces = [
    { ...trace(false, { name: "in control", marker: { color: css("--accent"), size: 7 } }) },
    { ...trace(true, { name: "out of control", marker: { color: "#D55E00", size: 11, symbol: "x" } }) },
  ];
  const layout = {
    ...paper(),
    height: 260,
    margin: { l: 70, r: 16, t: 26, b: 40 },
    title: several ? { text: plain(board), x: 0, font: { size: 13 } } : undefined,
    xaxis: { gridcolor: css("--line"), linecolor: css("--line"), type: "date" },
    yaxis: { title: { text: plain(heading) }, gridcolor: css("--line"), zeroline: false, automargin: true },
    shapes: [line(centre, "solid"), line(low, "dash"), line(high, "dash")],
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, itemclick: false, itemdoubleclick: false },
  };
  return [traces, layout, { displayModeBar: false, responsive: true }];
}
