// The unmodified mediasoup-client 2.4.12 in Chromium: the mediasoup protocol in protoo, in rooms with version 3.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, uncaught } from './lib/browser.mjs';
import { startClientSite } from './lib/client-site.mjs';
import { Peer } from './lib/peer.mjs';
import { Server } from './lib/server.mjs';
import { until, untilRises } from './lib/until.mjs';

const LIMIT = { timeout: 120_000 };
const ADMIN_TOKEN = 'swordfish-swordfish-swordfish';
let server;
let site;
let browser;
let rooms = 0;

before(async () => {
  server = await Server.start({ env: { SANSFU_ADMIN_TOKEN: ADMIN_TOKEN } });
  site = await startClientSite();
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
  await server?.stop();
}, LIMIT);

/** Peers in a room of their own, by name and version. They are closed, and checked for stray errors, when the test ends. */
async function meet(t, versions) {
  const room = `old-${++rooms}`;
  const peers = {};
  t.after(async () => {
    const errors = Object.values(peers).flatMap(({ page }) => uncaught(page));
    await Promise.all(Object.values(peers).map((peer) => peer.close()));
    assert.deepEqual(errors, []);
  });
  for (const [peerId, version] of Object.entries(versions)) {
    peers[peerId] = await Peer.join({ browser, site, server, room, peerId, version });
  }
  return { room, ...peers };
}

async function produceBoth(peer, video = {}) {
  const names = { audio: { mimeType: 'audio/opus' }, video: { mimeType: 'video/VP8' } };
  const audio = await peer.produce({ kind: 'audio', ...names.audio });
  return { audio, video: await peer.produce({ kind: 'video', ...names.video, ...video }) };
}

/** Waits for the consumer of a kind of another peer. */
function consumer(peer, peerId, kind) {
  return until(`${peer.id} has ${kind} of ${peerId}`, async () =>
    (await peer.call('consumers')).find((entry) => entry.peerId === peerId && entry.kind === kind),
  );
}

async function seesAndHears(peer, peerId) {
  const video = await consumer(peer, peerId, 'video');
  const audio = await consumer(peer, peerId, 'audio');
  await peer.seesPictures(video.id);
  const energy = async () => (await peer.received(audio.id)).totalAudioEnergy;
  await untilRises(`sound of ${peerId} at ${peer.id}`, energy, { by: 0.0005, timeoutMs: 30_000 });
  return { video, audio };
}

function event(peer, name, matches = () => true, options = {}) {
  return until(`${peer.id} notes ${name}`, async () => (await peer.call('events', { name })).find(matches), options);
}

/** Two peers of version 2; Ann's video and audio are decoded by Ben. */
async function call(t, video = {}) {
  const { ann, ben, room } = await meet(t, { ann: 2, ben: 2 });
  const produced = await produceBoth(ann, video);
  return { ann, ben, room, produced, consumed: await seesAndHears(ben, 'ann') };
}

describe('a call', () => {
  test('of two tabs of version 2 and one of version 3: all decode each other', LIMIT, async (t) => {
    const peers = await meet(t, { ann: 2, ben: 2, cat: 3 });
    const { ann, ben, cat } = peers;
    for (const peer of [ann, ben, cat]) await produceBoth(peer, { width: 320, height: 180 });
    for (const peer of [ann, ben, cat]) {
      for (const other of [ann, ben, cat].filter(({ id }) => id !== peer.id)) await seesAndHears(peer, other.id);
    }
    assert.deepEqual(ben.joined.map(({ name }) => name), ['ann']);
    assert.deepEqual(cat.joined.peers.map(({ id }) => id), ['ann', 'ben']);
  });

  test('with simulcast: the others see pictures', LIMIT, async (t) => {
    await call(t, { simulcast: true, width: 1280, height: 720 });
  });
});

describe('pause, resume, close', () => {
  test('of a producer', LIMIT, async (t) => {
    const { ann, ben, produced, consumed } = await call(t);
    await ann.call('pauseProducer', { id: produced.video });
    await event(ben, 'consumerpause', ({ id, originator }) => id === consumed.video.id && originator === 'remote');
    await ben.seesNothing(consumed.video.id);
    await ann.call('resumeProducer', { id: produced.video });
    await event(ben, 'consumerresume', ({ id }) => id === consumed.video.id);
    await ben.seesPictures(consumed.video.id);
    await ann.call('closeProducer', { id: produced.video });
    await event(ben, 'consumerclose', ({ id }) => id === consumed.video.id);
  });

  test('of a consumer', LIMIT, async (t) => {
    const { ben, consumed } = await call(t);
    await ben.call('pauseConsumer', { id: consumed.video.id });
    await ben.seesNothing(consumed.video.id);
    await ben.call('resumeConsumer', { id: consumed.video.id });
    await ben.seesPictures(consumed.video.id);
  });
});

test('an ICE restart: media goes on over the new credentials', LIMIT, async (t) => {
  const { ann, ben, consumed } = await call(t);
  const before = await ann.call('selectedRemoteUfrags');
  await ann.call('restartIce');
  await until('the selected pair has a new ufrag', async () => {
    const now = await ann.call('selectedRemoteUfrags');
    return now.length > 0 && now.every((ufrag) => !before.includes(ufrag));
  });
  await ben.seesPictures(consumed.video.id, { by: 30 });
});

