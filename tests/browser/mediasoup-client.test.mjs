// The unmodified mediasoup-client 3.24.1 in Chromium, speaking the demo's room protocol to the server.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, openTab, uncaught } from './lib/browser.mjs';
import { startClientSite } from './lib/client-site.mjs';
import { Peer } from './lib/peer.mjs';
import { Server } from './lib/server.mjs';
import { until, untilRises } from './lib/until.mjs';

const LIMIT = { timeout: 90_000 };
let server;
let site;
let browser;

before(async () => {
  server = await Server.start({ workers: 2 });
  site = await startClientSite();
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
  await server?.stop();
}, LIMIT);

let rooms = 0;

/** Two peers in a room of their own. They are closed, and checked for stray errors, when the test ends. */
async function pair(t) {
  const room = `room-${++rooms}`;
  const ann = await Peer.join({ browser, site, server, room, peerId: 'ann' });
  const ben = await Peer.join({ browser, site, server, room, peerId: 'ben' });
  t.after(async () => {
    const errors = [...uncaught(ann.page), ...uncaught(ben.page)];
    await Promise.all([ann.close(), ben.close()]);
    assert.deepEqual(errors, []);
  });
  return { ann, ben, room };
}

/** Ann produces video and Ben sees it. */
async function call(t, options = {}) {
  const { ann, ben, room } = await pair(t);
  const producerId = await ann.produce({ kind: 'video', mimeType: 'video/VP8', ...options });
  const consumer = await ben.consumerOf(producerId);
  await ben.seesPictures(consumer.id);
  return { ann, ben, room, producerId, consumerId: consumer.id, consumer };
}

describe('codecs', () => {
  test('opus is produced by one tab and heard by another', LIMIT, async (t) => {
    const { ann, ben } = await pair(t);
    const producerId = await ann.produce({ kind: 'audio', mimeType: 'audio/opus' });
    const { id } = await ben.consumerOf(producerId);
    await untilRises('sound energy', async () => (await ben.received(id)).totalAudioEnergy, { by: 0.001 });
    assert.equal((await ben.received(id)).mimeType.toLowerCase(), 'audio/opus');
  });

  for (const mimeType of ['video/VP8', 'video/VP9', 'video/H264', 'video/AV1']) {
    test(`${mimeType} is produced by one tab and decoded by another`, LIMIT, async (t) => {
      if (!(await browserEncodes(mimeType))) {
        return t.skip(`this Chromium build cannot encode ${mimeType} (not in RTCRtpSender.getCapabilities)`);
      }
      const { ben, consumerId } = await call(t, { mimeType });
      const { mimeType: decoded, width, height } = await ben.received(consumerId);
      assert.equal(decoded.toLowerCase(), mimeType.toLowerCase());
      assert.ok(width > 0 && height > 0, `picture of ${width}x${height}`);
    });
  }
});

async function browserEncodes(mimeType) {
  const page = await openTab(browser, `${site.origin}/blank`);
  const codecs = await page.evaluate(() => RTCRtpSender.getCapabilities('video').codecs.map((codec) => codec.mimeType));
  await page.context().close();
  return codecs.some((codec) => codec.toLowerCase() === mimeType.toLowerCase());
}

describe('pause, resume, close', () => {
  test('pausing a producer stops its pictures, resuming brings them back', LIMIT, async (t) => {
    const { ann, ben, producerId, consumerId } = await call(t);
    await ann.request('pauseProducer', { producerId });
    await ben.notified('consumerPaused', (data) => data.consumerId === consumerId);
    await ben.seesNothing(consumerId);
    await ann.request('resumeProducer', { producerId });
    await ben.notified('consumerResumed', (data) => data.consumerId === consumerId);
    await ben.seesPictures(consumerId);
  });

  test('pausing a consumer stops its pictures, resuming brings them back', LIMIT, async (t) => {
    const { ben, consumerId } = await call(t);
    await ben.request('pauseConsumer', { consumerId });
    await ben.seesNothing(consumerId);
    await ben.request('resumeConsumer', { consumerId });
    await ben.seesPictures(consumerId);
  });

  test('closing a producer closes its consumer', LIMIT, async (t) => {
    const { ann, ben, producerId, consumerId } = await call(t);
    await ann.request('closeProducer', { producerId });
    await ann.call('closeProducer', { producerId });
    await ben.notified('consumerClosed', (data) => data.consumerId === consumerId);
    assert.deepEqual(await ben.call('consumers'), []);
  });

  test('a consumer may ask for a keyframe', LIMIT, async (t) => {
    const { ben, consumerId } = await call(t);
    await ben.request('requestConsumerKeyFrame', { consumerId });
    await ben.seesPictures(consumerId);
  });
});

