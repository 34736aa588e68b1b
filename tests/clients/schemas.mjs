// The schemas of the description, and what of a value is not as one of them says.

import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
const validators = new Map();

/** The description, as the server says it. */
export async function described() {
  const answer = await fetch(`${process.env.BASE_URL}/openapi.json`);
  if (answer.status !== 200) throw new Error(`the description is answered with ${answer.status}`);
  return answer.json();
}

/** Where the value is not as the schema says, in words. */
export function faultsOf(description, schema, value) {
  const name = JSON.stringify(schema);
  if (!validators.has(name)) {
    // References lead from the root of the document.
    validators.set(name, ajv.compile({ ...schema, components: description.components }));
  }
  const isValid = validators.get(name);
  if (isValid(value)) return [];
  return isValid.errors.map((error) => {
    const more = error.params.additionalProperty ?? JSON.stringify(error.params);
    return `${error.instancePath || "the whole"} ${error.message} (${more})`;
  });
}
