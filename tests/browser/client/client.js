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
async function produce({ kind, mimeType, encodings, width = 640, height = 360 }) {
  const constraints = kind === 'audio' ? { audio: true } : { video: { width, height, frameRate: 20 } };
  const stream = await navigator.mediaDevices.getUserMedia(constraints);
  const [track] = stream.getTracks();
  const codec = device.sendRtpCapabilities.codecs.find((entry) => entry.mimeType.toLowerCase() === mimeType.toLowerCase());
  if (!codec) throw new Error(`this browser and the router share no ${mimeType}`);
  const producer = await sendTransport.produce({ track, codec, encodings, appData: { mimeType } });
  producers.set(producer.id, producer);
  return producer.id;
}

async function consume({ id, producerId, kind, rtpParameters, peerId, appData, type, producerPaused }) {
  const consumer = await receiveTransport.consume({ id, producerId, kind, rtpParameters, appData: { ...appData, peerId } });
  const player = document.createElement(kind);
  Object.assign(player, { autoplay: true, srcObject: new MediaStream([consumer.track]) });
  document.body.append(player);
  consumers.set(id, { consumer, player, info: { id, producerId, kind, peerId, type, producerPaused, appData } });
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
    packetsReceived: inbound?.packetsReceived ?? 0,
    totalAudioEnergy: inbound?.totalAudioEnergy ?? 0,
    width: inbound?.frameWidth ?? 0,
    height: inbound?.frameHeight ?? 0,
  };
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
