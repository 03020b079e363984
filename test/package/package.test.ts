/**
 * The package as others install it: built, checked by publint, imported by its names, bundled.
 *
 * Rules
 * 1. It is built into a folder of the test's own.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Of the client, bundled and minified. */
const CLIENT_LIMIT = 100 * 1024;

describe("the package", () => {
  let folder: string;
  const built = (...path: string[]) => join(folder, "dist", ...path);

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "postrider-package-"));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "--project", join(root, "tsconfig.build.json"), "--outDir", built()], { stdio: "inherit" });
    for (const name of ["package.json", "README.md", "LICENSE", "CHANGELOG.md", "bin"])
      cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("is clean to publint", async () => {
    const { messages, pkg } = await publint({ pkgDir: folder, level: "warning", strict: true, pack: false });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    );
  });

  it("can be imported by each of its names", () => {
    const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { exports: Record<string, unknown> };
    const names = Object.keys(exports).filter((name) => !name.endsWith(".json"));
    assert.ok(names.length >= 6);
    const program = names.map((name) => `console.log(Object.keys(await import("postrider${name.slice(1)}")).length > 0)`).join(";\n");
    const said = execFileSync(process.execPath, ["--input-type=module", "-e", program], { cwd: folder }).toString().trim().split("\n");
    assert.deepEqual(
      said,
      names.map(() => "true"),
    );
  });

  it("signs and verifies by postrider/dkim", () => {
    const program = `
      import { DkimKey, DkimSigner, generateDkimKey, keyRecordText, memoryContent, signWith, verifySignatures } from "postrider/dkim";
      const key = new DkimKey({ domain: "example.org", selector: "s", privateKey: generateDkimKey("ed25519") });
      const letter = memoryContent([Buffer.from("From: a@example.org\\r\\n\\r\\nhello\\r\\n")]);
      const signed = await signWith(new DkimSigner({ keys: [key] }))(letter);
      const dns = { txt: async (name) => ({ kind: "found", records: name === key.recordName ? [keyRecordText(key)] : [] }) };
      const { dkim } = await verifySignatures(signed, { dns, now: Date.now() });
      console.log(dkim.results.map(({ verdict, domain }) => verdict + " " + domain).join());`;
    assert.equal(execFileSync(process.execPath, ["--input-type=module", "-e", program], { cwd: folder }).toString(), "pass example.org\n");
  });

  it("has no any in its types", () => {
    for (const name of readdirSync(built(), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".d.ts")) continue;
      const types = readFileSync(built(name), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      assert.doesNotMatch(types, /[:<|,=(]\s*any\b(?!\w)/, name);
    }
  });

  it("has a client of less than 100 KB, bundled and minified: what is loaded with it, before a draft is composed", async () => {
    const { metafile } = await build({
      entryPoints: [built("client/index.js")],
      bundle: true,
      minify: true,
      format: "esm",
      platform: "node",
      splitting: true,
      outdir: "out",
      write: false,
      metafile: true,
      logLevel: "silent",
    });
    const loaded = new Set<string>();
    const load = (path: string): void => {
      if (loaded.has(path)) return;
      loaded.add(path);
      for (const { path: next, kind } of metafile.outputs[path]?.imports ?? []) if (kind === "import-statement") load(next);
    };
    load(Object.keys(metafile.outputs).find((path) => metafile.outputs[path]?.entryPoint?.endsWith("client/index.js")) ?? "");
    const size = [...loaded].reduce((sum, path) => sum + (metafile.outputs[path]?.bytes ?? 0), 0);
    assert.ok(size > 20_000 && size < CLIENT_LIMIT, `${size} octets`);
  });

  it("has a client that needs nothing of Node", async () => {
    const { outputFiles } = await build({
      entryPoints: [built("client/portable.js")],
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      write: false,
      logLevel: "silent",
    });
    assert.equal(outputFiles.length, 1);
    assert.doesNotMatch(outputFiles[0]?.text ?? "", /["']node:/);
  });
});
