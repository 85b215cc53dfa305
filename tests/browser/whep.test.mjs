// WHIP and WHEP with plain RTCPeerConnection and fetch, from a page of another origin (so CORS is proved as well).

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, openTab } from './lib/browser.mjs';
import { startClientSite } from './lib/client-site.mjs';
import { Server } from './lib/server.mjs';
import { until, untilRises } from './lib/until.mjs';

const LIMIT = { timeout: 60_000 };
const SDP = { 'content-type': 'application/sdp' };
let server;
let site;
let browser;
let publisher;
let viewer;

before(async () => {
  server = await Server.start({ workers: 2 });
  site = await startClientSite();
  browser = await launch();
  publisher = await openTab(browser, `${site.origin}/blank`);
  viewer = await openTab(browser, `${site.origin}/blank`);
  for (const page of [publisher, viewer]) await page.evaluate(defineConnect);
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
  await server?.stop();
}, LIMIT);

/** Runs in the page: `connect(url, how)` makes an RTCPeerConnection by WHIP or WHEP and returns what the answer said. */
function defineConnect() {
  window.makeOffer = async (how) => {
    window.pc = new RTCPeerConnection();
    // Chromium decodes sound only for somebody who plays it.
    window.pc.ontrack = ({ track }) => {
      const player = Object.assign(document.createElement(track.kind), { srcObject: new MediaStream([track]) });
      document.body.append(player);
      return player.play();
    };
    if (how === 'publish') {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
      for (const track of stream.getTracks()) window.pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
    } else {
      for (const kind of ['audio', 'video']) window.pc.addTransceiver(kind, { direction: 'recvonly' });
    }
    await window.pc.setLocalDescription();
    return window.pc.localDescription.sdp;
  };
  window.connect = async (url, how) => {
    const body = await window.makeOffer(how);
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body });
    const answer = await response.text();
    if (response.status === 201) await window.pc.setRemoteDescription({ type: 'answer', sdp: answer });
    const header = (name) => response.headers.get(name);
    const resource = header('location') && new URL(header('location'), url).href;
    return {
      status: response.status,
      answer,
      resource,
      type: header('content-type'),
      etag: header('etag'),
      producers: header('x-sansfu-producers'),
    };
  };
  window.inbound = async (kind) => {
    const report = [...(await window.pc.getStats()).values()];
    return report.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind) ?? {};
  };
}

const connect = (page, url, how) => page.evaluate(([url, how]) => window.connect(url, how), [url, how]);
const offer = (page, how) => page.evaluate((how) => window.makeOffer(how), how);
const inbound = (page, kind) => page.evaluate((kind) => window.inbound(kind), kind);
const whip = (peer) => `${server.origin}/whip/studio/${peer}`;
const whep = (peer) => `${server.origin}/whep/studio/${peer}`;
const send = (url, method, body, headers = SDP) => fetch(url, { method, body, headers });

