// A tab with the mediasoup-client page, and its functions as methods.

import { openTab } from './browser.mjs';
import { summary } from './history.mjs';
import { until, untilRises, untilStill } from './until.mjs';

export class Peer {
  /** Opens a tab and joins the room; `joined` holds the server's answer to `join`, or what version 2 makes of it. */
  static async join({ browser, site, server, room, peerId, version = 3, ...options }) {
    const peer = new Peer();
    peer.id = peerId;
    peer.page = await openTab(browser, `${site.origin}/${version === 2 ? 'client-2' : 'client'}`);
    await until('mediasoup-client is loaded', () => peer.page.evaluate(() => !!window.client));
    peer.joined = await peer.call('join', { server: server.origin, room, peerId, ...options });
    return peer;
  }

  /** Calls one of the functions of `client/client.js`. */
  call(name, data = {}) {
    return this.page.evaluate(([name, data]) => window.client[name](data), [name, data]);
  }

  produce(options) {
    return this.call('produce', options);
  }

  request(method, data) {
    return this.call('request', { method, data });
  }

  /** Waits for the consumer of another peer's producer. */
  consumerOf(producerId) {
    return until(`a consumer of ${producerId}`, async () =>
      (await this.call('consumers')).find((consumer) => consumer.producerId === producerId),
    );
  }

  /** Waits for a notification whose data `matches`. */
  notified(method, matches = () => true, options = {}) {
    return until(`notification ${method}`, async () => (await this.call('notifications', { method })).find(matches), options);
  }

  received(consumerId) {
    return this.call('received', { consumerId });
  }

  /** The layers that the server says it sends; `undefined` before it has said anything. */
  async layers(consumerId) {
    const changes = await this.call('notifications', { method: 'consumerLayersChanged' });
    return changes.filter((data) => data.consumerId === consumerId).at(-1);
  }

  /** What this tab's decoder went through since `watch`: see `lib/history.mjs`. */
  async history(consumerId) {
    return summary(await this.call('watched', { consumerId }));
  }

  framesDecoded = async (consumerId) => (await this.received(consumerId)).framesDecoded;

  /** Waits until the consumer decodes further pictures. */
  seesPictures(consumerId, { by = 10, timeoutMs = 30_000 } = {}) {
    return untilRises(`pictures decoded from ${consumerId}`, () => this.framesDecoded(consumerId), { by, timeoutMs });
  }

  /** Waits until no further pictures come. */
  seesNothing(consumerId) {
    return untilStill(`pictures decoded from ${consumerId}`, () => this.framesDecoded(consumerId));
  }

  close() {
    return this.page.context().close();
  }
}