describe('ICE restart', () => {
  for (const which of ['send', 'receive']) {
    test(`of the ${which} transport: media goes on over the new credentials`, LIMIT, async (t) => {
      const { ann, ben, consumerId } = await call(t);
      const peer = which === 'send' ? ann : ben;
      const before = await peer.call('selectedRemoteUfrag', { which });
      const { usernameFragment } = await peer.call('restartIce', { which });
      assert.notEqual(usernameFragment, before);
      await until('the selected pair has the new ufrag', async () =>
        (await peer.call('selectedRemoteUfrag', { which })) === usernameFragment,
      );
      await ben.seesPictures(consumerId, { by: 30 });
    });
  }
});

describe('statistics', () => {
  test('of transport, producer and consumer have the fields of mediasoup', LIMIT, async (t) => {
    const { ann, ben, producerId, consumerId } = await call(t);
    const { send } = await ann.call('transports');
    const [transport] = await ann.request('getTransportStats', { transportId: send });
    const [producer] = await ann.request('getProducerStats', { producerId });
    const consumerStats = await ben.request('getConsumerStats', { consumerId });
    checkTransport(transport, send);
    checkStream(producer, 'inbound-rtp');
    assert.equal(typeof producer.jitter, 'number');
    checkStream(consumerStats.find(({ type }) => type === 'outbound-rtp'), 'outbound-rtp');
  });

  function checkTransport(stats, transportId) {
    const { type, iceRole, iceState, dtlsState } = stats;
    assert.deepEqual({ type, iceRole, dtlsState }, { type: 'webrtc-transport', iceRole: 'controlled', dtlsState: 'connected' });
    assert.match(iceState, /^(connected|completed)$/);
    assert.equal(stats.transportId, transportId);
    assert.equal(stats.iceSelectedTuple.protocol, 'udp');
    assert.ok([0, 1].includes(stats.iceSelectedTuple.localPort - server.rtcPort), "the port of one of the two workers");
    for (const field of ['timestamp', 'bytesReceived', 'bytesSent', 'rtpBytesReceived', 'rtpPacketLossReceived']) {
      if (field in stats) assert.equal(typeof stats[field], 'number', field);
    }
    assert.ok(stats.bytesReceived > 1000 && stats.rtpBytesReceived > 1000, JSON.stringify(stats));
    for (const field of ['recvBitrate', 'sendBitrate', 'rtpRecvBitrate', 'rtpSendBitrate', 'rtxSendBitrate']) {
      assert.equal(typeof stats[field], 'number', field);
    }
  }

  function checkStream(stats, type) {
    assert.equal(stats.type, type);
    assert.equal(stats.kind, 'video');
    assert.equal(stats.mimeType, 'video/VP8');
    const numbers = ['timestamp', 'ssrc', 'rtxSsrc', 'packetsLost', 'fractionLost', 'packetsDiscarded', 'packetsRetransmitted'];
    numbers.push('packetsRepaired', 'nackCount', 'nackPacketCount', 'pliCount', 'firCount', 'score', 'packetCount');
    numbers.push('byteCount', 'bitrate');
    for (const field of numbers) assert.equal(typeof stats[field], 'number', `${type}.${field} in ${JSON.stringify(stats)}`);
    assert.ok(stats.packetCount > 10 && stats.byteCount > 1000 && stats.bitrate > 1000, JSON.stringify(stats));
  }
});

describe('several encodings', () => {
  test('VP8 simulcast with three rids: the consumer sees pictures', LIMIT, async (t) => {
    const encodings = [
      { scaleResolutionDownBy: 4, maxBitrate: 150_000 },
      { scaleResolutionDownBy: 2, maxBitrate: 500_000 },
      { scaleResolutionDownBy: 1, maxBitrate: 1_200_000 },
    ];
    const { consumer } = await call(t, { encodings, width: 1280, height: 720 });
    assert.equal(consumer.type, 'simulcast');
  });

  test('VP9 SVC with L3T3_KEY: the consumer sees pictures', LIMIT, async (t) => {
    const encodings = [{ scalabilityMode: 'L3T3_KEY', maxBitrate: 1_200_000 }];
    const { consumer } = await call(t, { mimeType: 'video/VP9', encodings, width: 960, height: 540 });
    assert.equal(consumer.type, 'svc');
  });
});

