/**
 * The real program, `bin/postrider serve`, as a child process on free loopback ports.
 *
 * Rules
 * 1. It is ready when its log says so; its events are read from its log.
 * 2. The data folder, the configuration and the certificate are the test's own and are gone after it.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ListenerKind } from "../../src/mail/event.ts";
import { selfSignedCertificate } from "../../src/net/certificate.ts";
import { runWell, start } from "./programs.ts";
import { type Cleanup, tempFolder } from "./temp-folder.ts";
import { Arrivals } from "./waiting.ts";

export const launcher = fileURLToPath(new URL("../../bin/postrider", import.meta.url));

export interface TestAccount {
  readonly name: string;
  readonly password: string;
  /** The name itself where absent. */
  readonly addresses?: readonly string[];
}

export interface PostriderOptions {
  /** mail.postrider.test where absent. */
  readonly hostname?: string;
  /** TOML beside hostname, data, [listen], [tls] and [log], such as [domains], [dns], [delivery] and [[route]]. */
  readonly config?: string;
  readonly accounts?: readonly TestAccount[];
}

/** One line of the log: an event, or a message without one. */
export interface LogRecord {
  readonly level: string;
  readonly message: string;
  readonly event?: string;
  readonly [field: string]: unknown;
}

export interface Postrider {
  readonly hostname: string;
  readonly ports: Readonly<Record<ListenerKind, number>>;
  /** PEM file with its certificate, good for localhost, 127.0.0.1 and its hostname. */
  readonly certificate: string;
  readonly folder: string;
  readonly config: string;
  readonly log: readonly LogRecord[];
  /** The first event of the type that matches, those that were included. */
  event(type: string, matches?: (record: LogRecord) => boolean): Promise<LogRecord>;
  /** Sends SIGTERM and resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** Starts it and waits until it is ready; it is stopped after the test. */
export async function startPostrider(t: Cleanup, options: PostriderOptions = {}): Promise<Postrider> {
  const hostname = options.hostname ?? "mail.postrider.test";
  const folder = tempFolder(t, "postrider-serve-");
  const { certificate, key } = selfSignedCertificate({ names: ["localhost", "127.0.0.1", hostname] });
  const certificatePath = join(folder, "certificate.pem");
  writeFileSync(certificatePath, certificate);
  writeFileSync(join(folder, "key.pem"), key, { mode: 0o600 });
  const config = join(folder, "postrider.toml");
  writeFileSync(config, configText(hostname, options.config ?? ""));
  for (const account of options.accounts ?? []) await addAccount(config, account);
  const running = await runServer(t, config);
  return { hostname, folder, config, certificate: certificatePath, ...running };
}

function configText(hostname: string, more: string): string {
  return `hostname = "${hostname}"
data = "./data"
[listen]
submission = ["127.0.0.1:0"]
submissions = ["127.0.0.1:0"]
smtp = ["127.0.0.1:0"]
[tls]
certificate = "certificate.pem"
key = "key.pem"
[log]
format = "json"
level = "debug"
[queue]
minimum_free = "1MB"
${more}`;
}

async function addAccount(config: string, { name, password, addresses = [] }: TestAccount): Promise<void> {
  const owned = addresses.flatMap((address) => ["--address", address]);
  await runWell(launcher, ["user", "add", name, "--config", config, "--password-stdin", ...owned], { input: `${password}\n` });
}

async function runServer(t: Cleanup, config: string): Promise<Pick<Postrider, "ports" | "log" | "event" | "stop">> {
  const child = start(t, launcher, ["serve", "--config", config]);
  child.stdin.end();
  child.stdout.resume();
  const lines: string[] = [];
  const records = new Arrivals<LogRecord>(() => lines.slice(-60).join("\n"));
  let ended: { readonly code: number | null } | undefined;
  child.on("exit", (code) => {
    ended = { code };
  });
  const closed = new Promise<number | null>((resolve) => {
    child.on("close", (code) => {
      resolve(code);
      records.wake();
    });
  });
  readLines(child.stderr, (line) => {
    lines.push(line);
    records.push(parseRecord(line));
  });
  const failed = (): Error | undefined =>
    ended === undefined ? undefined : new Error(`postrider serve ended with ${ended.code}:\n${lines.slice(-60).join("\n")}`);
  const event: Postrider["event"] = (type, matches = () => true) =>
    records.first(`the event ${type}`, (record) => record.event === type && matches(record), failed);
  await records.first("postrider to be ready", (record) => record.message === "ready", failed);
  return {
    ports: portsOf(records.all),
    log: records.all,
    event,
    stop() {
      child.kill("SIGTERM");
      return closed;
    },
  };
}

function portsOf(log: readonly LogRecord[]): Postrider["ports"] {
  const port = (listener: ListenerKind): number => {
    const found = log.find((record) => record.event === "listening" && record.listener === listener);
    return Number(found?.port ?? 0);
  };
  return { submission: port("submission"), submissions: port("submissions"), smtp: port("smtp") };
}

function parseRecord(line: string): LogRecord {
  try {
    return JSON.parse(line) as LogRecord;
  } catch {
    return { level: "error", message: line };
  }
}

function readLines(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) take(line);
  });
}
