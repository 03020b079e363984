/** Runs every snippet of docs/testing.md as it stands there, in a folder of its own. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const page = readFileSync(new URL("../../docs/testing.md", import.meta.url), "utf8");
const snippets = [...page.matchAll(/^## (\w+)[\s\S]*?^```ts\n([\s\S]*?)^```$/gm)];

test("there are snippets", () => {
  assert.deepEqual(
    snippets.map(([, title]) => title),
    ["MemoryTransport", "FileTransport", "TestServer", "ScriptedServer"],
  );
});

for (const [, title, snippet = ""] of snippets) {
  test(`the snippet of ${title} runs`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "postrider-docs-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const source = snippet.replace(/"postrider\/(\w+)"/g, (_, name) =>
      JSON.stringify(new URL(`../${name}/index.ts`, import.meta.url).href),
    );
    writeFileSync(join(folder, "snippet.ts"), source);
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    const child = spawn(process.execPath, ["snippet.ts"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    let errors = "";
    child.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    const code = await new Promise((resolve) => child.once("exit", resolve));
    assert.equal(code, 0, errors);
  });
}
