// The chart's schema over standard input, with values that fit it and values that do not: says which is taken for the other.
import { text } from 'node:stream/consumers';

import Ajv from 'ajv';
import Ajv2020 from 'ajv/dist/2020.js';

const { schema, right, wrong } = JSON.parse(await text(process.stdin));
const isNew = String(schema.$schema).includes('2020-12');
const fits = new (isNew ? Ajv2020 : Ajv)({ allErrors: true, strict: false }).compile(schema);
const faults = [];
for (const values of right) if (!fits(values)) faults.push(JSON.stringify(fits.errors));
for (const [place, values] of wrong.entries()) if (fits(values)) faults.push(`the wrong values ${place} are taken`);
console.log(faults.join('\n'));
process.exit(faults.length);
