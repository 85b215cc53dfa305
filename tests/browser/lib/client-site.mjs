// A small site of the test's own, on another origin than the server: a page with the unmodified mediasoup-client 3, one with
// version 2 of it, and one blank page for plain RTCPeerConnection.

import http from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { HOST } from './server.mjs';

const SCRIPTS = ['client', 'client-2'];
const PAGES = {
  '/client': '<!doctype html><title>mediasoup-client</title><script type="module" src="/client.js"></script>',
  '/client-2': '<!doctype html><title>mediasoup-client 2</title><script type="module" src="/client-2.js"></script>',
  '/blank': '<!doctype html><title>blank</title>',
};

/** Starts the site; `origin` is its address, `close()` ends it. On loopback browsers take it for secure, elsewhere they have to be told. */
export async function startClientSite({ host = HOST } = {}) {
  const bundled = await Promise.all(SCRIPTS.map(async (name) => [`/${name}.js`, await bundle(name)]));
  const scripts = Object.fromEntries(bundled);
  const site = http.createServer((request, response) => {
    const page = PAGES[request.url];
    const [status, type, body] = page
      ? [200, 'text/html', page]
      : scripts[request.url]
        ? [200, 'text/javascript', scripts[request.url]]
        : [404, 'text/plain', 'not here'];
    response.writeHead(status, { 'content-type': type }).end(body);
  });
  site.listen(0, host);
  await once(site, 'listening');
  return {
    origin: `http://${host}:${site.address().port}`,
    close: () => {
      site.closeAllConnections();
      return new Promise((resolve) => site.close(resolve));
    },
  };
}

async function bundle(name) {
  const entry = fileURLToPath(new URL(`../client/${name}.js`, import.meta.url));
  const built = await esbuild.build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    logLevel: 'error',
    define: { global: 'window' },
  });
  return built.outputFiles[0].text;
}
