// Puts the checkout's own Node at node_modules/.bin/node, so that `npm start` and `npm test` run on it.
// Plain CommonJS for any Node: it runs under the one that npm found. npm 10 drops the link when two platform packages
// declare the same bin, so it is made here again, and tried once. It does so after this workspace's postinstall too: the root's
// prepare, which runs last, calls this as well.
"use strict";
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

let binary;
try {
  binary = path.join(path.dirname(require.resolve(`node-linux-${process.arch}/package.json`)), "bin", "node");
  fs.accessSync(binary, fs.constants.X_OK);
} catch {
  console.warn(`postrider: no bundled Node for ${process.platform}-${process.arch}; Node 24.15 or newer must be on the PATH.`);
  process.exit(0);
}
const folder = path.join(__dirname, "..", "node_modules", ".bin");
const link = path.join(folder, "node");
fs.mkdirSync(folder, { recursive: true });
fs.rmSync(link, { force: true });
fs.symlinkSync(path.relative(folder, binary), link);
console.log(`postrider: runs on ${execFileSync(link, ["-v"], { encoding: "utf8" }).trim()} (node_modules/.bin/node)`);