test('statistics come again and again', LIMIT, async (t) => {
  const { ann, ben, produced, consumed } = await call(t);
  await produceBoth(ben, { width: 320, height: 180 });
  await ann.call('enableStats', { producerId: produced.video });
  await ben.call('enableStats', { consumerId: consumed.video.id });
  const last = async (peer, name) => (await peer.call('events', { name })).slice(1).at(-1)?.stats;
  const [transport] = await until('transport statistics', () => last(ann, 'transportstats'));
  assert.equal(transport.type, 'transport');
  assert.equal(transport.dtlsState, 'connected');
  assert.ok(transport.bytesReceived > 1000 && transport.iceSelectedTuple.remotePort > 0, JSON.stringify(transport));
  const [inbound] = await until('producer statistics', () => last(ann, 'producerstats'));
  assert.equal(inbound.type, 'inbound-rtp');
  assert.ok(inbound.packetCount > 10 && inbound.bitrate > 1000, JSON.stringify(inbound));
  const stats = await until('consumer statistics', () => last(ben, 'consumerstats'));
  const outbound = stats.find(({ type }) => type === 'outbound-rtp');
  assert.ok(outbound.packetCount > 10 && outbound.inboundRtpId, JSON.stringify(stats));
});

test('a spy sees everybody and is seen by nobody', LIMIT, async (t) => {
  const { ann, room } = await call(t);
  const spy = await Peer.join({ browser, site, server, room, peerId: 'spy', version: 2, spy: true });
  t.after(() => spy.close());
  assert.deepEqual(await spy.call('canSend'), [false, false]);
  await seesAndHears(spy, 'ann');
  assert.deepEqual(await ann.call('events', { name: 'newpeer' }), [{ name: 'ben', appData: { displayName: 'ben' } }]);
});

test('who leaves is told, and who is gone without goodbye too', LIMIT, async (t) => {
  const { ann, ben, cat } = await meet(t, { ann: 2, ben: 2, cat: 3 });
  await ben.call('leave', { appData: { reason: 'done' } });
  const told = await event(ann, 'peerclose', ({ name }) => name === 'ben');
  assert.deepEqual(told.appData, { reason: 'done' });
  await cat.notified('peerClosed', ({ peerId }) => peerId === 'ben');
  await cat.page.close();
  await event(ann, 'peerclose', ({ name }) => name === 'cat', { timeoutMs: 10_000 });
});

test('who is thrown out by the operator is told, and so are the others', LIMIT, async (t) => {
  const { ann, ben, cat, room } = await meet(t, { ann: 2, ben: 2, cat: 3 });
  for (const peer of [ann, ben]) await produceBoth(peer, { width: 320, height: 180 });
  const ofAnn = await seesAndHears(ben, 'ann');
  await seesAndHears(cat, 'ann');
  await seesAndHears(ann, 'ben');
  const kick = (headers) => fetch(`${server.origin}/rooms/${room}/peers/ann`, { method: 'DELETE', headers });
  for (const headers of [{}, { authorization: `Bearer ${ADMIN_TOKEN}x` }]) {
    const refused = await kick(headers);
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get('www-authenticate'), /^Bearer/);
  }
  assert.equal(await ann.call('isClosed'), false);

  const kicked = await kick({ authorization: `Bearer ${ADMIN_TOKEN}` });
  assert.equal(kicked.status, 204);
  const closed = await event(ann, 'close');
  assert.equal(closed.originator, 'remote');
  assert.equal(await ann.call('isClosed'), true);
  assert.equal((await event(ann, 'disconnected')).code, 4000);
  await event(ben, 'peerclose', ({ name }) => name === 'ann');
  for (const { id } of [ofAnn.video, ofAnn.audio]) await event(ben, 'consumerclose', (closed) => closed.id === id);
  assert.deepEqual((await ben.call('consumers')).filter(({ peerId }) => peerId === 'ann'), []);
  await cat.notified('peerClosed', ({ peerId }) => peerId === 'ann');
  await until('cat has no consumers of ann', async () => (await cat.call('consumers')).every(({ peerId }) => peerId !== 'ann'));

  // The others go on; and there is nobody left to be thrown out.
  const ofBen = await consumer(cat, 'ben', 'video');
  await cat.seesPictures(ofBen.id);
  assert.equal((await kick({ authorization: `Bearer ${ADMIN_TOKEN}` })).status, 404);
  assert.doesNotMatch(server.log, new RegExp(ADMIN_TOKEN), 'the token in the log');

  // So it is with version 3, whose client just loses its WebSocket, and is told by the code to stay away.
  const other = await fetch(`${server.origin}/rooms/${room}/peers/cat`, {
    method: 'DELETE', headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  assert.equal(other.status, 204);
  await event(ben, 'peerclose', ({ name }) => name === 'cat');
  await until('cat is disconnected', async () => (await cat.call('closed'))?.code === 4000);
});

test('a name that is taken is refused', LIMIT, async (t) => {
  const { ann } = await meet(t, { ann: 2 });
  const room = `old-${rooms}`;
  const other = await Peer.join({ browser, site, server, room, peerId: 'other', version: 2, spy: true });
  t.after(() => other.close());
  await other.call('leave', {});
  const join = { method: 'join', target: 'room', peerName: 'ann', rtpCapabilities: { codecs: [] } };
  await assert.rejects(other.call('request', join), /Error: duplicated Peer \[peerName:"ann"\]/);
  assert.deepEqual(await ann.call('events', { name: 'close' }), []);
});
