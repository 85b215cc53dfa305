// A network of its own for a browser, on a path of which the test chooses the rate: a namespace, a link to it, and on the link
// `tc`'s token bucket with a queue. Needs root; whatever refuses is told as the reason to skip.

import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { EXECUTABLE } from './browser.mjs';

/** How long a packet waits in the queue at most: longer ones are dropped at its end. */
const QUEUE_MS = 300;
/** More than any test sends. */
const WIDE_KBPS = 100_000;

export class LimitedPath {
  /** This side's address on the link. */
  host;
  /** The browser to launch inside of the namespace. */
  executable;
  #space = `sansfu-browser-${process.pid}`;
  #device = `sansfu${process.pid}`.slice(0, 15);
  #folder;

  /** Makes namespace and link, without a limit so far. Throws an `Error` where the machine does not let it. */
  static async create() {
    const made = new LimitedPath();
    // Of the block for measurements of networks (RFC 2544), four addresses by the process's number.
    const [third, fourth] = [(process.pid >> 6) & 0xff, (process.pid & 0x3f) << 2];
    made.host = `198.18.${third}.${fourth + 1}`;
    try {
      run('ip', 'netns', 'add', made.#space);
      run('ip', 'link', 'add', made.#device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', made.#space);
      run('ip', 'address', 'add', `${made.host}/30`, 'dev', made.#device);
      run('ip', '-n', made.#space, 'address', 'add', `198.18.${third}.${fourth + 2}/30`, 'dev', 'eth0');
      run('ip', 'link', 'set', made.#device, 'up');
      for (const device of ['lo', 'eth0']) run('ip', '-n', made.#space, 'link', 'set', device, 'up');
      made.unlimit();
    } catch (error) {
      await made.close();
      throw error;
    }
    made.#folder = await mkdtemp(path.join(os.tmpdir(), 'sansfu-'));
    made.executable = path.join(made.#folder, 'chromium');
    await writeFile(made.executable, `#!/bin/sh\nexec ip netns exec ${made.#space} ${EXECUTABLE} "$@"\n`);
    await chmod(made.executable, 0o755);
    return made;
  }

  /** Lets so much through, towards the browser. */
  limit(rate_kbps) {
    // Two packets, or what the rate makes of a tick of 4 ms.
    const bucket = ['rate', `${rate_kbps}kbit`, 'burst', String(Math.max(3000, rate_kbps / 2)), 'latency', `${QUEUE_MS}ms`];
    run('tc', 'qdisc', 'replace', 'dev', this.#device, 'root', 'tbf', ...bucket);
  }

  /** Lets everything through. */
  unlimit() {
    this.limit(WIDE_KBPS);
  }

  /** Leaves nothing behind; the link goes with the namespace. */
  async close() {
    spawnSync('ip', ['netns', 'del', this.#space]);
    if (this.#folder) await rm(this.#folder, { recursive: true });
  }
}

function run(command, ...list) {
  const { status, stderr, error } = spawnSync(command, list, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${[command, ...list].join(' ')}: ${error?.message ?? stderr.trim()}`);
}
