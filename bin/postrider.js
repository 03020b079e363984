#!/usr/bin/env node
// Plain JavaScript that any Node can read: it says in words when the Node is too old, then hands over.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 15)) {
  console.error(
    `postrider: Node ${process.versions.node} is too old: 24.15 or newer is needed.\n` +
      "  In a checkout, run `npm ci` and start bin/postrider: it brings its own Node.",
  );
  process.exit(69);
}
const { existsSync } = await import("node:fs");
const source = new URL("../src/cli/main.ts", import.meta.url);
const built = new URL("../dist/cli/main.js", import.meta.url);
const { main } = await import(existsSync(source) ? source.href : built.href);
await main(process.argv.slice(2));
// Nothing that is still open, such as a peer that does not close its side, may keep an ended command alive.
process.exit();
