// Streams with layers, as the tests publish them.

const SIMULCAST = {
  type: 'simulcast',
  spatialLayers: 3,
  width: 1280,
  height: 720,
  encodings: [
    { scaleResolutionDownBy: 4, maxBitrate: 500_000, scalabilityMode: 'L1T3' },
    { scaleResolutionDownBy: 2, maxBitrate: 1_000_000, scalabilityMode: 'L1T3' },
    { scaleResolutionDownBy: 1, maxBitrate: 5_000_000, scalabilityMode: 'L1T3' },
  ],
};
/** Chromium makes three layers of no less than this. */
const SVC = { type: 'svc', spatialLayers: 3, width: 960, height: 540, encodings: [{ scalabilityMode: 'L3T3_KEY' }] };
const TEMPORAL = { type: 'svc', spatialLayers: 1, width: 640, height: 360, encodings: [{ scalabilityMode: 'L1T3' }] };

export const LAYERED = {
  'VP8 simulcast': { mimeType: 'video/VP8', ...SIMULCAST },
  'H264 simulcast': { mimeType: 'video/H264', ...SIMULCAST },
  'VP9 L3T3_KEY': { mimeType: 'video/VP9', ...SVC },
  'AV1 L3T3_KEY': { mimeType: 'video/AV1', ...SVC },
  'AV1 L1T3': { mimeType: 'video/AV1', ...TEMPORAL },
};

/** Width of a spatial layer: each is twice as wide as the one below. */
export function widthOf({ width, spatialLayers }, spatialLayer) {
  return width >> (spatialLayers - 1 - spatialLayer);
}

/** Ann produces it and Ben watches it. Returns the ids. */
export async function publish(stream, ann, ben) {
  const { mimeType, encodings, width, height } = stream;
  const codecOptions = { videoGoogleStartBitrate: 1000 };
  const producerId = await ann.produce({ kind: 'video', mimeType, encodings, codecOptions, width, height });
  const consumer = await ben.consumerOf(producerId);
  await ben.call('watch', { consumerId: consumer.id });
  return { producerId, consumerId: consumer.id, type: consumer.type };
}
