/** docs/smtplib.md: each public name of Python's smtplib stands in it, and each of ours that it names exists. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as client from "../../src/client/index.ts";

const page = readFileSync(new URL("../../docs/smtplib.md", import.meta.url), "utf8");
const rows = page
  .split("\n")
  .filter((line) => /^\| [`—]/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()));

const wordsIn = (cell: string | undefined): string[] => [...(cell ?? "").matchAll(/`([^`]*)`/g)].map(([, text]) => text as string);

test("each name of smtplib is in the table", () => {
  const names = JSON.parse(
    execFileSync("python3", [
      "-c",
      `
import smtplib, json
names = set(n for c in (smtplib.SMTP, smtplib.SMTP_SSL, smtplib.LMTP) for n in vars(c))
names |= set(n for n in vars(smtplib) if getattr(getattr(smtplib, n), "__module__", "smtplib") == "smtplib")
names -= {"__module__", "__doc__", "__dict__", "__weakref__", "__all__", "__name__", "__file__", "__package__", "__cached__", "__spec__", "__loader__", "__builtins__"}
import types
print(json.dumps(sorted(n for n in names if not isinstance(getattr(smtplib, n, None), types.ModuleType))))
`,
    ]).toString(),
  ) as string[];
  const known = new Set(rows.flatMap((row) => wordsIn(row[1]).map((word) => word.replace(/[(=].*$/, ""))));
  assert.deepEqual(
    names.filter((name) => !known.has(name)),
    [],
  );
});

test("each of our names exists", () => {
  const instance = new client.SmtpClient();
  const options = new Set(["localHostname", "timeout", "sourceAddress", "transcript", "dial", "protocol", "implicitTls", "tls", "reply"]);
  for (const row of rows) {
    for (const word of wordsIn(row[2])) {
      const [name = ""] = /^(?:new )?[A-Za-z_]+(?=\.|$|[(:])/.exec(word.replace(/^await using$/, "SmtpClient")) ?? [""];
      const bare = name.replace(/^new /, "");
      if (bare === "" || bare === "Symbol") continue;
      assert.ok(bare in client || bare in instance || options.has(bare), `${word}: there is no ${bare}`);
    }
  }
});
