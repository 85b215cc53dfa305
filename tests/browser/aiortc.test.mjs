// A WHIP publisher that is not a browser (aiortc) and a WHEP viewer in Chromium.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, openTab } from './lib/browser.mjs';
import { startClientSite } from './lib/client-site.mjs';
import { Server } from './lib/server.mjs';
import { untilRises } from './lib/until.mjs';

const LIMIT = { timeout: 90_000 };
const SCRIPT = fileURLToPath(new URL('./client/whip_publisher.py', import.meta.url));
// Debian's own Python, for which its packages are.
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
let server;
let site;
let browser;

before(async () => {
  server = await Server.start({ workers: 1 });
  site = await startClientSite();
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
  await server?.stop();
}, LIMIT);

async function watch(url) {
  const pc = (window.pc = new RTCPeerConnection());
  // Sound is decoded only if something plays it.
  window.players = [];
  pc.ontrack = ({ track }) => {
    const player = document.createElement(track.kind);
    player.srcObject = new MediaStream([track]);
    player.play();
    window.players.push(player);
  };
  for (const kind of ['audio', 'video']) pc.addTransceiver(kind, { direction: 'recvonly' });
  await pc.setLocalDescription();
  const headers = { 'content-type': 'application/sdp' };
  const response = await fetch(url, { method: 'POST', headers, body: pc.localDescription.sdp });
  const sdp = await response.text();
  if (response.status === 201) await pc.setRemoteDescription({ type: 'answer', sdp });
  return response.status;
}

async function inbound(kind) {
  const report = [...(await window.pc.getStats()).values()];
  return report.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind) ?? {};
}

test('Chromium decodes what aiortc publishes', LIMIT, async () => {
  const publisher = spawn(PYTHON, [SCRIPT, `${server.origin}/whip/studio/aiortc`], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const lines = readline.createInterface({ input: publisher.stdout })[Symbol.asyncIterator]();
    const connected = JSON.parse((await lines.next()).value);
    assert.equal(connected.state, 'connected');

    const viewer = await openTab(browser, `${site.origin}/blank`);
    assert.equal(await viewer.evaluate(watch, `${server.origin}/whep/studio/aiortc`), 201);
    await untilRises('pictures decoded', async () => (await viewer.evaluate(inbound, 'video')).framesDecoded, { by: 20 });
    await untilRises('audio energy', async () => (await viewer.evaluate(inbound, 'audio')).totalAudioEnergy, { by: 0.001 });

    publisher.stdin.end();
    const ended = JSON.parse((await lines.next()).value);
    assert.ok(ended.pictures > 20);
    const [status] = await once(publisher, 'exit');
    assert.equal(status, 0);
    const gone = await fetch(`${server.origin}/whep/studio/aiortc`, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: 'v=0' });
    assert.equal(gone.status, 404);
  } finally {
    publisher.kill();
  }
});
