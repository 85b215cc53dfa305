// A path that becomes narrow and wide again, by `tc` in a network namespace: the layers that Chromium gets follow.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch, uncaught } from './lib/browser.mjs';
import { startClientSite } from './lib/client-site.mjs';
import { LAYERED, publish, widthOf } from './lib/layered.mjs';
import { LimitedPath } from './lib/limited-path.mjs';
import { Peer } from './lib/peer.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const LIMIT = { timeout: 120_000 };
/** All layers of the fake camera's picture take about 550 kbit/s: less, and much less. */
const NARROW_KBPS = [350, 200];
const NARROW_FOR_MS = 7_000;
let path;
let refused;
let server;
let site;
/** The publisher's browser, and the one behind the limit. */
let near;
let far;

before(async () => {
  try {
    path = await LimitedPath.create();
  } catch (error) {
    refused = `no namespace with a limit to be had here: ${error.message}`;
    return;
  }
  server = await Server.start({ host: path.host });
  site = await startClientSite({ host: path.host });
  near = await launch({ trusted: site.origin });
  far = await launch({ trusted: site.origin, executable: path.executable });
}, LIMIT);

after(async () => {
  await Promise.all([near?.close(), far?.close()]);
  await site?.close();
  await server?.stop();
  await path?.close();
}, LIMIT);

describe('a path that becomes narrow and wide again', () => {
  for (const name of ['VP8 simulcast', 'VP9 L3T3_KEY', 'AV1 L3T3_KEY']) {
    test(name, LIMIT, async (t) => {
      if (refused) return t.skip(refused);
      const stream = LAYERED[name];
      const [ann, ben] = [await join(t, near, 'ann'), await join(t, far, 'ben')];
      const { consumerId } = await publish(stream, ann, ben);
      await reachesTheTop(t, ben, consumerId, stream);

      const [told, changed] = [(await estimates(ben)).length, (await changes(ben)).length];
      t.after(() => path.unlimit());
      for (const rate_kbps of NARROW_KBPS) {
        path.limit(rate_kbps);
        await until('fewer layers are sent', async () => !isTop(await ben.layers(consumerId)));
        await sleep(NARROW_FOR_MS);
      }
      const sent = (await changes(ben)).slice(changed);
      t.diagnostic(`layers within ${NARROW_KBPS} kbit/s: ${sent.map(show).join(' ')}`);
      const scarce = (await estimates(ben)).slice(told).filter((bwe) => bwe.availableBitrate < bwe.desiredBitrate);
      t.diagnostic(`downlinkBwe: available ${scarce.map((bwe) => Math.round(bwe.availableBitrate / 1000))} kbit/s`);
      assert.ok(scarce.length > 0, 'downlinkBwe says that less is available than desired');

      path.unlimit();
      await reachesTheTop(t, ben, consumerId, stream);
      const history = await ben.history(consumerId);
      t.diagnostic(JSON.stringify(history));
      assert.ok(history.longestFreezeSeconds <= 2, JSON.stringify(history));
      assert.ok(history.keyFrameRequests <= 3, JSON.stringify(history));
    });
  }
});

async function join(t, browser, peerId) {
  const peer = await Peer.join({ browser, site, server, room: t.name, peerId });
  t.after(async () => {
    const errors = uncaught(peer.page);
    await peer.close();
    assert.deepEqual(errors, []);
  });
  return peer;
}

async function reachesTheTop(t, peer, consumerId, stream) {
  const began = Date.now();
  const width = widthOf(stream, 2);
  await until(
    `all layers are sent, and pictures ${width} wide decoded`,
    async () => isTop(await peer.layers(consumerId)) && (await peer.received(consumerId)).width === width,
    { timeoutMs: 30_000 },
  );
  t.diagnostic(`wide: all layers after ${Date.now() - began} ms`);
}

function isTop(layers) {
  return layers?.spatialLayer === 2 && layers.temporalLayer === 2;
}

function show({ spatialLayer, temporalLayer }) {
  return spatialLayer === null ? 'none' : `S${spatialLayer}T${temporalLayer}`;
}

function changes(peer) {
  return peer.call('notifications', { method: 'consumerLayersChanged' });
}

function estimates(peer) {
  return peer.call('notifications', { method: 'downlinkBwe' });
}
