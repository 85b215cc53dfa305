// Broken and hostile input of every kind against a running server, while two people talk: each is answered with a
// clear error or counted and dropped, and the call does not notice.

import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { launch, openTab, uncaught } from './lib/browser.mjs';
import { startClientSite } from './lib/client-site.mjs';
import { Peer } from './lib/peer.mjs';
import { HOST, Server } from './lib/server.mjs';
import { until } from './lib/until.mjs';

const LIMIT = { timeout: 90_000 };
const COUNT = 1000;
let server;
let site;
let browser;
let ann;
let ben;
let consumerId;

before(async () => {
  server = await Server.start();
  site = await startClientSite();
  browser = await launch();
  ann = await Peer.join({ browser, site, server, room: 'call', peerId: 'ann' });
  ben = await Peer.join({ browser, site, server, room: 'call', peerId: 'ben' });
  const producerId = await ann.produce({ kind: 'video', mimeType: 'video/VP8' });
  consumerId = (await ben.consumerOf(producerId)).id;
  await ben.seesPictures(consumerId);
}, LIMIT);

after(async () => {
  const errors = [ann, ben].flatMap((peer) => (peer ? uncaught(peer.page) : []));
  await browser?.close();
  await site?.close();
  await server?.stop();
  assert.deepEqual(errors, []);
}, LIMIT);

/** The call in the room goes on as if nothing had happened. */
async function callIsUndisturbed() {
  await ben.seesPictures(consumerId, { by: 15, timeoutMs: 10_000 });
  assert.equal(await ben.call('closed'), null);
  assert.ok(server.running, 'the server runs');
}

