// Runs two issuers that nobody of this project wrote, gets tokens from them as a client would, and serves their keys until standard input ends.
//
//   node issuers.mjs KEY CERT CA     PEM files: a certificate for op.example.com and mock.example.com, and who signed it
//
// Prints one line of JSON: [{issuer, jwksUrl, host, port, tokens: [{name, alg, audience, token}]}].
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:https';
import { OAuth2Server } from 'oauth2-mock-server';
import { Provider } from 'oidc-provider';

// Standard output is for the one line.
console.log = console.info = console.error;

const [key, cert, ca] = process.argv.slice(2);
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const REDIRECT = 'https://app.example.com/callback';
const audience = (alg) => `https://${alg.toLowerCase()}.api.example.com`;

/** A request to the server on this port under this name: no redirect is followed. */
function ask(host, port, method, path, { headers = {}, form } = {}) {
  const body = form && new URLSearchParams(form).toString();
  const type = body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) };
  const options = { host: '127.0.0.1', port, servername: host, ca: readFileSync(ca), method, path, headers: { host, ...type, ...headers } };
  return new Promise((resolve, reject) => {
    const sent = request(options, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(chunks).toString() }));
    });
    sent.on('error', reject).end(body);
  });
}

/** The access token of a token endpoint's answer. */
function granted({ status, text }) {
  if (status !== 200) throw new Error(`no token: ${status} ${text}`);
  return JSON.parse(text).access_token;
}

const basic = (id, secret) => ({ authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` });

// --- oidc-provider, certified by the OpenID Foundation ---

function providerKeys() {
  const pairs = [['rsa', { modulusLength: 2048 }], ['ec', { namedCurve: 'P-256' }], ['ed25519', {}]];
  return pairs.map(([kind, options]) => ({ ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), use: 'sig' }));
}

function newProvider(issuer) {
  const servers = Object.fromEntries(ALGORITHMS.map((alg) => [audience(alg), alg]));
  return new Provider(issuer, {
    clients: [
      { client_id: 'machine', client_secret: 'secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
      { client_id: 'app', client_secret: 'secret', grant_types: ['authorization_code'], redirect_uris: [REDIRECT], response_types: ['code'] },
    ],
    cookies: { keys: [randomBytes(16).toString('hex')] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'read:messages',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 3600,
          jwt: { sign: { alg: servers[resource] } },
        }),
      },
    },
    jwks: { keys: providerKeys() },
    scopes: ['openid', 'read:messages'],
  });
}

async function certified() {
  const host = 'op.example.com';
  const issuer = `https://${host}`;
  const provider = newProvider(issuer);
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, provider.callback());
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  const tokens = [];
  for (const alg of ALGORITHMS) {
    const form = { grant_type: 'client_credentials', resource: audience(alg), scope: 'read:messages' };
    const answer = await ask(host, port, 'POST', '/token', { headers: basic('machine', 'secret'), form });
    tokens.push({ name: `client credentials, ${alg}`, alg, audience: audience(alg), token: granted(answer) });
  }
  const alg = 'RS256';
  tokens.push({ name: 'authorization code of a user', alg, audience: audience(alg), token: await ofUser(host, port, audience(alg)) });
  return { issuer, jwksUrl: `${issuer}/jwks`, host, port, tokens };
}

/** Logs a user in and consents, as a browser would; then redeems the code with PKCE. */
async function ofUser(host, port, resource) {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const query = new URLSearchParams({
    client_id: 'app', response_type: 'code', redirect_uri: REDIRECT, scope: 'openid read:messages', resource, code_challenge: challenge, code_challenge_method: 'S256',
  });
  const jar = new Map();
  let step = { method: 'GET', path: `/auth?${query}` };
  for (let hops = 0; hops < 20; hops += 1) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await ask(host, port, step.method, step.path, { headers: cookie ? { cookie } : {}, form: step.form });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [name, ...value] = line.split(';')[0].split('=');
      jar.set(name, value.join('='));
    }
    if (answer.status === 302 || answer.status === 303) {
      const location = new URL(answer.headers.location, `https://${host}`);
      if (location.href.startsWith(REDIRECT)) {
        const form = { grant_type: 'authorization_code', code: location.searchParams.get('code'), redirect_uri: REDIRECT, code_verifier: verifier, resource };
        return granted(await ask(host, port, 'POST', '/token', { headers: basic('app', 'secret'), form }));
      }
      step = { method: 'GET', path: location.pathname + location.search };
    } else if (answer.status === 200 && step.path.startsWith('/interaction/')) {
      const prompt = /name="prompt" value="(\w+)"/.exec(answer.text)[1];
      const form = prompt === 'login' ? { prompt, login: 'alice', password: 'any' } : { prompt };
      step = { method: 'POST', path: step.path, form };
    } else {
      throw new Error(`no code: ${answer.status} ${answer.text}`);
    }
  }
  throw new Error('the login never ends');
}

// --- oauth2-mock-server ---

async function mock() {
  const host = 'mock.example.com';
  const server = new OAuth2Server(key, cert);
  for (const alg of ALGORITHMS) await server.issuer.keys.generate(alg);
  server.issuer.url = `https://${host}`;
  await server.start(0, '127.0.0.1');
  const { port } = server.address();
  const tokens = [];
  // It signs with its keys in turn.
  for (const _ of ALGORITHMS) {
    const form = { grant_type: 'client_credentials', scope: 'read:messages', aud: 'https://mock.api.example.com' };
    const token = granted(await ask(host, port, 'POST', '/token', { headers: basic('machine', 'secret'), form }));
    const { alg } = JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
    tokens.push({ name: `client credentials, ${alg}`, alg, audience: form.aud, token });
  }
  return { issuer: server.issuer.url, jwksUrl: `${server.issuer.url}/jwks`, host, port, tokens };
}

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`issuers.mjs needs Node 20 or newer, this is ${process.versions.node}`);
  process.exit(1);
}
const issuers = [await certified(), await mock()];
process.stdout.write(`${JSON.stringify(issuers)}\n`);
process.stdin.resume().on('end', () => process.exit(0));
