// The mediasoup demo's protocol with the unmodified mediasoup-client, as functions that a test calls one by one.

import * as mediasoupClient from 'mediasoup-client';
import { Protoo } from './protoo.js';

const producers = new Map();
const consumers = new Map();
const notifications = [];
let protoo;
let device;
let sendTransport;
let receiveTransport;
let closed = null;

/** Connects, loads the device, makes both transports and joins. Returns the answer to `join`. */
async function join({ server, room, peerId, displayName }) {
  protoo = new Protoo({
    onRequest: (method, data) => (method === 'newConsumer' ? consume(data) : Promise.reject(new Error(`no ${method} here`))),
    onNotification: (method, data) => notified(method, data),
    onClosed: (how) => (closed = how),
  });
  await protoo.open(`${server.replace(/^http/, 'ws')}/?${new URLSearchParams({ roomId: room, peerId })}`);
  device = new mediasoupClient.Device();
  await device.load({ routerRtpCapabilities: await protoo.request('getRouterRtpCapabilities') });
  sendTransport = await makeTransport('createSendTransport', { producing: true, consuming: false });
  receiveTransport = await makeTransport('createRecvTransport', { producing: false, consuming: true });
  sendTransport.on('produce', ({ kind, rtpParameters, appData }, callback, errback) => {
    protoo.request('produce', { transportId: sendTransport.id, kind, rtpParameters, appData }).then(callback, errback);
  });
  const deviceInfo = { flag: 'chrome', name: 'Chromium', version: '1' };
  const rtpCapabilities = device.recvRtpCapabilities;
  return protoo.request('join', { displayName: displayName ?? peerId, device: deviceInfo, rtpCapabilities });
}

async function makeTransport(create, direction) {
  const options = await protoo.request('createWebRtcTransport', { forceTcp: false, ...direction });
  const transport = device[create]({ ...options, iceServers: [] });
  transport.on('connect', ({ dtlsParameters }, callback, errback) => {
    protoo.request('connectWebRtcTransport', { transportId: transport.id, dtlsParameters }).then(callback, errback);
  });
  return transport;
}

/** Produces from the fake devices. `mimeType` chooses a codec of the router. Returns the producer's id. */
async function produce({ kind, mimeType, encodings, codecOptions, width = 640, height = 360 }) {
  const constraints = kind === 'audio' ? { audio: true } : { video: { width, height, frameRate: 20 } };
  const stream = await navigator.mediaDevices.getUserMedia(constraints);
  const [track] = stream.getTracks();
  const codec = device.sendRtpCapabilities.codecs.find((entry) => entry.mimeType.toLowerCase() === mimeType.toLowerCase());
  if (!codec) throw new Error(`this browser and the router share no ${mimeType}`);
  const producer = await sendTransport.produce({ track, codec, encodings, codecOptions, appData: { mimeType } });
  producers.set(producer.id, producer);
  if (kind === 'video') await keepResolution(producer.rtpSender);
  return producer.id;
}

/** An encoder that is short of time leaves pictures out, and does not make them smaller: layers are told apart by their size. */
async function keepResolution(sender) {
  await sender.setParameters({ ...sender.getParameters(), degradationPreference: 'maintain-resolution' });
}

async function consume({ id, producerId, kind, rtpParameters, peerId, appData, type, producerPaused }) {
  const consumer = await receiveTransport.consume({ id, producerId, kind, rtpParameters, appData: { ...appData, peerId } });
  const player = document.createElement(kind);
  Object.assign(player, { autoplay: true, srcObject: new MediaStream([consumer.track]) });
  document.body.append(player);
  const entry = { consumer, player, info: { id, producerId, kind, peerId, type, producerPaused, appData }, samples: [] };
  consumers.set(id, entry);
  timeNextPicture(entry);
}

/** Measures from now, when the server is about to be told to let the consumer flow, to the next picture. */
function timeNextPicture({ info, player }) {
  const since = performance.now();
  info.pictureAfterMs = null;
  if (info.kind === 'video') {
    player.requestVideoFrameCallback((now) => (info.pictureAfterMs = Math.round(now - since)));
  }
}