describe(`${COUNT} malformed datagrams`, () => {
  const random = (length) => randomBytes(length);
  const magic = Buffer.from('2112a442', 'hex');
  const stun = (length, rest) => Buffer.concat([Buffer.from([0, 1, length >> 8, length & 255]), magic, random(12), rest]);

  /** A binding request that is whole but signed with a wrong password. */
  function wronglySigned() {
    const username = Buffer.from('whoever:nobody00');
    const attributes = Buffer.concat([Buffer.from([0, 6, 0, username.length]), username]);
    const head = stun(attributes.length + 24, attributes);
    const signature = createHmac('sha1', 'wrong password').update(head).digest();
    return Buffer.concat([head, Buffer.from([0, 8, 0, 20]), signature]);
  }

  const kinds = {
    'empty': () => Buffer.alloc(0),
    'one byte': (index) => Buffer.from([index & 255]),
    'random': (index) => random(1 + ((index * 37) % 1500)),
    'truncated STUN': (index) => wronglySigned().subarray(0, 1 + (index % 60)),
    'STUN with a wrong signature': wronglySigned,
    'STUN whose attributes point outside': () => stun(12, Buffer.concat([Buffer.from([0, 6, 0xff, 0xff]), random(8)])),
    'STUN of a wrong length': () => stun(0xfffc, random(40)),
    'DTLS handshakes of noise': (index) =>
      Buffer.concat([Buffer.from([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, index & 255, 0, 100]), random(100)]),
    'DTLS records of wrong lengths': () => Buffer.concat([Buffer.from([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), random(20)]),
    'DTLS alerts and unknown types': (index) =>
      Buffer.from([20 + (index % 44), 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40]),
    'RTP of noise': (index) => Buffer.concat([Buffer.from([0x80 | (index & 0x3f), 96 + (index % 30)]), random(20 + (index % 1200))]),
    'RTP with an endless extension': () => Buffer.concat([Buffer.from([0x90, 96]), random(10), Buffer.from([0xbe, 0xde, 0xff, 0xff]), random(30)]),
    'RTCP of noise': (index) => Buffer.concat([Buffer.from([0x80 | (index & 31), 200 + (index % 8), 0xff, 0xff]), random(30)]),
    'oversize': () => random(9000),
  };

  for (const [kind, make] of Object.entries(kinds)) {
    test(kind, LIMIT, async () => {
      const before = await server.stats();
      await flood(make);
      await callIsUndisturbed();
      const after = await server.stats();
      assert.notDeepEqual(numbers(after), numbers(before), 'the counters of /stats moved');
    });
  }

  async function flood(make) {
    const socket = dgram.createSocket('udp4');
    for (let index = 0; index < COUNT; index++) {
      const error = await new Promise((resolve) => socket.send(make(index), server.rtcPort, HOST, resolve));
      if (error) throw error;
    }
    socket.close();
  }

  test('noise that comes from the address of a peer in the call (same host, many ports)', LIMIT, async () => {
    const sockets = Array.from({ length: 50 }, () => dgram.createSocket('udp4'));
    for (let index = 0; index < COUNT; index++) {
      await new Promise((resolve) => sockets[index % 50].send(wronglySigned(), server.rtcPort, HOST, resolve));
    }
    for (const socket of sockets) socket.close();
    await callIsUndisturbed();
  });

  test('the counters say what was dropped', LIMIT, async () => {
    const dropped = Object.entries(numbers(await server.stats())).filter(([name, value]) => value > 0 && /drop|invalid|malformed|unknown|reject|discard|bad|fail/i.test(name));
    console.log(`dropped: ${dropped.map(([name, value]) => `${name}=${value}`).join(' ')}`);
    assert.ok(dropped.length > 0, JSON.stringify(await server.stats()));
  });
});

/** All numbers of a nested object, by their paths. */
function numbers(value, path = '') {
  if (typeof value === 'number') return { [path]: value };
  if (typeof value !== 'object' || value === null) return {};
  return Object.assign({}, ...Object.entries(value).map(([key, inner]) => numbers(inner, path ? `${path}.${key}` : key)));
}

describe('malformed WebSocket messages', () => {
  let peers = 0;

  /** A connection of its own in the room of the call; `next()` waits for the next answer or the close. */
  async function connect() {
    const socket = new WebSocket(`ws://${HOST}:${server.httpPort}/?roomId=call&peerId=mallory${++peers}`, 'protoo');
    const replies = [];
    socket.on('message', (data) => replies.push(JSON.parse(data)));
    socket.on('close', (code, reason) => replies.push({ closed: code, reason: String(reason) }));
    socket.on('error', () => {});
    await once(socket, 'open');
    const next = (matches) => until('an answer or a close', () => replies.find(matches), { timeoutMs: 10_000, everyMs: 20 });
    return { socket, replies, next };
  }

  const isAnswerTo = (id) => (reply) => (reply.response && reply.id === id) || reply.closed;

  const nonsense = {
    'null': 'null',
    'a number': '1',
    'a string': '"x"',
    'a list': '[]',
    'an empty object': '{}',
    'truncated JSON': '{"request":true,"id":1,"method":"jo',
    'no JSON': 'hello',
    'nothing': '',
    'deep nesting of lists': '['.repeat(100_000),
    'deep nesting of objects': '{"a":'.repeat(100_000),
    'a closed deep nesting': `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
    'a request without id': '{"request":true,"method":"join","data":{}}',
    'a request with an id that is text': '{"request":true,"id":"1","method":"join","data":{}}',
    'a request with an id below zero': '{"request":true,"id":-1,"method":"join","data":{}}',
    'a request with a huge id': '{"request":true,"id":1e300,"method":"join","data":{}}',
    'a method that is a number': '{"request":true,"id":1,"method":5,"data":{}}',
    'an answer that nobody asked for': '{"response":true,"id":4711,"ok":true,"data":{}}',
    'a notification of an unknown kind': '{"notification":true,"method":"boo","data":{}}',
    'half a surrogate pair': '{"request":true,"id":1,"method":"\\ud800","data":{}}',
  };

  for (const [what, text] of Object.entries(nonsense)) {
    test(`${what}: the connection is closed, or goes on to answer`, LIMIT, async () => {
      const { socket, next } = await connect();
      socket.send(text);
      // A server may close the connection or ignore the frame, but then it must answer the next request.
      socket.send('{"request":true,"id":99,"method":"getRouterRtpCapabilities","data":{}}');
      const reply = await next((entry) => isAnswerTo(99)(entry));
      assert.ok(reply.closed || reply.ok === true, JSON.stringify(reply).slice(0, 300));
      socket.terminate();
    });
  }

  const wrongData = [
    ['join', { displayName: 5, device: 'x' }],
    ['join', { displayName: ['a'], device: [] }],
    ['join', { displayName: 'm', device: {}, rtpCapabilities: [] }],
    ['join', { displayName: 'm', device: {}, rtpCapabilities: { codecs: {} } }],
    ['join', { displayName: 'm', device: {}, rtpCapabilities: { codecs: [null, 1, 'x'] } }],
    ['createWebRtcTransport', { forceTcp: 'maybe', producing: [], consuming: 3 }],
    ['connectWebRtcTransport', { transportId: 5, dtlsParameters: null }],
    ['connectWebRtcTransport', { transportId: {}, dtlsParameters: { fingerprints: [] } }],
    ['produce', { transportId: 'x', kind: 'smell', rtpParameters: {} }],
    ['produce', { transportId: 'x', kind: 'audio', rtpParameters: { codecs: 'none' } }],
    ['closeProducer', { producerId: null }],
    ['pauseConsumer', []],
    ['setConsumerPreferredLayers', { consumerId: 'x', spatialLayer: 'high' }],
    ['changeDisplayName', { displayName: { name: 'x' } }],
    ['restartIce', 5],
    ['getTransportStats', { transportId: [] }],
    ['applyNetworkThrottle', { secret: 1 }],
    ['toString', {}],
    ['__proto__', {}],
  ];
  for (const [method, data] of wrongData) {
    test(`${method} ${JSON.stringify(data)}: an error that says why`, LIMIT, async () => {
      const { socket, next } = await connect();
      socket.send(JSON.stringify({ request: true, id: 7, method, data }));
      const reply = await next(isAnswerTo(7));
      // `createWebRtcTransport` may be lenient; all the others must refuse.
      if (method !== 'createWebRtcTransport') assert.equal(reply.ok, false, JSON.stringify(reply));
      if (reply.ok === false) {
        assert.match(String(reply.errorCode), /^[45]\d\d$/, JSON.stringify(reply));
        assert.ok(reply.errorReason.length > 0);
      }
      socket.terminate();
    });
  }

  test('a frame of 10 MB closes the connection', LIMIT, async () => {
    const { socket } = await connect();
    socket.send(JSON.stringify({ request: true, id: 1, method: 'join', data: { displayName: 'x'.repeat(10 << 20) } }));
    // `ws` is closing as soon as the server's close frame has come, but tells so only when its own 10 MB are written or half a
    // minute has passed.
    await until('the server closes', () => socket.readyState >= WebSocket.CLOSING, { timeoutMs: 10_000, everyMs: 20 });
    socket.terminate();
  });

  test('a binary frame closes the connection, or the next request is answered', LIMIT, async () => {
    const { socket, next } = await connect();
    socket.send(randomBytes(100));
    socket.send('{"request":true,"id":99,"method":"getRouterRtpCapabilities","data":{}}');
    const reply = await next(isAnswerTo(99));
    assert.ok(reply.closed || reply.ok === true);
    socket.terminate();
  });

  test('a thousand requests at once are all answered, or the connection is closed', LIMIT, async () => {
    const { socket, replies } = await connect();
    for (let id = 0; id < COUNT; id++) socket.send(JSON.stringify({ request: true, id, method: 'getRouterRtpCapabilities', data: {} }));
    await until('the answers', () => replies.some(({ closed }) => closed) || replies.filter(({ response }) => response).length === COUNT);
    socket.terminate();
  });

  test('a WebSocket without room or peer is refused', LIMIT, async () => {
    for (const query of ['', '?roomId=call', '?peerId=x', '?roomId=&peerId=', `?roomId=${'r'.repeat(5000)}&peerId=x`]) {
      const socket = new WebSocket(`ws://${HOST}:${server.httpPort}/${query}`, 'protoo');
      const ended = await new Promise((resolve) => {
        socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
        socket.on('close', (code) => resolve(code));
        socket.on('error', () => {});
      });
      assert.ok((ended >= 400 && ended < 500) || (ended >= 1000 && ended !== 1006), `${query.slice(0, 40)}: ${ended}`);
    }
  });

  test('the call did not notice', LIMIT, callIsUndisturbed);

  test('nobody of these is left in the room', LIMIT, async () => {
    const visitor = await Peer.join({ browser, site, server, room: 'call', peerId: 'visitor' });
    assert.deepEqual(visitor.joined.peers.map(({ id }) => id).sort(), ['ann', 'ben']);
    await visitor.close();
  });
});

