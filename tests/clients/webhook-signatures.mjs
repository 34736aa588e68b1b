// What a receiver does with our messages who checks them by the public `standardwebhooks` package, on RECEIVER_PORT: he
// takes what we sent, and nothing that was changed on its way.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { Webhook } from 'standardwebhooks';

import { baseUrl, eventually, secretKey, variable } from './server.mjs';

const MESSAGES = 100;
const port = Number(variable('RECEIVER_PORT'));

const received = { one: [], other: [] };
const receiver = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  received[request.url.slice(1)].push({ headers: request.headers, body });
  response.end('ok');
});

before(() => new Promise((resolve) => receiver.listen(port, '127.0.0.1', resolve)));
after(() => receiver.close());

async function post(path, body) {
  const headers = { authorization: `Bearer ${secretKey}`, 'content-type': 'application/json' };
  const response = await fetch(`${baseUrl}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.equal(response.status, 201, await response.clone().text());
  return response.json();
}

/** The message with some of its headers changed. */
const headed = (message, headers) => ({ ...message, headers: { ...message.headers, ...headers } });
const signature = (message) => message.headers['webhook-signature'];
const seconds = (message) => Number(message.headers['webhook-timestamp']);

/** Two ways of tampering for each message, all of them many times over. */
const TAMPERING = [
  (message) => ({ ...message, body: `${message.body} ` }),
  (message) => ({ ...message, body: message.body.replace('customer.created', 'customer.deleted') }),
  (message) => ({ ...message, body: message.body.replace('"Zoë"', '"Zoe\u0308"') }),
  (message) => {
    const entries = Object.entries(JSON.parse(message.body));
    return { ...message, body: JSON.stringify(Object.fromEntries(entries.reverse())) };
  },
  (message) => headed(message, { 'webhook-id': `${message.headers['webhook-id']}0` }),
  (message, next) => headed(message, { 'webhook-id': next.headers['webhook-id'] }),
  (message) => headed(message, { 'webhook-timestamp': String(seconds(message) + 1) }),
  (message) => headed(message, { 'webhook-timestamp': String(seconds(message) - 1) }),
  (message) => headed(message, { 'webhook-timestamp': String(seconds(message) - 3600) }),
  (message) => headed(message, { 'webhook-timestamp': String(seconds(message) + 3600) }),
  (message) => headed(message, { 'webhook-timestamp': 'now' }),
  (message) => headed(message, { 'webhook-signature': signature(message).replace('v1,', 'v0,') }),
  (message) => headed(message, { 'webhook-signature': '' }),
  (message) => headed(message, { 'webhook-signature': 'v1,' }),
  (message) => headed(message, { 'webhook-signature': undefined }),
  (message, next) => headed(message, { 'webhook-signature': signature(next) }),
  (message) => headed(message, { 'webhook-signature': signature(message).slice(0, -4) }),
  (message) => headed(message, { 'webhook-signature': signature(message).toLowerCase() }),
  (message, next) => ({ ...message, body: next.body }),
  (message, _, other) => headed(message, { 'webhook-signature': signature(other) }),
];

test('what was sent is taken, and what was changed is not', async () => {
  const endpoints = {};
  for (const name of ['one', 'other']) {
    const made = await post('webhooks', { name, url: `http://127.0.0.1:${port}/${name}` });
    endpoints[name] = new Webhook(made.webhook_secret);
  }
  for (let number = 0; number < MESSAGES; number += 1) await post('customers', { name: 'Zoë', reference_id: `z${number}` });
  const least = () => Math.min(received.one.length, received.other.length);
  for (let count = 10; count <= MESSAGES; count += 10) await eventually('a message', least, (arrived) => arrived >= count);
  for (const name of ['one', 'other']) {
    for (const { body, headers } of received[name]) {
      assert.equal(endpoints[name].verify(body, headers).event, 'customer.created');
    }
  }
  let refused = 0;
  for (let round = 0; round < 2 * MESSAGES; round += 1) {
    const place = round % MESSAGES;
    const [message, next] = [received.one[place], received.one[(place + 1) % MESSAGES]];
    const tamper = TAMPERING[round % TAMPERING.length];
    const { body, headers } = tamper(message, next, received.other[place]);
    assert.ok(body !== message.body || headers['webhook-id'] !== message.headers['webhook-id']
      || headers['webhook-timestamp'] !== message.headers['webhook-timestamp'] || headers['webhook-signature'] !== signature(message));
    assert.throws(() => endpoints.one.verify(body, headers), `tampering ${round % TAMPERING.length}`);
    refused += 1;
  }
  assert.equal(refused, 200);
  for (const { body, headers } of received.one) assert.throws(() => endpoints.other.verify(body, headers));
});