function resume({ consumerId }) {
  timeNextPicture(consumers.get(consumerId));
  return protoo.request('resumeConsumer', { consumerId });
}

function notified(method, data) {
  notifications.push({ method, data });
  if (method === 'consumerClosed') {
    const entry = consumers.get(data.consumerId);
    entry?.consumer.close();
    entry?.player.remove();
    consumers.delete(data.consumerId);
  }
}

/** What a consumer has received so far: codec, decoded frames, sound energy, packets. */
async function received({ consumerId }) {
  const { consumer } = consumers.get(consumerId);
  const report = [...(await consumer.getStats()).values()];
  const inbound = report.find(({ type }) => type === 'inbound-rtp');
  const codec = report.find(({ id }) => id === inbound?.codecId);
  return {
    mimeType: codec?.mimeType,
    framesDecoded: inbound?.framesDecoded ?? 0,
    keyFramesDecoded: inbound?.keyFramesDecoded ?? 0,
    freezeCount: inbound?.freezeCount ?? 0,
    totalFreezesDuration: inbound?.totalFreezesDuration ?? 0,
    pliCount: inbound?.pliCount ?? 0,
    nackCount: inbound?.nackCount ?? 0,
    packetsReceived: inbound?.packetsReceived ?? 0,
    totalAudioEnergy: inbound?.totalAudioEnergy ?? 0,
    width: inbound?.frameWidth ?? 0,
    height: inbound?.frameHeight ?? 0,
    framesPerSecond: inbound?.framesPerSecond ?? 0,
  };
}

/** Keeps what a consumer receives, five times a second: a history of what its decoder made of it. */
function watch({ consumerId }) {
  const entry = consumers.get(consumerId);
  setInterval(async () => entry.samples.push({ at: performance.now(), ...(await received({ consumerId })) }), 200);
}

/** What a producer has sent so far: pictures and keyframes of each encoding. */
async function sent({ producerId }) {
  const report = [...(await producers.get(producerId).getStats()).values()];
  const encodings = report.filter(({ type }) => type === 'outbound-rtp');
  return encodings
    .map(({ rid, framesEncoded = 0, keyFramesEncoded = 0, pliCount = 0 }) => ({ rid, framesEncoded, keyFramesEncoded, pliCount }))
    .sort((one, other) => (one.rid < other.rid ? -1 : 1));
}

/** Restarts ICE of one transport; returns the server's new credentials. */
async function restartIce({ which }) {
  const transport = which === 'send' ? sendTransport : receiveTransport;
  const iceParameters = await protoo.request('restartIce', { transportId: transport.id });
  await transport.restartIce({ iceParameters });
  return iceParameters;
}

/** The user fragment of the server's side of the candidate pair in use. */
async function selectedRemoteUfrag({ which }) {
  const transport = which === 'send' ? sendTransport : receiveTransport;
  const report = await transport.getStats();
  const { selectedCandidatePairId } = [...report.values()].find(({ type }) => type === 'transport');
  const pair = report.get(selectedCandidatePairId);
  return report.get(pair.remoteCandidateId).usernameFragment;
}

window.client = {
  join,
  produce,
  received,
  watch,
  watched: ({ consumerId }) => consumers.get(consumerId).samples,
  sent,
  resume,
  restartIce,
  selectedRemoteUfrag,
  request: ({ method, data }) => protoo.request(method, data),
  codecs: () => device.sendRtpCapabilities.codecs.map(({ mimeType }) => mimeType),
  consumers: () => [...consumers.values()].map(({ info, consumer }) => ({ ...info, closed: consumer.closed })),
  notifications: ({ method }) => notifications.filter((entry) => entry.method === method).map(({ data }) => data),
  transports: () => ({ send: sendTransport.id, receive: receiveTransport.id, state: sendTransport.connectionState }),
  closeProducer: ({ producerId }) => {
    producers.get(producerId).track.stop();
    producers.get(producerId).close();
    producers.delete(producerId);
  },
  closed: () => closed,
  leave: () => protoo.close(),
};
