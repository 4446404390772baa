// SPDX-License-Identifier: ISC
//
// provider - a real OpenID Connect provider over TLS, for the tests.
//
// usage: node provider.mjs SETTINGS.json
//
// Prints "ready PORT", then "GET /path" for each request.  Beside what a provider does, and only
// because this one is for tests, POST /mint signs the claims it is given with a key of its own, and
// while the file settings.ill is there, every GET is answered 503.
import { existsSync, readFileSync } from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
// Installed elsewhere than this file: where, is said by the settings.
const require = createRequire(settings.modules + '/');
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { default: Provider } = await load('oidc-provider');
const jose = await load('jose');

const server = https.createServer({
  cert: readFileSync(settings.cert), key: readFileSync(settings.key),
});
await new Promise((resolve) => { server.listen(settings.port, '127.0.0.1', resolve); });
const { port } = server.address();
const issuer = `https://${settings.host}:${port}`;

// A client for each algorithm: which one signs is a matter of the client's name.
const algorithms = ['RS256', 'PS256', 'ES256'];
const provider = new Provider(issuer, {
  jwks: { keys: settings.keys },
  clients: algorithms.map((alg) => ({
    client_id: `arken-${alg}`,
    client_secret: settings.secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  })),
  ttl: { ClientCredentials: settings.life },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => settings.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource, client) => ({
        audience: resource,
        scope: '',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: client.clientId.replace('arken-', '') } },
      }),
    },
  },
});

async function mint(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const { header, claims } = JSON.parse(Buffer.concat(parts).toString());
  const key = settings.keys.find((k) => k.kid === header.kid)
    ?? settings.keys.find((k) => k.alg === header.alg);
  return new jose.SignJWT(claims).setProtectedHeader(header)
    .sign(await jose.importJWK(key, header.alg));
}

const serve = provider.callback();
server.on('request', (request, response) => {
  console.log(`${request.method} ${request.url}`);
  if (request.method === 'POST' && request.url === '/mint') {
    mint(request).then((token) => response.end(token), (e) => {
      response.statusCode = 500;
      response.end(String(e));
    });
    return;
  }
  if (request.method === 'GET' && existsSync(settings.ill)) {
    response.statusCode = 503;
    response.end();
    return;
  }
  serve(request, response);
});
process.on('SIGTERM', () => process.exit(0));
console.log(`ready ${port}`);