describe('a publisher by WHIP and a viewer by WHEP', () => {
  let published;
  let watched;

  test('publishing is answered with 201, Location, ETag and the ids of the producers', LIMIT, async () => {
    published = await connect(publisher, whip('camera'), 'publish');
    assert.equal(published.status, 201, published.answer);
    assert.match(published.type, /^application\/sdp/);
    assert.ok(published.resource.startsWith(`${server.origin}/whip/`), published.resource);
    assert.match(published.etag, /^"[^"]+"$/);
    assert.match(published.producers, /^audio=[^,]+,\s*video=[^,]+$/);
    assert.match(published.answer, /a=ice-lite/);
    await until('connected', () => publisher.evaluate(() => window.pc.connectionState === 'connected'));
  });

  test('the viewer decodes its pictures and hears its sound', LIMIT, async () => {
    watched = await connect(viewer, whep('camera'), 'watch');
    assert.equal(watched.status, 201, watched.answer);
    await untilRises('pictures', async () => (await inbound(viewer, 'video')).framesDecoded);
    await untilRises('sound energy', async () => (await inbound(viewer, 'audio')).totalAudioEnergy, { by: 0.0005 });
  });

  test('trickled candidates are taken with 204, with the ETag or with *', LIMIT, async () => {
    const fragment = await trickleFragment(viewer);
    const headers = { 'content-type': 'application/trickle-ice-sdpfrag' };
    for (const etag of [watched.etag, '*']) {
      const response = await send(watched.resource, 'PATCH', fragment, { ...headers, 'if-match': etag });
      assert.equal(response.status, 204, await response.text());
    }
  });

  test('wrong PATCH requests: 412 for another ETag, 415 for another type, 4xx for nonsense', LIMIT, async () => {
    const fragment = await trickleFragment(viewer);
    const type = { 'content-type': 'application/trickle-ice-sdpfrag' };
    const status = async (body, headers) => (await send(watched.resource, 'PATCH', body, headers)).status;
    assert.equal(await status(fragment, { ...type, 'if-match': '"something-else"' }), 412);
    assert.equal(await status(fragment, { ...SDP, 'if-match': watched.etag }), 415);
    assert.match(String(await status('what?', { ...type, 'if-match': watched.etag })), /^4\d\d$/);
  });

  test('an ICE restart by PATCH gives new credentials, and the pictures go on', LIMIT, async () => {
    const result = await viewer.evaluate(restartIceByPatch, watched);
    assert.equal(result.status, 200, result.text);
    assert.match(result.text, /a=ice-ufrag:/);
    assert.notEqual(result.etag, watched.etag);
    await until('the selected pair has the new ufrag', async () => (await viewer.evaluate(selectedUfrag)) === result.ufrag);
    await untilRises('pictures', async () => (await inbound(viewer, 'video')).framesDecoded, { by: 20 });
  });

  test('DELETE ends it, and a second DELETE finds nothing', LIMIT, async () => {
    assert.equal((await send(watched.resource, 'DELETE')).status, 200);
    assert.equal((await send(watched.resource, 'DELETE')).status, 404);
    await until('the viewer is disconnected', () =>
      viewer.evaluate(() => ['disconnected', 'failed', 'closed'].includes(window.pc.connectionState)),
    );
    assert.equal((await send(published.resource, 'DELETE')).status, 200);
  });
});

/** The candidates and credentials of a page's connection, as RFC 8840 writes them. */
async function trickleFragment(page) {
  const sdp = await page.evaluate(() => window.pc.localDescription.sdp);
  const line = (pattern) => sdp.match(pattern)[0];
  return `${[
    line(/a=ice-ufrag:\S+/),
    line(/a=ice-pwd:\S+/),
    line(/m=audio.*/),
    line(/a=mid:\S+/),
    'a=candidate:1 1 udp 2130706431 127.0.0.1 45678 typ host',
    'a=end-of-candidates',
  ].join('\r\n')}\r\n`;
}

/** Runs in the page. The answer's fragment goes into the remote description in place of the old credentials. */
async function restartIceByPatch({ resource, etag }) {
  const pc = window.pc;
  const oldAnswer = pc.remoteDescription.sdp;
  await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
  const own = pc.localDescription.sdp;
  const line = (text, pattern) => text.match(pattern)[0];
  const fragment = [line(own, /a=ice-ufrag:\S+/), line(own, /a=ice-pwd:\S+/), line(own, /m=audio.*/), line(own, /a=mid:\S+/)];
  const response = await fetch(resource, {
    method: 'PATCH',
    headers: { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '*' },
    body: `${fragment.join('\r\n')}\r\n`,
  });
  const text = await response.text();
  if (response.status !== 200) return { status: response.status, text };
  const ufrag = line(text, /a=ice-ufrag:\S+/);
  const password = line(text, /a=ice-pwd:\S+/);
  const sdp = oldAnswer.replace(/a=ice-ufrag:\S+/g, ufrag).replace(/a=ice-pwd:\S+/g, password);
  await pc.setRemoteDescription({ type: 'answer', sdp });
  return { status: 200, text, etag: response.headers.get('etag'), ufrag: ufrag.split(':')[1] };
}

