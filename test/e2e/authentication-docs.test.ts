/**
 * docs/dkim.md and docs/authentication.md, followed word by word: each command is run, and prints what the page shows.
 *
 * Rules
 * 1. `…` on a page stands for any text. Comments of a page say what its reader does meanwhile: publish, configure, wait.
 * 2. Commands are the pages' own, with the DNS server of the test appended.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { DkimKey, DkimSigner, generateDkimKey, keyRecordText } from "../../src/message/dkim/index.ts";
import { concat, utf8 } from "../../src/util/bytes.ts";
import { type DnsServer, startDnsServer, type Zone } from "../support/dns-server.ts";
import { runWell } from "../support/programs.ts";
import { startRecipient } from "../support/recipient.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { type Finished, run } from "./processes.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const page = (name: string): string => readFileSync(join(root, "docs", name), "utf8");
const letter =
  "From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\nDate: Tue, 1 Jul 2025 10:52:37 +0200\r\n\r\nAt noon?\r\n";

type Part = { readonly kind: "sh" | "text" | "ts" | "comment"; readonly body: string };

/** The code blocks and comments of a page, in order. */
function partsOf(text: string): Part[] {
  const found = text.matchAll(/^```(sh|text|ts)\n([\s\S]*?)^```$|^<!-- (.*) -->$/gm);
  return [...found].map(([, kind, body = "", comment]) =>
    comment === undefined ? { kind: kind as "sh", body } : { kind: "comment", body: comment },
  );
}

function assertShown(shown: string, said: string): void {
  const lines = shown
    .trimEnd()
    .split("…")
    .map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  assert.match(said.trimEnd(), new RegExp(`^${lines.join("[\\s\\S]*")}$`));
}

class Reader {
  readonly folder: string;
  readonly dns: DnsServer;
  /** What a command printed last, by its name. */
  readonly printed = new Map<string, string>();

  constructor(folder: string, dns: DnsServer) {
    this.folder = folder;
    this.dns = dns;
  }

  /** Runs one line of a page. */
  async does(line: string): Promise<Finished> {
    const [program, ...words] = line.trim().split(" ");
    assert.equal(program, "postrider");
    const asks = !line.includes(" dkim new ");
    const args = [...words, ...(asks ? ["--resolver", this.dns.endpoint] : [])];
    const ran = await run(["-c", 'cd "$0" && exec "$@"', this.folder, join(root, "bin/postrider"), ...args], "", "sh");
    this.printed.set((words[0] === "dkim" ? words[1] : words[0]) ?? "", ran.out);
    return ran;
  }

