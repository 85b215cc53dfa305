// The mediasoup protocol with the unmodified mediasoup-client 2.4.12, carried in protoo, as functions that a test calls one by one.

import * as mediasoupClient from 'mediasoup-client-2';
import { Protoo } from './protoo.js';

// The library keeps its connections to itself; their statistics are wanted here.
const connections = [];
window.RTCPeerConnection = class extends window.RTCPeerConnection {
  constructor(...args) {
    super(...args);
    connections.push(this);
  }
};

const producers = new Map();
const consumers = new Map();
const events = [];
let protoo;
let room;
let sendTransport;
let receiveTransport;

/** Connects, joins and makes the transports. Returns the others: names, `appData`, and kinds of consumers. */
async function join({ server, room: roomId, peerId, spy = false }) {
  protoo = new Protoo({
    onRequest: (method) => Promise.reject(new Error(`no ${method} here`)),
    onNotification: (method, data) => method === 'mediasoup-notification' && room.receiveNotification(data),
    onClosed: (how) => note('disconnected', how),
  });
  await protoo.open(`${server.replace(/^http/, 'ws')}/?${new URLSearchParams({ roomId, peerId })}`);
  room = new mediasoupClient.Room({ spy });
  room.on('request', (request, callback, errback) => {
    protoo.request('mediasoup-request', request).then(callback, (error) => errback(error.message));
  });
  room.on('notify', (message) => protoo.notify('mediasoup-notification', message));
  room.on('close', (originator, appData) => note('close', { originator, appData }));
  room.on('newpeer', (peer) => {
    note('newpeer', { name: peer.name, appData: peer.appData });
    watch(peer);
  });
  const peers = await room.join(peerId, { displayName: peerId });
  const told = peers.map(({ name, appData, consumers }) => ({ name, appData, kinds: consumers.map(({ kind }) => kind) }));
  if (!spy) sendTransport = watchTransport('send', room.createTransport('send'));
  receiveTransport = watchTransport('recv', room.createTransport('recv'));
  peers.forEach(watch);
  return told;
}

function note(name, data) {
  events.push({ name, data });
}

function watchTransport(which, transport) {
  transport.on('close', (originator, appData) => note('transportclose', { which, originator, appData }));
  transport.on('stats', (stats) => note('transportstats', { which, stats }));
  return transport;
}

function watch(peer) {
  peer.on('close', (originator, appData) => note('peerclose', { name: peer.name, originator, appData }));
  peer.on('newconsumer', receive);
  peer.consumers.forEach(receive);
}

async function receive(consumer) {
  const { id, kind, peer, appData } = consumer;
  consumer.on('close', () => {
    note('consumerclose', { id });
    consumers.get(id)?.player.remove();
    consumers.delete(id);
  });
  consumer.on('pause', (originator) => note('consumerpause', { id, originator }));
  consumer.on('resume', (originator) => note('consumerresume', { id, originator }));
  consumer.on('effectiveprofilechange', (profile) => note('profile', { id, profile }));
  consumer.on('stats', (stats) => note('consumerstats', { id, stats }));
  const track = await consumer.receive(receiveTransport);
  const player = document.createElement(kind);
  Object.assign(player, { autoplay: true, muted: kind === 'video', srcObject: new MediaStream([track]) });
  document.body.append(player);
  consumers.set(id, { consumer, player, info: { id, kind, peerId: peer.name, appData } });
}

/** Produces from the fake devices. Audio has to come first in today's Chromium. Returns the producer's id. */
async function produce({ kind, simulcast, width = 640, height = 360 }) {
  const constraints = kind === 'audio' ? { audio: true } : { video: { width, height, frameRate: 20 } };
  const [track] = (await navigator.mediaDevices.getUserMedia(constraints)).getTracks();
  const producer = room.createProducer(track, { simulcast }, { kind });
  producer.on('stats', (stats) => note('producerstats', { id: producer.id, stats }));
  producers.set(producer.id, producer);
  await producer.send(sendTransport);
  return producer.id;
}

async function report() {
  const reports = await Promise.all(connections.map((connection) => connection.getStats()));
  return reports.flatMap((one) => [...one.values()]);
}

/** What a consumer has received so far: codec, decoded frames, sound energy, packets. */
async function received({ consumerId }) {
  const { consumer } = consumers.get(consumerId);
  const entries = await report();
  const inbound = entries.find(({ type, trackIdentifier }) => type === 'inbound-rtp' && trackIdentifier === consumer.track.id);
  return {
    framesDecoded: inbound?.framesDecoded ?? 0,
    packetsReceived: inbound?.packetsReceived ?? 0,
    totalAudioEnergy: inbound?.totalAudioEnergy ?? 0,
    width: inbound?.frameWidth ?? 0,
    height: inbound?.frameHeight ?? 0,
  };
}

/** The user fragments of the server's side of the candidate pairs in use. */
async function selectedRemoteUfrags() {
  const entries = await report();
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const transports = entries.filter(({ type, selectedCandidatePairId }) => type === 'transport' && selectedCandidatePairId);
  const pairs = transports.map(({ selectedCandidatePairId }) => byId.get(selectedCandidatePairId));
  return pairs.map(({ remoteCandidateId }) => byId.get(remoteCandidateId).usernameFragment);
}

window.client = {
  join,
  produce,
  received,
  selectedRemoteUfrags,
  consumers: () => [...consumers.values()].map(({ info, consumer }) => ({ ...info, paused: consumer.paused })),
  events: ({ name }) => events.filter((event) => event.name === name).map(({ data }) => data),
  request: (message) => protoo.request('mediasoup-request', message),
  pauseProducer: ({ id }) => producers.get(id).pause(),
  resumeProducer: ({ id }) => producers.get(id).resume(),
  closeProducer: ({ id }) => producers.get(id).close(),
  pauseConsumer: ({ id }) => consumers.get(id).consumer.pause(),
  resumeConsumer: ({ id }) => consumers.get(id).consumer.resume(),
  enableStats: ({ producerId, consumerId }) => {
    sendTransport.enableStats(1000);
    producers.get(producerId)?.enableStats(1000);
    consumers.get(consumerId)?.consumer.enableStats(1000);
  },
  restartIce: () => room.restartIce(),
  isClosed: () => room.closed,
  canSend: () => ['audio', 'video'].map((kind) => room.canSend(kind)),
  leave: ({ appData }) => room.leave(appData),
};
