// SPDX-License-Identifier: ISC
//
// keygen - make signing keys: node keygen.mjs MODULES ALG:KID..., a JSON array of private JWKs.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, ...wanted] = process.argv.slice(2);
const require = createRequire(modules + '/');
const jose = await import(pathToFileURL(require.resolve('jose')));

const keys = await Promise.all(wanted.map(async (item) => {
  const [alg, kid] = item.split(':');
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  return { ...await jose.exportJWK(privateKey), alg, kid, use: 'sig' };
}));
console.log(JSON.stringify(keys));
