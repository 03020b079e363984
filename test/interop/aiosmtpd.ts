/**
 * Python's aiosmtpd, only unpacked, as a server for our client: the program is `aiosmtpd-server.py`.
 *
 * Rules
 * 1. Each listener takes a port of its own choice; messages come back by its standard output.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { collect, findProgram, start, unpackedFolder } from "../support/programs.ts";
import { type Cleanup, tempFolder } from "../support/temp-folder.ts";
import { Arrivals } from "../support/waiting.ts";
import { account, makeCertificate } from "./submission.ts";

const packages = join(unpackedFolder, "python3-aiosmtpd/usr/lib/python3/dist-packages");
const env = { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1" } as const;

export type Listener = "starttls" | "implicit" | "misbound" | "stripped" | "plain" | "lmtpTls";

export interface TakenMessage {
  readonly listener: Listener | "lmtp";
  /** Who had logged in. */
  readonly login: string | null;
  readonly from: string;
  readonly to: readonly string[];
  /** Parameters as they came. */
  readonly mailOptions: readonly string[];
  readonly rcptOptions: readonly (readonly string[])[];
  readonly content: Buffer;
}

export interface Aiosmtpd {
  readonly host: string;
  readonly ports: Readonly<Record<Listener, number>>;
  /** A unix socket. */
  readonly lmtp: string;
  readonly authority: string;
  readonly messages: Arrivals<TakenMessage>;
}

/** Why it cannot be run here, in words. */
export function missingAiosmtpd(): string[] {
  if (findProgram("python3") === undefined) return ["python3 is not installed"];
  const check = ["-c", 'import aiosmtpd.lmtp, _ssl, ctypes; ctypes.CDLL("libgsasl.so.18")'];
  return spawnSync("python3", check, { env: { ...process.env, ...env } }).status === 0 ? [] : ["aiosmtpd or GNU SASL is not installed"];
}

export async function startAiosmtpd(t: Cleanup): Promise<Aiosmtpd> {
  const host = "127.0.0.1";
  const folder = tempFolder(t, "postrider-aiosmtpd-");
  const authority = makeCertificate(folder, [host], { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
  const program = fileURLToPath(new URL("aiosmtpd-server.py", import.meta.url));
  const child = start(t, "python3", [program, folder, account.user, account.password], { env });
  const errors = collect(child.stderr);
  const messages = new Arrivals<TakenMessage>(errors);
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise<Pick<Aiosmtpd, "ports" | "lmtp">>((resolve, reject) => {
    lines.once("line", (first) => {
      resolve(JSON.parse(first));
      lines.on("line", (line) => {
        const message = JSON.parse(line) as Omit<TakenMessage, "content"> & { readonly content: string };
        messages.push({ ...message, content: Buffer.from(message.content, "base64") });
      });
    });
    child.once("close", (code) => reject(new Error(`aiosmtpd ended with ${code}: ${errors()}`)));
  });
  return { host, ...(await ready), authority, messages };
}