describe('malformed HTTP', () => {
  /** Sends raw bytes; returns what the server answers until it closes or falls silent. */
  async function raw(bytes, { waitMs = 3000 } = {}) {
    const socket = net.connect(server.httpPort, HOST);
    let answer = '';
    socket.setEncoding('latin1').on('data', (text) => (answer += text));
    socket.on('error', () => {});
    const closed = once(socket, 'close').catch(() => {});
    await once(socket, 'connect');
    socket.write(bytes);
    const deadline = Date.now() + waitMs;
    await Promise.race([closed, until('an answer', () => answer.includes('\r\n\r\n') || Date.now() > deadline)]);
    socket.destroy();
    return answer;
  }

  const refused = (answer) => assert.match(answer, /^(HTTP\/1\.[01] (4\d\d|501|505)|$)/, answer.slice(0, 200));

  test('a body of 10 MB is refused', LIMIT, async () => {
    const answer = await fetch(`${server.origin}/whip/call/mallory`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: 'x'.repeat(10 << 20),
    }).then(
      (response) => response.status,
      // A server may also hang up on whoever goes on sending.
      (error) => error.cause?.code ?? String(error),
    );
    assert.ok(answer === 413 || ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(answer), String(answer));
  });

  test('a body that announces 10 GB is refused before it has come', LIMIT, async () => {
    const head = `POST /whip/call/mallory HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 10000000000\r\n\r\nv=0`;
    // The server may first wait a while for what it would throw away.
    assert.match(await raw(head), /^HTTP\/1\.1 4\d\d/);
  });

  test('wrong methods are refused', LIMIT, async () => {
    for (const path of ['/', '/stats', '/health', '/rooms/call']) {
      const { status } = await fetch(server.origin + path, { method: 'DELETE' });
      assert.match(String(status), /^4\d\d$/, path);
    }
    refused(await raw('BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
  });

  test('no path leads outside the page', LIMIT, async () => {
    const paths = ['/../Cargo.toml', '/..%2fCargo.toml', '/%2e%2e/%2e%2e/etc/passwd', '//etc/passwd', '/web/../../etc/passwd', '/app.js/../../x', '/%00', '/\\..\\..\\etc\\passwd'];
    for (const path of paths) {
      const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      assert.doesNotMatch(answer, /root:|\[workspace\]|\[package\]/, path);
      refused(answer);
    }
  });

  test('no HTTP at all, and half of it', LIMIT, async () => {
    for (const bytes of [randomBytes(300), 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', 'GET / HTTP/1.1\r\nHost\r\n\r\n', '\r\n\r\n\r\n', '\x16\x03\x01\x02\x00\x01']) {
      refused(await raw(bytes, { waitMs: 1000 }));
    }
  });

  test('a flood of headers is refused', LIMIT, async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => `X-Header-${index}: ${'v'.repeat(50)}\r\n`).join('');
    refused(await raw(`GET / HTTP/1.1\r\nHost: x\r\n${many}\r\n`));
    refused(await raw(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'v'.repeat(1 << 20)}\r\n\r\n`));
  });

  test('a broken WebSocket upgrade is refused', LIMIT, async () => {
    const upgrade = 'GET /?roomId=call&peerId=m HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';
    refused(await raw(`${upgrade}\r\n`));
    refused(await raw(`${upgrade}Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: abc\r\n\r\n`));
  });

  const sdps = {
    'nothing': '',
    'noise': randomBytes(2000).toString('latin1'),
    'one line without end': `v=0${'x'.repeat(60_000)}`,
    '10,000 media sections': `v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n${'m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n'.repeat(10_000)}`,
    'numbers that do not fit': 'v=0\r\no=- 99999999999999999999999999 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 99999999 UDP/TLS/RTP/SAVPF 999999999999\r\na=rtpmap:99999 opus/48000/999\r\n',
    'a fingerprint that is none': 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 ZZ:ZZ\r\na=setup:actpass\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n',
    'null bytes': 'v=0\r\n\0\0\0\0s=-\0\r\n',
  };
  for (const [what, sdp] of Object.entries(sdps)) {
    test(`SDP: ${what}: a 4xx that says why`, LIMIT, async () => {
      for (const face of ['whip', 'whep']) {
        const response = await fetch(`${server.origin}/${face}/call/ann`, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: sdp });
        const text = await response.text();
        assert.match(String(response.status), /^4\d\d$/, `${face} ${response.status}: ${text.slice(0, 200)}`);
        assert.ok(text.length > 0);
      }
    });
  }

  test('two hundred silent connections do not keep others out', LIMIT, async () => {
    const sockets = Array.from({ length: 200 }, () => net.connect(server.httpPort, HOST).on('error', () => {}));
    await Promise.all(sockets.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {})));
    for (const socket of sockets) socket.write('GET / HT');
    assert.equal((await fetch(`${server.origin}/health`)).status, 200);
    const page = await openTab(browser, `${server.origin}/?room=other`);
    assert.equal(await page.title(), 'sansfu');
    await page.context().close();
    for (const socket of sockets) socket.destroy();
  });

  test('the call did not notice', LIMIT, callIsUndisturbed);
});