  publish(command: string): void {
    for (const [, name = "", many, one] of (this.printed.get(command) ?? "").matchAll(/^(\S+)\. IN TXT (?:\(\n([^)]*)\)|("[^\n]*"))$/gm)) {
      this.dns.zone[name] = { TXT: [[...(many ?? one ?? "").matchAll(/"([^"]*)"/g)].map(([, string = ""]) => string)], ttl: 0 };
    }
  }

  /** Puts the lines that a command printed into the configuration, and signs a message by them. */
  configure(command: string): void {
    const lines = (this.printed.get(command) ?? "").match(/^\[\[dkim\]\]\n(?:\w+ = .*\n)+/gm) ?? [];
    assert.equal(lines.length, 2);
    writeFileSync(join(this.folder, "postrider.toml"), `hostname = "mx.example.org"\n\n${lines.join("\n")}`);
    const keys = lines.map((table) => {
      const value = (key: string): string => new RegExp(`^${key} = "(.*)"$`, "m").exec(table)?.[1] ?? "";
      return new DkimKey({
        domain: value("domain"),
        selector: value("selector"),
        privateKey: readFileSync(join(this.folder, value("key"))),
      });
    });
    writeFileSync(
      join(this.folder, "message.eml"),
      concat([new DkimSigner({ keys }).sign([utf8(letter)], { now: Date.now() }), utf8(letter)]),
    );
  }

  weekPasses(): void {
    const path = join(this.folder, "keys/example.org/rotation.json");
    const state = JSON.parse(readFileSync(path, "utf8"));
    state.retiring.since = new Date(Date.parse(state.retiring.since) - 7 * 86_400_000).toISOString();
    writeFileSync(path, JSON.stringify(state));
  }

  heeds(text: string): void {
    const [, what, command = ""] = /^(publish the records of|sign a message with): (\w+)$/.exec(text) ?? [];
    if (what === "publish the records of") this.publish(command);
    else if (what === "sign a message with") this.configure(command);
    else if (text === "a week passes") this.weekPasses();
    else assert.fail(`nothing is known of "${text}"`);
  }
}

/** Follows a page; how many commands it had. */
async function follow(parts: readonly Part[], reader: Reader): Promise<number> {
  let commands = 0;
  for (const [i, part] of parts.entries()) {
    if (part.kind === "comment" && !part.body.startsWith("exit ")) reader.heeds(part.body);
    if (part.kind !== "sh") continue;
    commands++;
    const { code, out, err } = await reader.does(part.body);
    const rest = parts.slice(i + 1, i + 3);
    const exit = rest.find(({ kind, body }) => kind === "comment" && body.startsWith("exit "));
    const shown = rest.find(({ kind }) => kind === "text");
    assert.equal(code, exit === undefined || rest[0] !== exit ? 0 : Number(exit.body.slice(5)), `${part.body}${out}${err}`);
    if (shown !== undefined) assertShown(shown.body, out);
  }
  return commands;
}

async function reader(t: TestContext, zone: Zone): Promise<Reader> {
  const dns = await startDnsServer(zone, { negativeTtl: 0 });
  t.after(() => dns.close());
  return new Reader(tempFolder(t), dns);
}

test("docs/dkim.md: from no key to signed mail and to the next keys, then from a program", async (t) => {
  const own = await reader(t, { "example.org": { A: ["192.0.2.1"] } });
  const parts = partsOf(page("dkim.md"));
  assert.equal(await follow(parts, own), 11);

  const [sending, verifying] = parts.filter(({ kind }) => kind === "ts").map(({ body }) => body);
  const recipient = await startRecipient(t, { plain: true });
  const source = (text: string): string =>
    text
      .replaceAll('"postrider/client"', JSON.stringify(join(root, "src/client/index.ts")))
      .replaceAll('"postrider/dkim"', JSON.stringify(join(root, "src/dkim.ts")))
      .replace("smtp://mail.example.org:587", `smtp://${recipient.host}:${recipient.port}?tls=none`)
      .replace("createResolver()", `createResolver({ servers: ["${own.dns.endpoint}"] })`);
  const execute = async (name: string, text: string): Promise<string> => {
    const path = join(own.folder, name);
    writeFileSync(path, source(text));
    return (await runWell(process.execPath, [path], { cwd: own.folder })).stdout;
  };
  await execute("send.ts", sending ?? "");
  const { content } = await recipient.messageFor("bob@example.net");
  writeFileSync(join(own.folder, "message.eml"), content);
  const said = await execute("check.ts", verifying ?? "");
  assert.match(
    said,
    /^pass example\.org the signature of example\.org is good\npass example\.org .*\nnone\nDKIM signature 1 of example\.org \(s=s2, a=rsa-sha256\)\n/,
  );
});

test("docs/authentication.md: a message and a domain are explained as it shows", async (t) => {
  const key = new DkimKey({ domain: "example.org", selector: "s1", privateKey: generateDkimKey("ed25519") });
  const own = await reader(t, {
    "example.org": { TXT: ["v=spf1 mx -all"], MX: [{ preference: 10, exchange: "mx.example.org" }] },
    "mx.example.org": { A: ["192.0.2.1"] },
    "_dmarc.example.org": { TXT: ["v=DMARC1; p=reject"] },
    [key.recordName]: { TXT: [keyRecordText(key)] },
  });
  const signed = Buffer.from(concat([new DkimSigner({ keys: [key] }).sign([utf8(letter)], { now: Date.now() }), utf8(letter)])).toString();
  writeFileSync(join(own.folder, "message.eml"), signed);
  const [verify, explained, doctor, examined] = partsOf(page("authentication.md")).map(({ body }) => body);
  assert.equal((await own.does(verify ?? "")).code, 0, "the message as it was sent is in order");
  // The page shows the same message, changed on the way and sent from elsewhere.
  writeFileSync(join(own.folder, "message.eml"), signed.replace("noon", "night"));
  const bad = await own.does((verify ?? "").replace("192.0.2.1", "203.0.113.9"));
  assert.equal(bad.code, 65);
  assertShown(explained ?? "", bad.out);
  const ran = await own.does(doctor ?? "");
  assert.equal(ran.code, 65);
  assertShown(examined ?? "", ran.out);
});
