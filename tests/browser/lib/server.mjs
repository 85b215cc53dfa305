// Starts and stops the server under test: the binary that the environment variable SANSFU_BIN names.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import net from 'node:net';
import { once } from 'node:events';
import { until } from './until.mjs';

export const HOST = '127.0.0.1';

/** The running server: its addresses, what it logged, and how to stop it. */
export class Server {
  #child;
  #log = '';
  #ended;

  /** Starts the binary on free ports, or on those given, of this host's address, and waits until it answers `/health`. */
  static async start({ host = HOST, workers = 1, httpPort, rtcPort, flags = [], env = {} } = {}) {
    const binary = process.env.SANSFU_BIN;
    assert.ok(binary, 'set SANSFU_BIN to the server binary');
    const server = new Server();
    server.host = host;
    server.httpPort = httpPort ?? (await freeTcpPort());
    server.rtcPort = rtcPort ?? (await freeUdpPorts(workers));
    server.workers = workers;
    server.origin = `http://${host}:${server.httpPort}`;
    server.#spawn(binary, flags, env);
    try {
      await until('the server answers /health, or has ended', () => !server.running || server.#healthy(), { timeoutMs: 15_000 });
      assert.ok(server.running, `the server ended with status ${server.#child.exitCode}`);
    } catch (error) {
      server.#child.kill('SIGKILL');
      throw new Error(`${error.message}\nThe server's log:\n${server.log}`);
    }
    return server;
  }

  get pid() {
    return this.#child.pid;
  }

  get log() {
    return this.#log;
  }

  get running() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The counters of `GET /stats`. */
  async stats() {
    const response = await fetch(`${this.origin}/stats`);
    assert.equal(response.status, 200, 'GET /stats');
    return response.json();
  }

  /** Stops it by SIGTERM; it must end within ten seconds with exit status 0. */
  async stop() {
    if (this.running) this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    const [code, signal] = await this.#ended;
    clearTimeout(timer);
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, `exit after SIGTERM. Log:\n${this.log.slice(-4000)}`);
    assert.doesNotMatch(this.log, /panicked at/, 'a panic in the log');
  }

  #spawn(binary, flags, env) {
    const settings = [
      ['--http', `${this.host}:${this.httpPort}`],
      ['--rtc-ipv4', this.host],
      ['--rtc-ipv6', 'off'],
      ['--rtc-port', String(this.rtcPort)],
      ['--num-workers', String(this.workers)],
      ['--log-level', 'info'],
    ];
    this.#child = spawn(binary, [...settings.flat(), ...flags], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.#log += text));
      stream.unref();
    }
    // A server that a failed test has not stopped neither keeps its process from ending nor outlives it.
    this.#child.unref();
    process.once('exit', () => this.running && this.#child.kill('SIGKILL'));
    this.#ended = once(this.#child, 'exit');
  }

  async #healthy() {
    const response = await fetch(`${this.origin}/health`);
    await response.arrayBuffer();
    return response.status === 200;
  }
}

async function freeTcpPort() {
  const listener = net.createServer().listen(0, HOST);
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}

/** The first of `count` UDP ports in a row that are free: worker n takes the n-th. */
async function freeUdpPorts(count) {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFreeUdpPort(first + index)));
    if (free.every(Boolean)) return first;
  }
  throw new Error('no free UDP ports');
}

function isFreeUdpPort(port) {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(port, HOST, () => socket.close(() => resolve(true)));
  });
}
