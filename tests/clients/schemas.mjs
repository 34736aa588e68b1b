// The schemas of the description, and what of a value is not as one of them says.

import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);

/** The description, as the server says it. */
export async function described() {
  const answer = await fetch(`${process.env.BASE_URL}/openapi.json`);
  if (answer.status !== 200) throw new Error(`the description is answered with ${answer.status}`);
  return answer.json();
}

/** Where the value is not as the schema says, in words. */
export function faultsOf(description, schema, value) {
  if (!ajv.getSchema("api")) ajv.addSchema({ components: description.components }, "api");
  const isValid = validator(JSON.stringify(schema));
  if (isValid(value)) return [];
  return isValid.errors.map((error) => {
    const more = error.params.additionalProperty ?? JSON.stringify(error.params);
    return `${error.instancePath || "the whole"} ${error.message} (${more})`;
  });
}

/** The validator of a schema; references lead from the root of the document. */
function validator(text) {
  if (!validators.has(text)) validators.set(text, ajv.compile(JSON.parse(text.replaceAll('"$ref":"#', '"$ref":"api#'))));
  return validators.get(text);
}

const validators = new Map();
