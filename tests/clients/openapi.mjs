// The description of the API is an OpenAPI document, by the judgement of others: it is read, every reference in it is
// followed, the whole is checked against the schema of OpenAPI itself, and every example against its own schema.

import assert from "node:assert/strict";
import test from "node:test";
import SwaggerParser from "@apidevtools/swagger-parser";
import { described, faultsOf } from "./schemas.mjs";

test("the description is a valid OpenAPI document", async () => {
  const description = await SwaggerParser.validate(await described());
  assert.match(description.openapi, /^3\.1\./);
  assert.ok(Object.keys(description.paths).length > 60);
});

test("every example of a body is as the body is described", async () => {
  const description = await described();
  const faults = [];
  let count = 0;
  for (const [path, item] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const content = operation.requestBody?.content["application/json"];
      if (content?.example === undefined) continue;
      count += 1;
      for (const fault of faultsOf(description, content.schema, content.example)) {
        faults.push(`${method} ${path}: ${fault}`);
      }
    }
  }
  assert.deepEqual(faults, []);
  assert.ok(count > 20, `${count} examples`);
});
