// A small site of the test's own, on another origin than the server: a page with the unmodified mediasoup-client
// and one blank page for plain RTCPeerConnection.

import http from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';
import { HOST } from './server.mjs';

const CLIENT = fileURLToPath(new URL('../client/client.js', import.meta.url));
const PAGES = {
  '/client': '<!doctype html><title>mediasoup-client</title><script type="module" src="/client.js"></script>',
  '/blank': '<!doctype html><title>blank</title>',
};

/** Starts the site; `origin` is its address, `close()` ends it. */
export async function startClientSite() {
  const bundle = await esbuild.build({ entryPoints: [CLIENT], bundle: true, write: false, format: 'esm', logLevel: 'error' });
  const script = bundle.outputFiles[0].text;
  const site = http.createServer((request, response) => {
    const page = PAGES[request.url];
    const [status, type, body] = page
      ? [200, 'text/html', page]
      : request.url === '/client.js'
        ? [200, 'text/javascript', script]
        : [404, 'text/plain', 'not here'];
    response.writeHead(status, { 'content-type': type }).end(body);
  });
  site.listen(0, HOST);
  await once(site, 'listening');
  return {
    origin: `http://${HOST}:${site.address().port}`,
    close: () => {
      site.closeAllConnections();
      return new Promise((resolve) => site.close(resolve));
    },
  };
}
