// Checks dashboards against the types that Grafana publishes: TypeScript of @grafana/grafana-foundation-sdk made JSON Schema, with
// no property beyond those that are known. Run by orchestrator/tests/dashboards.rs, in a directory that has the packages:
//   node check.mjs DASHBOARD.json…
// Prints what does not fit, a line each, and ends with 1 then.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
const require = createRequire(process.cwd() + '/');
const { createGenerator } = require('ts-json-schema-generator');
const Ajv = require('ajv').default;

const sdk = process.cwd() + '/node_modules/@grafana/grafana-foundation-sdk/dist/';
const entry = process.cwd() + '/entry.ts';
writeFileSync(entry, `
import type * as dashboard from '${sdk}dashboard/types.gen';
import type * as timeseries from '${sdk}timeseries/types.gen';
import type * as stat from '${sdk}stat/types.gen';
import type * as prometheus from '${sdk}prometheus/types.gen';
export interface WholeDashboard extends dashboard.Dashboard {}
export interface DrawnPanel extends dashboard.Panel {}
export interface TitleRow extends dashboard.RowPanel {}
export interface TimeseriesOptions extends timeseries.Options {}
export interface TimeseriesField extends timeseries.FieldConfig {}
export interface StatOptions extends stat.Options {}
export interface PrometheusQuery extends prometheus.Dataquery {}
`);
const config = { path: entry, type: '*', skipTypeCheck: true, additionalProperties: false, expose: 'all', topRef: true };
const generator = createGenerator(config);
const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false });
const checks = {};
function check(type) {
  checks[type] ??= ajv.compile(lenient(generator.createSchema(type)));
  return checks[type];
}

// The types say that Grafana always has these; what it adds by itself when it loads a dashboard need not be written.
function lenient(schema) {
  const text = JSON.stringify(schema, (key, value) => (key === 'required' && Array.isArray(value) ? undefined : value));
  return JSON.parse(text);
}

let bad = 0;
function report(place, type, value) {
  const fits = check(type);
  if (fits(value)) return;
  for (const error of fits.errors.filter(it => it.keyword !== 'anyOf')) {
    const what = error.params.additionalProperty ?? JSON.stringify(error.params);
    console.log(`${place}${error.instancePath}: ${error.message} (${what})`);
    bad += 1;
  }
}

for (const file of process.argv.slice(2)) {
  const dashboard = JSON.parse(readFileSync(file, 'utf8'));
  const name = file.split('/').pop();
  report(name, 'WholeDashboard', { ...dashboard, panels: [] });
  for (const panel of dashboard.panels) {
    const place = `${name} ${panel.title}`;
    if (panel.type === 'row') {
      report(place, 'TitleRow', panel);
      continue;
    }
    const { options, targets, ...rest } = panel;
    report(place, 'DrawnPanel', { ...rest, fieldConfig: { ...panel.fieldConfig, defaults: { ...panel.fieldConfig.defaults, custom: {} } } });
    report(`${place} options`, panel.type === 'stat' ? 'StatOptions' : 'TimeseriesOptions', options);
    if (panel.type === 'timeseries') report(`${place} custom`, 'TimeseriesField', panel.fieldConfig.defaults.custom);
    targets.forEach(target => report(`${place} ${target.refId}`, 'PrometheusQuery', target));
  }
}
console.log(`${process.argv.length - 2} dashboards, ${bad} misfits`);
process.exit(bad === 0 ? 0 : 1);
