// Runs all browser tests once for each server binary:  node run.mjs [BINARY…] [--only NAME]
// Without arguments: the debug builds of both servers in the target directory of the workspace.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const { binaries, only } = readArguments(process.argv.slice(2));
const counts = { passed: 0, failed: 0, skipped: 0 };

if (!existsSync(path.join(here, 'node_modules'))) {
  spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: here, stdio: 'inherit' });
}
for (const binary of binaries) await runAll(binary);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;

function readArguments(list) {
  const at = list.indexOf('--only');
  const [, name] = at < 0 ? [] : list.splice(at, 2);
  const target = process.env.CARGO_TARGET_DIR ?? path.join(here, '../../target');
  const defaults = ['sansfu', 'sansfu-std'].map((name) => path.join(target, 'debug', name));
  return { binaries: (list.length ? list : defaults).map((binary) => path.resolve(binary)), only: name };
}

async function runAll(binary) {
  console.log(`\n== ${binary}`);
  process.env.SANSFU_BIN = binary;
  const names = ['page', 'mediasoup-client', 'mediasoup-client-2', 'whep', 'layers', 'limited-path', 'aiortc', 'abuse'].filter((name) => !only || name === only);
  const files = names.map((name) => path.join(here, `${name}.test.mjs`));
  // One file at a time: each drives a browser that encodes video on few cores.
  const events = run({ files, concurrency: 1 });
  events.on('test:pass', (event) => count(event, 'passed'));
  events.on('test:fail', (event) => count(event, 'failed'));
  for await (const text of events.compose(new spec())) process.stdout.write(text);
}

/** Counts tests, not the suites and files around them; but a suite or file that fails by itself counts as failed. */
function count({ details, skip, name }, result) {
  const around = details.type === 'suite' || name.endsWith('.test.mjs');
  if (around && (result === 'passed' || details.error?.failureType === 'subtestsFailed')) return;
  counts[skip === undefined ? result : 'skipped'] += 1;
}
