// What Grafana shows: its own code reads the answers of panels' queries, and says what stands in tables and legends.
//
// In: a list of panels with "results", the answers of Prometheus to their targets. Out: for each panel its frames, as
// lists of fields: {name, texts}. @grafana/data is written for browsers; what it asks of one while it is loaded is
// here, and nothing that the results depend on.
const store = { getItem: () => null, setItem() {}, removeItem() {} };
const browser = {
  addEventListener() {}, removeEventListener() {}, localStorage: store,
  location: { href: "http://localhost/", search: "", pathname: "/" },
};
Object.assign(globalThis, { window: browser, localStorage: store });
Object.defineProperty(globalThis, "navigator", { value: { language: "en", languages: ["en"], userAgent: "" } });
const grafana = require(process.argv[2]);

const known = [...new Map(Object.values(grafana.standardTransformers).map((one) => [one.id, one])).values()];
grafana.standardTransformersRegistry.setInit(() =>
  known.map((one) => ({ id: one.id, name: one.name, transformation: one, editor: () => null })),
);

// As the data source of Prometheus makes frames of answers.
function framesOf(panel) {
  const tables = panel.targets.filter((target) => target.format === "table").length;
  return panel.targets.flatMap((target, at) => {
    const answer = panel.results[at];
    if (target.format === "table") {
      const labels = [...new Set(answer.flatMap((one) => Object.keys(one.metric)))].sort();
      const value = tables > 1 ? `Value #${target.refId}` : "Value";
      return [grafana.toDataFrame({ refId: target.refId, fields: [
        { name: "Time", type: "time", values: answer.map((one) => 1000 * one.value[0]) },
        ...labels.map((name) => ({ name, type: "string", values: answer.map((one) => one.metric[name] ?? "") })),
        { name: value, type: "number", values: answer.map((one) => Number(one.value[1])) },
      ] })];
    }
    return answer.map((one) => {
      const points = one.values ?? [one.value];
      const legend = (target.legendFormat ?? "").replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name) => one.metric[name] ?? "");
      return grafana.toDataFrame({ refId: target.refId, name: legend, fields: [
        { name: "Time", type: "time", values: points.map((point) => 1000 * point[0]) },
        { name: "Value", type: "number", labels: one.metric, values: points.map((point) => Number(point[1])),
          config: { displayNameFromDS: legend || undefined } },
      ] });
    });
  });
}

const STANDARD = ["unit", "min", "max", "decimals", "displayName", "noValue", "color", "thresholds", "mappings", "links"];

function registryOf(panel) {
  const given = panel.fieldConfig.overrides.flatMap((one) => one.properties.map((property) => property.id));
  const own = [...new Set(given.filter((id) => id.startsWith("custom.")))];
  const item = (id, path, isCustom) => ({ id, path, name: id, isCustom, process: (value) => value, shouldApply: () => true });
  return new grafana.Registry(() => [
    ...STANDARD.map((id) => item(id, id, false)), ...own.map((id) => item(id, id.slice("custom.".length), true)),
  ]);
}

async function shown(panel) {
  const steps = panel.transformations ?? [];
  for (const step of steps) grafana.standardTransformersRegistry.get(step.id); // raises where there is none
  const frames = await new Promise((done, failed) =>
    grafana.transformDataFrame(steps, framesOf(panel)).subscribe({ next: done, error: failed }),
  );
  const data = grafana.applyFieldOverrides({
    data: frames, fieldConfig: panel.fieldConfig, fieldConfigRegistry: registryOf(panel), timeZone: "utc",
    theme: grafana.createTheme(), replaceVariables: (text) => text,
  });
  return data.map((frame) => frame.fields.filter((field) => field.type !== "time").map((field) => ({
    name: grafana.getFieldDisplayName(field, frame, data),
    texts: [...field.values].map((value) => grafana.formattedValueToString(field.display(value))),
  })));
}

let text = "";
process.stdin.on("data", (some) => (text += some)).on("end", async () => {
  const panels = JSON.parse(text);
  process.stdout.write(JSON.stringify(await Promise.all(panels.map(shown))));
});