describe('the room', () => {
  test('a late comer is told who is there and receives what they send', LIMIT, async (t) => {
    const { room, producerId } = await call(t);
    const cat = await Peer.join({ browser, site, server, room, peerId: 'cat' });
    t.after(() => cat.close());
    assert.deepEqual(cat.joined.peers.map(({ id }) => id).sort(), ['ann', 'ben']);
    const consumer = await cat.consumerOf(producerId);
    assert.equal(consumer.peerId, 'ann');
    await cat.seesPictures(consumer.id);
  });

  test('a new display name is told to the others', LIMIT, async (t) => {
    const { ann, ben } = await pair(t);
    await ann.request('changeDisplayName', { displayName: 'Anna' });
    const data = await ben.notified('peerDisplayNameChanged');
    assert.deepEqual(data, { peerId: 'ann', displayName: 'Anna', oldDisplayName: 'ann' });
  });

  test('a tab that is closed without goodbye disappears', LIMIT, async (t) => {
    const { ann, ben, consumerId } = await call(t);
    await ann.page.close();
    await ben.notified('peerClosed', ({ peerId }) => peerId === 'ann', { timeoutMs: 10_000 });
    await ben.notified('consumerClosed', (data) => data.consumerId === consumerId, { timeoutMs: 10_000 });
  });

  test('of two peers with the same id the newer one stays', LIMIT, async (t) => {
    const { ann, ben, room } = await pair(t);
    const again = await Peer.join({ browser, site, server, room, peerId: 'ann' });
    t.after(() => again.close());
    const { code } = await until('the older connection is closed', () => ann.call('closed'));
    assert.equal(code, 4000);
    const producerId = await again.produce({ kind: 'video', mimeType: 'video/VP8' });
    await ben.seesPictures((await ben.consumerOf(producerId)).id);
  });

  test('a WHIP publisher (the page) is consumed, and watches this client by WHEP', LIMIT, async (t) => {
    const { ann, room, producerId } = await call(t);
    const page = await openTab(browser, `${server.origin}/?room=${room}&autojoin=1&name=Page`);
    t.after(() => page.context().close());
    const pageId = await until('the page has joined', () => page.evaluate(() => window.sansfu.phase === 'joined' && window.sansfu.peerId));
    await ann.notified('newPeer', ({ id, displayName }) => id === pageId && displayName === 'Page');
    const consumer = await until('a video consumer of the page', async () =>
      (await ann.call('consumers')).find(({ peerId, kind }) => peerId === pageId && kind === 'video'),
    );
    await ann.seesPictures(consumer.id);
    const peers = await page.evaluate(() => window.sansfu.peers);
    assert.ok(peers.find(({ id }) => id === 'ann').producers.some(({ id }) => id === producerId));
    const annsFrames = () => page.evaluate(() => window.sansfu.tiles.find(({ id }) => id === 'ann')?.stats?.framesDecoded);
    await untilRises('pictures of ann in the page', annsFrames, { by: 20, timeoutMs: 30_000 });
  });
});

describe('wrong requests', () => {
  const wrong = [
    ['noSuchMethod', {}],
    ['connectWebRtcTransport', { transportId: 'nothing', dtlsParameters: {} }],
    ['produce', { transportId: 'nothing', kind: 'video', rtpParameters: {} }],
    ['closeProducer', { producerId: 'nothing' }],
    ['pauseConsumer', { consumerId: 'nothing' }],
    ['getTransportStats', { transportId: 'nothing' }],
    ['restartIce', {}],
    ['join', { displayName: 'again', device: {} }],
    ['produceData', { transportId: 'nothing', sctpStreamParameters: { streamId: 1 }, label: 'chat', protocol: '' }],
  ];

  test('are answered with an error, and the call goes on', LIMIT, async (t) => {
    const { ann, ben, consumerId } = await call(t);
    for (const [method, data] of wrong) {
      await assert.rejects(ann.request(method, data), new RegExp(`${method}: [45]\\d\\d .+`), method);
    }
    await ben.seesPictures(consumerId);
  });
});
