// A board as JSON, in the types that Grafana itself ships: what is misspelt, of another type, or of another kind of
// panel is an error of the compiler. They describe what Grafana has in memory; JSON has strings for enums, says
// which panel it is by `type`, and holds properties in overrides by their names.

import type {
  DataLink,
  DataTransformerInfo,
  FieldMatcherID,
  QueryVariableModel,
  ReducerID,
  standardTransformers,
} from "@grafana/data";
import type * as schema from "@grafana/schema";
import type * as barchart from "@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen.d.ts";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen.d.ts";
import type * as timeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen.d.ts";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen.d.ts";
import type * as text from "@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen.d.ts";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts";
import type { PromQuery, PromVariableQuery } from "./node_modules/@grafana/prometheus/dist/types/types.d.ts";

// As JSON holds it: values in place of the names of enums.
type Json<T> = T extends (...some: never[]) => unknown
  ? never
  : T extends string
    ? `${T}`
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T;

type With<T, Changes> = Omit<T, keyof Changes> & Changes;

// The look of a value: of every panel, and of its kind.
type Look = Json<With<Omit<schema.FieldConfig, "custom">, { links?: DataLink[] }>>;
type Property<Custom> =
  | { [K in keyof Look]-?: { id: K; value: NonNullable<Look[K]> } }[keyof Look]
  | { [K in keyof Custom & string]-?: { id: `custom.${K}`; value: NonNullable<Custom[K]> } }[keyof Custom & string];
type ByName = FieldMatcherID.byName | FieldMatcherID.byRegexp | FieldMatcherID.byFrameRefID;
type Matcher = Json<{ id: ByName; options: string }>;
type Fields<Custom> = {
  defaults: Look & { custom?: Custom };
  overrides: { matcher: Matcher; properties: Property<Custom>[] }[];
};

// What is done with answers before they are shown.
type OptionsOf<T> = T extends DataTransformerInfo<infer Options> ? Json<Options> : never;
type Known = typeof standardTransformers;
type Transformation =
  | { id: "merge"; options: OptionsOf<Known["mergeTransformer"]> }
  | { id: "organize"; options: OptionsOf<Known["organizeFieldsTransformer"]> }
  | { id: "sortBy"; options: OptionsOf<Known["sortByTransformer"]> };

// A panel of one kind.
type Drawn<Type extends string, Options, Custom> = Json<
  Omit<schema.Panel, "type" | "options" | "fieldConfig" | "targets" | "transformations">
> & {
  type: Type;
  options: Json<Options>;
  fieldConfig: Fields<Json<Custom>>;
  targets: Json<PromQuery>[];
  transformations?: Transformation[];
};

// A number of a series, by a name that Grafana knows.
type Reduced = { reduceOptions: With<schema.ReduceDataOptions, { calcs: ReducerID[] }> };
type Panel =
  | Drawn<"barchart", barchart.Options, barchart.FieldConfig>
  | Drawn<"bargauge", With<bargauge.Options, Reduced>, {}>
  | Drawn<"state-timeline", timeline.Options, timeline.FieldConfig>
  | Drawn<"table", table.Options, table.FieldConfig>
  | Drawn<"timeseries", timeseries.Options, timeseries.FieldConfig>
  | (Json<Omit<schema.Panel, "type" | "options">> & { type: "text"; options: Json<text.Options> })
  | Json<schema.RowPanel>;

type Variable = Json<Omit<schema.VariableModel, "type" | "query" | "datasource">> &
  (
    | { type: "custom"; query: string }
    | { type: "datasource"; query: string }
    | { type: "query"; query: Json<PromVariableQuery>; definition: QueryVariableModel["definition"]; datasource: Json<schema.DataSourceRef> }
  );

// What Prometheus' part of Grafana reads of a mark beside its query is declared nowhere.
type Mark = Json<With<schema.AnnotationQuery<PromQuery>, { target: PromQuery; datasource: schema.DataSourceRef }>> & {
  titleFormat: string;
  textFormat: string;
  useValueForTime?: boolean;
};

export type Board = Json<Omit<schema.Dashboard, "panels" | "templating" | "annotations">> & {
  panels: Panel[];
  templating: { list: Variable[] };
  annotations: { list: Mark[] };
};
