import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { scanImports } from "./imports.ts";
import { checkLayers, projectRoot, readSources } from "./layers.ts";

function check(sources: Record<string, string>): string[] {
  return checkLayers(new Map(Object.entries(sources))).map((v) => `${v.file}:${v.line}: ${v.text}`);
}

describe("layers", () => {
  it("hold in this house", () => {
    const violations = checkLayers(readSources(projectRoot()));
    assert.deepEqual(
      violations.map((v) => `${v.file}:${v.line}: ${v.text}`),
      [],
    );
  });

  it("catch whoever looks up, aside or in a circle", () => {
    const found = check({
      "src/util/a.ts": 'import type { M } from "../mail/m.ts";',
      "src/mail/m.ts": '\nexport * from "./n.ts";',
      "src/mail/n.ts": 'import { m } from "./m.ts";',
      "src/protocol/p.ts": 'const x = await import("../message/x.ts");',
      "src/message/x.ts": "",
      "src/server/s.ts": 'type P = import("../relay/r.ts").R;',
      "src/relay/r.ts": 'import { m } from "../mail/m.ts"; import "../../bench/x.ts";',
      "src/cellar/c.ts": "",
    });
    assert.deepEqual(found, [
      "src/util/a.ts:1: util/ (floor 0) may not look up to mail (floor 1)",
      "src/protocol/p.ts:1: protocol/ and message/ are siblings on floor 2: what both need goes a floor lower",
      "src/server/s.ts:1: server/ (floor 3) may not look up to relay (floor 5)",
      "src/relay/r.ts:1: bench/x.ts is outside src/",
      "src/cellar/c.ts:1: src/cellar/ has no floor: give it one in scripts/layers.ts and docs/architecture.md",
      "src/mail/n.ts:1: a circle: src/mail/m.ts -> src/mail/n.ts -> src/mail/m.ts",
    ]);
  });

  it("catch packages, Node's modules and the environment where they do not belong", () => {
    const found = check({
      "src/protocol/p.ts": 'import { createHash } from "node:crypto";\nimport net from "node:net";\nimport pino from "pino";',
      "src/mail/m.ts": 'import { x } from "node:crypto";',
      "src/delivery/d.ts": 'import "node:fs";\nimport "node:net";\nconst home = process.env.HOME; // process.env',
      "src/config/c.ts": "const home = process.env;",
      "src/mail/m.test.ts": 'import { it } from "node:test"; import fc from "fast-check"; import "../../test/support/x.ts"; process.env.A;',
    });
    assert.deepEqual(found, [
      "src/protocol/p.ts:1: protocol/ may not import node:crypto",
      "src/protocol/p.ts:2: protocol/ may not import node:net",
      "src/protocol/p.ts:3: protocol/ imports no package (pino)",
      "src/mail/m.ts:1: mail/ may not import node:crypto",
      "src/delivery/d.ts:1: delivery/ may not import node:fs",
      "src/delivery/d.ts:3: process.env is read in config/ alone: take the value as a parameter",
    ]);
  });
});

describe("import scanner", () => {
  it("finds every form, and nothing inside comments, strings, templates or regular expressions", () => {
    const source = `
/* import "no1"; */ // import "no2"
import a, { b } from "yes1";
import type { c } from 'yes2';
export { d } from "yes3";
export type * from "yes4";
import "yes5";
const e = await import("yes6");
const f: import("yes7").F = new URL("./yes8.ts", import.meta.url);
const g = "import 'no3'; from \\"no4\\"";
const h = \`import "no5" \${await import("yes9")} from "no6" \${{ a: \`\${1}\` }} "no7\`;
const i = /["'\`/]import "no8"/.test(x) || a / b / c;
const j = { from: "no9" }, k = Array.from("no10"), l = y.import("no11");
const m = new URL("no12", "https://no13");
import {
  n, // "no14"
} from "yes10";
`;
    assert.deepEqual(
      scanImports(source).imports.map((i) => i.specifier),
      ["yes1", "yes2", "yes3", "yes4", "yes5", "yes6", "yes7", "./yes8.ts", "yes9", "yes10"],
    );
    assert.equal(scanImports(source).imports.at(-1)?.line, 17);
  });
});
