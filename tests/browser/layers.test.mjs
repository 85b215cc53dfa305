// Simulcast and SVC in Chromium: what a client prefers is what its decoder shows, and a late comer sees it soon.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch, openTab, uncaught } from './lib/browser.mjs';
import { startClientSite } from './lib/client-site.mjs';
import { LAYERED, publish, widthOf } from './lib/layered.mjs';
import { Peer } from './lib/peer.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const LIMIT = { timeout: 120_000 };
/** Of three temporal layers each doubles the rate. */
const SHARE_OF_PICTURES = [0.25, 0.5, 1];
let server;
let site;
let browser;

before(async () => {
  server = await Server.start();
  site = await startClientSite();
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
  await server?.stop();
}, LIMIT);

async function join(t, peerId) {
  const peer = await Peer.join({ browser, site, server, room: t.name, peerId });
  t.after(async () => {
    const errors = uncaught(peer.page);
    await peer.close();
    assert.deepEqual(errors, []);
  });
  return peer;
}

describe('preferred layers', () => {
  for (const [name, stream] of Object.entries(LAYERED)) {
    test(name, LIMIT, async (t) => {
      if (!(await browserEncodes(stream.mimeType))) return t.skip(`this Chromium cannot encode ${stream.mimeType}`);
      const [ann, ben] = [await join(t, 'ann'), await join(t, 'ben')];
      const began = Date.now();
      const { producerId, consumerId, type } = await publish(stream, ann, ben);
      assert.equal(type, stream.type);
      const top = stream.spatialLayers - 1;
      await decodes(ben, consumerId, stream, top);
      t.diagnostic(`the top layer after ${Date.now() - began} ms`);

      for (const [spatialLayer, temporalLayer] of [[0, 0], [Math.min(1, top), 1], [top, 2]]) {
        const asked = Date.now();
        await ben.request('setConsumerPreferredLayers', { consumerId, spatialLayer, temporalLayer });
        await decodes(ben, consumerId, stream, spatialLayer, temporalLayer);
        const took = Date.now() - asked;
        const share = await shareOfPictures(ann, ben, { producerId, consumerId, stream, spatialLayer });
        t.diagnostic(`layers ${spatialLayer}, ${temporalLayer} after ${took} ms; ${(share * 100).toFixed(0)} % of the pictures`);
        const expected = SHARE_OF_PICTURES[temporalLayer];
        assert.ok(share > expected * 0.6 && share < expected * 1.4, `a share of ${share} where ${expected} is expected`);
      }
      await checkDecoder(t, ben, consumerId);
    });
  }
});

/** Waits until the server says that these layers are sent, and pictures of their size are decoded. */
async function decodes(peer, consumerId, stream, spatialLayer, temporalLayer = 2) {
  await until(`layers ${spatialLayer}, ${temporalLayer} are sent`, async () => {
    const layers = await peer.layers(consumerId);
    return layers?.spatialLayer === spatialLayer && layers.temporalLayer === temporalLayer;
  });
  const width = widthOf(stream, spatialLayer);
  await until(`pictures ${width} wide`, async () => (await peer.received(consumerId)).width === width);
}

/** How many of the pictures that the sender makes of these layers are decoded, over three seconds. */
async function shareOfPictures(ann, ben, { producerId, consumerId, stream, spatialLayer }) {
  const read = async () => {
    const [encodings, { framesDecoded }] = await Promise.all([ann.call('sent', { producerId }), ben.received(consumerId)]);
    // Each spatial layer of SVC is a frame of its own.
    const { framesEncoded } = encodings[stream.type === 'simulcast' ? spatialLayer : 0];
    return { made: stream.type === 'svc' ? framesEncoded / stream.spatialLayers : framesEncoded, framesDecoded };
  };
  const first = await read();
  await sleep(3000);
  const last = await read();
  return (last.framesDecoded - first.framesDecoded) / (last.made - first.made);
}

/** Nothing was lost here: a decoder that asks for keyframes has met an error. */
async function checkDecoder(t, peer, consumerId) {
  const history = await peer.history(consumerId);
  t.diagnostic(JSON.stringify(history));
  assert.ok(history.longestFreezeSeconds <= 2, JSON.stringify(history));
  assert.ok(history.keyFrameRequests <= 1, JSON.stringify(history));
}

async function browserEncodes(mimeType) {
  const page = await openTab(browser, `${site.origin}/blank`);
  const codecs = await page.evaluate(() => RTCRtpSender.getCapabilities('video').codecs.map((codec) => codec.mimeType));
  await page.context().close();
  return codecs.includes(mimeType);
}

test('a late comer, and one that resumes, see a running stream soon', LIMIT, async (t) => {
  const [ann, ben] = [await join(t, 'ann'), await join(t, 'ben')];
  const stream = LAYERED['VP8 simulcast'];
  const { producerId, consumerId } = await publish(stream, ann, ben);
  await decodes(ben, consumerId, stream, 2);
  const before = await keyframes(ann, producerId);
  await sleep(3000);
  const alone = (await keyframes(ann, producerId)) - before;

  const cat = await join(t, 'cat');
  const { id } = await cat.consumerOf(producerId);
  const joined = await pictureAfterMs(cat, id);
  await ben.request('pauseConsumer', { consumerId });
  await ben.seesNothing(consumerId);
  await ben.call('resume', { consumerId });
  const resumed = await pictureAfterMs(ben, consumerId);
  t.diagnostic(`first picture ${joined} ms after joining (ICE and DTLS included), ${resumed} ms after resuming;`);
  t.diagnostic(`the sender by itself makes ${alone} keyframes in 3 s: without a request they would wait for that`);
  assert.ok(joined < 5000 && resumed < 5000);
});

async function keyframes(peer, producerId) {
  const encodings = await peer.call('sent', { producerId });
  return encodings.reduce((sum, { keyFramesEncoded }) => sum + keyFramesEncoded, 0);
}

function pictureAfterMs(peer, consumerId) {
  return until('the first picture', async () => {
    const consumers = await peer.call('consumers');
    return consumers.find(({ id }) => id === consumerId).pictureAfterMs;
  });
}
