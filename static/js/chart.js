// The charts: each .chart[data-source] fetches its points, draws them with uPlot, and fetches them again as time goes on.
// data-series names its lines, "key:colour:Label" each, with ":2" for one that has the right-hand scale.
// data-most is how many decimals the legend shows at most, 4 without it.
// Figures arrive as decimal strings; here they only become pixels. Null is unknown and leaves a gap.
(() => {
  "use strict";
  const EVERY_MS = 30000;
  const HEIGHT = 190;
  const start = (host) => {
    const lines = host.dataset.series.split(" ").map((line) => line.split(":"));
    const hasRight = lines.some((line) => line[3] === "2");
    let plot = null;
    let data = null;

    // A custom property of light-dark() only becomes a colour on an element.
    const colour = (name) => {
      const probe = document.createElement("span");
      probe.className = name;
      host.append(probe);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found;
    };
    const write = (figure) => (figure === null || figure === undefined ? "–" : figure.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: Number(host.dataset.most ?? 4) }).replace("-", "−"));
    const moment = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
    // The legend tells the point that is pointed at, and the last one while none is.
    const shown = (u, figure, line, index) => (index === null || index === undefined ? u.data[line].at(-1) : figure);
    const number = (text) => (text === null ? null : Number(text));

    const draw = () => {
      if (plot) { plot.destroy(); plot = null; }
      host.replaceChildren();
      if (!data || data[0].length < 2) {
        const empty = document.createElement("p");
        empty.className = "nothing";
        empty.textContent = host.dataset.empty;
        host.append(empty);
        return;
      }
      const soft = colour("soft"), ink = getComputedStyle(host).color;
      const grid = { stroke: soft, width: 0.15 };
      // [step in seconds, text, then what a new year, month, day, hour, minute adds]: ISO days and 24 hours, as everywhere.
      // The first label counts as a new year. Among seconds the next minute may stand 50 pixels on, so there it stays short.
      const times = [
        [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
        [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
        [1, ":{ss}", "\n{HH}:{mm}", null, "\n{MM}-{DD} {HH}:{mm}", null, "\n{HH}:{mm}", null, 1],
      ];
      const axis = { stroke: soft, font: "11px system-ui", grid, ticks: grid };
      const figures = (_, ticks, __, ___, step) => {
        const places = Math.max(Number(host.dataset.places ?? 0), (String(step).split(".")[1] ?? "").length);
        const digits = { minimumFractionDigits: places, maximumFractionDigits: places };
        return ticks.map((tick) => tick.toLocaleString("en", digits).replace("-", "−"));
      };
      plot = new window.uPlot(
        {
          width: host.clientWidth - 16,
          height: HEIGHT,
          tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
          scales: { x: { time: true }, left: {}, ...(hasRight ? { right: {} } : {}) },
          axes: [
            { ...axis, values: times },
            { ...axis, scale: "left", size: 70, values: figures },
            ...(hasRight ? [{ ...axis, scale: "right", side: 1, size: 90, values: figures, grid: { show: false } }] : []),
          ],
          series: [
            { label: "UTC", value: (...point) => moment(shown(...point)) },
            ...lines.map(([, tone, label, side]) => ({
              label,
              scale: side === "2" ? "right" : "left",
              stroke: tone === "ink" ? ink : colour(tone),
              width: side === "2" ? 1 : 1.5,
              dash: side === "2" ? [4, 3] : undefined,
              value: (...point) => write(shown(...point)),
            })),
          ],
        },
        data,
        host,
      );
    };

    const fetchPoints = async () => {
      if (document.hidden) return;
      const answer = await fetch(host.dataset.source, { headers: { Accept: "application/json" } }).catch(() => null);
      if (!answer || !answer.ok || answer.redirected) return;
      const points = await answer.json();
      data = [points.at, ...lines.map(([key]) => points[key].map(number))];
      if (!plot || data[0].length < 2) { draw(); return; }
      plot.setData(data);
      if (plot.cursor.idx === null || plot.cursor.idx === undefined) plot.setLegend({ idx: null });
    };

    let resized = 0;
    new ResizeObserver(() => {
      cancelAnimationFrame(resized);
      resized = requestAnimationFrame(() => { if (plot) plot.setSize({ width: host.clientWidth - 16, height: HEIGHT }); });
    }).observe(host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.body.addEventListener("desk-refetch", fetchPoints);
    setInterval(fetchPoints, EVERY_MS);
    fetchPoints();
  };
  if (window.uPlot) document.querySelectorAll(".chart[data-source]").forEach(start);
})();