/** Runs in the page. */
async function selectedUfrag() {
  const report = await window.pc.getStats();
  const transport = [...report.values()].find((entry) => entry.type === 'transport');
  const pair = report.get(transport.selectedCandidatePairId);
  return report.get(pair.remoteCandidateId).usernameFragment;
}

describe('the order of things', () => {
  test('CORS: OPTIONS allows the methods and shows the headers', LIMIT, async () => {
    const response = await fetch(whip('camera'), {
      method: 'OPTIONS',
      headers: { origin: site.origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
    });
    assert.ok([200, 204].includes(response.status), String(response.status));
    assert.match(response.headers.get('access-control-allow-methods'), /POST.*|DELETE/);
    assert.ok(response.headers.get('access-control-allow-origin'));
  });

  test('closing the publisher ends its producers for the viewer', LIMIT, async () => {
    const published = await connect(publisher, whip('other'), 'publish');
    assert.equal(published.status, 201, published.answer);
    const watched = await connect(viewer, whep('other'), 'watch');
    assert.equal(watched.status, 201, watched.answer);
    await untilRises('pictures', async () => (await inbound(viewer, 'video')).framesDecoded);
    assert.equal((await send(published.resource, 'DELETE')).status, 200);
    const gone = await until('the peer cannot be watched any more', async () => {
      const { status } = await send(whep('other'), 'POST', await offer(publisher, 'watch'));
      return status !== 201 && status;
    });
    assert.match(String(gone), /^4\d\d$/);
  });
});

describe('wrong requests', () => {
  const nothing = () => `${server.origin}/whip/studio/camera/no-such-resource`;

  test('an unknown resource is not found', LIMIT, async () => {
    assert.equal((await send(nothing(), 'DELETE')).status, 404);
    const headers = { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '*' };
    assert.equal((await send(nothing(), 'PATCH', await trickleFragment(viewer), headers)).status, 404);
  });

  test('a peer who is not there is not found', LIMIT, async () => {
    const response = await send(whep('nobody'), 'POST', await offer(viewer, 'watch'));
    assert.match(String(response.status), /^4(04|09)$/);
    assert.ok((await response.text()).length > 0, 'the answer says why');
  });

  test('an offer of another content type is refused with 415', LIMIT, async () => {
    const response = await send(whip('x'), 'POST', await offer(publisher, 'publish'), { 'content-type': 'text/plain' });
    assert.equal(response.status, 415);
  });

  const bad = {
    'an empty body': () => '',
    'no SDP at all': () => 'hello',
    'JSON': () => '{"type":"offer"}',
    'SDP without media': () => 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n',
    'an offer without fingerprint': (sdp) => sdp.replace(/a=fingerprint:.*\r\n/g, ''),
    'an offer without ICE credentials': (sdp) => sdp.replace(/a=ice-(ufrag|pwd):.*\r\n/g, ''),
    'an offer of codecs that the room lacks': (sdp) => sdp.replace(/(opus|VP8|VP9|H264|AV1|PCMU|PCMA|G722)\//g, 'NOPE/'),
    'half an offer': (sdp) => sdp.slice(0, 200),
  };
  for (const [what, spoil] of Object.entries(bad)) {
    test(`${what} is refused with a reason`, LIMIT, async () => {
      const response = await send(whip('bad'), 'POST', spoil(await offer(publisher, 'publish')));
      const text = await response.text();
      assert.match(String(response.status), /^4\d\d$/, `${response.status}: ${text}`);
      assert.ok(text.length > 0, 'the answer says why');
    });
  }

  test('other methods are refused with 405', LIMIT, async () => {
    for (const method of ['PUT', 'GET']) assert.equal((await fetch(whip('x'), { method })).status, 405, method);
  });
});
