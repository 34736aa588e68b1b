// What the server answered on a walk over its resources, held against what the description says of each answer: its
// status, its media type and its schema.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { described, faultsOf } from "./schemas.mjs";

const steps = JSON.parse(readFileSync(process.env.STEPS, "utf8"));

test("every answer is as it is described", async () => {
  const description = await described();
  const faults = steps.flatMap((step) => {
    const fault = faultOf(description, step);
    return fault ? [`${step.method} ${step.address}: ${step.status} ${fault}\n${step.body}`] : [];
  });
  assert.ok(steps.length > 100, `${steps.length} steps`);
  assert.deepEqual(faults, [], faults.join("\n"));
});

function faultOf(description, step) {
  const operation = description.paths[step.path]?.[step.method];
  if (!operation) return "is not described";
  const named = operation.responses[step.status] ?? operation.responses.default;
  if (!named) return "is not a status of this call";
  const response = named.$ref ? at(description, named.$ref) : named;
  if (!response.content) return step.body === "" ? null : "is said to have no body";
  const type = (step.type ?? "").split(";")[0];
  const content = response.content[type] ?? response.content["*/*"];
  if (!content) return `is not said to be ${type}`;
  if (type !== "application/json") return null;
  const faults = faultsOf(description, content.schema, JSON.parse(step.body));
  return faults.length > 0 ? faults.join("; ") : null;
}

function at(description, reference) {
  const names = reference.replace(/^#\//, "").split("/");
  return names.reduce((value, name) => value[name], description);
}
