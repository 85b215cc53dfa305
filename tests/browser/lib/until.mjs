// Waiting for conditions, never for time.

import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `probe` until it returns something truthy, and returns that. An error that `probe` throws counts as
 * "not yet". After `timeoutMs` it fails with `what` and the last thing that `probe` returned or threw.
 */
export async function until(what, probe, { timeoutMs = 20_000, everyMs = 100 } = {}) {
  const deadline = Date.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      const seen = last instanceof Error ? (last.stack ?? last) : JSON.stringify(last);
      throw new Error(`after ${timeoutMs} ms still not: ${what}. Last seen: ${seen}`);
    }
    await sleep(everyMs);
  }
}

/** Waits until the number that `read` returns has grown by `by` since the first look. */
export async function untilRises(what, read, { by = 10, ...options } = {}) {
  const first = (await read()) ?? 0;
  let now = first;
  await until(
    `${what} rises by ${by} (from ${first})`,
    async () => {
      now = (await read()) ?? 0;
      return now >= first + by ? true : null;
    },
    options,
  ).catch((error) => {
    throw new Error(`${error.message} (now ${now})`);
  });
  return now;
}

/** Waits until the number that `read` returns stays the same for `quietMs`. */
export async function untilStill(what, read, { quietMs = 1000, timeoutMs = 15_000 } = {}) {
  let last = await read();
  let since = Date.now();
  return until(
    `${what} stands still for ${quietMs} ms`,
    async () => {
      const now = await read();
      if (now !== last) {
        last = now;
        since = Date.now();
      }
      return Date.now() - since >= quietMs ? { value: last } : null;
    },
    { timeoutMs },
  );
}
